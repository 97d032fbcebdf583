"""What has to leave, kept until it left: in order within a conversation, at least once.

The life of a row is the table NEXT. Statuses only climb; a send whose outcome we never learned is repeated once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from router.ids import ConversationId
from router.json_values import JSON, Phone, storable_text, to_json, to_jsonb
from router.work import Work

UNKNOWN_WAIT_SECONDS: Final = 60  # how long a status callback may take to tell us what became of a send
TRACKER_PREFIX: Final = "outbox:"


class OutboxStatus(StrEnum):
    """Where a message stands. `unknown`: it may have left, we did not hear."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    UNKNOWN = "unknown"


S = OutboxStatus
NEXT: Final[Mapping[OutboxStatus, frozenset[OutboxStatus]]] = {
    # A sender slower than its lease, or a status callback, may still tell us that a row given back had left.
    S.PENDING: frozenset({S.SENDING, S.SENT, S.DELIVERED, S.READ, S.FAILED}),
    S.SENDING: frozenset({S.PENDING, S.SENT, S.DELIVERED, S.READ, S.FAILED, S.UNKNOWN}),
    S.UNKNOWN: frozenset({S.PENDING, S.SENT, S.DELIVERED, S.READ, S.FAILED}),
    S.SENT: frozenset({S.DELIVERED, S.READ, S.FAILED}),
    S.DELIVERED: frozenset({S.READ}),
    S.READ: frozenset(),
    # We gave up on a row whose outcome stayed unknown, and it had arrived after all.
    S.FAILED: frozenset({S.DELIVERED, S.READ}),
}

# Answers within the service window are WhatsApp's category "service"; what goes later is a template.
ADD: Final = """
    WITH added AS (
      INSERT INTO outbox (vendor_id, conversation_id, phone_number_id, recipient, turn, n, place, message, due_at, created_at)
      SELECT %(vendor_id)s, m.conversation_id, m.phone_number_id, m.recipient, m.turn, m.n, m.place, m.message, m.due_at, m.due_at
      FROM jsonb_to_recordset(%(messages)s::jsonb) AS m(conversation_id uuid, phone_number_id text, recipient text, turn integer,
        n integer, place text, message jsonb, due_at timestamptz)
      ORDER BY m.turn, m.n
      RETURNING vendor_id, conversation_id, turn, n, created_at,
        CASE WHEN message ? 'template' THEN 'template' ELSE 'service' END AS category
    )
    INSERT INTO usage_records (vendor_id, meter, category, key, quantity, at)
    SELECT vendor_id, 'message_out', category, format('%%s:%%s:%%s', conversation_id, turn, n), 1, created_at FROM added
    ON CONFLICT DO NOTHING
    """
ADD_ALERT: Final = """
    WITH added AS (
      INSERT INTO outbox (vendor_id, cause, phone_number_id, recipient, turn, n, place, message, due_at, created_at)
      VALUES (%(vendor_id)s, %(cause)s, %(phone_number_id)s, %(recipient)s, 0, 0, %(place)s, %(message)s, %(now)s, %(now)s)
      ON CONFLICT (vendor_id, cause) DO NOTHING RETURNING vendor_id, cause, created_at
    )
    INSERT INTO usage_records (vendor_id, meter, category, key, quantity, at)
    SELECT vendor_id, 'message_out', 'template', cause, 1, created_at FROM added
    """
# The NOT EXISTS keeps the order: while an earlier row of the conversation is unfinished, later ones wait. A row that
# another sender has locked still counts as unfinished here, because its new status is not committed.
CLAIM: Final = """
    WITH due AS (
      SELECT o.id FROM outbox o
      WHERE o.vendor_id = %(vendor_id)s AND o.status = 'pending' AND o.due_at <= %(now)s AND NOT EXISTS (
        SELECT 1 FROM outbox earlier
        WHERE earlier.vendor_id = o.vendor_id AND earlier.conversation_id = o.conversation_id AND earlier.id < o.id
          AND earlier.status IN ('pending', 'sending', 'unknown'))
      ORDER BY o.due_at, o.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    UPDATE outbox SET status = 'sending', lease_until = %(lease_until)s, attempts = attempts + 1
    FROM due WHERE outbox.vendor_id = %(vendor_id)s AND outbox.id = due.id
    RETURNING outbox.id, conversation_id, cause, phone_number_id, recipient, turn, n, place, message, attempts, resends
    """
