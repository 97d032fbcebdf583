"""Moments at which a conversation wants to be woken."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from router.errors import Broken
from router.ids import ConversationId
from router.work import Work

SET: Final = """
    INSERT INTO timers (vendor_id, conversation_id, turn, name, due_at) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (vendor_id, conversation_id, turn, name) DO UPDATE SET due_at = excluded.due_at
    """
# A timer that a worker has in hand is skipped: that worker waits for our conversation, so waiting for it would be a
# deadlock. It will find a later turn and drop the timer itself.
DROP_ALL_BUT: Final = """
    DELETE FROM timers WHERE vendor_id = %(vendor_id)s AND id IN (
      SELECT id FROM timers WHERE vendor_id = %(vendor_id)s AND conversation_id = %(conversation_id)s
        AND turn IS DISTINCT FROM %(turn)s::int AND fired_at IS NULL
      FOR UPDATE SKIP LOCKED)
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


def set_timer(work: Work, *, conversation_id: ConversationId, turn: int, name: str, due_at: datetime) -> None:
    """Ask to be woken; the same name in the same turn moves its moment."""
    work.conn.execute(SET, (work.vendor_id, conversation_id, turn, name, due_at))


def drop_all_but(work: Work, conversation_id: ConversationId, turn: int | None) -> None:
    """Drop the timers of every wait but the one that began in `turn`: what they waited for has happened. None: drop all."""
    work.conn.execute(DROP_ALL_BUT, {"vendor_id": work.vendor_id, "conversation_id": conversation_id, "turn": turn})


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
