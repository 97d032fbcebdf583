"""Moving a vendor to another ops database while its messages keep arriving: copy, copy what changed, fence, compare, switch.

Nothing but SQL as the owner of both databases is needed: no logical replication, no superuser on the old side.
"""

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Final

import psycopg
from psycopg import Connection, sql
from psycopg.rows import DictRow
from sqlalchemy import Computed, Identity, Table

from router import migrating
from router.databases import SHARED, Databases, OpsTarget, fence_of, to_target
from router.errors import Broken, Refused, Unavailable
from router.ids import VendorId
from router.provisioning import is_on_server
from router.revisions import Which, connect, current

FENCE_TRIES: Final = 40
LEFT_BEHIND: Final = "departed_vendors"  # says where a vendor is not: never copied
_GET_MOVE: Final = """
    SELECT v.isolation_level, v.db_target, m.vendor_id IS NOT NULL AS moving, m.to_target
      FROM vendors v LEFT JOIN vendor_moves m ON m.vendor_id = v.id WHERE v.id = %s
    """
_BEGIN_MOVE: Final = "INSERT INTO vendor_moves (vendor_id, to_target) VALUES (%s, %s)"
_END_MOVE: Final = "DELETE FROM vendor_moves WHERE vendor_id = %s"
_SWITCH: Final = "UPDATE vendors SET isolation_level = %s, db_target = %s, updated_at = now() WHERE id = %s"
# The time zone and the date style too: checksums compare rows as text.
_SESSION: Final = """
    SELECT set_config('app.vendor_id', %s, false), set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO', false)
    """
