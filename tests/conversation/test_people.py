"""The vendor's people on the real databases: what they write is sent, and the conversation comes back."""

from datetime import datetime, timedelta

import pytest

from conversation import people
from conversation.whatsapp.inbound import Text
from router import conversations
from router.databases import Databases
from router.errors import Broken, Refused
from router.ids import ConversationId, VendorId
from router.work import unit_of_work
from tests.conversation.test_turn import Chat


@pytest.fixture
def chat(databases: Databases, vendor_id: VendorId, now: datetime) -> Chat:
    """A customer who waits for a person."""
    chat = Chat(databases, vendor_id, now)
    chat.say(Text(text="support"))
    chat.say(Text(text="agent"))
    return chat


def conversation_of(chat: Chat) -> ConversationId:
    return chat.reports[-1].conversation_id


def say(chat: Chat, text: str) -> None:
    with unit_of_work(chat.databases, chat.vendor_id) as work:
        entry = people.say(work, conversation_of(chat), text, now=chat.now)
    chat.turns.handle(chat.vendor_id, entry)
    chat.turns.handle(chat.vendor_id, entry)  # twice is once


def test_what_a_person_writes_is_sent_once_and_the_way_back_is_taken(chat: Chat) -> None:
    assert chat.say(Text(text="hello?")) == []
    say(chat, "  Hello, how can I help?  ")
    (sent,) = chat.rows("SELECT message ->> 'text' AS text, place FROM outbox WHERE place = 'person'")
    assert sent["text"] == "Hello, how can I help?"
    with unit_of_work(chat.databases, chat.vendor_id) as work:
        (listed,) = conversations.list_latest(work, limit=5)
        entry = people.give_back(work, conversation_of(chat), now=chat.now)
    assert (listed.flow, listed.state, listed.name) == ("support", "person", "Mteja")
    chat.turns.handle(chat.vendor_id, entry)
    assert chat.reports[-1].ended == "solved"


def test_outside_the_24_hours_nothing_is_kept(chat: Chat) -> None:
    chat.now += timedelta(hours=25)
    with pytest.raises(Refused, match="24 hours"):
        say(chat, "Good morning!")
    assert chat.rows("SELECT id FROM inbox WHERE kind = 'event'") == []


@pytest.mark.parametrize(("text", "said"), [("  ", "empty"), ("x" * 4097, "4096")])
def test_a_text_that_cannot_be_sent_is_refused(chat: Chat, text: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        say(chat, text)


def test_a_conversation_of_nobody_is_refused(chat: Chat) -> None:
    with unit_of_work(chat.databases, chat.vendor_id) as work, pytest.raises(Broken, match="no conversation"):
        people.give_back(work, ConversationId(chat.vendor_id), now=chat.now)


def test_what_a_flow_counts_is_a_domain_event(chat: Chat) -> None:
    chat.say(Text(text="menu"))
    for text in ("Report a problem", "Town", "It is late", "3, yesterday", "no"):
        chat.say(Text(text=text))
    (metric,) = chat.rows("SELECT data, subject FROM domain_events WHERE type = 'metric_emitted'")
    assert metric["data"] == {"name": "complaint", "place": "support.complained", "value": 3}
    assert metric["subject"] == str(conversation_of(chat))
