"""Events on their way to webhooks: at least once each, retried over three days, and any of them again when a vendor asks."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from router import events
from router.errors import Refused
from router.events import Event
from router.wakeups import Job
from router.webhooks import endpoints
from router.webhooks.endpoints import Endpoint, to_endpoint
from router.work import Work

# Seconds before the 2nd, 3rd … attempt, as Standard Webhooks advises; then the delivery has failed.
WAITS: Final = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
MOST_REST_SECONDS: Final = 300  # an endpoint that fails is asked no oftener than this in the end
MOST_ASKED_SECONDS: Final = 3600  # of what Retry-After asks for
DISABLED_AFTER: Final = timedelta(days=5)
FAN_OUT: Final = 200  # events looked at in one transaction

HUNGRY: Final = """
    SELECT id, url, types, version, old_until, created_at, failures, failing_since, rest_until, disabled_at, disabled_because,
      cursor_xid::text AS cursor_xid, cursor_id
    FROM webhook_endpoints WHERE vendor_id = %s AND disabled_at IS NULL ORDER BY id FOR UPDATE SKIP LOCKED
    """
PLAN: Final = """
    INSERT INTO webhook_deliveries (vendor_id, endpoint_id, event_id, due_at)
    SELECT %s, %s, planned, %s FROM unnest(%s::bigint[]) AS planned ON CONFLICT DO NOTHING
    """
GO_ON: Final = """
    UPDATE webhook_endpoints SET cursor_xid = %s::numeric::text::xid8, cursor_id = %s WHERE vendor_id = %s AND id = %s
    """
# Whom something is due to and nobody is just delivering to.
DUE: Final = """
    SELECT id FROM webhook_endpoints w
    WHERE vendor_id = %(vendor_id)s AND disabled_at IS NULL AND coalesce(rest_until, %(now)s) <= %(now)s
      AND EXISTS (SELECT FROM webhook_deliveries d WHERE d.vendor_id = %(vendor_id)s AND d.endpoint_id = w.id
        AND d.status IN ('pending', 'sending') AND d.due_at <= %(now)s)
      AND NOT EXISTS (SELECT FROM webhook_deliveries d WHERE d.vendor_id = %(vendor_id)s AND d.endpoint_id = w.id
        AND d.status = 'sending' AND d.due_at > %(now)s)
    ORDER BY id
    """
# What is being sent is the lease of its endpoint, until `due_at`: then whoever had it is dead, and it goes first.
CLAIM: Final = """
    WITH held AS (
      SELECT event_id, due_at FROM webhook_deliveries
      WHERE vendor_id = %(vendor_id)s AND endpoint_id = %(endpoint_id)s AND status = 'sending'
    ), next AS (
      SELECT event_id FROM held WHERE due_at <= %(now)s
      UNION ALL (
        SELECT event_id FROM webhook_deliveries
        WHERE vendor_id = %(vendor_id)s AND endpoint_id = %(endpoint_id)s AND status = 'pending' AND due_at <= %(now)s
          AND NOT EXISTS (SELECT FROM held)
        ORDER BY event_id LIMIT 1)
    )
    UPDATE webhook_deliveries d SET status = 'sending', due_at = %(lease_until)s, attempts = attempts + 1
    FROM next WHERE d.vendor_id = %(vendor_id)s AND d.endpoint_id = %(endpoint_id)s AND d.event_id = next.event_id
      AND d.status IN ('pending', 'sending')
    RETURNING d.event_id, d.attempts
    """
DELIVERED: Final = """
    UPDATE webhook_deliveries SET status = 'delivered', answer = %s, error = NULL, ended_at = %s
    WHERE vendor_id = %s AND endpoint_id = %s AND event_id = %s
    """
WELL: Final = """
    UPDATE webhook_endpoints SET failures = 0, failing_since = NULL, rest_until = NULL
    WHERE vendor_id = %s AND id = %s AND failures > 0
    """
FAILED: Final = """
    UPDATE webhook_deliveries SET status = %(status)s, due_at = %(due_at)s, answer = %(answer)s, error = %(error)s,
      ended_at = CASE WHEN %(status)s = 'failed' THEN %(now)s::timestamptz END
    WHERE vendor_id = %(vendor_id)s AND endpoint_id = %(endpoint_id)s AND event_id = %(event_id)s AND status = 'sending'
    """
UNWELL: Final = """
    UPDATE webhook_endpoints SET failures = failures + 1, failing_since = coalesce(failing_since, %s), rest_until = %s
    WHERE vendor_id = %s AND id = %s RETURNING failing_since
    """
AGAIN: Final = """
    INSERT INTO webhook_deliveries (vendor_id, endpoint_id, event_id, due_at) VALUES (%s, %s, %s, %s)
    ON CONFLICT (vendor_id, endpoint_id, event_id) DO UPDATE
      SET status = 'pending', attempts = 0, due_at = excluded.due_at, ended_at = NULL
    """
ALL_AGAIN: Final = """
    UPDATE webhook_deliveries SET status = 'pending', attempts = 0, due_at = %s, ended_at = NULL
    WHERE vendor_id = %s AND endpoint_id = %s AND status = 'failed'
    """
LIST: Final = """
    SELECT d.event_id, e.type, d.status, d.attempts, d.due_at, d.answer, d.error, d.ended_at
    FROM webhook_deliveries d JOIN domain_events e ON e.vendor_id = d.vendor_id AND e.id = d.event_id
    WHERE d.vendor_id = %s AND d.endpoint_id = %s AND (%s::text IS NULL OR d.status = %s) ORDER BY d.event_id DESC LIMIT %s
    """
FORGET: Final = """
    DELETE FROM webhook_deliveries WHERE vendor_id = %s AND ctid = ANY(ARRAY(
      SELECT ctid FROM webhook_deliveries WHERE vendor_id = %s AND ended_at < %s LIMIT %s))
    """


@dataclass(frozen=True, kw_only=True)
class Claimed:
    """A delivery to an endpoint that nobody else delivers to until its lease ends; `attempts` with this one."""

    endpoint: Endpoint
    event: Event
    attempts: int


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """How the delivery of one event stands. `answer`: the last HTTP status."""

    event_id: int
    type: str
    status: str
    attempts: int
    due_at: datetime
    answer: int | None
    error: str | None
    ended_at: datetime | None


def plan(work: Work, *, now: datetime) -> None:
    """Note for each endpoint what it wants of the next events, once."""
    for row in work.conn.execute(HUNGRY, (work.vendor_id,)).fetchall():
        place = events.Cursor(xid=int(row.pop("cursor_xid")), id=row.pop("cursor_id"))
        endpoint = to_endpoint(row)
        found = events.read(work, after=place, limit=FAN_OUT)
        if found:
            wanted = [event.id for event in found if endpoint.wants(event)]
            work.conn.execute(PLAN, (work.vendor_id, endpoint.id, now, wanted))
            work.conn.execute(GO_ON, (found[-1].cursor.xid, found[-1].cursor.id, work.vendor_id, endpoint.id))


def list_due(work: Work, *, now: datetime) -> list[UUID]:
    """Name the endpoints that something is due to now."""
    return [row["id"] for row in work.conn.execute(DUE, {"vendor_id": work.vendor_id, "now": now})]


def claim(work: Work, endpoint_id: UUID, *, now: datetime, lease_seconds: float) -> Claimed | None:
    """Take the oldest event that is due to an endpoint; None while it rests, or somebody delivers to it."""
    endpoint = endpoints.lock(work, endpoint_id)
    if endpoint is None or endpoint.disabled_at is not None or (endpoint.rest_until is not None and now < endpoint.rest_until):
        return None
    values = {
        "vendor_id": work.vendor_id,
        "endpoint_id": endpoint_id,
        "now": now,
        "lease_until": now + timedelta(seconds=lease_seconds),
    }
    row = work.conn.execute(CLAIM, values).fetchone()
    event = None if row is None else events.find(work, row["event_id"])
    return None if row is None or event is None else Claimed(endpoint=endpoint, event=event, attempts=row["attempts"])


def record_delivered(work: Work, made: Claimed, *, answer: int, now: datetime) -> None:
    """It arrived. Its endpoint is well."""
    work.conn.execute(DELIVERED, (answer, now, work.vendor_id, made.endpoint.id, made.event.id))
    work.conn.execute(WELL, (work.vendor_id, made.endpoint.id))


def record_failed(
    work: Work, made: Claimed, *, answer: int | None, error: str, asked_seconds: int, now: datetime
) -> Endpoint | None:
    """It did not arrive, as far as we know. Returns the endpoint when this was its end: it is gone, or fails for days.

    `asked_seconds`: what Retry-After said. What is not delivered when an endpoint ends waits for whoever enables it.
    """
    gone = answer == 410
    ended = made.attempts > len(WAITS) and not gone
    # One draw for both, so that not everybody comes back at once, and what failed is due when its endpoint has rested.
    spread = random.uniform(1.0, 1.2)  # noqa: S311 - spreads load, guards nothing
    due_at = now + timedelta(seconds=_wait_seconds(made.attempts) * spread)
    asked = timedelta(seconds=min(asked_seconds, MOST_ASKED_SECONDS))
    values = {
        "status": "failed" if ended else "pending",
        "due_at": max(due_at, now + asked),
        "answer": answer,
        "error": error,
        "now": now,
        "vendor_id": work.vendor_id,
        "endpoint_id": made.endpoint.id,
        "event_id": made.event.id,
    }
    work.conn.execute(FAILED, values)
    rest = timedelta(seconds=min(_wait_seconds(made.endpoint.failures + 1), MOST_REST_SECONDS) * spread)
    row = work.conn.execute(UNWELL, (now, now + max(rest, asked), work.vendor_id, made.endpoint.id)).fetchone()
    if gone:
        return endpoints.disable(work, made.endpoint.id, because="it answered 410, gone", now=now)
    if row is not None and now - row["failing_since"] >= DISABLED_AFTER:
        because = f"nothing arrived for {DISABLED_AFTER.days} days; the last error: {error}"
        return endpoints.disable(work, made.endpoint.id, because=because, now=now)
    return None


def resend(work: Work, endpoint_id: UUID, event_id: str | None, *, now: datetime) -> int:
    """Deliver an event again, under the same id, or None: all that failed. Returns how many. Raises Refused."""
    endpoints.get(work, endpoint_id)
    work.wakes.add(Job.WEBHOOK)
    if event_id is None:
        return work.conn.execute(ALL_AGAIN, (now, work.vendor_id, endpoint_id)).rowcount
    number = events.parse_id(work.vendor_id, event_id)
    if number is None or events.find(work, number) is None:
        raise Refused("unknown_event", "this vendor has no such event: give the `id` of GET /events")
    return work.conn.execute(AGAIN, (work.vendor_id, endpoint_id, number, now)).rowcount


def list_last(work: Work, endpoint_id: UUID, *, status: str | None, limit: int) -> list[Delivery]:
    """List deliveries to one endpoint, the newest event first. Raises Refused("unknown_webhook")."""
    endpoints.get(work, endpoint_id)
    return [Delivery(**row) for row in work.conn.execute(LIST, (work.vendor_id, endpoint_id, status, status, limit))]


def purge(work: Work, *, before: datetime, limit: int) -> int:
    """Forget some deliveries that ended before; the events stay, and can be sent again. Returns how many went."""
    return work.conn.execute(FORGET, (work.vendor_id, work.vendor_id, before, limit)).rowcount


def _wait_seconds(attempts: int) -> int:
    """Seconds until the next try after this many."""
    return WAITS[min(attempts, len(WAITS)) - 1]
