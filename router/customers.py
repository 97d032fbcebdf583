"""People who write to a vendor: known by phone, by business-scoped user id (bsuid), or by both."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid4

from router.errors import Broken
from router.ids import CustomerId
from router.json_values import Phone, storable_text
from router.work import Work

# The one that wrote last comes first: it goes on when two rows turn out to be one person.
FIND: Final = """
    SELECT c.id, c.phone, c.bsuid, c.name, c.language FROM customers c
    LEFT JOIN conversations v ON v.vendor_id = c.vendor_id AND v.customer_id = c.id
    WHERE c.vendor_id = %(vendor_id)s AND (c.phone = ANY(%(phones)s) OR c.bsuid = %(bsuid)s)
    ORDER BY v.last_inbound_at DESC NULLS LAST, c.created_at, c.id
    """
GET: Final = "SELECT id, phone, bsuid, name, language FROM customers WHERE vendor_id = %s AND id = %s"
INSERT: Final = """
    INSERT INTO customers (vendor_id, id, phone, bsuid, name, created_at)
    VALUES (%(vendor_id)s, %(id)s, %(phone)s, %(bsuid)s, %(name)s, %(now)s)
    ON CONFLICT DO NOTHING RETURNING id, phone, bsuid, name, language
    """
MERGE: Final = """
    UPDATE customers SET phone = NULL, bsuid = NULL, merged_into = %(survivor)s
    WHERE vendor_id = %(vendor_id)s AND id = %(merged)s
    """
UPDATE: Final = """
    UPDATE customers SET phone = coalesce(%(phone)s, phone), bsuid = coalesce(%(bsuid)s, bsuid), name = coalesce(%(name)s, name)
    WHERE vendor_id = %(vendor_id)s AND id = %(id)s RETURNING id, phone, bsuid, name, language
    """
SET_LANGUAGE: Final = "UPDATE customers SET language = %s WHERE vendor_id = %s AND id = %s"


@dataclass(frozen=True, kw_only=True)
class Customer:
    """`phone` is 7 to 15 digits with country code (12 in Kenya); `language` is what the customer chose, if anything."""

    id: CustomerId
    phone: str | None
    bsuid: str | None
    name: str | None
    language: str | None


def recognise(work: Work, *, phone: str | None, bsuid: str | None, name: str | None, now: datetime) -> Customer:
    """Return the customer, made or completed as needed. One statement when nothing about the customer is new.

    When phone and bsuid belong to two rows, the one that wrote last takes both, and the other points to it.
    """
    if phone is None and bsuid is None:
        raise Broken("a customer has a phone or a business-scoped user id")
    said = {
        "phone": None if phone is None else Phone(phone),
        "bsuid": bsuid,
        "name": None if name is None else storable_text(name),
    }
    # Twice: a row that another transaction is inserting becomes visible when our INSERT has waited for it.
    for _ in range(2):
        found = _find(work, phone=phone, bsuid=bsuid)
        if not found:
            row = work.conn.execute(INSERT, {"vendor_id": work.vendor_id, "id": uuid4(), "now": now, **said}).fetchone()
            if row is not None:
                return Customer(**row)
            continue
        survivor, *merged = found
        for other in merged:
            values = {"vendor_id": work.vendor_id, "survivor": survivor.id, "merged": other.id}
            work.conn.execute(MERGE, values)
        if merged or _tells_more(survivor, said):
            row = work.conn.execute(UPDATE, {"vendor_id": work.vendor_id, "id": survivor.id, **said}).fetchone()
            if row is None:
                break
            return Customer(**row)
        return survivor
    raise Broken("a customer was neither found nor made")


def get(work: Work, customer_id: CustomerId) -> Customer:
    """Return a known customer. Raises Broken when there is none."""
    row = work.conn.execute(GET, (work.vendor_id, customer_id)).fetchone()
    if row is None:
        message = f"there is no customer {customer_id} of this vendor"
        raise Broken(message)
    return Customer(**row)


def set_language(work: Work, customer_id: CustomerId, language: str) -> None:
    """Remember the language this customer chose."""
    work.conn.execute(SET_LANGUAGE, (language, work.vendor_id, customer_id))


def _find(work: Work, *, phone: str | None, bsuid: str | None) -> list[Customer]:
    phones = [] if phone is None else work.databases.forms(phone)
    rows = work.conn.execute(FIND, {"vendor_id": work.vendor_id, "phones": phones, "bsuid": bsuid})
    return [Customer(**row) for row in rows]


def _tells_more(known: Customer, said: dict[str, str | None]) -> bool:
    return any(value is not None and value != getattr(known, field) for field, value in said.items())
