"""Reading lists in pages, in the order in which things were made; what belongs to a capability, only with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString
from uuid import UUID

from psycopg.rows import DictRow

from router import capabilities
from router.databases import Databases
from router.errors import Broken, Refused
from router.ids import VendorId
from router.json_values import Phone
from router.work import Work

Place = tuple[datetime, UUID]
VENDOR_COLUMNS: Final = "id, name, isolation_level, language, alert_phone, created_at"


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """A statement, and the capability without which a vendor does not get what it reads."""

    needs: str
    sql: LiteralString


ORDERS: Final = Guarded(
    needs=capabilities.ORDERS,
    sql="""
    SELECT o.created_at, o.id FROM orders o WHERE o.vendor_id = %(vendor_id)s
      AND (%(status)s::text IS NULL OR o.status = %(status)s)
      AND (%(customer_id)s::uuid IS NULL OR o.customer_id = %(customer_id)s)
      AND (%(at)s::timestamptz IS NULL OR (o.created_at, o.id) > (%(at)s, %(id)s)) ORDER BY o.created_at, o.id LIMIT %(limit)s
    """,
)
CUSTOMERS: Final = Guarded(
    needs=capabilities.ORDERS,
    sql="""
    SELECT id, phone, name, language, created_at FROM customers WHERE vendor_id = %(vendor_id)s AND merged_into IS NULL
      AND (%(phones)s::text[] IS NULL OR phone = ANY(%(phones)s))
      AND (%(at)s::timestamptz IS NULL OR (created_at, id) > (%(at)s, %(id)s)) ORDER BY created_at, id LIMIT %(limit)s
    """,
)
CUSTOMER: Final = Guarded(
    needs=capabilities.ORDERS,
    sql="""
    SELECT id, phone, name, language, created_at FROM customers WHERE vendor_id = %s AND id = %s AND merged_into IS NULL
    """,
)
PAYMENTS: Final = Guarded(
    needs=capabilities.MPESA_STK,
    sql="""
    SELECT id, order_id, amount, receipt, confirmed_by, paid_at, account, unmatched_because FROM payments
    WHERE vendor_id = %(vendor_id)s
      AND (%(order_id)s::uuid IS NULL OR order_id = %(order_id)s) AND (NOT %(unmatched)s OR order_id IS NULL)
      AND (%(at)s::timestamptz IS NULL OR (paid_at, id) > (%(at)s, %(id)s)) ORDER BY paid_at, id LIMIT %(limit)s
    """,
)
PAYMENT: Final = Guarded(
    needs=capabilities.MPESA_STK,
    sql="""
    SELECT id, order_id, amount, receipt, confirmed_by, paid_at, account, unmatched_because FROM payments
    WHERE vendor_id = %s AND id = %s
    """,
)
VENDORS: Final = f"""
    SELECT {VENDOR_COLUMNS} FROM vendors
    WHERE %(at)s::timestamptz IS NULL OR (created_at, id) > (%(at)s, %(id)s) ORDER BY created_at, id LIMIT %(limit)s
    """  # noqa: S608 — a constant list of columns
VENDOR: Final = f"SELECT {VENDOR_COLUMNS} FROM vendors WHERE id = %s"  # noqa: S608 — a constant list of columns
CREATE_VENDOR: Final = f"""
    INSERT INTO vendors (id, name, language, alert_phone, isolation_level, db_target)
    VALUES (%(id)s, %(name)s, %(language)s, %(alert_phone)s, %(isolation_level)s, %(db_target)s::jsonb)
    ON CONFLICT (id) DO NOTHING RETURNING {VENDOR_COLUMNS}
    """  # noqa: S608 — a constant list of columns
SAME_VENDOR: Final = """
    SELECT FROM vendors WHERE id = %(id)s AND name = %(name)s AND language = %(language)s
      AND alert_phone IS NOT DISTINCT FROM %(alert_phone)s
      AND isolation_level = %(isolation_level)s AND db_target IS NOT DISTINCT FROM %(db_target)s::jsonb
    """
CHANGE_VENDOR: Final = f"""
    UPDATE vendors SET name = coalesce(%(name)s, name), language = coalesce(%(language)s, language),
      alert_phone = CASE WHEN %(changes_alerts)s THEN %(alert_phone)s ELSE alert_phone END, updated_at = now()
    WHERE id = %(id)s RETURNING {VENDOR_COLUMNS}
    """  # noqa: S608 — a constant list of columns
CAPABILITIES: Final = """
    SELECT capability_key, coalesce(enabled, false) AS enabled, valid_from, valid_until, most_a_day,
      coalesce(denied, 0) AS denied
    FROM (SELECT * FROM vendor_capabilities WHERE vendor_id = %(vendor_id)s) granted
    FULL JOIN (SELECT capability_key, sum(times)::int AS denied FROM capability_denials
               WHERE vendor_id = %(vendor_id)s AND last_at > now() - interval '30 days' GROUP BY capability_key) asked
      USING (capability_key)
    ORDER BY capability_key
    """
SET_CAPABILITY: Final = """
    INSERT INTO vendor_capabilities (vendor_id, capability_key, enabled, valid_from, valid_until, most_a_day)
    VALUES (%(vendor_id)s, %(key)s, %(enabled)s, %(valid_from)s, %(valid_until)s, %(most_a_day)s)
    ON CONFLICT (vendor_id, capability_key) DO UPDATE SET enabled = excluded.enabled, valid_from = excluded.valid_from,
      valid_until = excluded.valid_until, most_a_day = excluded.most_a_day
    """


def list_rows(work: Work, what: Guarded, *, after: Place | None, limit: int, **wanted: object) -> list[DictRow]:
    """Read one row more than `limit`, so that the caller sees whether there are more. Raises Refused("capability_off")."""
    capabilities.require(work.databases, work.vendor_id, what.needs)
    return work.conn.execute(what.sql, {"vendor_id": work.vendor_id, **_bounds(after, limit), **wanted}).fetchall()


def list_vendors(databases: Databases, *, after: Place | None, limit: int) -> list[DictRow]:
    """Read vendors likewise."""
    with databases.platform() as conn:
        return conn.execute(VENDORS, _bounds(after, limit)).fetchall()


def find_vendor(databases: Databases, vendor_id: VendorId) -> DictRow | None:
    """Read one vendor as of now; None when there is none."""
    with databases.platform() as conn:
        return conn.execute(VENDOR, (vendor_id,)).fetchone()


def create_vendor(databases: Databases, values: Mapping[str, object]) -> tuple[DictRow, bool]:
    """Make a vendor; with an id that is there: give that vendor, and False. Raises Refused("vendor_differs")."""
    with databases.platform() as conn:
        made = conn.execute(CREATE_VENDOR, values).fetchone()
        if made is not None:
            return made, True
        if conn.execute(SAME_VENDOR, values).fetchone() is None:
            raise Refused("vendor_differs", f"vendor {values['id']} is there, and is another one")
        known = conn.execute(VENDOR, (values["id"],)).fetchone()
    if known is None:
        raise Broken("a vendor was neither made nor found")
    return known, False


def change_vendor(databases: Databases, vendor_id: VendorId, changes: Mapping[str, str | None]) -> DictRow | None:
    """Change the name, language or alert_phone that is named; None when there is no such vendor."""
    phone = changes.get("alert_phone")
    values = {
        "id": vendor_id,
        "name": changes.get("name"),
        "language": changes.get("language"),
        "changes_alerts": "alert_phone" in changes,
        "alert_phone": phone and Phone(phone),
    }
    with databases.platform() as conn:
        changed = conn.execute(CHANGE_VENDOR, values).fetchone()
    databases.cache.forget()
    return changed


def _bounds(after: Place | None, limit: int) -> dict[str, object]:
    at, key = after or (None, None)
    return {"at": at, "id": key, "limit": limit + 1}


def get_row(work: Work, what: Guarded, key: UUID) -> DictRow | None:
    """Read one row of this vendor; None when it has no such row. Raises Refused("capability_off")."""
    capabilities.require(work.databases, work.vendor_id, what.needs)
    return work.conn.execute(what.sql, (work.vendor_id, key)).fetchone()


def list_capabilities(databases: Databases, vendor_id: VendorId) -> list[DictRow]:
    """Read every grant, and what was asked for without one, with how often it was denied in the last 30 days."""
    with databases.platform(vendor_id) as conn:
        return conn.execute(CAPABILITIES, {"vendor_id": vendor_id}).fetchall()


def set_capability(databases: Databases, vendor_id: VendorId, key: str, grant: Mapping[str, object]) -> None:
    """Grant a capability anew: enabled, valid_from, valid_until, most_a_day."""
    with databases.platform(vendor_id) as conn:
        conn.execute(SET_CAPABILITY, {"vendor_id": vendor_id, "key": key, **grant})
    databases.cache.forget()
