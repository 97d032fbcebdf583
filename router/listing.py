"""Reading lists in pages, in the order in which things were made."""

from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from psycopg.rows import DictRow

from router.databases import Databases
from router.ids import VendorId
from router.work import Work

Place = tuple[datetime, UUID]

ORDERS: Final = """
    SELECT o.created_at, o.id FROM orders o WHERE o.vendor_id = %(vendor_id)s
      AND (%(status)s::text IS NULL OR o.status = %(status)s)
      AND (%(customer_id)s::uuid IS NULL OR o.customer_id = %(customer_id)s)
      AND (%(at)s::timestamptz IS NULL OR (o.created_at, o.id) > (%(at)s, %(id)s)) ORDER BY o.created_at, o.id LIMIT %(limit)s
    """
CUSTOMERS: Final = """
    SELECT id, phone, name, language, created_at FROM customers WHERE vendor_id = %(vendor_id)s AND merged_into IS NULL
      AND (%(phone)s::text IS NULL OR phone = %(phone)s)
      AND (%(at)s::timestamptz IS NULL OR (created_at, id) > (%(at)s, %(id)s)) ORDER BY created_at, id LIMIT %(limit)s
    """
CUSTOMER: Final = """
    SELECT id, phone, name, language, created_at FROM customers WHERE vendor_id = %s AND id = %s AND merged_into IS NULL
    """
PAYMENTS: Final = """
    SELECT id, order_id, amount, receipt, confirmed_by, paid_at FROM payments WHERE vendor_id = %(vendor_id)s
      AND (%(order_id)s::uuid IS NULL OR order_id = %(order_id)s)
      AND (%(at)s::timestamptz IS NULL OR (paid_at, id) > (%(at)s, %(id)s)) ORDER BY paid_at, id LIMIT %(limit)s
    """
PAYMENT: Final = "SELECT id, order_id, amount, receipt, confirmed_by, paid_at FROM payments WHERE vendor_id = %s AND id = %s"
VENDORS: Final = """
    SELECT id, name, isolation_level, language, created_at FROM vendors
    WHERE %(at)s::timestamptz IS NULL OR (created_at, id) > (%(at)s, %(id)s) ORDER BY created_at, id LIMIT %(limit)s
    """
CAPABILITIES: Final = """
    SELECT capability_key, enabled FROM vendor_capabilities WHERE vendor_id = %s ORDER BY capability_key
    """
SET_CAPABILITY: Final = """
    INSERT INTO vendor_capabilities (vendor_id, capability_key, enabled) VALUES (%s, %s, %s)
    ON CONFLICT (vendor_id, capability_key) DO UPDATE SET enabled = excluded.enabled
    """


def list_rows(work: Work, statement: LiteralString, *, after: Place | None, limit: int, **wanted: object) -> list[DictRow]:
    """Read one row more than `limit`, so that the caller sees whether there are more."""
    return work.conn.execute(statement, {"vendor_id": work.vendor_id, **_bounds(after, limit), **wanted}).fetchall()


def list_vendors(databases: Databases, *, after: Place | None, limit: int) -> list[DictRow]:
    """Read vendors likewise."""
    with databases.platform() as conn:
        return conn.execute(VENDORS, _bounds(after, limit)).fetchall()


def _bounds(after: Place | None, limit: int) -> dict[str, object]:
    at, key = after or (None, None)
    return {"at": at, "id": key, "limit": limit + 1}


def get_row(work: Work, statement: LiteralString, key: UUID) -> DictRow | None:
    """Read one row of this vendor; None when it has no such row."""
    return work.conn.execute(statement, (work.vendor_id, key)).fetchone()


def list_capabilities(databases: Databases, vendor_id: VendorId) -> list[DictRow]:
    """Read every switch that was ever set."""
    with databases.platform(vendor_id) as conn:
        return conn.execute(CAPABILITIES, (vendor_id,)).fetchall()


def set_capability(databases: Databases, vendor_id: VendorId, key: str, *, enabled: bool) -> None:
    """Switch a capability on or off."""
    with databases.platform(vendor_id) as conn:
        conn.execute(SET_CAPABILITY, (vendor_id, key, enabled))
    databases.cache.forget()
