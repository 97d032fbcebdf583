"""A vendor's webhooks: where its events go, from when on, and whether they still do."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from psycopg.errors import UniqueViolation

from router import events
from router.errors import Refused
from router.events import EventType
from router.wakeups import Job
from router.webhooks.addresses import check_url
from router.work import Work

MOST: Final = 10
OLD_HOURS: Final = 24  # a secret that was replaced signs for so long beside the new one
_COLUMNS: Final = (
    "id, url, types, version, old_until, created_at, failures, failing_since, rest_until, disabled_at, disabled_because"
)
LIST: Final = f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE vendor_id = %s ORDER BY created_at, id"  # noqa: S608 — constant
GET: Final = f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE vendor_id = %s AND id = %s"  # noqa: S608 — the same
LOCK: Final = f"{GET} FOR NO KEY UPDATE"
# Delivery begins with what is not yet committed now: whatever was readable before is what `GET /events` is for.
CREATE: Final = f"""
    INSERT INTO webhook_endpoints (vendor_id, url, types, cursor_xid, cursor_id, created_at)
    SELECT %(vendor_id)s, %(url)s, %(types)s, pg_snapshot_xmin(pg_current_snapshot()), 0, %(now)s
    WHERE (SELECT count(*) FROM webhook_endpoints WHERE vendor_id = %(vendor_id)s) < %(most)s RETURNING {_COLUMNS}
    """  # noqa: S608 — a constant list of columns
DELETE: Final = f"DELETE FROM webhook_endpoints WHERE vendor_id = %s AND id = %s RETURNING {_COLUMNS}"  # noqa: S608 — the same
ROTATE: Final = f"""
    UPDATE webhook_endpoints SET version = version + 1, old_until = %s WHERE vendor_id = %s AND id = %s RETURNING {_COLUMNS}
    """  # noqa: S608 — the same
ENABLE: Final = f"""
    UPDATE webhook_endpoints
    SET disabled_at = NULL, disabled_because = NULL, failures = 0, failing_since = NULL, rest_until = NULL
    WHERE vendor_id = %s AND id = %s RETURNING {_COLUMNS}
    """  # noqa: S608 — the same
DISABLE: Final = f"""
    UPDATE webhook_endpoints SET disabled_at = %s, disabled_because = %s
    WHERE vendor_id = %s AND id = %s AND disabled_at IS NULL RETURNING {_COLUMNS}
    """  # noqa: S608 — the same


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One webhook. `types` None: every event; `failures` in a row; the secret before `version` signs until `old_until`."""

    id: UUID
    url: str
    types: tuple[EventType, ...] | None
    version: int
    old_until: datetime | None
    created_at: datetime
    failures: int
    failing_since: datetime | None
    rest_until: datetime | None
    disabled_at: datetime | None
    disabled_because: str | None

    def wants(self, event: events.Event) -> bool:
        """Tell whether an event is to be delivered here. A ping goes to the endpoint that was pinged alone."""
        if event.type == EventType.WEBHOOK_PINGED:
            return event.subject == str(self.id)
        return self.types is None or event.type in self.types

    def live_versions(self, now: datetime) -> list[int]:
        """Name the secrets to sign with, the newest first."""
        old = self.version > 1 and self.old_until is not None and now < self.old_until
        return [self.version, self.version - 1] if old else [self.version]


def list_all(work: Work) -> list[Endpoint]:
    """List them, the oldest first; there are never more than ten."""
    return [to_endpoint(row) for row in work.conn.execute(LIST, (work.vendor_id,))]


def create(work: Work, *, url: str, types: Collection[EventType] | None, public_only: bool, now: datetime) -> Endpoint:
    """Deliver what happens from now on to this URL. Raises Refused: bad_url, too_many_webhooks, webhook_exists."""
    named = None if types is None else sorted(set(types))
    values = {
        "vendor_id": work.vendor_id,
        "url": check_url(url, public_only=public_only),
        "types": named,
        "now": now,
        "most": MOST,
    }
    try:
        row = work.conn.execute(CREATE, values).fetchone()
    except UniqueViolation:
        raise Refused("webhook_exists", "this URL is a webhook of this vendor already") from None
    if row is None:
        raise Refused("too_many_webhooks", f"a vendor has {MOST} webhooks at most: delete one first")
    return to_endpoint(row)


def delete(work: Work, endpoint_id: UUID) -> Endpoint:
    """Deliver nothing there any more, also what is still on its way. Raises Refused("unknown_webhook")."""
    return _found(work.conn.execute(DELETE, (work.vendor_id, endpoint_id)).fetchone())


def rotate(work: Work, endpoint_id: UUID, *, now: datetime) -> Endpoint:
    """Go over to a new secret; the one before it signs beside it for a day. Raises Refused("unknown_webhook")."""
    until = now + timedelta(hours=OLD_HOURS)
    return _found(work.conn.execute(ROTATE, (until, work.vendor_id, endpoint_id)).fetchone())


def enable(work: Work, endpoint_id: UUID) -> Endpoint:
    """Go on where delivery stopped. Raises Refused("unknown_webhook")."""
    work.wakes.add(Job.WEBHOOK)
    return _found(work.conn.execute(ENABLE, (work.vendor_id, endpoint_id)).fetchone())


def disable(work: Work, endpoint_id: UUID, *, because: str, now: datetime) -> Endpoint | None:
    """Stop delivering, and write down that we did; None: it was stopped before."""
    row = work.conn.execute(DISABLE, (now, because, work.vendor_id, endpoint_id)).fetchone()
    if row is None:
        return None
    data = {"url": row["url"], "reason": because}
    events.append(work, type=EventType.WEBHOOK_DISABLED, subject=str(endpoint_id), data=data, now=now)
    return to_endpoint(row)


def ping(work: Work, endpoint_id: UUID, *, now: datetime) -> None:
    """Let a test event happen, which goes to this endpoint alone. Raises Refused("unknown_webhook")."""
    get(work, endpoint_id)
    events.append(work, type=EventType.WEBHOOK_PINGED, subject=str(endpoint_id), data={}, now=now)


def lock(work: Work, endpoint_id: UUID) -> Endpoint | None:
    """Keep everybody else from claiming what is due to it until the transaction ends; None: this vendor has no such webhook."""
    row = work.conn.execute(LOCK, (work.vendor_id, endpoint_id)).fetchone()
    return None if row is None else to_endpoint(row)


def get(work: Work, endpoint_id: UUID) -> Endpoint:
    """Return one. Raises Refused("unknown_webhook")."""
    return _found(work.conn.execute(GET, (work.vendor_id, endpoint_id)).fetchone())


def to_endpoint(row: Mapping[str, Any]) -> Endpoint:
    """Read a row."""
    types = None if row["types"] is None else tuple(EventType(each) for each in row["types"])
    return Endpoint(**(dict(row) | {"types": types}))


def _found(row: Mapping[str, Any] | None) -> Endpoint:
    if row is None:
        raise Refused("unknown_webhook", "this vendor has no such webhook")
    return to_endpoint(row)
