"""The audit trail of a payment intent: what allowed the prompt, what was sent, what came back, in order. Append-only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from router.ids import IntentId
from router.json_values import JSON, to_jsonb
from router.payment_intents.status import AttemptStatus, IntentStatus
from router.work import Work

_ADD_EVENT: Final = """
    INSERT INTO payment_events (vendor_id, intent_id, at, event, from_status, to_status, data)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
    """
_EVENTS: Final = """
    SELECT at, event, from_status, to_status, data FROM payment_events
     WHERE vendor_id = %s AND intent_id = %s ORDER BY id
    """


@dataclass(frozen=True, kw_only=True)
class Noted:
    """One line of the audit trail."""

    at: datetime
    event: str
    from_status: str | None
    to_status: str | None
    data: Mapping[str, JSON]


def note(work: Work, intent_id: IntentId, event: str, data: Mapping[str, JSON], *, now: datetime) -> None:
    """Add a line to the audit trail: something was learnt, nothing moved."""
    note_move(work, intent_id, event, None, None, data, now=now)


def list_noted(work: Work, intent_id: IntentId) -> list[Noted]:
    """Read the audit trail of an intent, in order."""
    return [Noted(**row) for row in work.conn.execute(_EVENTS, (work.vendor_id, intent_id))]


def note_move(
    work: Work,
    intent_id: IntentId,
    event: str,
    before: IntentStatus | AttemptStatus | None,
    after: IntentStatus | AttemptStatus | None,
    data: Mapping[str, JSON],
    *,
    now: datetime,
) -> None:
    """Add a line about a status that moved; `before` is None for what is born."""
    known = {name: value for name, value in data.items() if value is not None}
    work.conn.execute(_ADD_EVENT, (work.vendor_id, intent_id, now, event, before, after, to_jsonb(known)))
