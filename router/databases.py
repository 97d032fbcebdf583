"""From a vendor to an open transaction: the platform database, the shared ops database, and dedicated ones."""

import json
import os
import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Annotated, Final, Literal

import psycopg
from psycopg import Connection
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import ConnectionPool
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from router.errors import Broken, Refused, Unavailable
from router.ids import VendorId
from router.short_cache import ShortCache

Pool = ConnectionPool[Connection[DictRow]]

WAIT_SECONDS: Final = 2.0
CONNECT_SETTINGS: Final = {
    "connect_timeout": 3,
    # libpq has no read timeout: without these a connection into a black hole hangs for many minutes.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "options": "-c statement_timeout=10s -c lock_timeout=5s -c idle_in_transaction_session_timeout=30s",
    "application_name": "soko",
}
# Besides OperationalError (connection lost, timeouts, deadlock, disk full, pool exhausted): a primary that became a
# standby, and a session that the server ended because it sat idle in a transaction.
TRY_AGAIN: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
)
NOT_MIGRATED: Final = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedFunction)

ROUTE: Final = "SELECT isolation_level, db_target FROM vendors WHERE id = %s"
DEDICATED: Final = """
    SELECT DISTINCT db_target FROM vendors WHERE isolation_level = 'dedicated_db' ORDER BY db_target
    """


class DbTarget(BaseModel):
    """`vendors.db_target` as the vendor's row has it; the password is a secret reference."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["postgres"]
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 5432
    database: Annotated[str, Field(min_length=1)]
    user: Annotated[str, Field(min_length=1)]
    password_secret_ref: Annotated[str | None, Field(alias="passwordSecretRef")] = None


@dataclass(frozen=True, kw_only=True)
class OpsTarget:
    """One ops database. `db_target` is the row's JSON as canonical text, None for the shared one."""

    name: str
    db_target: str | None = field(default=None, repr=False)  # may hold a plain: password in development


SHARED: Final = OpsTarget(name="shared")


