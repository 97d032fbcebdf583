"""Orders as rows: every change follows the table in status.py, and the SQL repeats the guard."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID, uuid4

from psycopg.rows import DictRow

from router import alerts, capabilities, events, metering, stock
from router.catalog import CatalogItem
from router.customers import recognise
from router.errors import Broken, Refused
from router.events import EventType
from router.ids import CatalogItemId, CustomerId, OrderId
from router.json_values import JSON, JsonText, storable_text
from router.metering import Meter
from router.orders import statements as sql
from router.orders.lines import Change, Line, TooMany, Want, combine, reprice
from router.orders.status import OrderAction, OrderStatus, advance
from router.work import Work

CHAT: Final = "chat"
API: Final = "api"
HOLD_HOURS: Final = 48  # how long a confirmed order keeps its items; vendors_with_work says it in SQL
OPEN_AMOUNT: Final = "Order"  # the name of the only line of an order that came as an amount


@dataclass(frozen=True, kw_only=True)
class Order:
    """`number` is what people say, "S0001"; `total` in whole shillings; `receipt` is M-Pesa's, once paid."""

    id: OrderId
    number: str
    customer_id: CustomerId
    status: OrderStatus
    lines: tuple[Line, ...]
    total: int
    created_at: datetime
    confirmed_at: datetime | None
    paid_at: datetime | None
    receipt: str | None
    source: str


@dataclass(frozen=True, kw_only=True)
class Edited:
    """The draft as it is now."""

    order: Order


@dataclass(frozen=True, kw_only=True)
class OutOfStock:
    """More was wanted than there is; nothing was changed."""

    name: str
    left: int


@dataclass(frozen=True, kw_only=True)
class Locked:
    """The order's status does not allow it; nothing was changed."""

    status: OrderStatus


@dataclass(frozen=True, kw_only=True)
class Confirmed:
    """The terms are frozen now."""

    order: Order


@dataclass(frozen=True, kw_only=True)
class Changed:
    """The catalogue moved: the draft was brought up to date instead, for the customer to look at again."""

    order: Order
    what: tuple[Change, ...]


@dataclass(frozen=True, kw_only=True)
class Empty:
    """There is nothing to confirm."""


@dataclass(frozen=True, kw_only=True)
class Cancelled:
    """The order is cancelled, or there was none yet."""


@dataclass(frozen=True, kw_only=True)
class Amended:
    """The confirmed order is cancelled; this is the new draft with its lines."""

    order: Order


def get(work: Work, order_id: OrderId) -> Order | None:
    """Return the order with its lines; None before its first item was put in."""
    row = work.conn.execute(sql.GET, {"vendor_id": work.vendor_id, "id": order_id}).fetchone()
    return None if row is None else _order(row)


def read(work: Work, order_id: OrderId) -> Order:
    """Return the order to who asks for it by its id. Raises Refused: capability_off, unknown_order."""
    capabilities.require(work.databases, work.vendor_id, capabilities.ORDERS)
    order = get(work, order_id)
    if order is None:
        raise Refused("unknown_order", "this vendor has no such order")
    return order


def edit(
    work: Work, *, order_id: OrderId, customer_id: CustomerId, add: Sequence[Want], remove: Sequence[Want], now: datetime
) -> Edited | OutOfStock | Locked:
    """Put items in and take items out; the first item makes the order, under the id that was reserved for it.

    Raises Refused: capability_off, unknown_item.
    """
    capabilities.require(work.databases, work.vendor_id, capabilities.ORDERS)
    values = {"vendor_id": work.vendor_id, "id": order_id, "customer_id": customer_id}
    found = [_order(row) for row in _locked(work, sql.LOCK_OPEN, sql.LIST_OPEN, values)]
    mine = next((order for order in found if order.id == order_id), None)
    other = next((order for order in found if order.id != order_id), None)
    if mine is not None and advance(mine.status, OrderAction.ADD_ITEM) is None:
        return Locked(status=mine.status)
    if mine is None and other is not None and other.status is OrderStatus.CONFIRMED:
        return Locked(status=other.status)
    lines = combine(() if mine is None else mine.lines, add=add, remove=remove, items=_items(work))
    if isinstance(lines, TooMany):
        return OutOfStock(name=lines.name, left=lines.left)
    if mine is None:
        if other is not None:
            _cancel(work, other, reason="replaced", now=now)
        _create(work, order_id=order_id, customer_id=customer_id, source=CHAT, now=now)
    _write(work, order_id, lines, now=now)
    return Edited(order=_existing(work, order_id))


