"""What an order holds, as plain values: adding, removing and re-pricing lines. No database."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from router.catalog import CatalogItem
from router.errors import Refused
from router.ids import CatalogItemId

MOST_PER_LINE: Final = 999


@dataclass(frozen=True, kw_only=True)
class Line:
    """`price` of one `unit` and `total` of the line in whole shillings; `item_id` None: an amount without an item."""

    item_id: CatalogItemId | None
    name: str
    unit: str
    qty: int
    price: int
    total: int
    position: int = 0


@dataclass(frozen=True, kw_only=True)
class Want:
    """Put in or take out; `qty` None takes the whole line out."""

    item_id: CatalogItemId
    qty: int | None = None


@dataclass(frozen=True, kw_only=True)
class TooMany:
    """More was wanted than there is; `left` is all that can be had."""

    name: str
    left: int


class ChangeKind(StrEnum):
    """How the catalogue moved away from a draft."""

    PRICE = "price"
    FEWER = "fewer"
    GONE = "gone"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One line that is not what the customer saw. `before` and `after` are prices, or quantities when fewer are left."""

    kind: ChangeKind
    name: str
    before: int
    after: int


def combine(
    lines: Sequence[Line], *, add: Sequence[Want], remove: Sequence[Want], items: Mapping[CatalogItemId, CatalogItem]
) -> tuple[Line, ...] | TooMany:
    """Return the lines after an edit; removals come first. Raises Refused("unknown_item") for an item not on sale."""
    kept = list(_without(lines, remove))
    for want in add:
        item = items.get(want.item_id)
        if item is None:
            raise Refused("unknown_item", f"the catalogue has no item {want.item_id}")
        found = next((line for line in kept if line.item_id == item.id), None)
        qty = (want.qty or 1) + (0 if found is None else found.qty)
        left = most(item)
        if qty > left:
            return TooMany(name=item.name, left=left)
        if found is None:
            kept.append(price(item, qty=qty, position=max((line.position for line in (*lines, *kept)), default=0) + 1))
        else:
            kept[kept.index(found)] = price(item, qty=qty, position=found.position)
    return tuple(kept)


def reprice(lines: Sequence[Line], items: Mapping[CatalogItemId, CatalogItem]) -> tuple[tuple[Line, ...], tuple[Change, ...]]:
    """Compare lines with the catalogue of now: the lines as they have to be, and what is different."""
    now: list[Line] = []
    changes: list[Change] = []
    for line in lines:
        item = None if line.item_id is None else items.get(line.item_id)
        if line.item_id is None:
            now.append(line)
        elif item is None or most(item) == 0:
            changes.append(Change(kind=ChangeKind.GONE, name=line.name, before=line.qty, after=0))
        else:
            qty = min(line.qty, most(item))
            if qty < line.qty:
                changes.append(Change(kind=ChangeKind.FEWER, name=item.name, before=line.qty, after=qty))
            if item.price != line.price:
                changes.append(Change(kind=ChangeKind.PRICE, name=item.name, before=line.price, after=item.price))
            now.append(price(item, qty=qty, position=line.position))
    return tuple(now), tuple(changes)


def price(item: CatalogItem, *, qty: int, position: int) -> Line:
    """Return a line of this item at its price of now."""
    return Line(
        position=position, item_id=item.id, name=item.name, unit=item.unit, qty=qty, price=item.price, total=qty * item.price
    )


def most(item: CatalogItem) -> int:
    """Return how many of an item one order can hold."""
    return MOST_PER_LINE if item.stock is None else min(item.stock, MOST_PER_LINE)


def _without(lines: Sequence[Line], remove: Iterable[Want]) -> tuple[Line, ...]:
    kept = list(lines)
    for want in remove:
        for line in [line for line in kept if line.item_id == want.item_id]:
            left = 0 if want.qty is None else line.qty - want.qty
            place = kept.index(line)
            kept[place : place + 1] = [replace(line, qty=left, total=left * line.price)] if left > 0 else []
    return tuple(kept)
