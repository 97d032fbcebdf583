"""From a vendor to an open transaction: the platform database, the shared ops database, and dedicated ones."""

import json
import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Lock
from time import monotonic, sleep
from typing import TYPE_CHECKING, Annotated, Final, Literal
from uuid import UUID

import psycopg
from psycopg import Connection, Rollback
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from router.connections import IDLE_SECONDS, Connections, why_not
from router.errors import Broken, Refused, Unavailable
from router.ids import VendorId
from router.json_values import Sealed
from router.roles import is_missing_role, step_down
from router.short_cache import ShortCache

if TYPE_CHECKING:
    from router.sealed import Sealer
    from router.wakeups import Job

DEDICATED_SIZE: Final = 4  # connections of one process to one dedicated database
MOST_WAITING: Final = 200  # callers in line for the shared databases: as many threads as a process may ever have
MOST_DATABASES: Final = 32  # databases that one process holds connections to; the one not used for longest makes room
MOVE_SECONDS: Final = 2.0  # how long a caller waits for a vendor that is just being moved
REST_SECONDS: Final = 5.0  # a dedicated database that could not be reached is not asked again for so long
CONNECT_SETTINGS: Final[Mapping[str, str | int]] = {
    "connect_timeout": 3,
    # libpq has no read timeout: without these a connection into a black hole hangs for many minutes.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "options": "-c statement_timeout=10s -c lock_timeout=5s -c idle_in_transaction_session_timeout=30s",
    "application_name": "soko",
}
# Besides OperationalError (connection lost, timeouts, deadlock, disk full): a primary that became a
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
    """Opens transactions. Connections are made when first needed, bounded and shared by threads; `close()` ends them."""

    def __init__(
        self,
        *,
        platform_url: str,
        ops_url: str,
        resolve_secret: Callable[[str], str],
        pool_size: int = 10,
        strict_login: bool = False,
        sealer: "Sealer | None" = None,
        most_databases: int = MOST_DATABASES,
        move_seconds: float = MOVE_SECONDS,
        wake: "Callable[[Collection[Job], VendorId], None]" = lambda _jobs, _vendor_id: None,
    ) -> None:
        """Take libpq's URLs. `strict_login`: refuse a login that could take back the power it has put down.

        `sealer` None: phone numbers are written as they are. `wake` is told what a commit gave to do; it must not raise.
        """
        self.wake = wake
        self._most_databases = most_databases
        self._move_seconds = move_seconds
        self.cache = ShortCache()
        self._platform_url = platform_url
        self._ops_url = ops_url
        self._resolve_secret = resolve_secret
        self._pool_size = pool_size
        self._strict_login = strict_login
        self.sealer = sealer
        self._open: OrderedDict[OpsTarget | None, Connections] = OrderedDict()
        self._inherited: list[OrderedDict[OpsTarget | None, Connections]] = []
        self._retired_at = monotonic()
        self._lock = Lock()
        self._process = os.getpid()

    @contextmanager
    def platform(self, vendor_id: VendorId | None = None) -> Iterator[Connection[DictRow]]:
        """One transaction on the platform database; without a vendor no row behind the wall. Raises Unavailable, Broken."""
        with self._transaction(None, vendor_id) as conn:
            yield conn

    @contextmanager
    def ops(self, vendor_id: VendorId) -> Iterator[Connection[DictRow]]:
        """One transaction on this vendor's rows in its ops database. Raises Refused("unknown_vendor"), Unavailable, Broken."""
        if not isinstance(vendor_id, UUID):
            raise Broken("a transaction on an ops database names its vendor, by id")
        with ExitStack() as stack:
            yield self._enter(stack, vendor_id)

    @contextmanager
    def across(self, target: OpsTarget) -> Iterator[Connection[DictRow]]:
        """One transaction that names no vendor and sees no row of any: for the functions that answer across vendors."""
        with self._transaction(target, None) as conn:
            yield conn

    @contextmanager
    def left_behind(self, vendor_id: VendorId) -> Iterator[Connection[DictRow]]:
        """One transaction on the rows that a vendor left in the shared database when it moved away: copies nobody reads."""
        with self._transaction(SHARED, vendor_id, fenced=False) as conn:
            yield conn

    def ops_targets(self) -> Sequence[OpsTarget]:
        """Every ops database there is, the shared one first."""
        with self.platform() as conn:
            rows = conn.execute(DEDICATED).fetchall()
        return (SHARED, *(to_target(row["db_target"]) for row in rows))

    def target_of(self, vendor_id: VendorId) -> OpsTarget:
        """Where this vendor's operational data lives, as known at most two seconds ago."""
        return self.cache.get(("target", vendor_id), lambda: self._read_target(vendor_id))

    def conninfo_of(self, target: OpsTarget) -> str:
        """How to connect to an ops database, its secret opened. Raises Broken, Refused when the row cannot be used."""
        if target.db_target is None:
            return self._ops_url
        settings = parse_target(target.db_target)
        password = None if settings.password_secret_ref is None else self._resolve_secret(settings.password_secret_ref)
        return make_conninfo(
            host=settings.host, port=settings.port, dbname=settings.database, user=settings.user, password=password
        )

    def forms(self, name: str) -> Sequence[str]:
        """Give every form in which a phone number can stand in a row, to look for it."""
        return [name] if self.sealer is None else self.sealer.forms(name)

    def hide(self, text: str) -> str:
        """Give a text as it will be stored, with no phone number in it."""
        return text if self.sealer is None else Sealed(self.sealer.hide(text))

    def digest(self, text: str) -> bytes:
        """Hash a text that may hold a phone number."""
        return sha256(self.hide(text).encode()).digest()

    def close(self) -> None:
        """Close every connection. A closed Databases answers Unavailable."""
        with self._lock:
            for connections in self._open.values():
                connections.close()

    def _read_target(self, vendor_id: VendorId) -> OpsTarget:
        with self.platform() as conn:
            row = conn.execute(ROUTE, (vendor_id,)).fetchone()
        if row is None:
            raise Refused("unknown_vendor", f"there is no vendor {vendor_id}")
        return to_target(row["db_target"]) if row["isolation_level"] == "dedicated_db" else SHARED

    def _enter(self, stack: ExitStack, vendor_id: VendorId) -> Connection[DictRow]:
        """Begin where the vendor lives now; one that moved away a moment ago is looked up again. Raises Unavailable."""
        end = monotonic() + self._move_seconds
        while True:
            try:
                return stack.enter_context(self._transaction(self.target_of(vendor_id), vendor_id))
            except _Departed:
                self.cache.forget()
                if monotonic() > end:
                    message = f"vendor {vendor_id} is between two databases: finish it by `soko vendor move`, or --abort it"
                    raise Unavailable(message) from None
                sleep(0.01)

    @contextmanager
    def _transaction(
        self, target: OpsTarget | None, vendor_id: VendorId | None, *, fenced: bool = True
    ) -> Iterator[Connection[DictRow]]:
        """Begin and name the vendor in one round trip; the end of the transaction forgets it, whatever pool lies between."""
        name = _name(target)
        try:
            with self._leased(target) as connections, connections.lend() as conn:
                try:
                    _begin(conn, vendor_id, fenced=fenced and target is not None)
                    yield conn
                except BaseException as error:
                    with suppress(psycopg.Error):
                        conn.rollback()
                    if not isinstance(error, Rollback):
                        raise
                else:
                    conn.commit()
        except TRY_AGAIN as error:
            raise Unavailable(f"the {name} database is away or too busy: {_first_line(error)}") from error
        except NOT_MIGRATED as error:
            raise Broken(f"the {name} database is not migrated: {_first_line(error)}; run `soko migrate`") from error
        except psycopg.Error as error:
            raise Broken(f"the {name} database refused: {_first_line(error)}") from error

    @contextmanager
    def _leased(self, target: OpsTarget | None) -> Iterator[Connections]:
        with self._lock:
            connections = self._find(target)
            connections.leases += 1
        try:
            yield connections
        finally:
            with self._lock:
                connections.leases -= 1

    def _find(self, target: OpsTarget | None) -> Connections:
        if self._process != os.getpid():
            # A forked child must neither use nor close its parent's connections: it keeps them aside and opens its own.
            self._inherited.append(self._open)
            self._open = OrderedDict()
            self._process = os.getpid()
        self._retire()
        if target not in self._open:
            self._make_room()
            own = target is not None and target.db_target is not None
            self._open[target] = Connections(
                lambda: self._connect(target),
                name=_name(target),
                most=DEDICATED_SIZE if own else self._pool_size,
                most_waiting=DEDICATED_SIZE if own else MOST_WAITING,
                rest_seconds=REST_SECONDS if own else 0.0,
            )
        self._open.move_to_end(target)
        return self._open[target]

    def _retire(self) -> None:
        """Close what lay idle for a minute, looking at most every ten seconds."""
        if monotonic() - self._retired_at > IDLE_SECONDS / 6:
            self._retired_at = monotonic()
            for connections in self._open.values():
                connections.close(idle_for=IDLE_SECONDS)

    def _make_room(self) -> None:
        """Give up the database that was not used for longest and that nobody holds. Raises Unavailable when all are held."""
        if len(self._open) < self._most_databases:
            return
        unused = next((key for key, held in self._open.items() if key not in (None, SHARED) and not held.leases), None)
        if unused is None:
            raise Unavailable(f"all {self._most_databases} databases that this process may hold are in use")
        self._open.pop(unused).close()

    def _connect(self, target: OpsTarget | None) -> Connection[DictRow]:
        """Read the address and open its secret now, so that a rotated password is taken up by the next connection."""
        name = _name(target)
        conninfo = self._platform_url if target is None else self.conninfo_of(target)
        try:
            conn = Connection[DictRow].connect(make_conninfo(conninfo, **CONNECT_SETTINGS), autocommit=True, row_factory=dict_row)
        except psycopg.OperationalError as error:
            if is_missing_role(error):
                raise Broken(f"the {name} database is not migrated: it lacks our role; run `soko migrate`") from error
            raise
        try:
            self._step_down(conn, target)
            if self.sealer is not None:
                # The platform's texts are the vendors' own words, and its columns are as long as a chat's list allows.
                self.sealer.register(conn, plain_text=target is None)
        except BaseException:
            conn.close()
            raise
        return conn

    def _step_down(self, conn: Connection[DictRow], target: OpsTarget | None) -> None:
        own_database = target is not None and target.db_target is not None
        step_down(conn, name=_name(target), own_database=own_database, strict=self._strict_login)


