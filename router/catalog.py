"""What a vendor sells."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from router import capabilities
from router.databases import Databases
from router.ids import CatalogItemId, VendorId

LIST: Final = """
    SELECT id, sku, name, short_name, unit, price, stock, count_no, category, aliases FROM catalog_items
    WHERE vendor_id = %s AND active ORDER BY position, name, id
    """


@dataclass(frozen=True, kw_only=True)
class CatalogItem:
    """`short_name` and `category` have at most 24 characters, `unit` 12; `price` in whole shillings.

    `stock` None: not counted. `count_no` tells the how-manieth count it is.
    """

    id: CatalogItemId
    sku: str
    name: str
    short_name: str
    unit: str
    price: int
    stock: int | None
    count_no: int
    category: str
    aliases: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CatalogPage:
    """One page of items, and whether another one follows."""

    items: tuple[CatalogItem, ...]
    has_more: bool


def list_items(databases: Databases, vendor_id: VendorId) -> tuple[CatalogItem, ...]:
    """Return the active items by position, as of at most two seconds ago; none without commerce.catalog."""
    if not capabilities.has(databases, vendor_id, capabilities.CATALOG):
        return ()
    return databases.cache.get(("items", vendor_id), lambda: _read(databases, vendor_id))


def read_items(databases: Databases, vendor_id: VendorId) -> tuple[CatalogItem, ...]:
    """Return what list_items does, as of now: for what is about to be sold."""
    return _read(databases, vendor_id) if capabilities.has(databases, vendor_id, capabilities.CATALOG) else ()


def to_page(items: Sequence[CatalogItem], page: int, size: int = 9) -> CatalogPage:
    """Return page 1, 2, … of these items; a page past the end is empty."""
    start = (max(page, 1) - 1) * size
    return CatalogPage(items=tuple(items)[start : start + size], has_more=len(items) > start + size)


def _read(databases: Databases, vendor_id: VendorId) -> tuple[CatalogItem, ...]:
    with databases.platform(vendor_id) as conn:
        rows = conn.execute(LIST, (vendor_id,)).fetchall()
    return tuple(CatalogItem(**(row | {"aliases": tuple(row["aliases"])})) for row in rows)
