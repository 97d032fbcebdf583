"""POST /orders and GET /orders/{id}."""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Final, Self
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Header, Response, status
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from router import capabilities
from router.clock import utc_now
from router.databases import Databases
from router.errors import Refused
from router.http.callers import build_caller
from router.http.problems import Problem, ProblemRoute
from router.ids import CatalogItemId, OrderId, VendorId
from router.keys import Operation
from router.orders import store
from router.orders.lines import MOST_PER_LINE, Want
from router.orders.status import OrderStatus
from router.orders.store import Order
from router.phones import parse_msisdn
from router.work import unit_of_work

MOST_AMOUNT: Final = 250_000  # what M-Pesa moves at once
MOST_LINES: Final = 50
REPLAYED: Final = "Idempotent-Replayed"
# What an Idempotency-Key may look like: printable, as clients make them.
KEY_PATTERN: Final = r"^[\x21-\x7e]+$"


class LineIn(BaseModel):
    """How many of an item of the catalogue."""

    model_config = ConfigDict(extra="forbid")

    item_id: UUID
    qty: Annotated[int, Field(strict=True, ge=1, le=MOST_PER_LINE)]


class OrderIn(BaseModel):
    """A new order: either `amount`, whole shillings for one open line, or `lines`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"vendor_id": "c7af4716-f9ab-465d-9afb-f1047bf37a40", "customer_phone": "254703283383", "amount": 30}]
        },
    )

    vendor_id: UUID
    customer_phone: Annotated[str, Field(max_length=32), AfterValidator(parse_msisdn)]
    amount: Annotated[int | None, Field(strict=True, ge=1, le=MOST_AMOUNT)] = None
    lines: Annotated[list[LineIn], Field(max_length=MOST_LINES)] = []

    @model_validator(mode="after")
    def _amount_or_lines(self) -> Self:
        if (self.amount is None) == (not self.lines):
            raise ValueError("give either amount (whole shillings) or lines, not both and not neither")
        return self


class LineOut(BaseModel):
    """`item_id` null: an amount without an item."""

    model_config = ConfigDict(from_attributes=True)

    item_id: UUID | None
    name: str
    unit: str
    qty: int
    price: int
    total: int


class OrderOut(BaseModel):
    """An order; amounts in whole Kenyan shillings."""

    id: UUID
    vendor_id: UUID
    customer_id: UUID
    number: str
    status: OrderStatus
    source: str
    lines: list[LineOut]
    total: int
    currency: str = "KES"
    receipt: str | None
    created_at: datetime
    confirmed_at: datetime | None
    paid_at: datetime | None


def build_routes(databases: Databases, clock: Callable[[], datetime] = utc_now) -> APIRouter:
    """Return the routes; `clock` gives the time of the request, aware UTC."""
    routes = APIRouter(tags=["orders"], route_class=ProblemRoute, responses=PROBLEMS)

    reader, writer = (build_caller(databases, operation) for operation in (Operation.READ_ORDERS, Operation.WRITE_ORDERS))

    @routes.post("/orders", status_code=status.HTTP_201_CREATED)
    def create_order(
        body: OrderIn,
        response: Response,
        vendor_id: Annotated[VendorId, Depends(writer)],
        idempotency_key: Annotated[str | None, Header(max_length=255, pattern=KEY_PATTERN)] = None,
    ) -> OrderOut:
        """Make a draft. The same Idempotency-Key with the same body returns the order it made; without a key, two are made."""
        if body.vendor_id != vendor_id:
            raise Refused("vendor_mismatch", "vendor_id in the body is not the vendor of the header x-vendor-id")
        order_id = OrderId(uuid4())
        with unit_of_work(databases, vendor_id) as work:
            order = store.create(
                work,
                customer_phone=body.customer_phone,
                amount=body.amount,
                lines=[Want(item_id=CatalogItemId(line.item_id), qty=line.qty) for line in body.lines],
                idempotency_key=idempotency_key,
                request_sha256=sha256(body.model_dump_json().encode()).digest(),
                now=clock(),
                order_id=order_id,
            )
        response.headers["Location"] = f"/orders/{order.id}"
        if order.id != order_id:
            response.headers[REPLAYED] = "true"
        return _out(vendor_id, order)

    @routes.get("/orders/{order_id}")
    def get_order(order_id: UUID, vendor_id: Annotated[VendorId, Depends(reader)]) -> OrderOut:
        """Return one order of this vendor."""
        capabilities.require(databases, vendor_id, capabilities.ORDERS)
        with unit_of_work(databases, vendor_id) as work:
            order = store.get(work, OrderId(order_id))
        if order is None:
            raise Refused("unknown_order", "this vendor has no such order")
        return _out(vendor_id, order)

    return routes


PROBLEMS: Final[dict[int | str, dict[str, object]]] = {
    401: {"model": Problem, "description": "The key is missing or wrong"},
    403: {"model": Problem, "description": "The key, the body or the capabilities do not allow it for this vendor"},
    404: {"model": Problem, "description": "No such vendor or order"},
    409: {"model": Problem, "description": "The Idempotency-Key belongs to another request, or the shelf is empty"},
    422: {"model": Problem, "description": "A field is wrong; `errors` names it"},
    503: {"model": Problem, "description": "A database is away: try again"},
}


def _out(vendor_id: VendorId, order: Order) -> OrderOut:
    return OrderOut(
        id=order.id,
        vendor_id=vendor_id,
        customer_id=order.customer_id,
        number=order.number,
        status=order.status,
        source=order.source,
        lines=[LineOut.model_validate(line) for line in order.lines],
        total=order.total,
        receipt=order.receipt,
        created_at=order.created_at,
        confirmed_at=order.confirmed_at,
        paid_at=order.paid_at,
    )
