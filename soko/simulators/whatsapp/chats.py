"""What the simulated WhatsApp remembers: people, chats in order, status ladders, scripts, service windows."""

import base64
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from soko.simulators.whatsapp.numbers import Number
from soko.simulators.whatsapp.sends import Choice, Content

SERVICE_WINDOW: Final = timedelta(hours=24)


class Direction(StrEnum):
    """Seen from the shop."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, kw_only=True)
class Person:
    """A customer of one number. `key` names the chat: the phone, or the user id of somebody whose phone is not known."""

    phone: str | None
    bsuid: str
    name: str | None = None

    @property
    def key(self) -> str:
        """The phone when it is known."""
        return self.phone or self.bsuid


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One status of a message and when it was reached; `error` is Meta's code when it failed."""

    status: str
    at: datetime
    error: int | None = None


@dataclass(frozen=True, kw_only=True)
class ChatMessage:
    """One message of a chat. `choice` is what an inbound tap chose; `read` says that the app sent the blue ticks."""

    direction: Direction
    wamid: str
    phone_number_id: str
    person: Person
    at: datetime
    type: str
    content: Content
    choice: Choice | None = None
    tracker: str | None = None
    reply_to: str | None = None
    statuses: tuple[Rung, ...] = ()
    read: bool = False


class SendError(BaseModel):
    """Refuse the next sends instead of accepting them."""

    model_config = ConfigDict(extra="forbid")

    http: int = 400
    code: int
    times: int = 1
    retry_after: int | None = None


class Script(BaseModel):
    """How WhatsApp treats one person. Applies to every send, or to the next `times` accepted ones.

    Units: seconds. `error` is the code carried by a `failed` status. `last_said_seconds_ago` pretends that the person wrote
    then, until they really write.
    """

    model_config = ConfigDict(extra="forbid")

    statuses: list[str] = Field(default_factory=lambda: ["sent", "delivered", "read"])
    status_delay: float = 0.02
    error: int = 131026
    send_error: SendError | None = None
    hang_seconds: float | None = None
    lose_answer: bool = False
    times: int | None = None
    share_phone: bool = True
    bsuid: str | None = None
    last_said_seconds_ago: float | None = None


@dataclass(kw_only=True)
class _Scripted:
    script: Script
    sends_left: int | None = None
    errors_left: int = 0


@dataclass(kw_only=True)
class _Memory:
    messages: list[ChatMessage] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    last_said: dict[tuple[str, str], datetime] = field(default_factory=dict)
    scripts: dict[str, _Scripted] = field(default_factory=dict)
    people: dict[tuple[str, str], Person] = field(default_factory=dict)


