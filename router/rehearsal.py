"""Playing a conversation on the real tables and leaving no trace: two open transactions, rolled back at the end.

Also the few reads that only a rehearsal needs.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psycopg
from psycopg import Connection
from psycopg.pq import ExecStatus
from psycopg.rows import DictRow

from router.databases import SHARED, Databases, OpsTarget, name_vendor
from router.errors import Broken
from router.ids import VendorId
from router.json_values import JSON
from router.work import Work

# Releasing a savepoint leaves deferred constraints alone, so what a commit would check is checked here. One round trip.
RELEASE: Final = b"SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED; RELEASE SAVEPOINT unit_of_work"
UNDO: Final = b"ROLLBACK TO SAVEPOINT unit_of_work; RELEASE SAVEPOINT unit_of_work"
FORGET: Final = b"ROLLBACK; BEGIN"
PLAN_ONCE: Final = b"SET LOCAL plan_cache_mode = force_generic_plan"  # a handful of rows: any plan is good, making one is not
ALONE: Final = b"""
    SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = '60s';
    SELECT pg_advisory_xact_lock(7215061);
    SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = '10s'
    """
PREPARE_AFTER: Final = 1  # the second time
VENDORS: Final = "SELECT id, name FROM vendors ORDER BY created_at, id"
SET_STOCK: Final = "UPDATE catalog_items SET stock = %s WHERE vendor_id = %s AND name = %s"
TAKE_OFF: Final = "UPDATE catalog_items SET active = false WHERE vendor_id = %s AND name = %s"
STOP: Final = """
    UPDATE vendor_capabilities SET enabled = false WHERE vendor_id = %s AND capability_key = %s AND enabled
    """
RENAME: Final = "UPDATE vendors SET name = %s WHERE id = %s"
EMPTY: Final = "UPDATE catalog_items SET active = false WHERE vendor_id = %s"
PUT: Final = """
    INSERT INTO catalog_items (vendor_id, sku, name, short_name, unit, price, category, aliases, position)
    VALUES (%(vendor_id)s, %(sku)s, %(name)s, %(short_name)s, %(unit)s, %(price)s, %(category)s, %(aliases)s, %(position)s)
    """
LOOK: Final = """
    SELECT said.*,
      EXISTS (SELECT FROM stk_attempts WHERE vendor_id = %(vendor_id)s AND status = 'prepared' AND due_at <= %(now)s) AS push,
      EXISTS (SELECT FROM stk_attempts WHERE vendor_id = %(vendor_id)s AND next_query_at <= %(now)s
              AND checkout_request_id IS NOT NULL AND (status IN ('accepted', 'unresolved', 'failed')
                OR status IN ('dispatched', 'ambiguous', 'rejected') AND claimed_at IS NOT NULL)) AS query,
      EXISTS (SELECT FROM callbacks WHERE vendor_id = %(vendor_id)s AND handled_at IS NULL
              AND (try_again_at IS NULL OR try_again_at <= %(now)s)) AS settle,
      EXISTS (SELECT FROM inbox WHERE vendor_id = %(vendor_id)s AND failed_at IS NOT NULL) AS failed,
      EXISTS (SELECT FROM inbox WHERE vendor_id = %(vendor_id)s AND kind = 'event' AND handled_at IS NULL AND failed_at IS NULL)
        OR EXISTS (SELECT FROM timers WHERE vendor_id = %(vendor_id)s AND fired_at IS NULL AND due_at <= %(now)s) AS turn,
      least(
        (SELECT min(due_at) FROM stk_attempts WHERE vendor_id = %(vendor_id)s AND status = 'prepared' AND due_at > %(now)s),
        (SELECT min(next_query_at) FROM stk_attempts WHERE vendor_id = %(vendor_id)s AND next_query_at > %(now)s),
        (SELECT min(due_at) FROM timers WHERE vendor_id = %(vendor_id)s AND fired_at IS NULL AND due_at > %(now)s)
      ) AS next_at
    FROM (
      SELECT array_agg(id ORDER BY id) AS ids, array_agg(place ORDER BY id) AS places, array_agg(message ORDER BY id) AS messages,
             array_agg(created_at ORDER BY id) AS said_at
      FROM outbox WHERE vendor_id = %(vendor_id)s AND id > %(after)s
    ) said
    """
FAILED: Final = "SELECT error FROM inbox WHERE vendor_id = %s AND failed_at IS NOT NULL ORDER BY id"
ORDER_STATUS: Final = """
    SELECT o.number, o.status FROM conversations c JOIN orders o ON o.vendor_id = c.vendor_id AND o.id = c.order_id
    WHERE c.vendor_id = %s
    """
CONSENTS: Final = """
    SELECT a.intent_id, a.dispatched_at IS NOT NULL AS dispatched, m.text, m.received_at, o.confirmed_at
    FROM stk_attempts a
    JOIN payment_intents i ON i.vendor_id = a.vendor_id AND i.id = a.intent_id
    JOIN inbox m ON m.vendor_id = a.vendor_id AND m.id = a.pay_message_id
    JOIN orders o ON o.vendor_id = i.vendor_id AND o.id = i.order_id
    WHERE a.vendor_id = %s
    """


@dataclass(frozen=True, kw_only=True)
class Said:
    """One message on its way to the customer."""

    id: int
    place: str
    message: Mapping[str, JSON]
    said_at: datetime


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a worker would find to do for one vendor at a moment, the next moment at which there is more, and what was said.

    failed: a turn failed, now or before.
    """

    push: bool
    query: bool
    settle: bool
    turn: bool
    failed: bool
    next_at: datetime | None
    said: Sequence[Said]

    @property
    def due(self) -> bool:
        """Tell whether there is work now."""
        return self.push or self.query or self.settle or self.turn


