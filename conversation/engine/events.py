"""What can start or continue a turn. Every event carries its own time, so that a log of events replays bit for bit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from conversation.engine.values import JSON, Record


@dataclass(frozen=True, kw_only=True)
class Said:
    """The customer wrote `text`. `id` names the inbox entry that holds it.

    `intent` is what a classifier outside made of it: a part of the event, so that no replay asks it again.
    """

    id: str
    at: datetime
    text: str
    intent: str | None = None


@dataclass(frozen=True, kw_only=True)
class Tapped:
    """The customer tapped a button or a list row of ours. `choice_id` is what we sent, whenever that was."""

    id: str
    at: datetime
    choice_id: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Shared:
    """The customer sent something without words: `what` is image, audio, location, sticker… It matches no words."""

    id: str
    at: datetime
    what: str


@dataclass(frozen=True, kw_only=True)
class Happened:
    """A service's event, such as payments.result. `key` says which of them: a wait names the one it waits for."""

    id: str
    at: datetime
    name: str
    key: str
    outcome: str
    carries: Record = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TimerFired:
    """A timer came due. `turn` is the fence: the number that the SetTimer effect carried."""

    at: datetime
    name: str
    turn: int


@dataclass(frozen=True, kw_only=True)
class Returned:
    """The answer to the Call effect that ended the step before this one. It continues the same turn."""

    at: datetime
    outcome: str
    value: JSON = None


@dataclass(frozen=True, kw_only=True)
class PersonSaid:
    """Somebody of the vendor's people wrote to the customer."""

    id: str
    at: datetime
    text: str


@dataclass(frozen=True, kw_only=True)
class PersonLeft:
    """The vendor's people are done: the conversation goes on where its handoff says."""

    id: str
    at: datetime


FromCustomer: TypeAlias = Said | Tapped | Shared
Event: TypeAlias = Said | Tapped | Shared | Happened | TimerFired | Returned | PersonSaid | PersonLeft

_KINDS: Final = {kind.__name__: kind for kind in (Said, Tapped, Shared, Happened, TimerFired, PersonSaid, PersonLeft)}


def to_json(event: Event) -> dict[str, JSON]:
    """Plain JSON: the fields of the event, and its kind under "event"."""
    return {"event": type(event).__name__, **vars(event), "at": event.at.isoformat()}


def from_json(data: Mapping[str, JSON]) -> Event:
    """The inverse of to_json. Raises KeyError or TypeError for anything else; Returned is no event of its own."""
    fields = {name: value for name, value in data.items() if name != "event"}
    at = datetime.fromisoformat(str(fields.pop("at")))
    return _KINDS[str(data["event"])](at=at, **fields)  # type: ignore[arg-type]  # checked by field name
