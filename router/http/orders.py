"""Orders: make, read, change, confirm, cancel."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Final, Self
from uuid import UUID, uuid4

from fastapi import APIRouter, Depends, Query, Response, status
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from router import listing
from router.errors import Refused
from router.http.api import Api
from router.http.callers import REPLAYED, IdempotencyKey, build_caller
from router.http.pages import After, Limit, Page, parse_cursor, to_page
from router.http.problems import PROBLEMS, ProblemRoute
from router.idempotency import once
from router.ids import CatalogItemId, OrderId, VendorId
from router.keys import Operation
from router.orders import store
from router.orders.lines import MOST_PER_LINE, Change, Want
from router.orders.status import OrderStatus
from router.orders.store import Order
from router.phones import parse_msisdn
from router.rate_limits import Subject
from router.work import Work, unit_of_work

MOST_AMOUNT: Final = 250_000  # what M-Pesa moves at once
MOST_LINES: Final = 50


class LineIn(BaseModel):
    """How many of an item of the catalogue."""

    model_config = ConfigDict(extra="forbid")

    item_id: UUID
    qty: Annotated[int, Field(strict=True, ge=1, le=MOST_PER_LINE)]


class _Moved(Exception):
    """The catalogue has moved away from a draft."""

    def __init__(self, what: Sequence[Change]) -> None:
        super().__init__()
        self.what = what


class LinesIn(BaseModel):
    """What to put into a draft and what to take out; what is taken out comes first."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"add": [{"item_id": "c7af4716-f9ab-465d-9afb-f1047bf37a40", "qty": 2}], "remove": []}]},
    )

    add: Annotated[list[LineIn], Field(max_length=MOST_LINES)] = []
    remove: Annotated[list[LineIn], Field(max_length=MOST_LINES)] = []