class Chats:
    """Everything remembered, behind one lock."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._memory = _Memory()
        self._stopped = False

    def meet(self, number: Number, *, phone: str | None, bsuid: str | None, name: str | None = None) -> Person:
        """Find or remember a person by phone, by user id, or both. A name once told is kept."""
        with self._changed:
            people = self._memory.people
            known = people.get((number.waba_id, phone or "")) or people.get((number.waba_id, bsuid or ""))
            if known is None:
                scripted = self._memory.scripts.get(phone or bsuid or "")
                own = scripted.script.bsuid if scripted else None
                known = Person(phone=phone, bsuid=bsuid or own or number.bsuid_of(phone or ""))
            person = replace(known, phone=phone or known.phone, bsuid=bsuid or known.bsuid, name=name or known.name)
            people[(number.waba_id, person.bsuid)] = person
            if person.phone:
                people[(number.waba_id, person.phone)] = person
            return person

    def add(self, message: ChatMessage) -> None:
        """Put a message at the end of its chat; an inbound one opens the service window."""
        with self._changed:
            self._memory.places[message.wamid] = len(self._memory.messages)
            self._memory.messages.append(message)
            if message.direction is Direction.IN:
                self._memory.last_said[(message.phone_number_id, message.person.key)] = message.at
                self._end_pretence(message.person.key)
            self._changed.notify_all()

    def _end_pretence(self, key: str) -> None:
        scripted = self._memory.scripts.get(key)
        if scripted is not None:
            scripted.script = scripted.script.model_copy(update={"last_said_seconds_ago": None})

    def climb(self, wamid: str, rung: Rung) -> ChatMessage | None:
        """Write down that a message reached a status; give the message as it was before, None when a reset took it away."""
        return self._change(wamid, lambda known: replace(known, statuses=(*known.statuses, rung)))

    def mark_read(self, wamid: str) -> bool:
        """Blue ticks for an inbound message; False when there is no such message."""
        return self._change(wamid, lambda known: replace(known, read=True)) is not None

    def _change(self, wamid: str, edit: Callable[[ChatMessage], ChatMessage]) -> ChatMessage | None:
        with self._changed:
            place = self._memory.places.get(wamid)
            if place is None:
                return None
            before = self._memory.messages[place]
            self._memory.messages[place] = edit(before)
            self._changed.notify_all()
            return before

    def messages(self, *, key: str | None = None, phone_number_id: str | None = None) -> list[ChatMessage]:
        """Messages in order: of one person, of one number, or all."""
        with self._changed:
            return self._messages(key, phone_number_id)

    def _messages(self, key: str | None, phone_number_id: str | None) -> list[ChatMessage]:
        return [
            each
            for each in self._memory.messages
            if (key is None or key in (each.person.phone, each.person.bsuid))
            and (phone_number_id is None or phone_number_id == each.phone_number_id)
        ]

    def wait_for(
        self, *, key: str | None, phone_number_id: str | None, count: int, status: str | None, timeout_seconds: float
    ) -> list[ChatMessage]:
        """Wait until `count` outbound messages are there (with that status, when one is named); give the chat as it is then."""

        def enough() -> bool:
            found = [each for each in self._messages(key, phone_number_id) if each.direction is Direction.OUT]
            reached = [each for each in found if status is None or any(rung.status == status for rung in each.statuses)]
            return len(reached) >= count or self._stopped

        with self._changed:
            deadline = time.monotonic() + timeout_seconds
            while not enough() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return self._messages(key, phone_number_id)

    def find_choice(self, *, key: str, phone_number_id: str, wanted: str) -> tuple[ChatMessage, Choice] | None:
        """The latest message that shows a button or row with this title or id."""
        for message in reversed(self.messages(key=key, phone_number_id=phone_number_id)):
            for choice in (*message.content.buttons, *message.content.rows):
                if message.direction is Direction.OUT and wanted in (choice.title, choice.id):
                    return message, choice
        return None

    def window_is_open(self, *, key: str, phone_number_id: str, now: datetime) -> bool:
        """Say whether this person wrote to this number in the last 24 hours."""
        with self._changed:
            scripted = self._memory.scripts.get(key)
            if scripted and scripted.script.last_said_seconds_ago is not None:
                return scripted.script.last_said_seconds_ago < SERVICE_WINDOW.total_seconds()
            last = self._memory.last_said.get((phone_number_id, key))
            return last is not None and now - last < SERVICE_WINDOW

    def write_script(self, key: str, script: Script) -> None:
        """Script a person; replaces the script there was."""
        with self._changed:
            errors = script.send_error.times if script.send_error else 0
            self._memory.scripts[key] = _Scripted(script=script, sends_left=script.times, errors_left=errors)

    def peek_script(self, key: str) -> Script:
        """The script of a person, without using it up."""
        with self._changed:
            scripted = self._memory.scripts.get(key)
            return scripted.script if scripted else Script()

    def take_send_error(self, key: str) -> SendError | None:
        """The refusal that the next send meets, used up by the call."""
        with self._changed:
            scripted = self._memory.scripts.get(key)
            if scripted is None or scripted.errors_left == 0:
                return None
            scripted.errors_left -= 1
            return scripted.script.send_error

    def take_script(self, key: str) -> Script:
        """The script for one accepted send; one with `times` is used up by the call."""
        with self._changed:
            scripted = self._memory.scripts.get(key)
            if scripted is None or scripted.sends_left == 0:
                return Script()
            if scripted.sends_left is not None:
                scripted.sends_left -= 1
            return scripted.script

    def forget(self) -> None:
        """Begin anew: no people, no messages, no scripts."""
        with self._changed:
            self._memory = _Memory()
            self._changed.notify_all()

    def stop(self) -> None:
        """Let everybody go who waits."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


def new_wamid(person_key: str) -> str:
    """A message id of Meta's look: base64 over the person and a random part."""
    inner = b"\x1c\x18\x0c" + person_key.encode() + b"\x15\x02\x00\x11\x18\x12" + secrets.token_hex(9).upper().encode() + b"\x00"
    return "wamid." + base64.b64encode(inner).decode()


def titles_on_show(messages: Sequence[ChatMessage]) -> list[str]:
    """What could be tapped, for the message that says a wish was not found."""
    return [choice.title for each in messages for choice in (*each.content.buttons, *each.content.rows)]
