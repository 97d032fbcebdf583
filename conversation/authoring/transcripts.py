"""What a transcript says: a conversation written down, its customer's steps, the shop's replies and what must be true."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Literal, TypeAlias

from conversation.engine.values import JSON

PushOutcome: TypeAlias = Literal["accepted", "rejected", "unknown", "busy"]
# What M-Pesa says of a prompt: the words in which the customer hears of it, and "unknown", which nobody may interpret.
Outcome: TypeAlias = Literal[
    "paid", "cancelled", "timed_out", "no_funds", "wrong_pin", "failed", "expired", "amount", "mpesa_limit", "shop_full",
    "too_soon", "other_prompt", "shop_set_up", "pin_locked", "busy", "unknown",
]  # fmt: skip
OrderStatus: TypeAlias = Literal["DRAFT", "CONFIRMED", "PAID", "CANCELLED"]
TextMatch: TypeAlias = "Equal | Contains | Matches"


@dataclass(frozen=True, kw_only=True)
class Equal:
    """The whole text, once runs of white space are one space."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Contains:
    """`~text`: this is in it somewhere."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Matches:
    """`/pattern/`: the pattern is found in it."""

    pattern: re.Pattern[str]


@dataclass(frozen=True, kw_only=True)
class Titles:
    """Titles in their order. `more`: the list ended with `...`, so others may follow."""

    titles: tuple[str, ...]
    more: bool = False


@dataclass(frozen=True, kw_only=True)
class BotSays:
    """One reply of the shop. What is None is not looked at."""

    line: int
    at: str | None = None
    text: tuple[TextMatch, ...] = ()
    buttons: Titles | None = None
    menu_button: str | None = None
    menu_rows: Titles | None = None


@dataclass(frozen=True, kw_only=True)
class BotSaysAnything:
    """`...`: any number of replies, none too."""

    line: int


@dataclass(frozen=True, kw_only=True)
class BotSaysNothing:
    """`nothing`: no reply at all."""

    line: int


@dataclass(frozen=True, kw_only=True)
class CustomerWrites:
    """A text message. `intent` is what a classifier makes of it."""

    line: int
    text: str
    intent: str | None = None


@dataclass(frozen=True, kw_only=True)
class CustomerTaps:
    """A tap on the button or row with this title or choice name: the newest that shows it, or the nth one of a place."""

    line: int
    choice: str
    of: str | None = None
    nth: int | None = None


@dataclass(frozen=True, kw_only=True)
class CustomerSends:
    """An image, voice note, video, document or sticker."""

    line: int
    kind: str
    caption: str | None = None


@dataclass(frozen=True, kw_only=True)
class CustomerShares:
    """A place on the map."""

    line: int
    latitude: float
    longitude: float
    name: str | None = None


@dataclass(frozen=True, kw_only=True)
class PersonWrites:
    """One of the vendor's people writes to the customer."""

    line: int
    text: str


@dataclass(frozen=True, kw_only=True)
class PersonIsDone:
    """The vendor's people give the conversation back."""

    line: int


@dataclass(frozen=True, kw_only=True)
class VendorChanges:
    """The vendor changes how many of a product are left, stops selling one, or may no more do something: payments.mpesa_stk."""

    line: int
    stock: Mapping[str, int]
    stops: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ClockMoves:
    """Time passes: by a duration, or until a time of day in Nairobi (the next one)."""

    line: int
    by: timedelta | None = None
    until: time | None = None


@dataclass(frozen=True, kw_only=True)
class MpesaTells:
    """M-Pesa posts the result of the nth prompt of this transcript, `after` some time."""

    line: int
    attempt: int
    outcome: Outcome
    receipt: str | None = None
    after: timedelta = timedelta(0)


@dataclass(frozen=True, kw_only=True)
class MpesaRepeats:
    """M-Pesa posts the same bytes once more."""

    line: int


@dataclass(frozen=True, kw_only=True)
class EffectMatch:
    """A call that was made, with at least these arguments."""

    name: str
    args: Mapping[str, JSON]


@dataclass(frozen=True, kw_only=True)
class Expect:
    """What must be true now. `effects…` speak of the calls since the last customer, clock or event step.

    ended: result of the run that ended since then. state: "none" when no flow runs.
    """

    line: int
    state: str | None = None
    order: OrderStatus | Literal["none"] | None = None
    ended: str | None = None
    slots: Mapping[str, JSON] | None = None
    effects: tuple[str, ...] | None = None
    effect: tuple[EffectMatch, ...] = ()
    no_effect: tuple[str, ...] = ()
    effects_total: Mapping[str, int] | None = None


Act: TypeAlias = (
    CustomerWrites
    | CustomerTaps
    | CustomerSends
    | CustomerShares
    | PersonWrites
    | PersonIsDone
    | VendorChanges
    | ClockMoves
    | MpesaTells
    | MpesaRepeats
)
Said: TypeAlias = BotSays | BotSaysAnything | BotSaysNothing
ChatStep: TypeAlias = Act | Said | Expect


@dataclass(frozen=True, kw_only=True)
class PushAnswer:
    """What M-Pesa answers to a push.

    unknown  no answer came, and nobody knows whether the prompt was sent
    busy     M-Pesa takes no calls: the prompt waits, until the PAY is too old
    """

    line: int
    answer: PushOutcome


@dataclass(frozen=True, kw_only=True)
class QueryAnswer:
    """What M-Pesa answers to a query. A receipt is never in a query's answer: it comes with a later callback."""

    line: int
    answer: Outcome | Literal["pending"]
    receipt: str | None = None


@dataclass(frozen=True, kw_only=True)
class GivenOrder:
    """An order the customer already has: product names with quantities."""

    line: int
    status: Literal["DRAFT", "CONFIRMED"]
    lines: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class GivenProduct:
    """A product on the shelf of a shop that only this transcript knows. `also` is what people call it; price in shillings."""

    name: str
    price: int
    short_name: str
    unit: str
    category: str
    also: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Given:
    """The world before the first step. `stock` overrides how many of a product are left.

    `draws`: where each `split` leads, by state; by chance where it is not said.

    With `products` the vendor is one of this name that sells these, uncounted; without, one that replays know.
    """

    now: datetime
    phone: str  # msisdn
    first_name: str | None
    language: str | None
    vendor: str
    order: GivenOrder | None
    stock: Mapping[str, int]
    products: tuple[GivenProduct, ...] = ()
    draws: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """One conversation, ready to be replayed."""

    file: str
    line: int
    name: str
    flow: str
    given: Given
    pushes: tuple[PushAnswer, ...]
    queries: tuple[QueryAnswer, ...]
    chat: tuple[ChatStep, ...]
