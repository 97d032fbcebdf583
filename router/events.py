"""Domain events: past-tense facts, written in the transaction that made them true, and read in an order without gaps."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from router.ids import VendorId
from router.json_values import JSON, to_jsonb
from router.wakeups import Job
from router.work import Work

# In the same round trip: is there a webhook to deliver to?
APPEND: Final = """
    INSERT INTO domain_events (vendor_id, type, subject, data, at)
    VALUES (%(vendor_id)s, %(type)s, %(subject)s, %(data)s, %(now)s)
    RETURNING EXISTS (SELECT FROM webhook_endpoints WHERE vendor_id = %(vendor_id)s AND disabled_at IS NULL) AS is_awaited
    """
# Transactions commit in another order than they took their numbers. What is below the oldest one still running can get no
# company any more, so whoever has read up to a place there has missed nothing. The number in its order is counted by id: who
# writes about an order holds its lock, so there ids are in the order of what happened.
_COLUMNS: Final = """
    e.id, e.xid::text AS xid, e.type, e.subject, e.order_id, e.data, e.at,
    CASE WHEN e.order_id IS NOT NULL THEN (SELECT count(*) FROM domain_events o
      WHERE o.vendor_id = e.vendor_id AND o.order_id = e.order_id AND o.id <= e.id) END AS sequence
    """
READ: Final = f"""
    SELECT {_COLUMNS} FROM domain_events e WHERE e.vendor_id = %s AND (e.xid, e.id) > (%s::numeric::text::xid8, %s::bigint)
      AND e.xid < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY e.xid, e.id LIMIT %s
    """  # noqa: S608 — a constant list of columns
GET: Final = f"SELECT {_COLUMNS} FROM domain_events e WHERE e.vendor_id = %s AND e.id = %s"  # noqa: S608 — the same
_CURSOR: Final = re.compile(r"([0-9]{1,19})-([0-9]{1,18})")
_ID: Final = re.compile(r"evt_([0-9a-f]{32})_([0-9]{1,18})")


class EventType(StrEnum):
    """Every fact there is; `subject` is the id of the order, the intent, the payment, the conversation, the customer
    or the webhook.
    """

    ORDER_PLACED = "order_placed"
    ORDER_CONFIRMED = "order_confirmed"
    ORDER_PAID = "order_paid"
    ORDER_CANCELLED = "order_cancelled"
    PAYMENT_CONFIRMED = "payment_confirmed"
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_PAID_LATE = "payment_paid_late"
    PAYMENT_DUPLICATE_PAID = "payment_duplicate_paid"
    PAYMENT_NEEDS_REVIEW = "payment_needs_review"
    PAYMENT_UNMATCHED = "payment_unmatched"
    HANDOFF_REQUESTED = "handoff_requested"
    METRIC_EMITTED = "metric_emitted"
    CUSTOMER_ERASED = "customer_erased"
    WEBHOOK_PINGED = "webhook_pinged"
    WEBHOOK_DISABLED = "webhook_disabled"


@dataclass(frozen=True, kw_only=True, order=True)
class Cursor:
    """A place in a vendor's events, after which the next ones are read."""

    xid: int = 0
    id: int = 0

    def __str__(self) -> str:
        """Write it for a caller."""
        return f"{self.xid}-{self.id}"


START: Final = Cursor()


@dataclass(frozen=True, kw_only=True)
class Event:
    """One fact. `sequence` counts the events of its order from 1; None: it is about no order."""

    id: int
    cursor: Cursor
    type: str
    subject: str
    order_id: str | None
    sequence: int | None
    data: Mapping[str, Any]
    at: datetime


def append(work: Work, *, type: EventType, subject: str, data: Mapping[str, JSON], now: datetime) -> None:  # noqa: A002
    """Write a fact down; the commit wakes who delivers it. The table is append-only."""
    values = {"vendor_id": work.vendor_id, "type": EventType(type), "subject": subject, "data": to_jsonb(data), "now": now}
    row = work.conn.execute(APPEND, values).fetchone()
    if row is not None and row["is_awaited"]:
        work.wakes.add(Job.WEBHOOK)


def read(work: Work, *, after: Cursor, limit: int) -> list[Event]:
    """Return the next events. Whoever goes on from the last one's cursor misses none, whatever commits when."""
    return [_event(row) for row in work.conn.execute(READ, (work.vendor_id, after.xid, after.id, limit))]


def find(work: Work, event_id: int) -> Event | None:
    """Return one event of this vendor."""
    row = work.conn.execute(GET, (work.vendor_id, event_id)).fetchone()
    return None if row is None else _event(row)


def parse_cursor(text: str) -> Cursor | None:
    """Read a cursor as it was given out; None: it was not."""
    match = _CURSOR.fullmatch(text)
    return Cursor(xid=int(match[1]), id=int(match[2])) if match else None


def to_id(vendor_id: VendorId, event_id: int) -> str:
    """Name an event for everybody, the same over all retries."""
    return f"evt_{vendor_id.hex}_{event_id}"


def parse_id(vendor_id: VendorId, text: str) -> int | None:
    """Read such a name; None: it names no event of this vendor."""
    match = _ID.fullmatch(text)
    return int(match[2]) if match and match[1] == vendor_id.hex else None


def to_envelope(vendor_id: VendorId, event: Event) -> dict[str, JSON]:
    """Wrap an event as CloudEvents 1.0 wants it, in JSON. `orderid` and `sequence` only where it is about an order.

    Source: cloudevents.io, spec v1.0.2, JSON event format, and its extension "sequence", which is a string
    """
    envelope: dict[str, JSON] = {
        "specversion": "1.0",
        "id": to_id(vendor_id, event.id),
        "source": f"/vendors/{vendor_id}",
        "type": f"soko.{event.type}.v1",
        "subject": event.subject,
        "time": event.at.isoformat(),
        "datacontenttype": "application/json",
        "vendorid": str(vendor_id),
        "data": event.data,
    }
    if event.sequence is not None:
        envelope |= {"orderid": event.order_id, "sequence": str(event.sequence)}
    return envelope


def _event(row: Mapping[str, Any]) -> Event:
    values = dict(row)
    return Event(cursor=Cursor(xid=int(values.pop("xid")), id=values["id"]), **values)