RECORD_SENT: Final = """
    UPDATE outbox SET status = CASE WHEN status = ANY(%(before)s) THEN 'sent' ELSE status END,
      wamid = coalesce(wamid, %(wamid)s), sent_at = coalesce(sent_at, %(now)s), lease_until = NULL, error = NULL
    WHERE vendor_id = %(vendor_id)s AND id = %(id)s
    """
RECORD_RETRY: Final = """
    UPDATE outbox SET status = 'pending', due_at = %(due_at)s, error = %(error)s, lease_until = NULL
    WHERE vendor_id = %(vendor_id)s AND id = %(id)s AND status = ANY(%(before)s) AND status <> 'unknown'
    """
RECORD_FAILED: Final = """
    UPDATE outbox SET status = 'failed', failed_at = %(now)s, error = %(error)s, lease_until = NULL
    WHERE vendor_id = %(vendor_id)s AND id = %(id)s AND status = ANY(%(before)s)
    """
RECORD_UNKNOWN: Final = """
    UPDATE outbox SET status = 'unknown', due_at = %(due_at)s, error = %(error)s, lease_until = NULL
    WHERE vendor_id = %(vendor_id)s AND id = %(id)s AND status = ANY(%(before)s)
    """
# By the id it was sent under, or by our own tracker. A row that was sent twice has one of two ids: any of them proves
# that it arrived, but only its own may say that it failed.
RECORD_STATUS: Final = """
    UPDATE outbox SET status = %(status)s, wamid = coalesce(wamid, %(wamid)s), lease_until = NULL,
      error = CASE WHEN %(status)s = 'failed' THEN %(error)s END,
      sent_at = coalesce(sent_at, CASE WHEN %(status)s <> 'failed' THEN %(at)s::timestamptz END),
      delivered_at = coalesce(delivered_at, CASE WHEN %(status)s IN ('delivered', 'read') THEN %(at)s::timestamptz END),
      read_at = coalesce(read_at, CASE WHEN %(status)s = 'read' THEN %(at)s::timestamptz END),
      failed_at = CASE WHEN %(status)s = 'failed' THEN %(at)s::timestamptz END
    WHERE vendor_id = %(vendor_id)s AND (wamid = %(wamid)s OR id = %(id)s) AND status = ANY(%(before)s)
      AND (%(status)s <> 'failed' OR wamid IS NULL OR wamid = %(wamid)s)
    """
RECOVER: Final = """
    UPDATE outbox SET
      status = CASE WHEN status = 'sending' THEN 'unknown' WHEN resends = 0 THEN 'pending' ELSE 'failed' END,
      due_at = CASE WHEN status = 'sending' THEN %(ask_again_at)s WHEN resends = 0 THEN %(now)s ELSE due_at END,
      resends = CASE WHEN status = 'unknown' AND resends = 0 THEN 1 ELSE resends END,
      failed_at = CASE WHEN status = 'unknown' AND resends > 0 THEN %(now)s::timestamptz END,
      error = CASE WHEN status = 'sending' THEN 'the sender did not report back' ELSE coalesce(error, 'no answer') END,
      lease_until = NULL
    WHERE vendor_id = %(vendor_id)s
      AND ((status = 'sending' AND lease_until <= %(now)s) OR (status = 'unknown' AND due_at <= %(now)s))
    """


@dataclass(frozen=True, kw_only=True)
class NewMessage:
    """Message number `n` of a turn. `recipient` is an msisdn or a bsuid; `place` is the flow and state that said it."""

    conversation_id: ConversationId
    phone_number_id: str
    recipient: str
    turn: int
    n: int
    place: str
    message: Mapping[str, JSON]
    due_at: datetime


@dataclass(frozen=True, kw_only=True)
class OutboxRow:
    """A claimed row. `attempts` counts claims, this one included; `resends` those after an unknown outcome.

    What a vendor is told has no conversation, but a cause.
    """

    id: int
    conversation_id: ConversationId | None
    cause: str | None
    phone_number_id: str
    recipient: str
    turn: int
    n: int
    place: str
    message: Mapping[str, JSON]
    attempts: int
    resends: int


