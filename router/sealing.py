"""Sealing what is there already: rows from before there was a key, and rows of the key before this one.

Rows are read, opened, and written back as they are: what writes them seals them by the key of now.
"""

from collections.abc import Mapping
from typing import Final

from psycopg import Connection, sql
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from router.databases import SHARED, Databases
from router.ids import VendorId
from router.json_values import Phone, Sealed
from router.phones import MOBILE

BATCH: Final = 500
# Beside what is named for an erasure, those of rows that an erasure deletes. The msisdn of a prompt stands in two tables.
OPS: Final[Mapping[str, tuple[str, ...]]] = {
    "customers": ("phone",),
    "conversations": ("snapshot",),
    "inbox": ("source_id", "body", "text", "error", "trace"),
    "outbox": ("recipient", "message", "wamid", "error"),
    "turns": ("record",),
    "stk_attempts": ("checkout_request_id", "error", "claimed_payer"),
    "payments": ("payer", "account", "assigned_because"),
    "payment_events": ("data",),
    "domain_events": ("data",),
    "usage_records": ("key",),
    "orders": ("idempotency_key", "cancel_reason"),
    "api_answers": ("key", "answer"),
}
PLATFORM: Final[Mapping[str, tuple[str, ...]]] = {
    "daily_intent_slots": ("customer_phone",),
    "stray_updates": ("body",),
    "vendors": ("alert_phone",),
}
WHOLE: Final = frozenset(
    {"phone", "alert_phone", "customer_phone", "recipient", "payer", "claimed_payer"}
)  # columns that are a number
# Wider than what will be sealed: a row may be written back as it was, which does no harm.
OPEN: Final = r"(254|0)[ -]?[17][0-9]{2}[ -]?[0-9]{3}[ -]?[0-9]{3}|wamid\.[A-Za-z0-9+/=_-]{16}|ws_CO_[0-9A-Za-z]{16}"
OPEN_WHOLE: Final = "^[0-9]{7,15}$"
OLD: Final = r"|sealed\.(?!{})"
ROWS: Final = sql.SQL("SELECT ctid, {} FROM {} WHERE vendor_id = %(vendor_id)s AND ({}) FOR UPDATE")
PLATFORM_ROWS: Final = sql.SQL("SELECT ctid, {} FROM {} WHERE {}")
MSISDNS: Final = "SELECT DISTINCT msisdn FROM payment_intents WHERE vendor_id = %(vendor_id)s AND msisdn <> 'erased'"
# One statement: the attempt refers to its intent by the number too.
MOVE_MSISDN: Final = """
    WITH attempts AS (
      UPDATE stk_attempts SET msisdn = %(now)s WHERE vendor_id = %(vendor_id)s AND msisdn = ANY(%(before)s)
    )
    UPDATE payment_intents SET msisdn = %(now)s WHERE vendor_id = %(vendor_id)s AND msisdn = ANY(%(before)s)
    """
# What M-Pesa sent has a hash beside it.
AS_IT_CAME: Final = ("callbacks", "money_reports")
BODIES: Final = sql.SQL("SELECT id, body FROM {} WHERE vendor_id = %(vendor_id)s AND body ~ %(open)s")
MOVE_BODY: Final = sql.SQL("""
    UPDATE {} SET body = %(body)s, body_sha256 = sha256(convert_to(%(body)s, 'UTF8'))
    WHERE vendor_id = %(vendor_id)s AND id = %(id)s
    """)


def seal_again(databases: Databases, vendor_id: VendorId) -> dict[str, int]:
    """Seal a vendor's rows by the key of now, one transaction a table. Returns how many rows of each were written."""
    counted = dict.fromkeys((*OPS, "payment_intents", *AS_IT_CAME), 0)
    places = [databases.ops] if databases.target_of(vendor_id) == SHARED else [databases.ops, databases.left_behind]
    for place in places:
        for table, columns in OPS.items():
            with place(vendor_id) as conn:
                counted[table] += _rewrite(databases, conn, table, columns, vendor_id)
        with place(vendor_id) as conn:
            counted["payment_intents"] += _move_msisdns(databases, conn, vendor_id)
            for table in AS_IT_CAME:
                counted[table] += _move_bodies(databases, conn, table, vendor_id)
    return {table: count for table, count in counted.items() if count}


def seal_platform_again(databases: Databases) -> dict[str, int]:
    """Seal the platform's own rows by the key of now."""
    with databases.platform() as conn:
        counted = {table: _rewrite(databases, conn, table, columns) for table, columns in PLATFORM.items()}
    return {table: count for table, count in counted.items() if count}


def _patterns(databases: Databases) -> dict[str, Sealed]:
    """Find numbers that are open, or sealed by another key than the one of now."""
    old = OLD.format(databases.hide("0712345678").split(".")[1])
    return {"open": Sealed(OPEN + old), "open_whole": Sealed(OPEN_WHOLE + old)}


def _rewrite(
    databases: Databases, conn: Connection[DictRow], table: str, columns: tuple[str, ...], vendor_id: VendorId | None = None
) -> int:
    names = [sql.Identifier(column) for column in columns]
    found = sql.SQL(" OR ").join(
        sql.SQL("{}::text ~ {}").format(name, sql.Placeholder("open_whole" if column in WHOLE else "open"))
        for name, column in zip(names, columns, strict=True)
    )
    query = (ROWS if vendor_id else PLATFORM_ROWS).format(sql.SQL(", ").join(names), sql.Identifier(table), found)
    changes = sql.SQL(", ").join(
        sql.SQL("{} = {}").format(name, sql.Placeholder(column)) for name, column in zip(names, columns, strict=True)
    )
    change = sql.SQL("UPDATE {} SET {} WHERE ctid = %(ctid)s::tid").format(sql.Identifier(table), changes)
    conn.execute("SET LOCAL app.erasing = 'on'")
    written = 0
    with conn.cursor(name="sealing") as cursor:
        cursor.execute(query, {"vendor_id": vendor_id, **_patterns(databases)})
        while rows := cursor.fetchmany(BATCH):
            conn.cursor().executemany(change, [{name: _as_written(value, name) for name, value in row.items()} for row in rows])
            written += len(rows)
    return written


def _as_written(value: object, column: str) -> object:
    if isinstance(value, str):
        return Phone(value) if column in WHOLE and value.isdecimal() else value
    if isinstance(value, dict):  # a number that is a JSON number, as in the trail of earlier prompts
        return Jsonb({key: str(each) if MOBILE.fullmatch(str(each)) else each for key, each in value.items()})
    return Jsonb(value) if isinstance(value, list) else value


def _move_msisdns(databases: Databases, conn: Connection[DictRow], vendor_id: VendorId) -> int:
    conn.execute("SET LOCAL app.erasing = 'on'")
    moved = 0
    for row in conn.execute(MSISDNS, {"vendor_id": vendor_id}).fetchall():
        now, *before = databases.forms(row["msisdn"])
        moved += conn.execute(MOVE_MSISDN, {"vendor_id": vendor_id, "now": now, "before": before}).rowcount
    return moved


def _move_bodies(databases: Databases, conn: Connection[DictRow], table: str, vendor_id: VendorId) -> int:
    rows = conn.execute(BODIES.format(sql.Identifier(table)), {"vendor_id": vendor_id, **_patterns(databases)}).fetchall()
    move = MOVE_BODY.format(sql.Identifier(table))
    for row in rows:
        conn.execute(move, {"vendor_id": vendor_id, "id": row["id"], "body": databases.hide(row["body"])})
    return len(rows)
