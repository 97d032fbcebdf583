"""The life of an order, as one table. The trigger `orders_guard` repeats it; docs/order-state-machine.md is drawn from it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class OrderStatus(StrEnum):
    """Where an order stands."""

    DRAFT = "DRAFT"
    CONFIRMED = "CONFIRMED"
    PAID = "PAID"
    CANCELLED = "CANCELLED"


class OrderAction(StrEnum):
    """What can be done to an order."""

    ADD_ITEM = "addItem"
    REMOVE_ITEM = "removeItem"
    CONFIRM = "confirm"
    PAY = "pay"
    CANCEL = "cancel"


S, A = OrderStatus, OrderAction
# There is no way back from CONFIRMED to DRAFT: whoever wants to change a confirmed order cancels it and gets a new
# draft with the same lines.
NEXT: Final[Mapping[tuple[OrderStatus, OrderAction], OrderStatus]] = {
    (S.DRAFT, A.ADD_ITEM): S.DRAFT,
    (S.DRAFT, A.REMOVE_ITEM): S.DRAFT,
    (S.DRAFT, A.CANCEL): S.CANCELLED,
    (S.DRAFT, A.CONFIRM): S.CONFIRMED,
    (S.CONFIRMED, A.PAY): S.PAID,
    (S.CONFIRMED, A.CANCEL): S.CANCELLED,
}


def advance(status: OrderStatus, action: OrderAction) -> OrderStatus | None:
    """Return the status after the action; None when the action is not allowed in this status."""
    return NEXT.get((status, action))


def is_terminal(status: OrderStatus) -> bool:
    """Tell whether nothing can be done to the order any more."""
    return not any(before is status for before, _ in NEXT)


def draw() -> str:
    """Return the machine as the seed draws it, for docs/order-state-machine.md."""
    lines: list[str] = []
    for status in OrderStatus:
        moves = [(action, after) for (before, action), after in NEXT.items() if before is status]
        drawn = [f"{action}" if after is status else f"{action} → {after}" for action, after in moves] or ["terminal"]
        lines += [status, *(f" {'└' if move is drawn[-1] else '├'}─ {move}" for move in drawn)]
    return "\n".join(lines)
