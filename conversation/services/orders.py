"""Changing the customer's order. Each answer tells flows how it ended; the rules are router's."""

from typing import Final, Literal, assert_never
from uuid import UUID, uuid4

from conversation.engine.catalogue import CallSpec, Outcome
from conversation.services.declare import Id, Shape, fields_of, service
from conversation.services.desk import Answer, Desk
from conversation.services.shapes import Shortage, Unwanted, Wanted
from router.errors import Refused
from router.ids import CatalogItemId, OrderId
from router.orders import store
from router.orders.lines import ChangeKind, Want
from router.orders.status import OrderStatus


class OrderArgs(Shape):
    """Which order."""

    order: Id


class EditArgs(OrderArgs):
    """What to put in and what to take out."""

    add: list[Wanted]
    remove: list[Unwanted]


class CancelArgs(OrderArgs):
    """Why it is cancelled."""

    reason: Literal["changed_mind", "timed_out", "vendor"]


def edit(desk: Desk, args: EditArgs) -> Answer:
    """Put items in and take items out of the draft."""
    try:
        edited = store.edit(
            desk.work,
            order_id=_order_id(args),
            customer_id=desk.customer.id,
            add=[Want(item_id=CatalogItemId(UUID(line.product)), qty=line.qty) for line in args.add],
            remove=[Want(item_id=CatalogItemId(UUID(line.product)), qty=line.qty) for line in args.remove],
            now=desk.now,
        )
    except Refused:
        return Answer(outcome="error")
    match edited:
        case store.Edited():
            return Answer(outcome="ok")
        case store.OutOfStock(name=name, left=left):
            return Answer(outcome="out_of_stock", value=Shortage(name=name, left=left).model_dump())
        case store.Locked():
            return Answer(outcome="locked")
        case _:
            assert_never(edited)


def confirm(desk: Desk, args: OrderArgs) -> Answer:
    """Freeze the order's terms."""
    try:
        confirmed = store.confirm(desk.work, order_id=_order_id(args), now=desk.now)
    except Refused:
        return Answer(outcome="error")
    match confirmed:
        case store.Confirmed():
            return Answer(outcome="ok")
        case store.Changed(what=what):
            short = next((change for change in what if change.kind is not ChangeKind.PRICE), None)
            if short is None:
                return Answer(outcome="changed")
            return Answer(outcome="out_of_stock", value=Shortage(name=short.name, left=short.after).model_dump())
        case store.Empty():
            return Answer(outcome="empty")
        case store.Locked():
            return Answer(outcome="locked")
        case _:
            assert_never(confirmed)


def amend(desk: Desk, args: OrderArgs) -> Answer:
    """Cancel the confirmed order and open a draft with the same lines: the conversation has a new order."""
    try:
        amended = store.amend(desk.work, order_id=_order_id(args), new_order_id=OrderId(uuid4()), now=desk.now)
    except Refused:
        return Answer(outcome="error")
    match amended:
        case store.Amended(order=order):
            return Answer(outcome="ok", order_id=order.id)
        case store.Locked(status=OrderStatus.PAID):
            return Answer(outcome="paid")
        case store.Locked():
            return Answer(outcome="error")
        case _:
            assert_never(amended)


def cancel(desk: Desk, args: CancelArgs) -> Answer:
    """Cancel a draft or a confirmed order; one that was cancelled before stays so."""
    cancelled = store.cancel(desk.work, order_id=_order_id(args), reason=args.reason, now=desk.now)
    match cancelled:
        case store.Cancelled() | store.Locked(status=OrderStatus.CANCELLED):
            return Answer(outcome="ok")
        case store.Locked():
            return Answer(outcome="paid")
        case _:
            assert_never(cancelled)


def _order_id(args: OrderArgs) -> OrderId:
    return OrderId(UUID(args.order))


_NOT_DRAFT: Final = ("CONFIRMED", "PAID", "CANCELLED")

SERVICES: Final = (
    service(
        CallSpec(
            name="orders.edit",
            about="Put items in and take items out; the first item makes the order",
            takes=fields_of(EditArgs, "args").fields,
            returns=None,
            revokes=("pay",),
            outcomes={
                "ok": Outcome(name="ok", continues=True, orders=("DRAFT",)),
                "out_of_stock": Outcome(name="out_of_stock", orders=("DRAFT",), carries=fields_of(Shortage, "shortage")),
                "locked": Outcome(name="locked", orders=("DRAFT", *_NOT_DRAFT)),
                "error": Outcome(name="error"),
            },
        ),
        EditArgs,
        edit,
    ),
    service(
        CallSpec(
            name="orders.confirm",
            about="Freeze the order's lines and total; nothing of it changes after that",
            takes=fields_of(OrderArgs, "args").fields,
            returns=None,
            revokes=("pay",),
            outcomes={
                "ok": Outcome(name="ok", continues=True, orders=("DRAFT",), becomes="CONFIRMED"),
                "changed": Outcome(name="changed", orders=("DRAFT",)),
                "out_of_stock": Outcome(name="out_of_stock", orders=("DRAFT",), carries=fields_of(Shortage, "shortage")),
                "empty": Outcome(name="empty", orders=("DRAFT",)),
                "locked": Outcome(name="locked", orders=_NOT_DRAFT),
                "error": Outcome(name="error", orders=("DRAFT",)),
            },
        ),
        OrderArgs,
        confirm,
    ),
    service(
        CallSpec(
            name="orders.amend",
            about="Cancel the confirmed order and open a draft with the same lines",
            takes=fields_of(OrderArgs, "args").fields,
            returns=None,
            revokes=("pay",),
            outcomes={
                "ok": Outcome(name="ok", continues=True, orders=("CONFIRMED",), becomes="DRAFT"),
                "paid": Outcome(name="paid", orders=("PAID",)),
                "error": Outcome(name="error"),
            },
        ),
        OrderArgs,
        amend,
    ),
    service(
        CallSpec(
            name="orders.cancel",
            about="Cancel the order unless it is paid",
            takes=fields_of(CancelArgs, "args").fields,
            returns=None,
            revokes=("pay",),
            outcomes={
                "ok": Outcome(name="ok", continues=True, orders=("DRAFT", "CONFIRMED", "CANCELLED"), becomes="CANCELLED"),
                "paid": Outcome(name="paid", orders=("PAID",)),
            },
        ),
        CancelArgs,
        cancel,
    ),
)