_SNAPSHOT: Final = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::numeric % 4294967296 AS xmin"
_DEPART: Final = "INSERT INTO departed_vendors (vendor_id) VALUES (%s) ON CONFLICT DO NOTHING"
_RETURN: Final = "DELETE FROM departed_vendors WHERE vendor_id = %s"
_EVENTS: Final = "SELECT coalesce(max(xid::text::numeric), 0) AS last FROM domain_events WHERE vendor_id = %s"
_NEXT_XID: Final = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::numeric AS next"


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Both ops databases, opened as their owners and bound to one vendor."""

    vendor_id: VendorId
    old: Connection[DictRow]
    new: Connection[DictRow]


def move(
    databases: Databases, vendor_id: VendorId, to: OpsTarget, *, url_of: Callable[[OpsTarget], str], most_pause: float = 1.0
) -> Generator[str, None, None]:
    """Move, and say each step. Stopped anywhere, nothing is lost: the same call goes on, `abort` goes back.

    `url_of` gives the owner's URL of an ops database. `most_pause`: seconds that the vendor's messages may have to wait.

    Raises Refused: unknown_vendor, already_there, another_move, move_running, not_migrated, counter_behind, pause_too_long,
    may_not_copy; Unavailable; Broken when the copy differs.
    """
    here, underway = _read(databases, vendor_id)
    if underway is not None and underway != to:
        raise Refused("another_move", f"vendor {vendor_id} is on its way to {underway.name}: finish that, or --abort it")
    if here == to:
        raise Refused("already_there", f"vendor {vendor_id} lives in {to.name} already")
    if underway is None:
        with databases.platform(vendor_id) as conn:
            conn.execute(_BEGIN_MOVE, (vendor_id, to.db_target))
    yield f"from {here.name} to {to.name}"
    with _sides(vendor_id, old_url=url_of(here), new_url=url_of(to)) as sides:
        _require_alike(sides)
        _empty(sides)
        since = None
        for name in ("copied", "caught up", "caught up again"):
            begun = monotonic()
            before, rows = _carry(sides, since)
            since = before
            sides.old.rollback()
            yield f"{name}: {rows} rows in {monotonic() - begun:.2f} s"
        begun = monotonic()
        _compare(sides, strict=False)
        lasts = monotonic() - begun
        if lasts > most_pause:
            message = f"comparing takes {lasts:.1f} s, and messages would wait for so long: --pause {lasts + 1:.0f} allows it"
            raise Refused("pause_too_long", message)
        paused = _fence(sides)
        _require_counter(sides)  # the old server went on counting
        _carry(sides, since)
        _delete_what_is_gone(sides)
        counted = _compare(sides, strict=True)
        _set_sequences(sides)
        sides.new.execute(_RETURN, (vendor_id,))
        sides.new.commit()
        sides.old.execute(_DEPART, (vendor_id,))
        sides.old.commit()  # from here nobody writes to the old side, whatever becomes of us
        yield f"compared: {counted} rows are the same on both sides"
        _switch(databases, vendor_id, to)
        yield f"moved; messages waited {monotonic() - paused:.2f} s. The old rows stay in {here.name}, and nobody reads them"


def abort(databases: Databases, vendor_id: VendorId, *, url_of: Callable[[OpsTarget], str]) -> None:
    """Give an unfinished move up: the vendor stays where it is, and what was copied is deleted. Raises Refused("no_move")."""
    here, underway = _read(databases, vendor_id)
    if underway is None:
        raise Refused("no_move", f"vendor {vendor_id} is not on its way anywhere: it lives in {here.name}")
    with _sides(vendor_id, old_url=url_of(here), new_url=url_of(underway)) as sides:
        _empty(sides)
        sides.new.commit()
        sides.old.execute(_RETURN, (vendor_id,))
        sides.old.commit()
    with databases.platform(vendor_id) as conn:
        conn.execute(_END_MOVE, (vendor_id,))


def _read(databases: Databases, vendor_id: VendorId) -> tuple[OpsTarget, OpsTarget | None]:
    """Where the vendor lives, and where it is going."""
    with databases.platform(vendor_id) as conn:
        row = conn.execute(_GET_MOVE, (vendor_id,)).fetchone()
    if row is None:
        raise Refused("unknown_vendor", f"there is no vendor {vendor_id}")
    here = to_target(row["db_target"]) if row["isolation_level"] == "dedicated_db" else SHARED
    return here, to_target(row["to_target"]) if row["moving"] else None


def _switch(databases: Databases, vendor_id: VendorId, to: OpsTarget) -> None:
    with databases.platform(vendor_id) as conn:
        conn.execute(_SWITCH, ("shared" if to == SHARED else "dedicated_db", to.db_target, vendor_id))
        conn.execute(_END_MOVE, (vendor_id,))
    databases.cache.forget()


@contextmanager
def _sides(vendor_id: VendorId, *, old_url: str, new_url: str) -> Iterator[Sides]:
    with ExitStack() as stack:
        old, new = stack.enter_context(connect(old_url)), stack.enter_context(connect(new_url))
        for conn in (old, new):
            conn.execute(_SESSION, (str(vendor_id),))
            held = conn.execute("SELECT pg_try_advisory_lock(%s) AS mine", (-fence_of(vendor_id),)).fetchone()
            if held is None or not held["mine"]:
                raise Refused("move_running", f"vendor {vendor_id} is being moved by another process")
        try:
            new.execute("SET session_replication_role = replica")  # the copy is history: no guard may judge it again
        except psycopg.errors.InsufficientPrivilege as error:
            message = (
                f"{new.info.user} may not copy into {new.info.dbname}: an administrator runs"
                f" GRANT SET ON PARAMETER session_replication_role TO {new.info.user}"
            )
            raise Refused("may_not_copy", message) from error
        old.commit()
        new.commit()
        yield Sides(vendor_id=vendor_id, old=old, new=new)


def _require_alike(sides: Sides) -> None:
    revisions = [current(conn, Which.OPS) for conn in (sides.old, sides.new)]
    if revisions[0] != revisions[1]:
        raise Refused("not_migrated", f"the databases have other tables, {revisions[0]} and {revisions[1]}: run `soko migrate`")
    _require_counter(sides)
    sides.old.rollback()


def _require_counter(sides: Sides) -> None:
    """Events are read in the order of transaction numbers: those of the new server have to be above those of the old one."""
    last = sides.old.execute(_EVENTS, (sides.vendor_id,)).fetchone()
    following = sides.new.execute(_NEXT_XID).fetchone()
    if last and following and last["last"] >= following["next"]:
        message = "the new server has counted fewer transactions than the old one, and events would be read out of their order"
        raise Refused("counter_behind", message)


# ---------------------------------------------------------------- copying


def _tables() -> Sequence[Table]:
    """Every ops table, those that others refer to first."""
    return [table for table in migrating.metadata(Which.OPS).sorted_tables if table.name != LEFT_BEHIND]


def _empty(sides: Sides) -> None:
    """Delete what an earlier try, or an earlier stay, left of this vendor on the new side."""
    for table in reversed(_tables()):
        sides.new.execute(sql.SQL("DELETE FROM {} WHERE vendor_id = %s").format(_name(table)), (sides.vendor_id,))


def _carry(sides: Sides, since: int | None) -> tuple[int, int]:
    """Copy the rows written since a snapshot (None: all); returns the snapshot to go on from, and how many rows came.

    A row tells by `xmin` which transaction wrote it; the counter is compared modulo its 32 bits. What was running at the
    snapshot is copied once more, which does no harm.
    """
    row = sides.old.execute(_SNAPSHOT).fetchone()
    taken = int(row["xmin"]) if row else 0
    rows = sum(_carry_table(sides, table, since) for table in _tables())
    sides.new.commit()
    return taken, rows


def _carry_table(sides: Sides, table: Table, since: int | None) -> int:
    stored = [column for column in table.columns if not isinstance(column.computed, Computed)]
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in stored)
    keys = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.primary_key.columns)
    newer: sql.Composable = sql.SQL("")
    if since is not None:
        newer = sql.SQL(" AND (xmin::text::bigint - {} + 4294967296) % 4294967296 < 2147483648").format(since)
    read = sql.SQL("COPY (SELECT {} FROM {} WHERE vendor_id = {}{}) TO STDOUT").format(
        columns, _name(table), str(sides.vendor_id), newer
    )
    with sides.old.cursor().copy(read) as source:
        first = next(iter(source), None)
        if first is None:
            return 0
        made = sql.SQL("CREATE TEMP TABLE moving ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA")
        sides.new.execute(made.format(columns, _name(table)))
        with sides.new.cursor().copy(sql.SQL("COPY moving ({}) FROM STDIN").format(columns)) as sink:
            sink.write(first)
            for data in source:
                sink.write(data)
    rest = [sql.Identifier(column.name) for column in stored if not column.primary_key]
    changes = sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(name) for name in rest)
    update = sql.SQL("DO UPDATE SET {}").format(changes) if rest else sql.SQL("DO NOTHING")
    insert = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM moving ON CONFLICT ({}) {}")
    written = sides.new.execute(insert.format(_name(table), columns, columns, keys, update)).rowcount
    sides.new.execute("DROP TABLE moving")
    return written


def _delete_what_is_gone(sides: Sides) -> None:
    """Delete the rows that the old side has lost since they were copied; where the counts agree there are none."""
    for table in _tables():
        if _count(sides.old, table, sides.vendor_id) == _count(sides.new, table, sides.vendor_id):
            continue
        keys = [column.name for column in table.primary_key.columns]
        columns = sql.SQL(", ").join(map(sql.Identifier, keys))
        query = sql.SQL("SELECT {} FROM {} WHERE vendor_id = %s").format(columns, _name(table))
        left = {tuple(row.values()) for row in sides.old.execute(query, (sides.vendor_id,))}
        gone = [row for row in sides.new.execute(query, (sides.vendor_id,)) if tuple(row.values()) not in left]
        matches = sql.SQL(" AND ").join(sql.SQL("{} = {}").format(sql.Identifier(key), sql.Placeholder(key)) for key in keys)
        sides.new.cursor().executemany(sql.SQL("DELETE FROM {} WHERE {}").format(_name(table), matches), gone)


def _set_sequences(sides: Sides) -> None:
    """Let the numbers that the new side gives out begin above those that came."""
    for table in _tables():
        for column in table.columns:
            if isinstance(column.identity, Identity):
                sequence = sql.SQL("pg_get_serial_sequence({}, {})").format(table.name, column.name)
                last = sql.SQL("(SELECT max({}) FROM {} WHERE vendor_id = {})")
                came = last.format(sql.Identifier(column.name), _name(table), str(sides.vendor_id))
                sides.new.execute(sql.SQL("SELECT setval({0}, greatest(nextval({0}), {1}))").format(sequence, came))


# ---------------------------------------------------------------- the end: nobody writes, both sides are compared


def _fence(sides: Sides) -> float:
    """Wait for this vendor's open transactions and hold off new ones; returns when that began. Never waits long at a time."""
    sides.old.rollback()
    for _ in range(FENCE_TRIES):
        begun = monotonic()
        try:
            sides.old.execute("SET LOCAL lock_timeout = '250ms'")
            sides.old.execute("SELECT pg_advisory_xact_lock(%s)", (fence_of(sides.vendor_id),))
        except psycopg.errors.LockNotAvailable:
            sides.old.rollback()
            sleep(0.25)  # those who waited behind us go first
        else:
            return begun
    raise Unavailable(f"vendor {sides.vendor_id} has a transaction open all the time: try again when there is less to do")


