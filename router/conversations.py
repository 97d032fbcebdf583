"""One conversation a customer: its lock, its snapshot, its turn number."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid4

from router import turns
from router.errors import Broken, Unavailable
from router.ids import ConversationId, CustomerId, OrderId
from router.json_values import JSON, to_jsonb
from router.turns import NewTurn
from router.work import Work

COLUMNS: Final = "id, customer_id, phone_number_id, snapshot, turn, order_id, last_inbound_at, last_turn_at"
FIND: Final = f"SELECT {COLUMNS} FROM conversations WHERE vendor_id = %s AND customer_id = %s FOR UPDATE"  # noqa: S608 — a constant
# DO UPDATE locks the row that another transaction made meanwhile.
MAKE: Final = f"""
    INSERT INTO conversations (vendor_id, id, customer_id, phone_number_id, order_id, created_at)
    VALUES (%(vendor_id)s, %(id)s, %(customer_id)s, %(phone_number_id)s, %(order_id)s, %(now)s)
    ON CONFLICT (vendor_id, customer_id) DO UPDATE SET phone_number_id = excluded.phone_number_id
    RETURNING {COLUMNS}
    """  # noqa: S608 — a constant
GET: Final = f"SELECT {COLUMNS} FROM conversations WHERE vendor_id = %s AND id = %s FOR UPDATE"  # noqa: S608 — a constant
IS_THERE: Final = "SELECT FROM conversations WHERE vendor_id = %s AND id = %s"
LIST: Final = """
    SELECT c.id, c.flow, c.state, c.last_inbound_at, k.name, k.phone
    FROM conversations c JOIN customers k ON k.vendor_id = c.vendor_id AND k.id = c.customer_id
    WHERE c.vendor_id = %s ORDER BY c.last_inbound_at DESC NULLS LAST, c.id LIMIT %s
    """
SAVE: Final = """
    UPDATE conversations SET snapshot = %(snapshot)s, turn = %(turn)s, order_id = %(order_id)s, flow = %(flow)s,
      state = %(state)s, last_inbound_at = %(last_inbound_at)s, last_turn_at = %(now)s
    WHERE vendor_id = %(vendor_id)s AND id = %(id)s AND turn = %(before_turn)s
    """
SAVE_AND_KEEP: Final = f"WITH saved AS ({SAVE} RETURNING vendor_id, id) {turns.KEEP}"


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """`order_id` is reserved before the order exists; `snapshot` None: nothing was said yet."""

    id: ConversationId
    customer_id: CustomerId
    phone_number_id: str
    snapshot: Mapping[str, JSON] | None
    turn: int
    order_id: OrderId
    last_inbound_at: datetime | None
    last_turn_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A conversation as people find it: whose it is, and where it stands. `flow` None: nothing runs."""

    id: ConversationId
    flow: str | None
    state: str | None
    last_inbound_at: datetime | None
    name: str | None
    phone: str | None


def list_latest(work: Work, *, limit: int) -> list[Listed]:
    """List conversations, the one that the customer wrote in last first."""
    return [Listed(**row) for row in work.conn.execute(LIST, (work.vendor_id, limit))]


def lock(work: Work, *, customer_id: CustomerId, phone_number_id: str, now: datetime) -> Conversation:
    """Return this customer's conversation, made if needed, and hold its row until the commit.

    One statement, except for the first message and for a customer who changed to another number of the vendor.
    Raises Unavailable when the customer has just been erased.
    """
    known = work.conn.execute(FIND, (work.vendor_id, customer_id)).fetchone()
    if known is not None and known["turn"] > 0 and known["snapshot"] is None:
        # The customer was found just before an erasure took the phone away: the next delivery meets somebody new.
        raise Unavailable("this conversation was erased a moment ago: deliver the message again")
    if known is not None and known["phone_number_id"] == phone_number_id:
        return Conversation(**known)
    values = {
        "vendor_id": work.vendor_id,
        "id": uuid4(),
        "customer_id": customer_id,
        "phone_number_id": phone_number_id,
        "order_id": uuid4(),
        "now": now,
    }
    row = work.conn.execute(MAKE, values).fetchone()
    if row is None:
        raise Broken("a conversation was neither found nor made")
    return Conversation(**row)


def get(work: Work, conversation_id: ConversationId) -> Conversation:
    """Return the conversation and hold its row until the commit. Raises Broken when there is none."""
    row = work.conn.execute(GET, (work.vendor_id, conversation_id)).fetchone()
    if row is None:
        message = f"there is no conversation {conversation_id} of this vendor"
        raise Broken(message)
    return Conversation(**row)


def is_there(work: Work, conversation_id: ConversationId) -> bool:
    """Tell whether the vendor has this conversation; nothing is locked."""
    return work.conn.execute(IS_THERE, (work.vendor_id, conversation_id)).fetchone() is not None


def save(
    work: Work,
    conversation_id: ConversationId,
    *,
    snapshot: Mapping[str, JSON],
    turn: int,
    before_turn: int,
    order_id: OrderId,
    flow: str | None,
    state: str | None,
    last_inbound_at: datetime | None,
    now: datetime,
    keep: NewTurn | None = None,
) -> None:
    """Write what a turn left behind, and how it went. Raises Broken when the conversation is no longer at `before_turn`."""
    values = {
        "vendor_id": work.vendor_id,
        "id": conversation_id,
        "snapshot": to_jsonb(snapshot),
        "turn": turn,
        "before_turn": before_turn,
        "order_id": order_id,
        "flow": flow,
        "state": state,
        "last_inbound_at": last_inbound_at,
        "now": now,
    }
    kept = turns.to_values(keep) if keep is not None else {}
    if work.conn.execute(SAVE if keep is None else SAVE_AND_KEEP, values | kept).rowcount != 1:
        message = f"conversation {conversation_id} is not at turn {before_turn}: it was saved without its lock"
        raise Broken(message)
