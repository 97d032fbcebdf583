"""What a vendor sells."""

from dataclasses import dataclass
from typing import Final

from router import capabilities
from router.databases import Databases
from router.ids import CatalogItemId, VendorId

LIST: Final = """
    SELECT id, sku, name, short_name, unit, price, stock, aliases FROM catalog_items
    WHERE vendor_id = %s AND active ORDER BY position, name, id
    """


@dataclass(frozen=True, kw_only=True)
class CatalogItem:
    """`short_name` has at most 24 characters, `unit` 12; `price` in whole shillings; `stock` None: not counted."""

    id: CatalogItemId
    sku: str
    name: str
    short_name: str
    unit: str
    price: int
    stock: int | None
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


def get_page(databases: Databases, vendor_id: VendorId, page: int, size: int = 9) -> CatalogPage:
    """Return page 1, 2, …; a page past the end is empty."""
    items = list_items(databases, vendor_id)
    start = (max(page, 1) - 1) * size
    return CatalogPage(items=items[start : start + size], has_more=len(items) > start + size)


def _read(databases: Databases, vendor_id: VendorId) -> tuple[CatalogItem, ...]:
    with databases.platform(vendor_id) as conn:
        rows = conn.execute(LIST, (vendor_id,)).fetchall()
    return tuple(CatalogItem(**(row | {"aliases": tuple(row["aliases"])})) for row in rows)