class CancelIn(BaseModel):
    """Why it is cancelled; it stays with the order."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "the shop is closed"}]})

    reason: Annotated[str, Field(min_length=1, max_length=200)] = "vendor"


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

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0c0d8a1e-5a3e-4d5f-9d0b-2a8f0e3b7c11",
                    "vendor_id": "c7af4716-f9ab-465d-9afb-f1047bf37a40",
                    "customer_id": "7f3e7e7a-58c1-4a2f-9a53-0a3c1f6f1d22",
                    "number": "S0001",
                    "status": "DRAFT",
                    "source": "api",
                    "lines": [{"item_id": None, "name": "Order", "unit": "", "qty": 1, "price": 30, "total": 30}],
                    "total": 30,
                    "currency": "KES",
                    "receipt": None,
                    "created_at": "2026-11-20T09:30:00Z",
                    "confirmed_at": None,
                    "paid_at": None,
                }
            ]
        }
    )

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


def build_routes(api: Api) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["orders"], route_class=ProblemRoute, responses=PROBLEMS)
    databases, clock = api.databases, api.clock
    reader, writer = (build_caller(api, operation) for operation in (Operation.READ_ORDERS, Operation.WRITE_ORDERS))

    @routes.post("/orders", status_code=status.HTTP_201_CREATED)
    def create_order(
        body: OrderIn, response: Response, vendor_id: Annotated[VendorId, Depends(writer)], idempotency_key: IdempotencyKey = None
    ) -> OrderOut:
        """Make a draft. The same Idempotency-Key with the same body returns the order it made; without a key, two are made."""
        if body.vendor_id != vendor_id:
            raise Refused("vendor_mismatch", "vendor_id in the body is not the vendor of the header x-vendor-id")
        api.limits.check(Subject.CUSTOMER, f"{vendor_id}:{body.customer_phone}")
        order_id = OrderId(uuid4())
        with unit_of_work(databases, vendor_id) as work:
            order = store.create(
                work,
                customer_phone=body.customer_phone,
                amount=body.amount,
                lines=_wants(body.lines),
                idempotency_key=idempotency_key,
                request_sha256=databases.digest(body.model_dump_json()),
                now=clock(),
                order_id=order_id,
            )
        response.headers["Location"] = f"/orders/{order.id}"
        if order.id != order_id:
            response.headers[REPLAYED] = "true"
        return _out(vendor_id, order)

    @routes.get("/orders")
    def list_orders(
        vendor_id: Annotated[VendorId, Depends(reader)],
        order_status: Annotated[OrderStatus | None, Query(alias="status")] = None,
        customer_id: UUID | None = None,
        limit: Limit = 50,
        after: After = None,
    ) -> Page[OrderOut]:
        """List orders, the oldest first."""
        place = parse_cursor(after)
        with unit_of_work(databases, vendor_id) as work:
            wanted = {"status": order_status, "customer_id": customer_id}
            rows = listing.list_rows(work, listing.ORDERS, after=place, limit=limit, **wanted)
            orders = [store.read(work, row["id"]) for row in rows]
        places = [(row["created_at"], row["id"]) for row in rows]
        return to_page([_out(vendor_id, order) for order in orders], places, limit)

    @routes.get("/orders/{order_id}")
    def get_order(order_id: UUID, vendor_id: Annotated[VendorId, Depends(reader)]) -> OrderOut:
        """Return one order of this vendor."""
        with unit_of_work(databases, vendor_id) as work:
            return _out(vendor_id, store.read(work, OrderId(order_id)))

    def write(
        what: str, vendor_id: VendorId, order_id: UUID, key: str | None, response: Response, change: Callable[[Work, Order], None]
    ) -> OrderOut:
        with unit_of_work(databases, vendor_id) as work:

            def do() -> OrderOut:
                change(work, store.read(work, OrderId(order_id)))
                return _out(vendor_id, store.read(work, OrderId(order_id)))

            answer, replayed = once(work, key, f"{what} {order_id}", kind=OrderOut, do=do, now=clock())
        if replayed:
            response.headers[REPLAYED] = "true"
        return answer

    @routes.post("/orders/{order_id}/lines")
    def change_lines(
        order_id: UUID,
        body: LinesIn,
        response: Response,
        vendor_id: Annotated[VendorId, Depends(writer)],
        idempotency_key: IdempotencyKey = None,
    ) -> OrderOut:
        """Put items into a draft and take items out, at the prices of now."""

        def change(work: Work, order: Order) -> None:
            add, remove = _wants(body.add), _wants(body.remove)
            edited = store.edit(work, order_id=order.id, customer_id=order.customer_id, add=add, remove=remove, now=clock())
            match edited:
                case store.OutOfStock(name=name, left=left):
                    raise Refused("out_of_stock", f"only {left} of {name} can be had")
                case store.Locked(status=found):
                    raise _locked(found)

        return write(f"lines {body.model_dump_json()}", vendor_id, order_id, idempotency_key, response, change)

    @routes.post("/orders/{order_id}/confirm")
    def confirm_order(
        order_id: UUID,
        response: Response,
        vendor_id: Annotated[VendorId, Depends(writer)],
        idempotency_key: IdempotencyKey = None,
    ) -> OrderOut:
        """Freeze an order's lines and total, and take its items off the stock. 409 `order_changed` when the catalogue has moved:
        read the order, which is then up to date, and confirm again."""
        now = clock()

        def change(work: Work, order: Order) -> None:
            match store.confirm(work, order_id=order.id, now=now):
                case store.Changed(what=what):
                    raise _Moved(what)
                case store.Empty():
                    raise Refused("order_empty", "the order has no lines")
                case store.Locked(status=found):
                    raise _locked(found)

        try:
            return write("confirm", vendor_id, order_id, idempotency_key, response, change)
        except _Moved as moved:
            with unit_of_work(databases, vendor_id) as work:  # the write was undone, and a repeat of its key has to confirm
                store.confirm(work, order_id=OrderId(order_id), now=now)
            told = "; ".join(f"{each.name}: {each.kind} {each.before} -> {each.after}" for each in moved.what)
            raise Refused("order_changed", f"the draft is brought up to date, look at it and confirm again: {told}") from None

    @routes.post("/orders/{order_id}/cancel")
    def cancel_order(
        order_id: UUID,
        body: CancelIn,
        response: Response,
        vendor_id: Annotated[VendorId, Depends(writer)],
        idempotency_key: IdempotencyKey = None,
    ) -> OrderOut:
        """Cancel a draft or a confirmed order, and give back what it held."""

        def change(work: Work, order: Order) -> None:
            answer = store.cancel(work, order_id=order.id, reason=body.reason, now=clock())
            if isinstance(answer, store.Locked):
                raise _locked(answer.status)

        return write(f"cancel {body.model_dump_json()}", vendor_id, order_id, idempotency_key, response, change)

    return routes


def _wants(lines: Sequence[LineIn]) -> list[Want]:
    return [Want(item_id=CatalogItemId(line.item_id), qty=line.qty) for line in lines]


def _locked(found: OrderStatus) -> Refused:
    return Refused("order_locked", f"an order that is {found} does not allow this")


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
