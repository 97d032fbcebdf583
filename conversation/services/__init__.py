"""The typed catalogue: every call, outcome, event, consent, entity and function a flow may name, beside the code that runs it."""

from typing import Final

from conversation.engine.catalogue import Catalogue, EntitySpec, FunctionSpec
from conversation.engine.effects import Call
from conversation.engine.entities import read_basket_edit, read_number
from conversation.engine.types import INT
from conversation.engine.values import JSON, Record
from conversation.services import catalog, orders, payments
from conversation.services.declare import Service, fields_of
from conversation.services.desk import Answer, Desk
from conversation.services.shapes import BasketEdit, Customer, Line, Order, Product, ProductPage, Unwanted, Vendor, Wanted

__all__ = ["CATALOGUE", "Answer", "Desk", "run"]


def _add_line(product: Record, qty: int) -> JSON:
    """A basket edit that adds so many of one product."""
    return {"add": [{"product": product["id"], "name": product["name"], "qty": qty}], "remove": [], "unknown": []}


_PRODUCT: Final = fields_of(Product, "product")
_BASKET_EDIT: Final = fields_of(BasketEdit, "basket_edit")
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
        "basket_edit": _BASKET_EDIT,
    },
    context={
        "vendor": fields_of(Vendor, "vendor"),
        "customer": fields_of(Customer, "customer"),
        "order": fields_of(Order, "order"),
    },
    calls={name: service.spec for name, service in _SERVICES.items()},
    events={payments.RESULT.name: payments.RESULT},
    consents={payments.PAY.name: payments.PAY},
    entities={
        "number": EntitySpec(name="number", type=INT, read=read_number),
        "basket_edit": EntitySpec(name="basket_edit", type=_BASKET_EDIT, read=read_basket_edit),
    },
    functions={
        "add_line": FunctionSpec(name="add_line", takes=(_PRODUCT, INT), gives=_BASKET_EDIT, run=_add_line),
    },
    order_states=("DRAFT", "CONFIRMED", "PAID", "CANCELLED"),
    order_flags={"order.is_confirmed": "CONFIRMED", "order.is_paid": "PAID"},
)


def run(call: Call, desk: Desk) -> Answer:
    """Run one call of a flow inside the turn's transaction."""
    return _SERVICES[call.name].run(desk, dict(call.args))
