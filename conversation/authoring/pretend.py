"""A pretended outside for exploring flows: an order, values of every type, and how each call may end. Pure, no database.

What cannot be known from the catalogue alone is taken both ways; nothing here decides what a vendor really sells.
"""

import string
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from conversation.engine.catalogue import CallSpec, Catalogue, Outcome
from conversation.engine.context import Context
from conversation.engine.flow import Bundle
from conversation.engine.lexicon import Lexicon, build_lexicon
from conversation.engine.patterns import Pattern
from conversation.engine.types import Fields, ListOf, OneOf, OrNone, Scalar, Type
from conversation.engine.values import JSON, Record

PRODUCT: Final = "Unga 2kg"
BRANCH: Final = "Town"
PRICE: Final = 215
PHONE: Final = "254700000001"
BUSY: Final = "busy"  # a prompt for this order is open already: only after one was sent
# What customers might write; each entity reads at least one of them.
PHRASES: Final = (
    "2 unga", "toa unga", "2 unga na 1 kuku", "2 unga na nafaka", "nafaka", "nusu kilo unga", "2", "500", "0712345678", "500 bob",
    "kesho saa mbili", "kesho", "10:30", "Rongai",
)  # fmt: skip
NONSENSE: Final = "qwerty asdf"
ALPHABET: Final = string.ascii_lowercase + string.digits + " -/.:#+*"
START: Final = datetime(2026, 3, 2, 6, 15, tzinfo=UTC)
LEXICON: Final[Lexicon] = build_lexicon(
    [
        {"id": "1", "name": PRODUCT, "aliases": ["unga"], "unit": "2kg", "price": PRICE, "stock": 9},
        {"id": "2", "name": "Mchele pishori 1kg", "aliases": ["nafaka"], "unit": "1kg", "price": PRICE, "stock": 9},
        {"id": "3", "name": "Maharagwe 1kg", "aliases": ["nafaka"], "unit": "1kg", "price": PRICE, "stock": 9},
    ],
    [{"id": "1", "name": "Rongai", "aliases": []}],
)


@dataclass(frozen=True, kw_only=True)
class World:
    """What stands outside the conversation.

    filled   the order has lines
    attempt  number of the last prompt; 0: none for this order
    live     that prompt has had no last word yet, as far as the conversation knows
    """

    status: str
    filled: bool = False
    attempt: int = 0
    live: bool = False

    @property
    def key(self) -> str:
        """The name of the last prompt."""
        return f"attempt-{self.attempt}"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """One way a call may end. `natural`: the real service would answer so in this world, without any fault."""

    outcome: str
    value: JSON
    world: World
    natural: bool


