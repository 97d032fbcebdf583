"""What a conversation hears: updates and inbox entries as events of the engine."""

from collections.abc import Mapping
from datetime import datetime
from typing import assert_never, cast

from conversation import people
from conversation.engine.events import FromCustomer, Happened, PersonLeft, PersonSaid, Said, Shared, Tapped
from conversation.engine.values import JSON
from conversation.whatsapp.inbound import Location, Media, Tap, Text, Utterance, read_again
from router.inbox import EntryKind, InboxEntry, NewEntry


def to_event(utterance: Utterance, *, entry_id: str, at: datetime, intent: str | None) -> FromCustomer:
    """Translate what the webhook read into what a conversation hears."""
    match utterance:
        case Text(text=text):
            return Said(id=entry_id, at=at, text=text, intent=intent or None)
        case Tap(choice_id=choice_id, title=title):
            return Tapped(id=entry_id, at=at, choice_id=choice_id, title=title)
        case Media(kind=kind):
            return Shared(id=entry_id, at=at, what=kind)
        case Location():
            return Shared(id=entry_id, at=at, what="location")
        case _:
            assert_never(utterance)


def words_of(utterance: Utterance) -> str | None:
    """Return what the customer said in words; the title of a tapped button is what the customer replied."""
    match utterance:
        case Text(text=text):
            return text
        case Tap(title=title):
            return title
        case Media() | Location():
            return None
        case _:
            assert_never(utterance)


def event_of(entry: InboxEntry, *, at: datetime) -> Happened | PersonSaid | PersonLeft | FromCustomer:
    """Read an inbox entry again: a service's event, what a person wrote, or a message as the webhook got it."""
    if entry.kind is EntryKind.EVENT:
        if entry.body["name"] == people.SAID:
            return PersonSaid(id=str(entry.id), at=at, text=str(entry.body["text"]))
        if entry.body["name"] == people.LEFT:
            return PersonLeft(id=str(entry.id), at=at)
        body = cast("Mapping[str, str]", entry.body)
        carries = cast("Mapping[str, JSON]", entry.body["carries"])
        return Happened(id=str(entry.id), at=at, name=body["name"], key=body["key"], outcome=body["outcome"], carries=carries)
    return to_event(read_again(entry.body), entry_id=str(entry.id), at=at, intent=entry.intent)


def to_new(entry: InboxEntry) -> NewEntry:
    """Return the entry as it was first taken in, to keep it anew."""
    return NewEntry(
        kind=entry.kind,
        source_id=entry.source_id,
        body=entry.body,
        text=entry.text,
        received_at=entry.received_at,
        customer_id=entry.customer_id,
        conversation_id=entry.conversation_id,
        intent=entry.intent,
    )


def kind_of(utterance: Utterance) -> str:
    """Return as what a message is counted: text, tap, location, or the kind of media."""
    return utterance.kind if isinstance(utterance, Media) else type(utterance).__name__.lower()
