"""The vendor's people in a conversation: what they write to a customer, and giving the conversation back.

Both are inbox entries like any other event: kept first, then taken as a turn, by whoever comes first.
"""

from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from router import conversations, inbox
from router.conversations import Conversation
from router.errors import Refused
from router.ids import ConversationId
from router.inbox import EntryKind, NewEntry
from router.json_values import JSON
from router.work import Work

SAID: Final = "person.said"
LEFT: Final = "person.left"
WINDOW: Final = timedelta(hours=24)  # in which WhatsApp takes free-form messages, after the customer's last one
LONGEST: Final = 4096


def say(work: Work, conversation_id: ConversationId, text: str, *, now: datetime) -> int:
    """Keep what a person writes to the customer; return the inbox entry whose turn sends it.

    Raises Refused: text_empty, text_too_long, window_closed.
    """
    if not text.strip():
        raise Refused("text_empty", "There is nothing to send: the text is empty.")
    if len(text) > LONGEST:
        raise Refused("text_too_long", f"A WhatsApp message has at most {LONGEST} characters; this has {len(text)}.")
    conversation = conversations.get(work, conversation_id)
    if conversation.last_inbound_at is None or now - conversation.last_inbound_at > WINDOW:
        message = "The customer's last message is more than 24 hours old: WhatsApp takes no free text now, only a template."
        raise Refused("window_closed", message)
    return _keep(work, conversation, {"name": SAID, "text": text.strip()}, now=now)


def give_back(work: Work, conversation_id: ConversationId, *, now: datetime) -> int:
    """Keep that the people are done; return the inbox entry whose turn lets the flow go on."""
    return _keep(work, conversations.get(work, conversation_id), {"name": LEFT}, now=now)


def _keep(work: Work, conversation: Conversation, body: dict[str, JSON], *, now: datetime) -> int:
    entry = NewEntry(
        kind=EntryKind.EVENT,
        source_id=f"{body['name']}:{uuid4()}",
        body=body,
        text=None,
        received_at=now,
        customer_id=conversation.customer_id,
        conversation_id=conversation.id,
    )
    entry_id = inbox.accept(work, entry)
    if entry_id is None:
        raise Refused("known", "This was kept before.")
    return entry_id
