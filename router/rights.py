"""What a customer may ask of a vendor: everything that is kept about them, or that it is forgotten.

Amounts, receipts and times stay after an erasure: they are the vendor's books. Where a person stands is declared in persons.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, LiteralString, TypeAlias
from uuid import UUID

from psycopg import Connection, sql
from psycopg.rows import DictRow

from router import events, persons
from router.databases import SHARED, Databases
from router.errors import Refused
from router.events import EventType
from router.ids import CustomerId, OrderId, VendorId
from router.orders import store as orders
from router.persons import Personal
from router.phones import MOBILE
from router.work import Work, unit_of_work

Who: TypeAlias = "str | CustomerId"  # a phone, 12 digits, or a customer's id
Rows: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]  # table → its rows

QUIET: Final = timedelta(hours=24)  # for so long after a prompt M-Pesa may still tell of it
SCAN_TIMEOUT: Final = "SET LOCAL statement_timeout = '120s'"  # rows without a customer are found by reading them
# All rows that stand for one person: those merged into one another.
PERSON: Final = """
    WITH RECURSIVE person AS (
      SELECT id, phone, bsuid, merged_into, erased_at FROM customers
      WHERE vendor_id = %(vendor_id)s AND (phone = ANY(%(phones)s) OR id = %(id)s::uuid)
      UNION
      SELECT c.id, c.phone, c.bsuid, c.merged_into, c.erased_at FROM customers c
      JOIN person p ON c.merged_into = p.id OR c.id = p.merged_into WHERE c.vendor_id = %(vendor_id)s
    )
    SELECT id, phone, bsuid, erased_at FROM person
    """
BELONGINGS: Final = """
    SELECT
      ARRAY(SELECT id FROM conversations WHERE vendor_id = %(vendor_id)s AND customer_id = ANY(%(customers)s)) AS conversations,
      ARRAY(SELECT id FROM orders WHERE vendor_id = %(vendor_id)s AND customer_id = ANY(%(customers)s)) AS orders,
      ARRAY(SELECT id FROM payment_intents WHERE vendor_id = %(vendor_id)s AND customer_id = ANY(%(customers)s)) AS intents
    """
# In the order in which a turn takes them.
LOCKS: Final = (
    "SELECT FROM customers WHERE vendor_id = %(vendor_id)s AND id = ANY(%(customers)s) ORDER BY id FOR UPDATE",
    "SELECT FROM conversations WHERE vendor_id = %(vendor_id)s AND customer_id = ANY(%(customers)s) ORDER BY id FOR UPDATE",
)
MONEY: Final = """
    SELECT EXISTS (
      SELECT FROM payment_intents i JOIN stk_attempts a ON a.vendor_id = i.vendor_id AND a.intent_id = i.id
      WHERE i.vendor_id = %(vendor_id)s AND i.customer_id = ANY(%(customers)s) AND (
        i.status IN ('consented', 'processing', 'needs_review') OR a.next_query_at IS NOT NULL OR i.created_at > %(quiet)s)
    ) OR EXISTS (
      SELECT FROM callbacks c JOIN payment_intents i ON i.vendor_id = c.vendor_id AND i.id = c.intent_id
      WHERE i.vendor_id = %(vendor_id)s AND i.customer_id = ANY(%(customers)s) AND c.handled_at IS NULL
    ) AS in_flight
    """
SLOTS: Final = """
    SELECT FROM daily_intent_slots WHERE customer_phone = ANY(%(names)s) AND vendor_id = %(vendor_id)s AND created_at > %(quiet)s
    """
SENDING: Final = """
    SELECT FROM outbox WHERE vendor_id = %(vendor_id)s AND status IN ('sending', 'unknown') AND conversation_id IN (
      SELECT id FROM conversations WHERE vendor_id = %(vendor_id)s AND customer_id = ANY(%(customers)s))
    """
OPEN_ORDERS: Final = """
    SELECT id FROM orders
    WHERE vendor_id = %(vendor_id)s AND customer_id = ANY(%(customers)s) AND status IN ('DRAFT', 'CONFIRMED')
    """
ERASING: Final = "SET LOCAL app.erasing = 'on'"
DONE: Final = "SET LOCAL app.erasing = ''"


@dataclass(frozen=True, kw_only=True)
class Erased:
    """What was forgotten: customers by their ids, which name nobody now, and how many rows of each table."""

    customers: Sequence[CustomerId]
    rows: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class _Person:
    """The rows that stand for one person at one vendor; `names`: their phone and user id, in every form.

    `known`: the customers who were not erased before.
    """

    vendor_id: VendorId
    names: Sequence[str]
    customers: Sequence[CustomerId]
    known: Sequence[CustomerId]
    conversations: Sequence[UUID] = ()
    orders: Sequence[UUID] = ()
    intents: Sequence[UUID] = ()

    def values(self, now: datetime | None = None) -> dict[str, object]:
        """Give the parameters of every statement here."""
        lists = {name: list(getattr(self, name)) for name in ("names", "customers", "conversations", "orders", "intents")}
        subjects = [str(key) for key in (*self.customers, *self.conversations, *self.orders, *self.intents)]
        return lists | {"vendor_id": self.vendor_id, "subjects": subjects, "now": now, "quiet": now and now - QUIET}


def export(databases: Databases, vendor_id: VendorId, who: Who) -> Rows:
    """Return every row that holds something of this person at this vendor, whole, by table."""
    with unit_of_work(databases, vendor_id) as work:
        person = _find(work, who)
        found = _read(work.conn, persons.OPS, person.values())
    with databases.platform(vendor_id) as conn:
        return {**found, **_read(conn, persons.PLATFORM, _platform_values(person.names, vendor_id))}


def export_platform(databases: Databases, phone: str) -> Rows:
    """Return what the platform's own tables hold of somebody, whatever the vendor, or of nobody's."""
    with databases.platform() as conn:
        return _read(conn, persons.PLATFORM, _platform_values(databases.forms(phone), None))


def erase(databases: Databases, vendor_id: VendorId, who: Who, *, now: datetime) -> Erased:
    """Forget a person at this vendor: all of it or nothing. To be repeated as often as wanted.

    Open orders are cancelled, unsent messages never leave. Raises Refused: money_in_flight, message_in_flight.
    """
    with unit_of_work(databases, vendor_id) as work:
        person = _find(work, who)
        for lock in LOCKS:
            work.conn.execute(lock, person.values())
        _require_rest(work, person, now=now)
        for row in work.conn.execute(OPEN_ORDERS, person.values()).fetchall():
            orders.cancel(work, order_id=OrderId(row["id"]), reason=persons.ERASED, now=now)
        person = _with_belongings(work.conn, person)  # once more: until the locks were ours a turn could add to them
        counted = _write(work.conn, persons.OPS, person.values(now))
        for customer_id in person.known:
            events.append(work, type=EventType.CUSTOMER_ERASED, subject=str(customer_id), data={"rows": counted}, now=now)
        if databases.target_of(vendor_id) != SHARED:
            with databases.left_behind(vendor_id) as conn:
                _write(conn, persons.OPS, _with_belongings(conn, person).values(now))
        # Before the commit that takes the names away, by which these rows are found.
        with databases.platform(vendor_id) as conn:
            counted |= _write(conn, persons.PLATFORM, _platform_values(person.names, vendor_id))
    return Erased(customers=person.customers, rows=counted)


def erase_platform(databases: Databases, phone: str) -> dict[str, int]:
    """Forget somebody in the platform's own tables, whatever the vendor, or nobody's."""
    with databases.platform() as conn:
        return _write(conn, persons.PLATFORM, _platform_values(databases.forms(phone), None))


def _platform_values(names: Sequence[str], vendor_id: VendorId | None) -> dict[str, object]:
    return {"names": list(names), "vendors": [] if vendor_id is None else [vendor_id]}


def _require_rest(work: Work, person: _Person, *, now: datetime) -> None:
    row = work.conn.execute(MONEY, person.values(now)).fetchone()
    with work.databases.platform() as conn:
        slots = conn.execute(SLOTS, person.values(now)).rowcount
    if slots or (row is not None and row["in_flight"]):
        raise Refused(
            "money_in_flight",
            "a payment of this customer is open, under review or less than 24 hours old, and M-Pesa may still tell of it:"
            " nothing was erased, ask again later",
        )
    if work.conn.execute(SENDING, person.values()).rowcount:
        raise Refused("message_in_flight", "a message to this customer is on its way: nothing was erased, ask again in a minute")


def _find(work: Work, who: Who) -> _Person:
    phone, key = (None, who) if isinstance(who, UUID) else (who, None)
    phones = [] if phone is None else work.databases.forms(phone)
    rows = work.conn.execute(PERSON, {"vendor_id": work.vendor_id, "phones": phones, "id": key}).fetchall()
    names = sorted({row[name] for row in rows for name in ("phone", "bsuid") if row[name]} | ({phone} if phone else set()))
    names += [f"0{name[3:]}" for name in names if MOBILE.fullmatch(name)]  # as people type it
    person = _Person(
        vendor_id=work.vendor_id,
        names=[form for name in names for form in work.databases.forms(name)],
        customers=tuple(CustomerId(row["id"]) for row in rows),
        known=tuple(CustomerId(row["id"]) for row in rows if row["erased_at"] is None),
    )
    return _with_belongings(work.conn, person)


def _with_belongings(conn: Connection[DictRow], person: _Person) -> _Person:
    row = conn.execute(BELONGINGS, person.values()).fetchone() or {}
    return replace(person, **row)


def _condition(table: str, personal: Personal) -> sql.Composable:
    wall: LiteralString = "vendor_id = %(vendor_id)s AND " if table in persons.OPS else ""
    return sql.SQL(wall) + sql.SQL(personal.rows)


def _read(conn: Connection[DictRow], tables: Mapping[str, Personal], values: Mapping[str, object]) -> Rows:
    conn.execute(SCAN_TIMEOUT)
    query = sql.SQL("SELECT to_jsonb(t) AS row FROM (SELECT * FROM {} WHERE {}) t")
    found = {
        table: [row["row"] for row in conn.execute(query.format(sql.Identifier(table), _condition(table, personal)), values)]
        for table, personal in tables.items()
    }
    return {table: rows for table, rows in found.items() if rows}


def _write(conn: Connection[DictRow], tables: Mapping[str, Personal], values: Mapping[str, object]) -> dict[str, int]:
    """Erase in one statement, whose parts all see what was there before it: a row is found by what another part takes away."""
    conn.execute(SCAN_TIMEOUT)
    conn.execute(ERASING)
    parts = [
        sql.SQL("{} AS ({} WHERE {} RETURNING 1)").format(
            sql.Identifier(f"from_{table}"), _change(table, personal), _condition(table, personal)
        )
        for table, personal in tables.items()
    ]
    counts = [
        sql.SQL("(SELECT count(*) FROM {}) AS {}").format(sql.Identifier(f"from_{table}"), sql.Identifier(table))
        for table in tables
    ]
    row = conn.execute(
        sql.SQL("WITH {} SELECT {}").format(sql.SQL(", ").join(parts), sql.SQL(", ").join(counts)), values
    ).fetchone()
    conn.execute(DONE)
    return {table: count for table, count in (row or {}).items() if count}


def _change(table: str, personal: Personal) -> sql.Composable:
    if not personal.becomes:
        return sql.SQL("DELETE FROM {}").format(sql.Identifier(table))
    changes = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.SQL(value)) for name, value in personal.becomes.items()]
    return sql.SQL("UPDATE {} SET {}").format(sql.Identifier(table), sql.SQL(", ").join(changes))
