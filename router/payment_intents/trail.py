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
# What was judged is shown as it came: a callback by its id in the line, a report likewise.
_EVENTS: Final = """
    SELECT e.at, e.event, e.from_status, e.to_status,
           e.data || CASE WHEN coalesce(c.body, r.body) IS NULL THEN '{}'
                          ELSE jsonb_build_object('came', coalesce(c.body, r.body)) END AS data
      FROM payment_events e
      LEFT JOIN callbacks c ON c.vendor_id = e.vendor_id AND c.id = (e.data ->> 'callback')::bigint
      LEFT JOIN money_reports r ON r.vendor_id = e.vendor_id AND r.id = (e.data ->> 'report')::bigint
     WHERE e.vendor_id = %s AND e.intent_id = %s ORDER BY e.id
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
    """Read the audit trail of an intent, in order, with what M-Pesa sent as it came."""
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
