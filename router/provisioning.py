"""Making a dedicated vendor's database: its login, the database, the tables. Every step is left alone when it is done."""

from collections.abc import Callable, Iterator
from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import DictRow

from router.databases import Databases, DbTarget, OpsTarget, parse_target
from router.errors import Refused, Unavailable
from router.ids import VendorId
from router.revisions import Which, connect, heads
from router.roles import RUNTIME_ROLE

_HAS_LOGIN: Final = "SELECT FROM pg_roles WHERE rolname = %s"
_HAS_DATABASE: Final = "SELECT FROM pg_database WHERE datname = %s"


def provision(databases: Databases, vendor_id: VendorId, *, admin_url: str, open_secret: Callable[[str], str]) -> Iterator[str]:
    """Make what the vendor's `db_target` names, and say each step that was needed. Safe to repeat.

    `admin_url`: a login on that server that may create roles and databases; it will own the database and its tables, so that
    the vendor's own login owns nothing.

    Raises Refused("vendor_is_shared", "other_server", "may_not_create"), Unavailable, Broken.
    """
    databases.cache.forget()
    target = databases.target_of(vendor_id)
    if target.db_target is None:
        raise Refused(
            "vendor_is_shared",
            f"vendor {vendor_id} shares the ops database and needs no other: set isolation_level to dedicated_db and db_target"
            " for one that has its own from the start; `soko vendor move` takes one there that already sells",
        )
    wanted = parse_target(target.db_target)
    yield from make_database(wanted, admin_url=admin_url, open_secret=open_secret)
    _try(databases, vendor_id, target)
    yield f"vendor {vendor_id} works in {wanted.database} on {wanted.host}"


def make_database(wanted: DbTarget, *, admin_url: str, open_secret: Callable[[str], str]) -> Iterator[str]:
    """Make the login, the database and the tables that are missing, and say each. Errors as for provision."""
    _require_same_server(admin_url, wanted)
    own_url = make_conninfo(admin_url, dbname=wanted.database)
    secret = None if wanted.password_secret_ref is None else open_secret(wanted.password_secret_ref)
    try:
        yield from _create(admin_url, wanted, secret)
        yield from migrate(own_url, wanted.database)
        _open_to(own_url, wanted)
    except psycopg.errors.InsufficientPrivilege as error:
        message = (
            f"{conninfo_to_dict(admin_url).get('user')} may not make {wanted.database} on {wanted.host}:"
            f" {error.diag.message_primary}. Give --admin a login that may create roles and databases"
        )
        raise Refused("may_not_create", message) from error


def migrate(url: str, name: str) -> Iterator[str]:
    """Bring an ops database to the newest tables; says so when there was something to do."""
    from router import migrating  # noqa: PLC0415 - Alembic takes a second

    before, head = migrating.upgrade(url, Which.OPS), heads()[Which.OPS]
    if before != head:
        yield f"{name}: {before or 'nothing'} -> {head}"


def _create(admin_url: str, wanted: DbTarget, secret: str | None) -> Iterator[str]:
    with connect(admin_url) as admin:
        admin.commit()
        admin.autocommit = True  # CREATE DATABASE wants no transaction around it
        login, database = sql.Identifier(wanted.user), sql.Identifier(wanted.database)
        if admin.execute(_HAS_LOGIN, (wanted.user,)).fetchone() is None:
            made = sql.SQL("CREATE ROLE {} LOGIN").format(login)
            admin.execute(made if secret is None else sql.SQL("{} PASSWORD {}").format(made, sql.Literal(secret)))
            yield f"login {wanted.user}: made"
        if admin.execute(_HAS_DATABASE, (wanted.database,)).fetchone() is None:
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(database))
            yield f"database {wanted.database}: made"


def _open_to(url: str, wanted: DbTarget) -> None:
    """Let this vendor's login in and no other vendor's, as a role that owns nothing."""
    login, database, runtime = (sql.Identifier(name) for name in (wanted.user, wanted.database, RUNTIME_ROLE))
    with connect(url) as conn:
        conn.execute(sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(database))
        conn.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, login))
        if not _may_act(conn, wanted.user):
            conn.execute(sql.SQL("GRANT {} TO {}").format(runtime, login))


def _may_act(conn: psycopg.Connection[DictRow], login: str) -> bool:
    row = conn.execute("SELECT pg_has_role(%s, %s, 'MEMBER') AS may", (login, RUNTIME_ROLE)).fetchone()
    return row is not None and bool(row["may"])


def is_on_server(url: str, other: str) -> bool:
    """Tell whether two addresses mean the same server, as far as their names say."""
    return _server_of(url) == _server_of(other)


def _require_same_server(admin_url: str, wanted: DbTarget) -> None:
    server = make_conninfo("", host=wanted.host, port=wanted.port)
    if not is_on_server(admin_url, server):
        message = (
            f"the vendor's database belongs on {wanted.host}:{wanted.port}, and the administrator's login is on"
            f" {':'.join(_server_of(admin_url))}: give --admin postgresql://…@{wanted.host}:{wanted.port}/postgres"
        )
        raise Refused("other_server", message)


def _server_of(url: str) -> tuple[str, str]:
    parts = conninfo_to_dict(url)
    host = str(parts.get("host") or "localhost")
    return ("localhost" if host in ("127.0.0.1", "::1") else host, str(parts.get("port") or 5432))


def _try(databases: Databases, vendor_id: VendorId, target: OpsTarget) -> None:
    """Connect as web and workers will. Raises Refused("login_fails") with what the server says."""
    try:
        with databases.ops(vendor_id) as conn:
            conn.execute("SELECT FROM conversations")
    except Unavailable as error:
        message = f"{target.name} is made, but the login in db_target does not get in: {error}"
        raise Refused("login_fails", message) from error