def _name(target: OpsTarget | None) -> str:
    return "platform" if target is None else f"{target.name} ops"


class _Departed(Exception):
    """The vendor does not live in this database any more."""


def fence_of(vendor_id: VendorId) -> int:
    """The advisory lock that every transaction of this vendor shares, and that a move takes for itself at its end."""
    return vendor_id.int & (2**63 - 1)


def _begin(conn: Connection[DictRow], vendor_id: VendorId | None, *, fenced: bool) -> None:
    """Begin in one message. Fenced: hold off a move of this vendor, and raise _Departed after one."""
    if vendor_id is None:
        conn.execute(b"BEGIN")
        return
    begin = f"BEGIN; {name_vendor(vendor_id)}"
    if not fenced:
        conn.execute(begin.encode())
        return
    hold = f"SELECT pg_advisory_xact_lock_shared({fence_of(vendor_id)})"
    look = f"SELECT FROM departed_vendors WHERE vendor_id = '{UUID(int=vendor_id.int)}'"
    results = conn.execute(f"{begin}; {hold}; {look}".encode())
    while results.nextset():
        pass
    if results.rowcount:
        raise _Departed


def name_vendor(vendor_id: VendorId | None) -> str:
    """Say in SQL whose rows are seen until the transaction ends; None: nobody's. A UUID's digits can be no SQL."""
    return f"SET LOCAL app.vendor_id = '{'' if vendor_id is None else UUID(int=vendor_id.int)}'"


def to_target(db_target: object) -> OpsTarget:
    """Name the ops database of a row's `db_target`, None the shared one; an unreadable one is told when it is opened."""
    if db_target is None:
        return SHARED
    text = json.dumps(db_target, sort_keys=True)
    try:
        settings = parse_target(text)
    except Broken:
        # Told when this vendor's database is opened; a sweep over all the others goes on.
        return OpsTarget(name="dedicated (db_target unreadable)", db_target=text)
    return OpsTarget(name=f"dedicated {settings.host}:{settings.port}/{settings.database}", db_target=text)


def parse_target(db_target: str) -> DbTarget:
    """Read a row's target. Raises Broken with the names of its bad fields, never their values."""
    try:
        return DbTarget.model_validate_json(db_target)
    except ValidationError as error:
        fields = ", ".join(".".join(str(part) for part in problem["loc"]) or "db_target" for problem in error.errors())
        message = f"vendors.db_target is not usable: check {fields}"
        raise Broken(message) from None


def _first_line(error: psycopg.Error) -> str:
    """The message without DETAIL, which quotes the values of rows."""
    return error.diag.message_primary or why_not(error) or type(error).__name__
