"""The compiled shape of flows. Everything is frozen, parsed and compiled at load; nothing is parsed per message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from typing import Final, NamedTuple, TypeAlias

from conversation.engine.catalogue import Catalogue
from conversation.engine.expressions import Expression, Template
from conversation.engine.lexicon import Lexicon
from conversation.engine.patterns import Pattern
from conversation.engine.types import Type
from conversation.engine.values import JSON

VENDOR: Final = "{vendor}"  # in the text of a link


class At(NamedTuple):
    """Where something stands in the authors' files. Lines and columns count from 1; `width` is for the caret."""

    file: str
    line: int
    column: int
    width: int = 1


@dataclass(frozen=True, kw_only=True)
class Text:
    """One text in every language it has. `place` names it, e.g. "shop.pay.ask"; `at` is where the base language stands.

    templates: by language, and by "<language>.<vendor>" where a vendor words it otherwise.
    """

    place: str
    templates: Mapping[str, Template]
    base: str
    at: At

    def in_language(self, language: str, vendor: str = "") -> Template:
        """The text in this language, in this vendor's own words if it has any; without a translation in the base language."""
        return self.templates.get(f"{language}.{vendor}") or self.templates.get(language) or self.templates[self.base]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A compiled expression and where it stands."""

    expression: Expression
    at: At


@dataclass(frozen=True, kw_only=True)
class Branch:
    """Where to go, if `condition` holds. The last branch of a `go` has none.

    `share` is set in a `split`: so many of the shares of all its branches go here.
    """

    condition: Condition | None
    to: str
    at: At
    share: int | None = None


@dataclass(frozen=True, kw_only=True)
class WhatsAppTemplate:
    """A text that Meta has approved, by its name; `values` fill its {{1}}, {{2}}, …"""

    name: str
    values: tuple[Condition, ...]


@dataclass(frozen=True, kw_only=True)
class Line:
    """One message of a `say`. Once the customer has been silent for 24 hours it goes as its `template`, or not at all."""

    condition: Condition | None
    text: Text
    template: WhatsAppTemplate | None = None


@dataclass(frozen=True, kw_only=True)
class SetSlots:
    """`set:` — new values for slots, worked out one after the other."""

    values: tuple[tuple[str, Condition], ...]


@dataclass(frozen=True, kw_only=True)
class ChangeLanguage:
    """`switch_language`: to `to`, or to the next of the app's languages when None."""

    to: str | None


@dataclass(frozen=True, kw_only=True)
class EmitMetric:
    """`emit`: count something, with a number if there is one."""

    name: str
    value: Condition | None
    at: At


@dataclass(frozen=True, kw_only=True)
class Hours:
    """From one minute of the day to another; what falls outside waits for the next `earliest`."""

    earliest: int = 0
    latest: int = 24 * 60

    def shift(self, due: datetime, zone: tzinfo) -> datetime:
        """The same moment, or the next minute within these hours."""
        local = due.astimezone(zone)
        minute = local.hour * 60 + local.minute
        if self.earliest <= minute < self.latest:
            return due
        return due.replace(second=0, microsecond=0) + timedelta(minutes=(self.earliest - minute) % (24 * 60))


@dataclass(frozen=True, kw_only=True)
class StartLater:
    """`schedule`: start `flow` after so many seconds, or on a date (an expression, "2026-12-24") at a minute of the day."""

    flow: str
    seconds: int | None
    date: Condition | None
    minute: int
    hours: Hours
    at: At


SmallAction: TypeAlias = SetSlots | ChangeLanguage | EmitMetric | StartLater


@dataclass(frozen=True, kw_only=True)
class Edge:
    """What happens on the way out of a wait or a call: set slots, speak, then go, visit a flow, or ask again.

    `resume` asks the open question again and counts nothing. `visit` runs a flow, then asks again.
    """

    do: tuple[SmallAction, ...]
    say: tuple[Line, ...]
    go: tuple[Branch, ...]
    at: At
    resume: bool = False
    visit: str | None = None


@dataclass(frozen=True, kw_only=True)
class CallService:
    """One use of a service. `otherwise` holds an edge for each outcome that does not continue."""

    call: str
    args: tuple[tuple[str, Condition], ...]
    into: str | None
    otherwise: Mapping[str, Edge]
    at: At


@dataclass(frozen=True, kw_only=True)
class CallFlow:
    """A subflow. `into` takes what it gives; `otherwise` holds an edge for results that do not continue."""

    flow: str
    args: tuple[tuple[str, Condition], ...]
    into: str | None
    otherwise: Mapping[str, Edge]
    at: At


