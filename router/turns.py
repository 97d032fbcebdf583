"""Turns as they went, kept for some days: written with the conversation's new snapshot, read by people, then purged."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from router.ids import ConversationId
from router.json_values import JSON, to_json
from router.work import Work

# Stands behind the UPDATE of the conversation, as `saved`, in one statement: a turn is one round trip with or without it.
KEEP: Final = """
    , shelved AS (
      INSERT INTO shelves (vendor_id, digest, items, seen_at)
      SELECT vendor_id, %(shelf)s, %(items)s::jsonb, %(now)s FROM saved WHERE %(items)s::jsonb IS NOT NULL
      ON CONFLICT (vendor_id, digest) DO UPDATE SET seen_at = greatest(shelves.seen_at, excluded.seen_at)
    )
    INSERT INTO turns (vendor_id, conversation_id, turn, at, bundle, shelf, record)
    SELECT vendor_id, id, %(turn)s, %(now)s, %(bundle)s, %(shelf)s, %(record)s::jsonb FROM saved
    """
COLUMNS: Final = "conversation_id, turn, at, bundle, shelf, record"
LIST: Final = f"SELECT {COLUMNS} FROM turns WHERE vendor_id = %s AND conversation_id = %s ORDER BY turn"  # noqa: S608 — a constant
LIST_SINCE: Final = f"""
    SELECT {COLUMNS} FROM turns WHERE vendor_id = %s AND at >= %s ORDER BY conversation_id, turn
    """  # noqa: S608 — a constant
SHELVES: Final = "SELECT digest, items FROM shelves WHERE vendor_id = %s"
PURGE: Final = """
    DELETE FROM turns WHERE vendor_id = %(vendor_id)s AND ctid = ANY(ARRAY(
      SELECT ctid FROM turns WHERE vendor_id = %(vendor_id)s AND at < %(before)s LIMIT %(batch)s FOR UPDATE SKIP LOCKED
    ))
    """
# A process writes a shelf again every hour it uses it, so one that nobody has seen for longer than turns are kept has none.
PURGE_SHELVES: Final = "DELETE FROM shelves WHERE vendor_id = %s AND seen_at < %s"
PURGE_BATCH: Final = 5_000
SHELF_GRACE: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class NewTurn:
    """A turn to keep. `items` is the content of the shelf, given when this process has not stored it lately."""

    bundle: str
    shelf: str
    items: Sequence[Mapping[str, JSON]] | None
    record: Mapping[str, JSON]


@dataclass(frozen=True, kw_only=True)
class KeptTurn:
    """A kept turn; `record` has the shape that whoever took the turn gave it."""

    conversation_id: ConversationId
    turn: int
    at: datetime
    bundle: str
    shelf: str
    record: Mapping[str, JSON]


def to_values(new: NewTurn) -> dict[str, object]:
    """What KEEP takes beside the values of the conversation's own statement."""
    items = None if new.items is None else to_json(new.items)
    return {"bundle": new.bundle, "shelf": new.shelf, "items": items, "record": to_json(new.record)}


def list_of(work: Work, conversation_id: ConversationId) -> list[KeptTurn]:
    """List what is kept of one conversation, the oldest turn first."""
    return [KeptTurn(**row) for row in work.conn.execute(LIST, (work.vendor_id, conversation_id))]


def list_since(work: Work, since: datetime) -> Iterator[KeptTurn]:
    """Give the turns since a moment, conversation by conversation; read in pieces, so that a week fits into memory."""
    with work.conn.cursor(name="turns_since") as cursor:
        cursor.itersize = 1_000
        for row in cursor.execute(LIST_SINCE, (work.vendor_id, since)):
            yield KeptTurn(**row)


def list_shelves(work: Work) -> dict[str, Sequence[Mapping[str, JSON]]]:
    """Every kept version of the vendor's words, by its digest."""
    return {row["digest"]: row["items"] for row in work.conn.execute(SHELVES, (work.vendor_id,))}


def purge(work: Work, *, before: datetime) -> int:
    """Forget a batch of turns older than a moment, and shelves that no turn needs any more. Returns how many turns went."""
    work.conn.execute(PURGE_SHELVES, (work.vendor_id, before - SHELF_GRACE))
    values = {"vendor_id": work.vendor_id, "before": before, "batch": PURGE_BATCH}
    return work.conn.execute(PURGE, values).rowcount
