"""Reading kept turns back, for explaining, comparing and writing down conversations."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import groupby

from conversation import recorded
from conversation.engine.lexicon import Lexicon, build_lexicon
from conversation.recorded import RecordedTurn
from router import conversations, turns, vendors
from router.databases import Databases
from router.errors import Refused
from router.ids import ConversationId, VendorId
from router.turns import KeptTurn
from router.work import Work, unit_of_work


def find_vendor(databases: Databases, conversation_id: ConversationId) -> VendorId:
    """Tell whose conversation this is, wherever it lives. Raises Refused("unknown_conversation")."""
    for vendor_id in vendors.list_ids(databases):
        with unit_of_work(databases, vendor_id) as work:
            if conversations.is_there(work, conversation_id):
                return vendor_id
    raise Refused("unknown_conversation", f"there is no conversation {conversation_id}: `soko conversation list` shows them")


def read_conversation(work: Work, conversation_id: ConversationId) -> list[RecordedTurn]:
    """What is kept of one conversation. Raises Refused("nothing_kept")."""
    found = [_read(kept) for kept in turns.list_of(work, conversation_id)]
    if not found:
        raise Refused("nothing_kept", f"no turn of conversation {conversation_id} is kept: SOKO_TRACE_DAYS says for how long")
    return found


def read_since(
    databases: Databases, since: datetime, *, vendor_id: VendorId | None = None
) -> Iterator[tuple[list[RecordedTurn], Mapping[str, Lexicon]]]:
    """Give the conversations since a moment, of one vendor or of all, each with the words of its shop by their shelf."""
    for each in [vendor_id] if vendor_id is not None else vendors.list_ids(databases):
        with unit_of_work(databases, each) as work:
            lexicons = read_lexicons(work)
            for _, kept in groupby(turns.list_since(work, since), key=lambda turn: turn.conversation_id):
                yield [_read(turn) for turn in kept], lexicons


def read_lexicons(work: Work) -> dict[str, Lexicon]:
    """The shop's words of every day that turns are kept of, by the name of their shelf."""
    return {digest: build_lexicon(items) for digest, items in turns.list_shelves(work).items()}


def _read(kept: KeptTurn) -> RecordedTurn:
    return recorded.read(
        kept.record,
        conversation_id=str(kept.conversation_id),
        turn=kept.turn,
        at=kept.at,
        bundle=kept.bundle,
        shelf=kept.shelf,
    )