def _compare(sides: Sides, *, strict: bool) -> int:
    """Compare counts and checksums of every table; returns the number of rows. Raises Broken when strict and they differ."""
    total = 0
    for table in _tables():
        old, new = (_checksum(conn, table, sides.vendor_id) for conn in (sides.old, sides.new))
        if strict and old != new:
            sides.old.rollback()
            message = f"the copy of {table.name} differs, {old} and {new} (rows, checksum): nothing was switched"
            raise Broken(message)
        total += int(old[0])
    return total


def _checksum(conn: Connection[DictRow], table: Table, vendor_id: VendorId) -> tuple[int, str]:
    query = sql.SQL(
        "SELECT count(*) AS rows, coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text AS checksum"
        " FROM (SELECT {} FROM {} WHERE vendor_id = %s) t"
    )
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    row = conn.execute(query.format(columns, _name(table)), (vendor_id,)).fetchone()
    return (0, "") if row is None else (row["rows"], row["checksum"])


def _count(conn: Connection[DictRow], table: Table, vendor_id: VendorId) -> int:
    row = conn.execute(sql.SQL("SELECT count(*) AS n FROM {} WHERE vendor_id = %s").format(_name(table)), (vendor_id,)).fetchone()
    return 0 if row is None else int(row["n"])


def _name(table: Table) -> sql.Identifier:
    return sql.Identifier(table.name)


def dedicated_at(url: str, *, secret: str | None) -> OpsTarget:
    """Name the dedicated database at a URL; `secret` is the reference of its password, for `db_target`."""
    parts = psycopg.conninfo.conninfo_to_dict(url)
    given = {"type": "postgres", "host": parts.get("host"), "database": parts.get("dbname"), "user": parts.get("user")}
    given["port"] = int(parts.get("port") or 5432)
    if secret or parts.get("password"):
        given["passwordSecretRef"] = secret or f"plain:{parts['password']}"
    return to_target(json.loads(json.dumps(given)))


def owner_urls(databases: Databases, *, shared: str, admin: str) -> Callable[[OpsTarget], str]:
    """Tell how to open an ops database as its owner: on the administrator's server as that, elsewhere as the row's login."""

    def url_of(target: OpsTarget) -> str:
        if target.db_target is None:
            return shared
        own = databases.conninfo_of(target)
        database = psycopg.conninfo.conninfo_to_dict(own)["dbname"]
        return psycopg.conninfo.make_conninfo(admin, dbname=database) if is_on_server(admin, own) else own

    return url_of