class Databases:
    """Opens transactions. Connections are made when first needed; `close()` ends them and their threads."""

    def __init__(self, *, platform_url: str, ops_url: str, resolve_secret: Callable[[str], str], pool_size: int = 10) -> None:
        self.cache = ShortCache()
        self._platform_url = platform_url
        self._ops_url = ops_url
        self._resolve_secret = resolve_secret
        self._pool_size = pool_size
        self._pools: dict[OpsTarget | None, Pool] = {}
        self._inherited: list[dict[OpsTarget | None, Pool]] = []
        self._lock = Lock()
        self._process = os.getpid()

    @contextmanager
    def platform(self) -> Iterator[Connection[DictRow]]:
        """One transaction on the platform database. Raises Unavailable, Broken."""
        with self._transaction("platform", self._pool(None, lambda: self._platform_url)) as conn:
            yield conn

    @contextmanager
    def ops(self, vendor_id: VendorId) -> Iterator[Connection[DictRow]]:
        """One transaction on this vendor's ops database. Raises Refused("unknown_vendor"), Unavailable, Broken."""
        with self.ops_at(self.target_of(vendor_id)) as conn:
            yield conn

    @contextmanager
    def ops_at(self, target: OpsTarget) -> Iterator[Connection[DictRow]]:
        """One transaction on one ops database, whoever lives there: for sweeps."""
        with self._transaction(f"{target.name} ops", self._pool(target, lambda: self._ops_conninfo(target))) as conn:
            yield conn

    def ops_targets(self) -> Sequence[OpsTarget]:
        """Every ops database there is, the shared one first."""
        with self.platform() as conn:
            rows = conn.execute(DEDICATED).fetchall()
        return (SHARED, *(_dedicated(row["db_target"]) for row in rows))

    def target_of(self, vendor_id: VendorId) -> OpsTarget:
        """Where this vendor's operational data lives, as known at most two seconds ago."""
        return self.cache.get(("target", vendor_id), lambda: self._read_target(vendor_id))

    def close(self) -> None:
        """Close every pool and end its threads. A closed Databases answers Unavailable."""
        with self._lock:
            pools = list(self._pools.values())
        for pool in pools:
            pool.close()

    def _read_target(self, vendor_id: VendorId) -> OpsTarget:
        with self.platform() as conn:
            row = conn.execute(ROUTE, (vendor_id,)).fetchone()
        if row is None:
            raise Refused("unknown_vendor", f"there is no vendor {vendor_id}")
        return _dedicated(row["db_target"]) if row["isolation_level"] == "dedicated_db" else SHARED

    def _ops_conninfo(self, target: OpsTarget) -> str:
        """Read at each connect, so that a rotated password is taken up by the next connection."""
        if target.db_target is None:
            return self._ops_url
        settings = _parse(target.db_target)
        password = None if settings.password_secret_ref is None else self._resolve_secret(settings.password_secret_ref)
        return make_conninfo(
            host=settings.host, port=settings.port, dbname=settings.database, user=settings.user, password=password
        )

    def _pool(self, key: OpsTarget | None, conninfo: Callable[[], str]) -> Pool:
        pool = self._pools.get(key)
        if pool is not None and self._process == os.getpid():
            return pool
        with self._lock:
            if self._process != os.getpid():
                # A forked child must neither use nor close its parent's connections: it keeps them aside and opens its own.
                self._inherited.append(self._pools)
                self._pools = {}
                self._process = os.getpid()
            if key not in self._pools:
                conninfo()  # a bad reference is told here, to its caller, and not by a timeout of the pool
                self._pools[key] = self._open_pool(conninfo)
            return self._pools[key]

    def _open_pool(self, conninfo: Callable[[], str]) -> Pool:
        return ConnectionPool(
            conninfo,
            connection_class=Connection[DictRow],
            kwargs={"row_factory": dict_row, **CONNECT_SETTINGS},
            min_size=0,
            max_size=self._pool_size,
            timeout=WAIT_SECONDS,
            max_idle=60.0,
            # A failed connect is not repeated in the background: the next caller tries again at once.
            reconnect_timeout=0.0,
            num_workers=1,
            open=True,
        )

    @contextmanager
    def _transaction(self, name: str, pool: Pool) -> Iterator[Connection[DictRow]]:
        try:
            with _lent(pool) as conn, conn.transaction():
                yield conn
        except TRY_AGAIN as error:
            raise Unavailable(f"the {name} database is away or too busy: {_first_line(error)}") from error
        except NOT_MIGRATED as error:
            raise Broken(f"the {name} database is not migrated: {_first_line(error)}; run `soko migrate`") from error
        except psycopg.Error as error:
            raise Broken(f"the {name} database refused: {_first_line(error)}") from error


@contextmanager
def _lent(pool: Pool) -> Iterator[Connection[DictRow]]:
    """Lend a connection that the server has not closed; a restart of the server costs nobody an error."""
    conn = pool.getconn()
    # At most every other idle connection is as dead as this one. The pool's own check would sleep between two of them.
    for _ in range(pool.max_size):
        if not _hung_up(conn):
            break
        conn.close()
        pool.putconn(conn)
        conn = pool.getconn()
    try:
        yield conn
    finally:
        pool.putconn(conn)


def _hung_up(conn: Connection[DictRow]) -> bool:
    """Tell whether an idle connection has something to read: the server said goodbye. Costs no round trip."""
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def _dedicated(db_target: object) -> OpsTarget:
    text = json.dumps(db_target, sort_keys=True)
    try:
        settings = _parse(text)
    except Broken:
        # Told when this vendor's database is opened; a sweep over all the others goes on.
        return OpsTarget(name="dedicated (db_target unreadable)", db_target=text)
    return OpsTarget(name=f"dedicated {settings.host}:{settings.port}/{settings.database}", db_target=text)


def _parse(db_target: str) -> DbTarget:
    try:
        return DbTarget.model_validate_json(db_target)
    except ValidationError as error:
        fields = ", ".join(".".join(str(part) for part in problem["loc"]) or "db_target" for problem in error.errors())
        message = f"vendors.db_target is not usable: check {fields}"
        raise Broken(message) from None


def _first_line(error: psycopg.Error) -> str:
    """The message without DETAIL, which quotes the values of rows."""
    return error.diag.message_primary or str(error).partition("\n")[0] or type(error).__name__
