"""The records that flows see: what they hold, in which units, how long."""

from typing import Annotated, Literal

from pydantic import Field

from conversation.services.declare import Id, Money, Phone, Shape


class Line(Shape):
    """One line of an order. `product` is "" for an amount without an item; `total` in whole shillings."""

    product: str
    name: str
    qty: int
    total: Money


class Product(Shape):
    """What a vendor sells. `price` of one `unit` in whole shillings; `stock` is how many one order can hold now."""

    id: Id
    name: str
    short_name: Annotated[str, Field(max_length=24)]
    unit: Annotated[str, Field(max_length=12)]
    price: Money
    stock: int


class ProductPage(Shape):
    """Nine products: with "More products" they fill a WhatsApp list."""

    products: Annotated[list[Product], Field(max_length=9)]
    has_more: bool


class Wanted(Shape):
    """So many of a product more."""

    product: Id
    name: str
    qty: int


class Unwanted(Shape):
    """So many of a product less; `qty` None takes all of it out."""

    product: Id
    name: str
    qty: int | None


class Candidate(Shape):
    """A product that the customer may have meant."""

    product: Id
    name: str


class Unclear(Shape):
    """Something to ask back. `words` are the customer's; `qty` None: none was said, or it is what has to be asked.

    which     several products are called so
    how_many  one product, and an amount that is no whole number of its units, or is money, or out of bounds
    """

    words: str
    why: Literal["which", "how_many"]
    qty: int | None
    removing: bool
    candidates: list[Candidate]


class BasketEdit(Shape):
    """What to put in, what to take out, and what was not understood.

    clear      everything goes out first
    ambiguous  what to ask back
    missing    words that no product is near to
    unknown    all that was not understood, in words: for flows that ask nothing back
    """

    add: list[Wanted]
    remove: list[Unwanted]
    clear: bool
    ambiguous: list[Unclear]
    missing: list[str]
    unknown: list[str]


class When(Shape):
    """A day, "2026-03-12", with a time, "14:30", or a part of the day when they were said."""

    date: str
    time: str | None
    part: Literal["morning", "afternoon", "evening", "night"] | None


class Place(Shape):
    """One of the vendor's places."""

    id: Id
    name: str


class PlaceRead(Shape):
    """The place that was named, or, when that is None, those it could be."""

    place: Place | None
    candidates: list[Place]


class Branch(Shape):
    """One of the vendor's branches as it stands now. `closes` and `opens`, its next opening, are "18:00" in Nairobi.

    opens_in  in how many days it opens next: 0 is today
    None      what never closes or opens: it is open at all hours
    """

    id: Id
    name: Annotated[str, Field(max_length=24)]
    about: Annotated[str, Field(max_length=72)]
    is_open: bool
    closes: str | None
    opens: str | None
    opens_in: int | None


class Vendor(Shape):
    """The context's `vendor`. It is open when one of its branches is, or when it has none."""

    id: Id
    name: str
    is_open: bool
    branches: list[Branch]


class Customer(Shape):
    """The context's `customer`. `phone` may be "" for a customer known only by WhatsApp's own id."""

    phone: Phone
    first_name: str
    language: str


class Order(Shape):
    """The context's `order`. `id` is reserved before the row exists; until then `number` is "" and `lines` is empty.

    payment_unclear  a payment of it is open, or a person looks at it: another PAY would be refused
    """

    id: Id
    number: str
    lines: list[Line]
    total: Money
    is_confirmed: bool
    is_paid: bool
    receipt: str | None
    payment_attempt: Id | None
    payment_unclear: bool


class Shortage(Shape):
    """Why an edit was refused: only `left` of it can be had."""

    name: str
    left: int


class PushSent(Shape):
    """The prompt is on its way; its result comes as payments.result with this key."""

    attempt: Id
