"""What a step asks the outside to do, in order."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias

from conversation.engine.values import JSON, Record


@dataclass(frozen=True, kw_only=True)
class Button:
    """One reply button. `id` is at most 200 characters and names flow, state, turn and choice."""

    id: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a list."""

    id: str
    title: str
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class Menu:
    """A WhatsApp list: `button` opens it."""

    button: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True)
class Filled:
    """An approved template with its values. `language` is ours: "en", "sw"."""

    name: str
    language: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Message:
    """One WhatsApp message within its limits: text, text with buttons, or text with a list.

    With `template` that is what goes, and `text` is what the shop's people read.
    """

    text: str
    buttons: tuple[Button, ...] = ()
    menu: Menu | None = None
    template: Filled | None = None

    def to_json(self) -> dict[str, JSON]:
        """Shape: {"text", "buttons": [{"id", "title"}], "list": {"button", "rows": [{"id", "title", "about"?}]}, "template"}."""
        shape: dict[str, JSON] = {"text": self.text}
        if self.template is not None:
            shape["template"] = {**vars(self.template), "values": list(self.template.values)}
        if self.buttons:
            shape["buttons"] = [{"id": button.id, "title": button.title} for button in self.buttons]
        if self.menu is not None:
            rows = [{"id": row.id, "title": row.title} | ({"about": row.about} if row.about else {}) for row in self.menu.rows]
            shape["list"] = {"button": self.menu.button, "rows": rows}
        return shape


@dataclass(frozen=True, kw_only=True)
class Consent:
    """The customer's own PAY: which message it was, and what the question it answered was showing.

    Units: amount in whole shillings; phone as it stands in the context's customer.phone.
    """

    word: str
    message_id: str
    order_id: str
    amount: int
    phone: str

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON, for the snapshot of a turn that is not finished."""
        return {
            "word": self.word,
            "message_id": self.message_id,
            "order_id": self.order_id,
            "amount": self.amount,
            "phone": self.phone,
        }


@dataclass(frozen=True, kw_only=True)
class Send:
    """Send one message. `place` names the text in the flows, e.g. "shop.pay.ask" or "shop.greet.say"."""

    place: str
    message: Message


@dataclass(frozen=True, kw_only=True)
class Call:
    """Run one service call now and step again with Returned. Always the last effect of its step.

    `consent` is set only for a call that moves money.
    """

    name: str
    args: Record
    consent: Consent | None = None


@dataclass(frozen=True, kw_only=True)
class SetTimer:
    """Fire TimerFired(name, turn) at `due_at`. `turn` equals Step.snapshot.waiting_turn and is the fence.

    A second SetTimer of the same name and turn has the same due time: keeping either is right.
    """

    name: str
    due_at: datetime
    turn: int


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Fire TimerFired("schedule:" + flow, turn) at `due_at`, whatever the conversation waits for by then.

    A later one for the same flow takes its place.
    """

    flow: str
    due_at: datetime
    turn: int


@dataclass(frozen=True, kw_only=True)
class HandOff:
    """Put the conversation into a queue of people, with a note for whoever takes it."""

    queue: str
    note: str


@dataclass(frozen=True, kw_only=True)
class Ended:
    """The run of a flow is over with this result (the funnel's end)."""

    flow: str
    result: str


@dataclass(frozen=True, kw_only=True)
class SwitchLanguage:
    """Remember the customer's language ("en", "sw")."""

    language: str


@dataclass(frozen=True, kw_only=True)
class Emit:
    """Count something for the vendor's figures: where in the flows, under which name, and a number if it has one."""

    name: str
    place: str
    value: int | None = None


Effect: TypeAlias = Send | Call | SetTimer | Schedule | HandOff | Ended | SwitchLanguage | Emit


def to_json(effect: Effect) -> dict[str, JSON]:
    """Plain JSON: the fields of the effect, and its kind under "effect"."""
    shape: dict[str, JSON] = {"effect": type(effect).__name__, **vars(effect)}
    match effect:
        case Send(message=message):
            shape["message"] = message.to_json()
        case Call(consent=consent):
            shape["consent"] = consent.to_json() if consent is not None else None
        case SetTimer(due_at=due_at) | Schedule(due_at=due_at):
            shape["due_at"] = due_at.isoformat()
        case HandOff() | Ended() | SwitchLanguage() | Emit():
            pass
    return shape


@dataclass(frozen=True, kw_only=True)
class TraceEntry:
    """One thing the engine did or decided: `what` (entered, matched, left…), `place`, and short details."""

    what: str
    place: str = ""
    detail: Mapping[str, JSON] = field(default_factory=dict)

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON, one object an entry."""
        return {"what": self.what, "place": self.place, **self.detail}
