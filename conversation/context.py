"""What a flow may read: vendor, customer and order as the catalogue's `context` types describe them, loaded before each step."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from conversation.engine.context import Context
from conversation.engine.lexicon import Lexicon, build_lexicon
from conversation.engine.values import JSON
from router import catalog, vendors
from router.branches import Kept, list_branches, stand
from router.catalog import CatalogItem
from router.customers import Customer
from router.ids import IntentId, OrderId, VendorId
from router.orders import store as orders
from router.orders.status import OrderStatus
from router.orders.store import Order
from router.payment_intents import store as payment_intents
from router.payment_intents.status import IntentStatus
from router.vendors import Vendor
from router.work import Work

# How a payment stands whose end nobody knows yet.
UNCLEAR: Final = frozenset({IntentStatus.CONSENTED, IntentStatus.PROCESSING, IntentStatus.NEEDS_REVIEW})


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """What customers may call the vendor's products, named by its content. `items` is all that the lexicon is made of."""

    digest: str
    items: Sequence[Mapping[str, JSON]]
    lexicon: Lexicon


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The context of one step, and the order's status (None: no row yet) for the host."""

    context: Context
    shelf: Shelf
    order_status: OrderStatus | None


class Shelves:
    """Each vendor's product words, made anew only when its catalogue has changed."""

    def __init__(self) -> None:
        self._made: dict[VendorId, tuple[Sequence[CatalogItem], Shelf]] = {}

    def of(self, vendor_id: VendorId, items: Sequence[CatalogItem]) -> Shelf:
        """Return the shelf of these items."""
        made = self._made.get(vendor_id)
        if made is None or made[0] != items:
            made = (items, _to_shelf(items))
            self._made[vendor_id] = made
        return made[1]


def _to_shelf(items: Sequence[CatalogItem]) -> Shelf:
    words: list[Mapping[str, JSON]] = [
        {
            "id": str(item.id),
            "name": item.name,
            "short_name": item.short_name,
            "unit": item.unit,
            "aliases": list(item.aliases),
        }
        for item in items
    ]
    digest = hashlib.sha256(json.dumps(words).encode()).hexdigest()[:12]
    return Shelf(digest=digest, items=words, lexicon=build_lexicon(words))


def load(work: Work, shelves: Shelves, *, customer: Customer, order_id: OrderId, language: str | None, now: datetime) -> Seen:
    """Read everything a flow may see, inside the turn's transaction. `language` is what the conversation switched to."""
    vendor = vendors.get_vendor(work.databases, work.vendor_id)
    shelf = shelves.of(work.vendor_id, catalog.list_items(work.databases, work.vendor_id))
    order = orders.get(work, order_id)
    # A draft has none: an intent is born by the PAY for a confirmed order.
    intents = payment_intents.list_intents(work, order_id) if order is not None and order.confirmed_at is not None else []
    seen_customer: dict[str, JSON] = {
        "phone": customer.phone or "",
        "first_name": (customer.name or "").split(" ")[0],
        "language": language or customer.language or vendor.language,
    }
    return Seen(
        context=Context(
            vendor=_to_vendor(vendor, list_branches(work.databases, vendor.id), now=now),
            customer=seen_customer,
            order=_to_order(order_id, order, intents),
            lexicon=shelf.lexicon,
        ),
        shelf=shelf,
        order_status=order.status if order is not None else None,
    )


def _to_vendor(vendor: Vendor, branches: Sequence[Kept], *, now: datetime) -> dict[str, JSON]:
    seen: list[JSON] = []
    is_open = not branches
    for kept in branches:
        standing = stand(kept.week, now)
        is_open = is_open or standing.is_open
        branch = kept.branch
        seen.append({"id": branch.id, "name": branch.name, "about": branch.about, **asdict(standing)})
    return {"id": str(vendor.id), "name": vendor.name, "is_open": is_open, "branches": seen}


def _to_order(order_id: OrderId, order: Order | None, intents: Sequence[tuple[IntentId, IntentStatus]]) -> dict[str, JSON]:
    """Before its first line an order has an id and no row: an empty basket."""
    lines: list[JSON] = []
    if order is not None:
        lines = [
            {"product": str(line.item_id or ""), "name": line.name, "qty": line.qty, "total": line.total} for line in order.lines
        ]
    return {
        "id": str(order_id),
        "number": order.number if order is not None else "",
        "lines": lines,
        "total": order.total if order is not None else 0,
        "is_confirmed": order is not None and order.status is OrderStatus.CONFIRMED,
        "is_paid": order is not None and order.status is OrderStatus.PAID,
        "receipt": order.receipt if order is not None else None,
        "payment_attempt": str(intents[-1][0]) if intents else None,
        "payment_unclear": any(status in UNCLEAR for _, status in intents),
    }