@dataclass(frozen=True, kw_only=True)
class OrderSeen:
    """The order that the conversation is about."""

    number: str
    status: str


@dataclass(frozen=True, kw_only=True)
class ConsentSeen:
    """A prompt with the message that allowed it."""

    intent_id: str
    dispatched: bool
    text: str | None
    received_at: datetime
    confirmed_at: datetime | None


# ---------------------------------------------------------------- two transactions that are undone


class Rehearsal(Databases):
    """Hands out the same two connections for ever, each transaction a savepoint; every vendor lives in the one ops database."""

    def __init__(self, databases: Databases, *, platform: Connection[DictRow], ops: Connection[DictRow]) -> None:
        super().__init__(platform_url="", ops_url="", resolve_secret=lambda reference: reference, sealer=databases.sealer)
        self.cache = databases.cache
        self._platform = platform
        self._ops = ops
        self._names: VendorId | None = None  # the vendor that a plain read finds named

    @contextmanager
    def _transaction(
        self, target: OpsTarget | None, vendor_id: VendorId | None, *, fenced: bool = True
    ) -> Iterator[Connection[DictRow]]:
        """Do as a transaction would, with as many round trips. One name is enough: the newest of that name is meant."""
        del fenced  # no vendor moves in a rehearsal
        conn = self._platform if target is None else self._ops
        self._names = None
        try:
            _tell(conn, f"SAVEPOINT unit_of_work; {name_vendor(vendor_id)}".encode())
            yield conn
            _tell(conn, RELEASE)
            self._names = vendor_id if conn is self._ops else None
        except BaseException as error:
            _tell(conn, UNDO)
            if isinstance(error, psycopg.Error):
                raise Broken(f"the database refused: {error.diag.message_primary or error}") from error
            raise

    def ops_targets(self) -> Sequence[OpsTarget]:
        """Name the one ops database."""
        return (SHARED,)

    def target_of(self, vendor_id: VendorId) -> OpsTarget:
        """Name the one ops database."""
        del vendor_id
        return SHARED

    def read(self, vendor_id: VendorId) -> Work:
        """Give the ops database for reading, without a savepoint."""
        if self._names != vendor_id:
            _tell(self._ops, name_vendor(vendor_id).encode())
            self._names = vendor_id
        return Work(vendor_id=vendor_id, conn=self._ops, databases=self)

    def close(self) -> None:
        """Leave the connections to whoever opened them."""