Action: TypeAlias = SmallAction | CallService | CallFlow


@dataclass(frozen=True, kw_only=True)
class Redirect:
    """Leave at once when `condition` holds."""

    condition: Condition
    edge: Edge


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A button or a fixed list row. `id` is what replies call it."""

    id: str
    title: Text
    about: Text | None
    at: At


@dataclass(frozen=True, kw_only=True)
class EachRow:
    """Rows made of a list: `it` is the item in turn."""

    items: Condition
    id: Condition
    title: Condition | Text
    about: Condition | Text | None
    at: At


@dataclass(frozen=True, kw_only=True)
class More:
    """A last row, shown if `condition` holds; the flow's own choice `id`. With `id` None the engine turns the page itself."""

    condition: Condition | None
    id: str | None
    title: Text


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A question. Buttons, or a list made of `fixed` rows or of `each`, or neither."""

    text: Text
    buttons: tuple[Choice, ...]
    menu_button: Text | None
    fixed: tuple[Choice, ...]
    each: EachRow | None
    more: More | None
    at: At


@dataclass(frozen=True, kw_only=True)
class WaitFor:
    """Wait for an outside event whose key equals `key`."""

    event: str
    key: Condition
    outcomes: Mapping[str, Edge]
    at: At


@dataclass(frozen=True, kw_only=True)
class ToPeople:
    """Hand the conversation to a queue of people. With `back` it waits with them, and goes there when they give it back.

    While it waits only what the state lists is answered; without `back` the flow ends.
    """

    queue: str
    note: Text
    back: "Edge | None"
    at: At


@dataclass(frozen=True, kw_only=True)
class Check:
    """A reply's value must pass `condition`; otherwise `otherwise` is said, the question stays, and a try is used."""

    condition: Condition
    otherwise: Text


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One way a message can be understood. One of choice … anything is set, or it has only words.

    `name` is what traces and places call it; `into` takes the value of picked, entity and pattern, and of anything the message.
    """

    name: str
    edge: Edge
    at: At
    choice: str | None = None
    picked: bool = False
    consent: str | None = None
    entity: str | None = None
    pattern: Pattern | None = None
    intent: str | None = None
    anything: bool = False
    words: frozenset[str] = frozenset()
    into: str | None = None
    check: Check | None = None


@dataclass(frozen=True, kw_only=True)
class FormField:
    """One thing a form asks for, into the slot `name`.

    entity   reads the answer out of a message; it may also be read ahead of its question, and corrected later
    longest  a free text of so many characters: the whole message. With neither, the answer is one of the choices
    skip     words for "nothing": the slot is then none
    title    what the slot is called when the customer is asked which one to change; None where nothing is corrected
    """

    name: str
    ask: Ask
    entity: str | None
    longest: int | None
    skip: frozenset[str]
    check: Check | None
    title: Text | None
    at: At


@dataclass(frozen=True, kw_only=True)
class Form:
    """Several questions in one state. `changed` is said after a correction, `which` asks what to correct."""

    fields: tuple[FormField, ...]
    correct: bool
    changed: Text | None
    which: Text | None
    button: Text | None
    at: At

    def field(self, name: str) -> FormField:
        """The field of this name. Raises StopIteration."""
        return next(field for field in self.fields if field.name == name)


@dataclass(frozen=True, kw_only=True)
class Unmatched:
    """Nothing matched: `say` in place of the question, `tries` times; the next time `then`."""

    say: tuple[Line, ...]
    tries: int | None
    then: str | None
    at: At


@dataclass(frozen=True, kw_only=True)
class Command:
    """Words understood in every state of the flow."""

    name: str
    words: frozenset[str]
    edge: Edge
    at: At


@dataclass(frozen=True, kw_only=True)
class After:
    """A timer on a wait."""

    name: str
    seconds: int
    edge: Edge
    at: At


@dataclass(frozen=True, kw_only=True)
class Visits:
    """At most `most` entries in one run of the flow; the next goes to `then`."""

    most: int
    then: str
    at: At


@dataclass(frozen=True, kw_only=True)
class State:
    """A place in a flow. At most one of ask, wait, form, people; without a wait, and after a form, it has `go` or `end`."""

    name: str
    at: At
    visits: Visits | None = None
    redirects: tuple[Redirect, ...] = ()
    do: tuple[Action, ...] = ()
    say: tuple[Line, ...] = ()
    ask: Ask | None = None
    wait: WaitFor | None = None
    form: Form | None = None
    people: ToPeople | None = None
    replies: tuple[Reply, ...] = ()
    unmatched: Unmatched | None = None
    commands: tuple[Command, ...] = ()  # those of the flow, narrowed and overridden by the state
    after: tuple[After, ...] = ()
    go: tuple[Branch, ...] = ()
    end: str | None = None

    @property
    def asks(self) -> bool:
        """Whether the customer is asked something here."""
        return self.ask is not None or self.form is not None

    @property
    def waits(self) -> bool:
        """Whether a turn can end here and go on."""
        return self.asks or self.wait is not None or (self.people is not None and self.people.back is not None)


@dataclass(frozen=True, kw_only=True)
class Slot:
    """A typed variable of a flow. Without a default it is unset until something sets it."""

    name: str
    type: Type
    has_default: bool
    default: JSON
    at: At


@dataclass(frozen=True, kw_only=True)
class Start:
    """One way a flow starts: words, the text of a wa.me link, an entity read from the message, an event, or anything at all.

    In a link `{vendor}` stands for the vendor's name, in small letters with hyphens: "shop-mama-duka".
    """

    at: At
    words: frozenset[str] = frozenset()
    link: str | None = None
    entity: str | None = None
    into: str | None = None
    event: str | None = None
    anything: bool = False
    go: str | None = None  # a state other than the first


@dataclass(frozen=True, kw_only=True)
class Expiry:
    """The customer has been silent for this long while a question is open."""

    seconds: int
    to: str
    at: At


@dataclass(frozen=True, kw_only=True)
class Reminder:
    """Said after `seconds` of silence, at most `times` a question, within these hours, in these states."""

    seconds: int
    times: int
    states: frozenset[str]
    hours: Hours
    say: tuple[Line, ...]
    at: At


@dataclass(frozen=True, kw_only=True)
class Farewell:
    """What a flow does when it is walked away from: it ends with `left`."""

    do: tuple[SmallAction, ...]
    say: tuple[Line, ...]


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A named piece of conversation. Its first state is where it starts."""

    name: str
    first: str
    states: Mapping[str, State]
    starts: tuple[Start, ...]
    slots: Mapping[str, Slot]
    takes: Mapping[str, Type]
    gives: tuple[str, Type] | None
    expiry: Expiry | None
    reminder: Reminder | None
    at: At
    on_leave: Farewell | None = None
    results: frozenset[str] = frozenset()

    @property
    def reaches_out(self) -> bool:
        """Whether it begins with templates, so that it may start however long the customer has been silent."""
        return templates_only(self.states[self.first].say)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Budgets of one turn."""

    states: int = 50
    messages: int = 4
    cost: int = 5000
    frames: int = 8


@dataclass(frozen=True, kw_only=True)
class Publishing:
    """What a publish respects: `pinned` places (flow, state) that nobody is moved out of, and how long an old bundle serves."""

    pinned: frozenset[tuple[str, str]] = frozenset()
    old_versions_live: int = 48 * 3600  # seconds


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """All flows of a deployment at one moment, compiled.

    hash      12 hex digits of the SHA-256 of the normalised sources
    language  the base language; `languages` holds all, the base first
    trouble   what the customer is told when a turn failed on our side
    no_words  what is said of a picture, a recording or a place instead of a state's `unmatched`; None: the same as of words
    too_fast  what is said once to who writes so often that no more is read for a while; None: nothing
    """

    hash: str
    language: str
    languages: tuple[str, ...]
    timezone: tzinfo
    flows: Mapping[str, Flow]
    catalogue: Catalogue
    limits: Limits
    trouble: Text
    texts: Mapping[str, Text] = field(default_factory=dict)  # by place
    no_words: Text | None = None
    too_fast: Text | None = None
    publishing: Publishing = Publishing()
    places: Lexicon | None = None  # that the entity `place` reads

    def read_entity(self, name: str, text: str, lexicon: Lexicon, at: datetime) -> JSON:
        """Read an entity out of a message, by the vendor's words and these flows' places. None: it is none."""
        known = lexicon if self.places is None else replace(lexicon, places=self.places)
        return self.catalogue.entities[name].read(text, known, at)

    def trouble_text(self, language: str | None, vendor: str) -> str:
        """The trouble text, which never fails to render."""
        return self.trouble.in_language(language or self.language, vendor).render({})

    def too_fast_text(self, language: str | None, vendor: str) -> str | None:
        """The same for who writes too fast."""
        return None if self.too_fast is None else self.too_fast.in_language(language or self.language, vendor).render({})


def templates_only(lines: Sequence[Line]) -> bool:
    """Whether something is said, and all of it may be said after 24 hours of silence."""
    return bool(lines) and all(line.template is not None for line in lines)
