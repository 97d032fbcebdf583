"""The shape of the services catalogue: everything a flow may touch outside itself. Declared in `conversation.services`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from conversation.engine.lexicon import Lexicon
from conversation.engine.types import Fields, Type
from conversation.engine.values import JSON


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One way a call can end.

    continues  the flow goes on after the call; every other outcome must be listed in the call's `else`
    orders     states the order can be in when this comes; None: any
    becomes    the state the order is in afterwards; None: unchanged
    then       the call that must come straight after (an unknown money outcome is asked about, never announced)
    carries    what `result` holds in that outcome's texts
    settles    the event outcomes that this is as good as: no money is in flight any more, and the event would be an echo
    """

    name: str
    continues: bool = False
    orders: tuple[str, ...] | None = None
    becomes: str | None = None
    then: str | None = None
    carries: Type | None = None
    settles: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CallSpec:
    """A typed use of a service. `must_equal` gives, for an argument, the one expression it may be.

    `asks_about` is the event whose last word an outcome that settles gives ahead; the argument with its key says which.
    """

    name: str
    about: str
    takes: Mapping[str, Type]
    returns: Type | None
    outcomes: Mapping[str, Outcome]
    revokes: tuple[str, ...] = ()
    moves_money: bool = False
    consent: str | None = None
    must_equal: Mapping[str, str] = field(default_factory=dict)
    asks_about: str | None = None


@dataclass(frozen=True, kw_only=True)
class EventSpec:
    """Something that happens outside. `outcomes` maps each to the order state it leaves, or None for the same.

    `last_word`: after it nothing more is to be heard about its key; otherwise it only tells how things stand.
    """

    name: str
    key: str
    carries: Fields
    outcomes: Mapping[str, str | None]
    when_nobody_waits: str
    last_word: bool = True


@dataclass(frozen=True, kw_only=True)
class ConsentSpec:
    """A customer's own word that unlocks a money call; the question must show `must_show`."""

    name: str
    means: str
    words: tuple[str, ...]
    must_show: tuple[str, ...]
    unlocks: tuple[str, ...]


class Read(Protocol):
    """Read a message that came at `at`. None, at load: only whether it can be read matters, not which day it is."""

    def __call__(self, text: str, lexicon: Lexicon, at: datetime | None = None, /) -> JSON:
        """Return the value, or None when the message is none."""


@dataclass(frozen=True, kw_only=True)
class EntitySpec:
    """A typed thing read out of a message. `read` returns None when the message is not one."""

    name: str
    type: Type
    read: Read


@dataclass(frozen=True, kw_only=True)
class FunctionSpec:
    """A pure function for expressions."""

    name: str
    takes: tuple[Type, ...]
    gives: Type
    run: Callable[..., JSON]


@dataclass(frozen=True, kw_only=True, eq=False)
class Catalogue:
    """All of it. `context` types the names vendor, customer and order; `order_flags` tells what an order state makes true."""

    types: Mapping[str, Type]
    context: Mapping[str, Fields]
    calls: Mapping[str, CallSpec]
    events: Mapping[str, EventSpec]
    consents: Mapping[str, ConsentSpec]
    entities: Mapping[str, EntitySpec]
    functions: Mapping[str, FunctionSpec]
    order_states: tuple[str, ...]
    order_flags: Mapping[str, str]  # "order.is_confirmed" -> "CONFIRMED"
