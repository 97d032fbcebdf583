"""How many of an item can be had now: what a vendor counted, less what confirmed orders hold.

The count is a column of the catalogue, in the platform database. What is left of it is a row beside the orders, so that a
confirm takes from it in its own commit. A newer count replaces what was left of the older one.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from router import catalog
from router.catalog import CatalogItem
from router.ids import CatalogItemId, OrderId
from router.work import Work

LEVELS: Final = "SELECT item_id, count_no, free FROM stock_levels WHERE vendor_id = %s"
# In the order of ids, as everywhere: two orders with the same items wait for each other and never in a circle.
LOCK: Final = """
    INSERT INTO stock_levels AS known (vendor_id, item_id, count_no, free)
    SELECT %(vendor_id)s, i.id, i.count_no, i.stock
    FROM jsonb_to_recordset(%(items)s::jsonb) AS i(id uuid, count_no integer, stock integer) ORDER BY i.id
    ON CONFLICT (vendor_id, item_id) DO UPDATE
      SET free = CASE WHEN known.count_no < excluded.count_no THEN excluded.free ELSE known.free END,
          count_no = greatest(known.count_no, excluded.count_no)
    RETURNING item_id, free
    """
TAKE: Final = """
    UPDATE stock_levels s SET free = s.free - l.qty FROM order_lines l
    WHERE l.vendor_id = %(vendor_id)s AND l.order_id = %(order_id)s AND l.item_id = ANY(%(items)s)
      AND s.vendor_id = l.vendor_id AND s.item_id = l.item_id
    """
MARK_HELD: Final = """
    UPDATE order_lines SET held = true
    WHERE vendor_id = %(vendor_id)s AND order_id = %(order_id)s AND item_id = ANY(%(items)s)
    """
HELD: Final = "SELECT item_id FROM order_lines WHERE vendor_id = %s AND order_id = %s AND held"
GIVE_BACK: Final = """
    WITH held AS (
      SELECT s.item_id, l.qty FROM stock_levels s JOIN order_lines l
        ON l.vendor_id = s.vendor_id AND l.item_id = s.item_id AND l.held
      WHERE s.vendor_id = %(vendor_id)s AND l.order_id = %(order_id)s
      ORDER BY s.item_id FOR UPDATE OF s
    )
    UPDATE stock_levels s SET free = s.free + held.qty FROM held
    WHERE s.vendor_id = %(vendor_id)s AND s.item_id = held.item_id
    """


def list_shelf(work: Work) -> tuple[CatalogItem, ...]:
    """Return the active items, each `stock` what is free to be sold now; none without commerce.catalog."""
    levels = {row["item_id"]: row for row in work.conn.execute(LEVELS, (work.vendor_id,))}
    return tuple(_left(item, levels.get(item.id)) for item in catalog.list_items(work.databases, work.vendor_id))


def lock(work: Work, wanted: Iterable[CatalogItemId | None]) -> Mapping[CatalogItemId, CatalogItem]:
    """Return the whole catalogue of this moment. Until the commit nobody else takes any of the wanted items."""
    items = {item.id: item for item in catalog.read_items(work.databases, work.vendor_id)}
    counted = [items[item_id] for item_id in wanted if item_id in items and items[item_id].stock is not None]
    return items | {item.id: replace(item, stock=left) for item, left in _bring_up(work, counted)}


def take(work: Work, order_id: OrderId, items: Mapping[CatalogItemId, CatalogItem]) -> None:
    """Take a draft's lines off the stock that `lock` has locked. Raises Broken when there is less than was told."""
    counted = [item.id for item in items.values() if item.stock is not None]
    values = {"vendor_id": work.vendor_id, "order_id": order_id, "items": counted}
    work.conn.execute(TAKE, values)
    work.conn.execute(MARK_HELD, values)


def give_back(work: Work, order_id: OrderId) -> None:
    """Put back what a confirmed order holds, before it is cancelled."""
    held = {row["item_id"] for row in work.conn.execute(HELD, (work.vendor_id, order_id))}
    if not held:
        return
    # First the newest count, which does not know that this order is given up.
    items = catalog.read_items(work.databases, work.vendor_id)
    _bring_up(work, [item for item in items if item.id in held and item.stock is not None])
    work.conn.execute(GIVE_BACK, {"vendor_id": work.vendor_id, "order_id": order_id})


def _bring_up(work: Work, counted: Sequence[CatalogItem]) -> list[tuple[CatalogItem, int]]:
    if not counted:
        return []
    told = json.dumps([{"id": str(item.id), "count_no": item.count_no, "stock": item.stock} for item in counted])
    free = {row["item_id"]: row["free"] for row in work.conn.execute(LOCK, {"vendor_id": work.vendor_id, "items": told})}
    return [(item, free[item.id]) for item in counted]


def _left(item: CatalogItem, level: Mapping[str, int] | None) -> CatalogItem:
    if item.stock is None or level is None or level["count_no"] < item.count_no:
        return item
    return replace(item, stock=level["free"])
