"""The typed catalogue: every call, outcome, event, consent, entity and function a flow may name, beside the code that runs it."""

from collections.abc import Mapping
from typing import Final, cast

from conversation.engine.catalogue import Catalogue, EntitySpec, FunctionSpec
from conversation.engine.dates import read_date, read_time, read_when
from conversation.engine.effects import Call
from conversation.engine.entities import read_basket_edit, read_number
from conversation.engine.money import read_money
from conversation.engine.phones import read_phone
from conversation.engine.places import read_place
from conversation.engine.types import BOOL, INT, MONEY, PHONE, STRING, ListOf
from conversation.engine.values import JSON, Record
from conversation.services import catalog, orders, payments
from conversation.services.declare import Service, fields_of
from conversation.services.desk import Answer, Desk
from conversation.services.shapes import (
    BasketEdit,
    Branch,
    Candidate,
    Customer,
    Line,
    Order,
    Place,
    PlaceRead,
    Product,
    ProductPage,
    Unclear,
    Unwanted,
    Vendor,
    Wanted,
    When,
)

__all__ = ["CATALOGUE", "Answer", "Desk", "run"]


def _add_line(product: Record, qty: int) -> JSON:
    """A basket edit that adds so many of one product."""
    line: JSON = {"product": product["id"], "name": product["name"], "qty": qty}
    return {"add": [line], "remove": [], "clear": False, "ambiguous": [], "missing": [], "unknown": []}


def _ties(edit: Record) -> list[Mapping[str, JSON]]:
    unclear = cast("list[Mapping[str, JSON]]", edit["ambiguous"])
    return [each for each in unclear if each["why"] == "which"]


def _is_tied(edit: Record) -> JSON:
    """Whether something was named that several products are called."""
    return bool(_ties(edit))


def _tie(edit: Record) -> JSON:
    """The first of what several products are called; empty when there is none."""
    return next(iter(_ties(edit)), {"words": "", "why": "which", "qty": None, "removing": False, "candidates": []})


def _choose(edit: Record, candidate: Record) -> JSON:
    """A basket edit of the first tie alone, now that the customer has said which; further ties stay to be asked."""
    ties = _ties(edit)
    empty: dict[str, JSON] = {"add": [], "remove": [], "clear": False, "ambiguous": ties[1:], "missing": [], "unknown": []}
    if not ties:
        return empty
    tie = ties[0]
    line: dict[str, JSON] = {"product": candidate["product"], "name": candidate["name"]}
    if tie["removing"]:
        return {**empty, "remove": [{**line, "qty": tie["qty"]}]}
    return {**empty, "add": [{**line, "qty": tie["qty"] or 1}]}


def _taken_out(edit: Record, lines: list[Record]) -> JSON:
    """What an edit takes out of a basket that holds these lines: all of them when it clears the basket."""
    if not edit["clear"]:
        return edit["remove"]
    return [{"product": line["product"], "name": line["name"], "qty": None} for line in lines if line["product"]]


def _not_found(edit: Record) -> JSON:
    """What was not understood and is not asked back, in the customer's words."""
    unclear = cast("list[Mapping[str, JSON]]", edit["ambiguous"])
    return [*(each["words"] for each in unclear if each["why"] != "which"), *cast("list[str]", edit["missing"])]


_PRODUCT: Final = fields_of(Product, "product")
_BASKET_EDIT: Final = fields_of(BasketEdit, "basket_edit")
_LINES: Final = ListOf(item=fields_of(Line, "line"))
_UNWANTED: Final = ListOf(item=fields_of(Unwanted, "unwanted"))
_UNCLEAR: Final = fields_of(Unclear, "unclear")
_CANDIDATE: Final = fields_of(Candidate, "candidate")
_WHEN: Final = fields_of(When, "when")
_PLACE_READ: Final = fields_of(PlaceRead, "place_read")
_SERVICES: Final[dict[str, Service]] = {
    service.spec.name: service for service in (*catalog.SERVICES, *orders.SERVICES, *payments.SERVICES)
}

CATALOGUE: Final = Catalogue(
    types={
        "line": fields_of(Line, "line"),
        "product": _PRODUCT,
        "product_page": fields_of(ProductPage, "product_page"),
        "wanted": fields_of(Wanted, "wanted"),
        "unwanted": fields_of(Unwanted, "unwanted"),
        "candidate": _CANDIDATE,
        "unclear": _UNCLEAR,
        "basket_edit": _BASKET_EDIT,
        "when": _WHEN,
        "branch": fields_of(Branch, "branch"),
        "place": fields_of(Place, "place"),
        "place_read": _PLACE_READ,
    },
    context={
        "vendor": fields_of(Vendor, "vendor"),
        "customer": fields_of(Customer, "customer"),
        "order": fields_of(Order, "order"),
    },
    calls={name: service.spec for name, service in _SERVICES.items()},
    events={event.name: event for event in (payments.RESULT, payments.PROGRESS)},
    consents={payments.PAY.name: payments.PAY},
    entities={
        "number": EntitySpec(name="number", type=INT, read=read_number),
        "basket_edit": EntitySpec(name="basket_edit", type=_BASKET_EDIT, read=read_basket_edit),
        "phone": EntitySpec(name="phone", type=PHONE, read=read_phone),
        "money": EntitySpec(name="money", type=MONEY, read=read_money),
        "date": EntitySpec(name="date", type=STRING, read=read_date),
        "time": EntitySpec(name="time", type=STRING, read=read_time),
        "when": EntitySpec(name="when", type=_WHEN, read=read_when),
        "place": EntitySpec(name="place", type=_PLACE_READ, read=read_place),
    },
    functions={
        "is_tied": FunctionSpec(name="is_tied", takes=(_BASKET_EDIT,), gives=BOOL, run=_is_tied),
        "tie": FunctionSpec(name="tie", takes=(_BASKET_EDIT,), gives=_UNCLEAR, run=_tie),
        "choose": FunctionSpec(name="choose", takes=(_BASKET_EDIT, _CANDIDATE), gives=_BASKET_EDIT, run=_choose),
        "not_found": FunctionSpec(name="not_found", takes=(_BASKET_EDIT,), gives=ListOf(item=STRING), run=_not_found),
        "taken_out": FunctionSpec(name="taken_out", takes=(_BASKET_EDIT, _LINES), gives=_UNWANTED, run=_taken_out),
        "add_line": FunctionSpec(name="add_line", takes=(_PRODUCT, INT), gives=_BASKET_EDIT, run=_add_line),
    },
    order_states=("DRAFT", "CONFIRMED", "PAID", "CANCELLED"),
    order_flags={"order.is_confirmed": "CONFIRMED", "order.is_paid": "PAID"},
)


def run(call: Call, desk: Desk) -> Answer:
    """Run one call of a flow inside the turn's transaction."""
    return _SERVICES[call.name].run(desk, dict(call.args))