def add(work: Work, messages: Sequence[NewMessage]) -> None:
    """Keep the messages of a turn and count them, in one statement. Raises Broken (at the commit's edge) for a repeated n."""
    if messages:
        rows = [_recorded(message) for message in messages]
        work.conn.execute(ADD, {"vendor_id": work.vendor_id, "messages": to_json(rows)})


def add_alert(
    work: Work, *, cause: str, phone_number_id: str, recipient: str, place: str, message: Mapping[str, JSON], now: datetime
) -> None:
    """Keep and count what a vendor is told, once for its cause; it waits for no other message. `recipient` is an msisdn."""
    values = {
        "vendor_id": work.vendor_id,
        "cause": cause,
        "phone_number_id": phone_number_id,
        "recipient": Phone(recipient),
        "place": place,
        "message": to_jsonb(message),
        "now": now,
    }
    work.conn.execute(ADD_ALERT, values)


def claim(work: Work, *, now: datetime, lease_seconds: float, limit: int) -> list[OutboxRow]:
    """Take due rows, at most the first unfinished one of each conversation; nobody else gets them until the lease ends."""
    lease_until = now + timedelta(seconds=lease_seconds)
    values = {"vendor_id": work.vendor_id, "now": now, "lease_until": lease_until, "limit": limit}
    return sorted((OutboxRow(**row) for row in work.conn.execute(CLAIM, values)), key=lambda row: row.id)


def record_sent(work: Work, row_id: int, *, wamid: str, now: datetime) -> None:
    """It left, under this id. A status that came before us stays."""
    _update(work, RECORD_SENT, row_id, S.SENT, {"wamid": wamid, "now": now})


def record_retry(work: Work, row_id: int, *, due_at: datetime, error: str) -> None:
    """It certainly did not leave: try again at `due_at`."""
    _update(work, RECORD_RETRY, row_id, S.PENDING, {"due_at": due_at, "error": storable_text(error)})


def record_failed(work: Work, row_id: int, *, error: str, now: datetime) -> None:
    """It did not leave and never will. The next message of the conversation may go."""
    _update(work, RECORD_FAILED, row_id, S.FAILED, {"now": now, "error": storable_text(error)})


def record_unknown(work: Work, row_id: int, *, error: str, due_at: datetime) -> None:
    """It may have left: wait for a status callback until `due_at`."""
    _update(work, RECORD_UNKNOWN, row_id, S.UNKNOWN, {"due_at": due_at, "error": storable_text(error)})


def record_status(work: Work, *, wamid: str, tracker: str | None, status: str, error: str | None, at: datetime) -> bool:
    """Climb the ladder; False when nothing moved: not ours, an unknown status, or one that was passed before."""
    if status not in (S.SENT, S.DELIVERED, S.READ, S.FAILED):
        return False
    values = {
        "vendor_id": work.vendor_id,
        "wamid": wamid,
        "id": _tracked(tracker),
        "status": status,
        "before": _before(OutboxStatus(status)),
        "error": None if error is None else storable_text(error),
        "at": at,
    }
    return work.conn.execute(RECORD_STATUS, values).rowcount > 0


def recover_expired(work: Work, *, now: datetime) -> int:
    """Move rows whose sender vanished to unknown, and unknown ones nobody explained to one resend, then to failed."""
    ask_again_at = now + timedelta(seconds=UNKNOWN_WAIT_SECONDS)
    values = {"vendor_id": work.vendor_id, "now": now, "ask_again_at": ask_again_at}
    return work.conn.execute(RECOVER, values).rowcount


def _update(work: Work, statement: str, row_id: int, to: OutboxStatus, values: Mapping[str, object]) -> None:
    work.conn.execute(statement, {"vendor_id": work.vendor_id, "id": row_id, "before": _before(to), **values})


def _before(to: OutboxStatus) -> list[str]:
    return [status.value for status, following in NEXT.items() if to in following]


def _tracked(tracker: str | None) -> int | None:
    digits = (tracker or "").removeprefix(TRACKER_PREFIX)
    return int(digits) if tracker != digits and digits.isascii() and digits.isdigit() and len(digits) < 19 else None


def _recorded(message: NewMessage) -> JSON:
    return {
        "conversation_id": str(message.conversation_id),
        "phone_number_id": message.phone_number_id,
        "recipient": message.recipient,
        "turn": message.turn,
        "n": message.n,
        "place": message.place,
        "message": message.message,
        "due_at": message.due_at.isoformat(),
    }
