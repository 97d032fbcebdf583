"""Moments at which a conversation wants to be woken."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from router.errors import Broken
from router.ids import ConversationId
from router.work import Work

# A timer that a worker has in hand is skipped: that worker waits for our conversation, so waiting for it would be a
# deadlock. It will find a later turn and drop the timer itself.
SET_ALL: Final = """
    WITH dropped AS (
      DELETE FROM timers WHERE vendor_id = %(vendor_id)s AND id IN (
        SELECT id FROM timers WHERE vendor_id = %(vendor_id)s AND conversation_id = %(conversation_id)s
          AND turn IS DISTINCT FROM %(turn)s::int AND fired_at IS NULL AND name NOT LIKE 'schedule:%%'
        FOR UPDATE SKIP LOCKED)
    )
    INSERT INTO timers (vendor_id, conversation_id, turn, name, due_at)
    SELECT %(vendor_id)s, %(conversation_id)s, %(turn)s, name, due_at
    FROM unnest(%(names)s::text[], %(due)s::timestamptz[]) AS new (name, due_at)
    ON CONFLICT (vendor_id, conversation_id, turn, name) DO UPDATE SET due_at = excluded.due_at
    """
SCHEDULE: Final = """
    WITH dropped AS (
      DELETE FROM timers WHERE vendor_id = %(vendor_id)s AND conversation_id = %(conversation_id)s AND name = %(name)s
        AND turn <> %(turn)s AND fired_at IS NULL
    )
    INSERT INTO timers (vendor_id, conversation_id, turn, name, due_at)
    VALUES (%(vendor_id)s, %(conversation_id)s, %(turn)s, %(name)s, %(due_at)s)
    ON CONFLICT (vendor_id, conversation_id, turn, name) DO UPDATE SET due_at = excluded.due_at
    """
CLAIM_DUE: Final = """
    SELECT id, conversation_id, turn, name, due_at FROM timers
    WHERE vendor_id = %s AND fired_at IS NULL AND due_at <= %s ORDER BY due_at, id LIMIT %s FOR UPDATE SKIP LOCKED
    """
GET_FOR_TURN: Final = """
    SELECT id, conversation_id, turn, name, due_at FROM timers
    WHERE vendor_id = %s AND id = %s AND fired_at IS NULL FOR UPDATE SKIP LOCKED
    """
MARK_FIRED: Final = "UPDATE timers SET fired_at = %s WHERE vendor_id = %s AND id = %s AND fired_at IS NULL"


@dataclass(frozen=True, kw_only=True)
class Timer:
    """Set by turn number `turn`; stale when its conversation is at a later one."""

    id: int
    conversation_id: ConversationId
    turn: int
    name: str
    due_at: datetime


def set_all(work: Work, conversation_id: ConversationId, *, turn: int | None, due: Mapping[str, datetime]) -> None:
    """Ask to be woken at these moments, by name, for the wait that began in `turn`, and drop the timers of every other wait.

    The same name in the same turn moves its moment. `turn` None: nothing waits any more, so everything is dropped.
    """
    values = {
        "vendor_id": work.vendor_id,
        "conversation_id": conversation_id,
        "turn": turn,
        "names": list(due),
        "due": list(due.values()),
    }
    work.conn.execute(SET_ALL, values)


def schedule(work: Work, conversation_id: ConversationId, *, flow: str, turn: int, due_at: datetime) -> None:
    """Ask to be woken for a flow that starts by the clock. No wait drops it; a later one for the same flow does."""
    values = {
        "vendor_id": work.vendor_id,
        "conversation_id": conversation_id,
        "turn": turn,
        "name": f"schedule:{flow}",
        "due_at": due_at,
    }
    work.conn.execute(SCHEDULE, values)


def claim_due(work: Work, *, now: datetime, limit: int) -> list[Timer]:
    """Return timers that are due, and hold them until the commit; nobody else gets the same ones meanwhile."""
    return [Timer(**row) for row in work.conn.execute(CLAIM_DUE, (work.vendor_id, now, limit))]


def get_for_turn(work: Work, timer_id: int) -> Timer | None:
    """Return one timer and hold it; None when it fired, was dropped, or is in another worker's hand."""
    row = work.conn.execute(GET_FOR_TURN, (work.vendor_id, timer_id)).fetchone()
    return None if row is None else Timer(**row)


def mark_fired(work: Work, timer_id: int, now: datetime) -> None:
    """Close a timer. Raises Broken when it fired before."""
    if work.conn.execute(MARK_FIRED, (now, work.vendor_id, timer_id)).rowcount != 1:
        message = f"timer {timer_id} is not open"
        raise Broken(message)