class Pretend:
    """The outside of one catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.open_status = catalogue.order_states[0]
        self._contexts: dict[World, Context] = {}

    def begin(self) -> World:
        """Return a world in which nothing was ordered."""
        return World(status=self.open_status)

    def renewed(self, world: World) -> World:
        """An order that is closed is followed by a new one, once no flow runs."""
        return world if world.status in self.catalogue.order_states[:2] else self.begin()

    def context(self, world: World) -> Context:
        """Return what a flow may read in this world."""
        if world in self._contexts:
            return self._contexts[world]
        known = {name: dict(_as_record(sample(kind))) for name, kind in self.catalogue.context.items()}
        order = known["order"]
        order |= {
            "lines": order["lines"] if world.filled else [],
            "total": PRICE if world.filled else 0,
            "number": "S0001" if world.filled else "",
            "payment_attempt": world.key if world.attempt else None,
            "payment_unclear": world.live,  # what a person looks at is not pretended
        }
        for flag, status in self.catalogue.order_flags.items():
            order[flag.removeprefix("order.")] = world.status == status
        known["customer"]["phone"] = PHONE
        made = Context(vendor=known["vendor"], customer=known["customer"], order=order, lexicon=LEXICON)
        self._contexts[world] = made
        return made

    def endings(self, spec: CallSpec, args: Record, world: World) -> Iterator[Ending]:
        """Every way this call may end, given where the order stands."""
        natural = self._natural(spec, world)
        for outcome in spec.outcomes.values():
            if outcome.orders is not None and world.status not in outcome.orders:
                continue
            if spec.moves_money and outcome.name == BUSY and not world.attempt:
                continue
            kind = spec.returns if outcome.continues else outcome.carries
            after = self._after(spec, outcome, args, world)
            values: list[JSON] = [sample(kind)] if kind is not None else [None]
            if kind is not None and not outcome.continues:
                values.append(sample(kind, empty=True))
            if spec.moves_money and outcome.continues:
                values = [{**_as_record(values[0]), "attempt": after.key}]
            for number, value in enumerate(values):
                yield Ending(outcome=outcome.name, value=value, world=after, natural=outcome.name == natural and number == 0)

    @staticmethod
    def _natural(spec: CallSpec, world: World) -> str | None:
        """The outcome without any fault: the first that fits the order, among those that go on if one does."""
        fits = [each for each in spec.outcomes.values() if each.orders is None or world.status in each.orders]
        going_on = [each for each in fits if each.continues]
        if spec.asks_about is not None:
            return "pending" if world.live and "pending" in spec.outcomes else None
        if spec.moves_money and world.live:
            return BUSY
        narrow = [each for each in fits if each.orders is not None]
        return next((each.name for each in (*going_on, *narrow)), None)

    def _after(self, spec: CallSpec, outcome: Outcome, args: Record, world: World) -> World:
        if outcome.becomes == "PAID":
            return replace(world, status=outcome.becomes, live=False)
        if outcome.settles:
            return replace(world, live=False)
        if spec.moves_money and outcome.continues:
            return replace(world, attempt=world.attempt + 1, live=True)
        if spec.moves_money and outcome.then is not None:
            return replace(world, attempt=world.attempt + 1, live=True)
        if spec.moves_money and outcome.name == BUSY:
            return replace(world, live=True)
        if outcome.becomes == self.open_status:
            return World(status=outcome.becomes, filled=world.filled)
        if outcome.becomes is not None:
            return replace(world, status=outcome.becomes)
        if outcome.continues and "add" in args and "remove" in args:
            return replace(world, filled=bool(args["add"]) or (world.filled and not args["remove"]))
        return world


def sample(kind: Type, *, empty: bool = False) -> JSON:
    """A value of a type; `empty`: with nothing in it, zero, none."""
    match kind:
        case Scalar(name="int" | "money"):
            return 0 if empty else PRICE if kind.name == "money" else 1
        case Scalar(name="bool"):
            return not empty
        case Scalar(name="phone"):
            return PHONE
        case Scalar():
            return "" if empty and kind.name == "string" else "1" if kind.name == "id" else PRODUCT[: kind.longest]
        case OneOf():
            return kind.values[0]
        case Fields():
            fields = {name: sample(field, empty=empty) for name, field in kind.fields.items()}
            known = {"stock": 9} if "stock" in fields else {"name": BRANCH} if kind.name == "branch" else {}
            return fields if empty else fields | known
        case ListOf():
            return [] if empty else [sample(kind.item)]
        case OrNone():
            return None if empty else sample(kind.type)


def _as_record(value: JSON) -> Record:
    if not isinstance(value, dict):
        raise TypeError(value)
    return value


def read_phrases(bundle: Bundle, entity: str) -> Mapping[str, JSON]:
    """What an entity reads in PHRASES and the names of the flows' places: one phrase a value, of those it reads at all."""
    phrases = (*PHRASES, *(bundle.places.titles.values() if bundle.places is not None else ()))
    values = {phrase: value for phrase in phrases if (value := bundle.read_entity(entity, phrase, LEXICON, START)) is not None}
    first = {repr(value): phrase for phrase, value in reversed(values.items())}
    return {phrase: value for phrase, value in values.items() if first[repr(value)] == phrase}


def phrases_for(bundle: Bundle, entity: str) -> Sequence[str]:
    """Which of these phrases an entity reads, one for each shape and word of its value."""
    found: dict[str, str] = {}
    for phrase, value in read_phrases(bundle, entity).items():
        found.setdefault(repr(shape(value, words=True)), phrase)
    return tuple(found.values())


def shortest_match(pattern: Pattern) -> str:
    """A shortest text that a pattern takes, from letters, digits and a few signs."""
    open_places: deque[tuple[int, str]] = deque([(pattern.first, "")])
    seen = {pattern.first}
    while open_places:
        place, text = open_places.popleft()
        if place == pattern.last:
            return text
        step = pattern.steps[place]
        ways = [(free, text) for free in pattern.free[place]]
        if step is not None:
            ways += [(step[1], text + char) for char in ALPHABET if step[0](char)][:1]
        for way in ways:
            if way[0] not in seen:
                seen.add(way[0])
                open_places.append(way)
    return ""


def shape(value: JSON, *, words: bool = False) -> JSON:
    """What of a value a guard is likely to ask: whether there is something, field by field; with `words` also which word."""
    match value:
        case bool() | None:
            return value
        case str() if words and value.isalpha():
            return value
        case int() | float() | str():
            return bool(value)
        case dict():
            return {name: shape(part, words=words) for name, part in value.items()}
        case list() | tuple():
            return [shape(value[0], words=words)] if value else []
        case _:
            return repr(type(value))