@contextmanager
def rehearse(databases: Databases) -> Iterator[Rehearsal]:
    """Give databases in which everything works as in real ones and nothing stays. For one thread; half a minute at most.

    One at a time on a pair, whatever process it is in: two would wait for each other's rows.
    """
    with databases.across(SHARED) as ops, _undone(ops):
        _tell(ops, ALONE)
        with databases.platform() as platform, _undone(platform):
            yield Rehearsal(databases, platform=platform, ops=ops)


@contextmanager
def _undone(conn: Connection[DictRow]) -> Iterator[None]:
    """Undo all that is written, and keep what the next rehearsal needs again: the prepared statements and their plans.

    psycopg forgets its prepared statements when it sees a rollback, for fear of tables that are gone with it. A rehearsal makes
    none, so the rollback is sent past it; what is committed afterwards is an empty transaction.
    """
    conn.prepare_threshold, conn.prepared_max = PREPARE_AFTER, None
    _tell(conn, PLAN_ONCE)
    try:
        yield
    finally:
        _tell(conn, FORGET)


def _tell(conn: Connection[DictRow], statements: bytes) -> None:
    """Send statements without parameters or rows past psycopg, which costs a quarter of what it does with them."""
    told = conn.pgconn.exec_(statements)
    if told.status != ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(told)


# ---------------------------------------------------------------- reads of a rehearsal


def list_vendors(databases: Databases) -> Mapping[VendorId, str]:
    """Name every vendor."""
    with databases.platform() as conn:
        return {VendorId(row["id"]): row["name"] for row in conn.execute(VENDORS)}


def set_stock(databases: Databases, vendor_id: VendorId, name: str, left: int) -> bool:
    """Say how many of a product are left; False when the vendor has no such product."""
    with databases.platform(vendor_id) as conn:
        return conn.execute(SET_STOCK, (left, vendor_id, name)).rowcount == 1


def stop(databases: Databases, vendor_id: VendorId, capability: str) -> bool:
    """Take a capability away; False when the vendor has no such one."""
    with databases.platform(vendor_id) as conn:
        return conn.execute(STOP, (vendor_id, capability)).rowcount == 1


def become(databases: Databases, vendor_id: VendorId, name: str, products: Sequence[Mapping[str, object]]) -> None:
    """Let a vendor have another name and other products: {name, short_name, unit, price, category, aliases}."""
    with databases.platform(vendor_id) as conn:
        conn.execute(RENAME, (name, vendor_id))
        conn.execute(EMPTY, (vendor_id,))
        for position, product in enumerate(products):
            conn.execute(PUT, {"vendor_id": vendor_id, "sku": f"given-{position}", "position": position, **product})


def take_off(databases: Databases, vendor_id: VendorId, name: str) -> None:
    """Sell a product no more."""
    with databases.platform(vendor_id) as conn:
        conn.execute(TAKE_OFF, (vendor_id, name))


def look(work: Work, *, after: int, now: datetime) -> Look:
    """See in one statement what is due for this vendor, and the messages that were put into the outbox after one."""
    row = work.conn.execute(LOOK, {"vendor_id": work.vendor_id, "after": after, "now": now}).fetchone() or {}
    columns = (row.pop(name) or () for name in ("ids", "places", "messages", "said_at"))
    said = [Said(id=n, place=place, message=message, said_at=at) for n, place, message, at in zip(*columns, strict=True)]
    return Look(said=said, **row)


def list_failed(work: Work) -> list[str]:
    """List what went wrong in turns that failed."""
    return [str(row["error"]) for row in work.conn.execute(FAILED, (work.vendor_id,))]


def get_order(work: Work) -> OrderSeen | None:
    """Return the order that the one conversation of this rehearsal is about; None before its first item."""
    row = work.conn.execute(ORDER_STATUS, (work.vendor_id,)).fetchone()
    return None if row is None else OrderSeen(**row)


def list_consents(work: Work) -> list[ConsentSeen]:
    """List every prompt with the message that allowed it."""
    return [ConsentSeen(**(row | {"intent_id": str(row["intent_id"])})) for row in work.conn.execute(CONSENTS, (work.vendor_id,))]
