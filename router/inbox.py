"""What came from outside, kept until handled. A delivery that is known ends in `accept`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from router.errors import Broken
from router.ids import ConversationId, CustomerId
from router.json_values import JSON, storable_text, to_jsonb
from router.work import Work

# White space and punctuation that may stand around the word PAY; * _ ~ are also WhatsApp's bold, italic and strike marks.
# The ops migration 0001 repeats them in SQL; a test compares both.
AROUND_PAY: Final = " \t\n\r\f\x0b\xa0" + "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~" + "\u2026\u201c\u201d\u2018\u2019\u2013\u2014"

# A message counts once for ever; a conversation once for each Nairobi day on which its customer wrote.
METERED: Final = """metered AS (
      INSERT INTO usage_records (vendor_id, meter, category, key, quantity, at)
      SELECT vendor_id, 'message_in', %(category)s, source_id, 1, received_at FROM entry WHERE kind = 'message'
      UNION ALL
      SELECT vendor_id, 'conversation', '', conversation_id || ':' || (received_at AT TIME ZONE 'Africa/Nairobi')::date, 1,
        received_at FROM entry WHERE kind = 'message' AND conversation_id IS NOT NULL
      ON CONFLICT DO NOTHING
    )"""
ACCEPT: Final = f"""
    WITH entry AS (
      INSERT INTO inbox (vendor_id, kind, source_id, customer_id, conversation_id, body, text, intent, received_at, turn,
        handled_at)
      VALUES (%(vendor_id)s, %(kind)s, %(source_id)s, %(customer_id)s, %(conversation_id)s, %(body)s, %(text)s,
        %(intent)s, %(received_at)s, %(turn)s, CASE WHEN %(turn)s::int IS NOT NULL THEN %(received_at)s::timestamptz END)
      ON CONFLICT (vendor_id, kind, source_id) DO NOTHING RETURNING vendor_id, id, kind, source_id, conversation_id, received_at
    ), {METERED}
    SELECT id FROM entry
    """  # noqa: S608 — a constant statement
COLUMNS: Final = "id, kind, source_id, customer_id, conversation_id, body, text, intent, is_pay, received_at, error"
LIST_UNHANDLED: Final = f"""
    SELECT {COLUMNS} FROM inbox
    WHERE vendor_id = %(vendor_id)s AND kind = %(kind)s AND handled_at IS NULL AND failed_at IS NULL AND received_at <= %(before)s
    ORDER BY id LIMIT %(limit)s
    """  # noqa: S608 — a constant list of columns
GET_FOR_TURN: Final = f"""
    SELECT {COLUMNS} FROM inbox
    WHERE vendor_id = %s AND id = %s AND handled_at IS NULL AND failed_at IS NULL FOR UPDATE
    """  # noqa: S608 — a constant list of columns
MARK_HANDLED: Final = "UPDATE inbox SET handled_at = %s, turn = %s WHERE vendor_id = %s AND id = %s AND handled_at IS NULL"
# The failed turn was rolled back, and a customer it had just met with it, so the ids are kept only where they exist.
KEEP_FAILED: Final = f"""
    WITH entry AS (
    INSERT INTO inbox (vendor_id, kind, source_id, customer_id, conversation_id, body, text, intent, received_at, failed_at,
      error, trace)
    VALUES (%(vendor_id)s, %(kind)s, %(source_id)s,
      (SELECT id FROM customers WHERE vendor_id = %(vendor_id)s AND id = %(customer_id)s),
      (SELECT id FROM conversations WHERE vendor_id = %(vendor_id)s AND id = %(conversation_id)s),
      %(body)s, %(text)s, %(intent)s, %(received_at)s, %(now)s, %(error)s, %(trace)s)
    ON CONFLICT (vendor_id, kind, source_id) DO UPDATE
      SET failed_at = coalesce(CASE WHEN inbox.handled_at IS NULL THEN excluded.failed_at END, inbox.failed_at),
          error = excluded.error, trace = excluded.trace, intent = coalesce(inbox.intent, excluded.intent)
    RETURNING vendor_id, id, kind, source_id, conversation_id, received_at
    ), {METERED}
    SELECT id FROM entry
    """  # noqa: S608 — a constant statement
LIST_FAILED: Final = f"""
    SELECT {COLUMNS} FROM inbox WHERE vendor_id = %s AND failed_at IS NOT NULL AND handled_at IS NULL ORDER BY id LIMIT %s
    """  # noqa: S608 — a constant list of columns
REOPEN: Final = """
    UPDATE inbox SET failed_at = NULL, error = NULL, trace = NULL
    WHERE vendor_id = %s AND id = %s AND failed_at IS NOT NULL AND handled_at IS NULL
    """


class EntryKind(StrEnum):
    """A customer's message, a delivery status, a domain event for the conversation, or anything else we only keep."""

    MESSAGE = "message"
    STATUS = "status"
    EVENT = "event"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class NewEntry:
    """`source_id` is the sender's own id for it; `text` is what the customer typed, or the title of what was tapped.

    `intent` is what a classifier made of it: None when none was asked, "" when it knew none.
    """

    kind: EntryKind
    source_id: str
    body: Mapping[str, JSON]
    text: str | None
    received_at: datetime
    customer_id: CustomerId | None = None
    conversation_id: ConversationId | None = None
    category: str = ""  # of a message, for usage: text, tap, image, …
    intent: str | None = None