def confirm(work: Work, *, order_id: OrderId, now: datetime) -> Confirmed | Changed | Locked | Empty:
    """Freeze the order's terms. A draft that the catalogue has left behind is brought up to date instead.

    Raises Refused: capability_off, capability_used_up.
    """
    order = _lock(work, order_id)
    if order is None:
        return Empty()
    if advance(order.status, OrderAction.CONFIRM) is None:
        return Locked(status=order.status)
    if not order.lines:
        return Empty()
    capabilities.require_room(work, capabilities.ORDERS, now=now)
    items = stock.lock(work, (line.item_id for line in order.lines))
    lines, what = reprice(order.lines, items)
    if what:
        _write(work, order_id, lines, now=now)
        return Changed(order=_existing(work, order_id), what=what)
    stock.take(work, order_id, items)
    _one(work.conn.execute(sql.CONFIRM, {"vendor_id": work.vendor_id, "id": order_id, "now": now}).rowcount, order_id)
    _tell(work, EventType.ORDER_CONFIRMED, order, now=now)
    metering.record(work, meter=Meter.ORDER_CONFIRMED, key=str(order_id), now=now)
    return Confirmed(order=_existing(work, order_id))


def cancel(work: Work, *, order_id: OrderId, reason: str, now: datetime) -> Cancelled | Locked:
    """Cancel a draft or a confirmed order; an order that was never begun counts as cancelled."""
    order = _lock(work, order_id)
    if order is not None and advance(order.status, OrderAction.CANCEL) is None:
        return Locked(status=order.status)
    if order is not None:
        _cancel(work, order, reason=reason, now=now)
    return Cancelled()


def list_overdue(work: Work, *, confirmed_before: datetime, limit: int) -> list[OrderId]:
    """List confirmed orders that nobody has paid since, oldest first; one whose payment is open or in doubt is not among them."""
    values = {"vendor_id": work.vendor_id, "before": confirmed_before, "limit": limit}
    return [OrderId(row["id"]) for row in work.conn.execute(sql.OVERDUE, values)]


def amend(work: Work, *, order_id: OrderId, new_order_id: OrderId, now: datetime) -> Amended | Locked:
    """Cancel a confirmed order and open a draft with the same lines: the only way to change it.

    Raises Refused: capability_off, order_empty.
    """
    capabilities.require(work.databases, work.vendor_id, capabilities.ORDERS)
    order = _lock(work, order_id)
    if order is None:
        raise Refused("order_empty", "there is no order to change")
    if order.status is not OrderStatus.CONFIRMED:
        return Locked(status=order.status)
    _cancel(work, order, reason="amended", now=now)
    _create(work, order_id=new_order_id, customer_id=order.customer_id, source=order.source, now=now)
    _write(work, new_order_id, order.lines, now=now)
    return Amended(order=_existing(work, new_order_id))


def pay(work: Work, *, order_id: OrderId, receipt: str | None, now: datetime) -> bool:
    """Move CONFIRMED to PAID; False, and nothing moved, when it was not CONFIRMED."""
    values = {"vendor_id": work.vendor_id, "id": order_id, "receipt": receipt, "now": now}
    row = work.conn.execute(sql.PAY, values).fetchone()
    if row is None:
        return False
    data: Mapping[str, JSON] = {"number": row["number"], "total": row["total"], "receipt": receipt}
    events.append(work, type=EventType.ORDER_PAID, subject=str(order_id), data=data, now=now)
    items = [f"{line.qty} x {line.name}" for line in _existing(work, order_id).lines]
    alerts.order_paid(work, order_id, number=row["number"], total=row["total"], items=items, receipt=receipt, now=now)
    metering.record(work, meter=Meter.ORDER_PAID, key=str(order_id), now=now)
    return True


def create(
    work: Work,
    *,
    customer_phone: str,
    amount: int | None,
    lines: Sequence[Want],
    idempotency_key: str | None,
    request_sha256: bytes,
    now: datetime,
    order_id: OrderId | None = None,
) -> Order:
    """Make an API order, a draft of `lines`, or of one open line of `amount`. A known key returns the order it made.

    `order_id` is the id a new order gets, so that the caller can tell a new one from a known one.
    Raises Refused: capability_off, unknown_item, out_of_stock, idempotency_key_reused.
    """
    capabilities.require(work.databases, work.vendor_id, capabilities.ORDERS)
    known = None if idempotency_key is None else _by_key(work, idempotency_key, request_sha256)
    if known is not None:
        return known
    priced = _open_line(amount) if amount is not None else combine((), add=lines, remove=(), items=_items(work))
    if isinstance(priced, TooMany):
        raise Refused("out_of_stock", f"only {priced.left} of {priced.name} can be had")
    customer = recognise(work, phone=customer_phone, bsuid=None, name=None, now=now)
    new_id = order_id or OrderId(uuid4())
    key = None if idempotency_key is None else (idempotency_key, request_sha256)
    if not _create(work, order_id=new_id, customer_id=customer.id, source=API, now=now, key=key):
        # The same key is being used at this moment elsewhere; our INSERT has waited for it.
        known = None if idempotency_key is None else _by_key(work, idempotency_key, request_sha256)
        if known is None:
            raise Broken("an order was neither found nor made")
        return known
    _write(work, new_id, priced, now=now)
    order = _existing(work, new_id)
    _tell(work, EventType.ORDER_PLACED, order, now=now)
    return order