@dataclass(frozen=True, kw_only=True)
class InboxEntry:
    """A kept entry; `error` tells why it failed, if it did."""

    id: int
    kind: EntryKind
    source_id: str
    customer_id: CustomerId | None
    conversation_id: ConversationId | None
    body: Mapping[str, JSON]
    text: str | None
    is_pay: bool
    received_at: datetime
    error: str | None
    intent: str | None = None


def is_pay(text: str | None) -> bool:
    """Tell whether a whole message is the word PAY: any case, outer white space and punctuation ignored."""
    if text is None:
        return False
    word = text.strip(AROUND_PAY)
    return word.isascii() and word.upper() == "PAY"


def accept(work: Work, entry: NewEntry, *, turn: int | None = None) -> int | None:
    """Keep an entry and return its id; None when (vendor, kind, source_id) is known: a known one ends here.

    `turn` is the turn that handles it in this very transaction; without one it stays open.
    A delivery of the same message that runs elsewhere at this moment is waited for.
    """
    row = work.conn.execute(ACCEPT, {**_values(work, entry), "turn": turn}).fetchone()
    return None if row is None else int(row["id"])


def list_unhandled(work: Work, *, kind: EntryKind, before: datetime, limit: int) -> list[InboxEntry]:
    """List entries that nobody handled yet and that did not fail, oldest first."""
    values = {"vendor_id": work.vendor_id, "kind": kind, "before": before, "limit": limit}
    return [_entry(row) for row in work.conn.execute(LIST_UNHANDLED, values)]


def get_for_turn(work: Work, entry_id: int) -> InboxEntry | None:
    """Return the entry and hold its row; None when it is handled, failed or not there."""
    row = work.conn.execute(GET_FOR_TURN, (work.vendor_id, entry_id)).fetchone()
    return None if row is None else _entry(row)


def mark_handled(work: Work, entry_id: int, *, turn: int | None, now: datetime) -> None:
    """Close an entry, with the turn it caused, if it caused one.

    Raises Broken when it was closed before: two turns would have had the same cause.
    """
    if work.conn.execute(MARK_HANDLED, (now, turn, work.vendor_id, entry_id)).rowcount != 1:
        message = f"inbox entry {entry_id} is not open"
        raise Broken(message)


def keep_failed(work: Work, entry: NewEntry, *, error: str, trace: JSON, now: datetime) -> int:
    """Keep an entry whose turn failed, for an operator; one that was handled meanwhile stays handled. Returns its id."""
    failure = {"now": now, "error": storable_text(error), "trace": to_jsonb(trace)}
    row = work.conn.execute(KEEP_FAILED, _values(work, entry) | failure).fetchone()
    if row is None:
        raise Broken("a failed inbox entry was neither found nor kept")
    return int(row["id"])


def list_failed(work: Work, *, limit: int) -> list[InboxEntry]:
    """List entries whose turn failed and that wait for an operator, oldest first."""
    return [_entry(row) for row in work.conn.execute(LIST_FAILED, (work.vendor_id, limit))]


def reopen(work: Work, entry_id: int) -> None:
    """Let a failed entry be handled again: the operator's retry. Raises Broken when it did not fail."""
    if work.conn.execute(REOPEN, (work.vendor_id, entry_id)).rowcount != 1:
        message = f"inbox entry {entry_id} is not a failed one"
        raise Broken(message)


def _values(work: Work, entry: NewEntry) -> dict[str, object]:
    return {
        "vendor_id": work.vendor_id,
        "kind": entry.kind,
        "source_id": storable_text(entry.source_id),
        "customer_id": entry.customer_id,
        "conversation_id": entry.conversation_id,
        "body": to_jsonb(entry.body),
        "text": None if entry.text is None else storable_text(entry.text),
        "received_at": entry.received_at,
        "category": entry.category,
        "intent": None if entry.intent is None else storable_text(entry.intent),
    }


def _entry(row: Mapping[str, object]) -> InboxEntry:
    return InboxEntry(**{**row, "kind": EntryKind(str(row["kind"]))})  # type: ignore[arg-type]  # columns are the fields