def _create(
    work: Work,
    *,
    order_id: OrderId,
    customer_id: CustomerId,
    source: str,
    now: datetime,
    key: tuple[str, bytes] | None = None,
) -> bool:
    idempotency_key, request_sha256 = key or (None, None)
    values = {
        "vendor_id": work.vendor_id,
        "id": order_id,
        "customer_id": customer_id,
        "source": source,
        "now": now,
        "idempotency_key": idempotency_key,
        "request_sha256": request_sha256,
    }
    return work.conn.execute(sql.CREATE, values).rowcount == 1


def _write(work: Work, order_id: OrderId, lines: Sequence[Line], *, now: datetime) -> None:
    """Make the draft's lines and total these, in one round trip."""
    values = {
        "vendor_id": work.vendor_id,
        "id": order_id,
        "positions": [line.position for line in lines],
        "lines": JsonText(json.dumps([_recorded(line) for line in lines])),
        "total": sum(line.total for line in lines),
        "now": now,
    }
    with work.conn.pipeline():
        work.conn.execute(sql.DELETE_LINES, values)
        work.conn.execute(sql.WRITE_LINES, values)
        written = work.conn.execute(sql.WRITE_TOTAL, values)
    _one(written.rowcount, order_id)


def _cancel(work: Work, order: Order, *, reason: str, now: datetime) -> None:
    if order.status is OrderStatus.CONFIRMED:
        stock.give_back(work, order.id)
    values = {"vendor_id": work.vendor_id, "id": order.id, "reason": storable_text(reason), "now": now}
    _one(work.conn.execute(sql.CANCEL, values).rowcount, order.id)
    _tell(work, EventType.ORDER_CANCELLED, order, now=now, reason=reason)


def _tell(work: Work, kind: EventType, order: Order, *, now: datetime, reason: str | None = None) -> None:
    data: dict[str, JSON] = {"number": order.number, "total": order.total, "source": order.source}
    events.append(work, type=kind, subject=str(order.id), data=data if reason is None else data | {"reason": reason}, now=now)


def _by_key(work: Work, idempotency_key: str, request_sha256: bytes) -> Order | None:
    row = work.conn.execute(sql.GET_BY_KEY, (work.vendor_id, idempotency_key)).fetchone()
    if row is not None and row["request_sha256"] != request_sha256:
        raise Refused("idempotency_key_reused", "this Idempotency-Key was used for another request")
    return None if row is None else _order(row)


def _lock(work: Work, order_id: OrderId) -> Order | None:
    rows = _locked(work, sql.LOCK, sql.GET, {"vendor_id": work.vendor_id, "id": order_id})
    return _order(rows[0]) if rows else None


def _locked(work: Work, lock: LiteralString, read: LiteralString, values: Mapping[str, object]) -> list[DictRow]:
    with work.conn.pipeline():
        work.conn.execute(lock, values)
        found = work.conn.execute(read, values)
    return found.fetchall()


def _existing(work: Work, order_id: OrderId) -> Order:
    order = get(work, order_id)
    if order is None:
        message = f"order {order_id} is gone"
        raise Broken(message)
    return order


def _one(rows: int, order_id: OrderId) -> None:
    if rows != 1:
        message = f"order {order_id} moved while it was locked"
        raise Broken(message)


def _items(work: Work) -> Mapping[CatalogItemId, CatalogItem]:
    return {item.id: item for item in stock.list_shelf(work)}


def _open_line(amount: int) -> tuple[Line, ...]:
    return (Line(position=1, item_id=None, name=OPEN_AMOUNT, unit="", qty=1, price=amount, total=amount),)


def _recorded(line: Line) -> JSON:
    return {
        "position": line.position,
        "item_id": None if line.item_id is None else str(line.item_id),
        "name": line.name,
        "unit": line.unit,
        "qty": line.qty,
        "price": line.price,
        "total": line.total,
    }


def _order(row: DictRow) -> Order:
    return Order(
        id=OrderId(row["id"]),
        number=row["number"],
        customer_id=CustomerId(row["customer_id"]),
        status=OrderStatus(row["status"]),
        lines=tuple(_line(line) for line in row["lines"]),
        total=row["total"],
        created_at=row["created_at"],
        confirmed_at=row["confirmed_at"],
        paid_at=row["paid_at"],
        receipt=row["receipt"],
        source=row["source"],
    )


def _line(line: DictRow) -> Line:
    return Line(**(line | {"item_id": None if line["item_id"] is None else CatalogItemId(UUID(line["item_id"]))}))
