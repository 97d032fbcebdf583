"""Alembic for two sets of tables, safe when several processes migrate at once.

URLs are libpq's (`postgresql://…`, socket form included): psycopg opens them, SQLAlchemy never parses them.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Final

import psycopg
from alembic import command, context
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from psycopg.rows import DictRow, dict_row, tuple_row
from sqlalchemy import Connection, MetaData, create_engine, text
from sqlalchemy.pool import NullPool

from router.errors import Unavailable
from router.tables import ops, platform
from router.tables.registries import OpsTable, PlatformTable

# Any fixed number: whoever migrates a database holds it, the others wait.
MIGRATION_LOCK: Final = 7_215_001
SCRIPTS: Final = Path(__file__).parent.parent / "migrations"


class Which(StrEnum):
    """Which set of tables; a tenant's own database holds the ops set."""

    PLATFORM = "platform"
    OPS = "ops"


VERSION_TABLES: Final[Mapping[Which, str]] = {
    Which.PLATFORM: "alembic_version_platform",
    Which.OPS: "alembic_version_ops",
}

VERSION_QUERIES: Final = {
    Which.PLATFORM: "SELECT version_num FROM alembic_version_platform",
    Which.OPS: "SELECT version_num FROM alembic_version_ops",
}


def metadata(which: Which) -> MetaData:
    """Return the registry's metadata with every table file of its package imported."""
    package = platform if which is Which.PLATFORM else ops
    for module in iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")
    return PlatformTable.metadata if which is Which.PLATFORM else OpsTable.metadata


def upgrade(url: str, which: Which, *, revision: str = "head") -> str | None:
    """Bring one database to a revision; returns the revision it had before. Four at once: three wait and find nothing to do."""
    return _move(url, which, revision, up=True)


def downgrade(url: str, which: Which, *, revision: str = "base") -> str | None:
    """Take one database back; `base` drops every table. Returns the revision it had before."""
    return _move(url, which, revision, up=False)


def heads() -> Mapping[str, str]:
    """Return the newest revision of each set, as the files state it."""
    return {which: _head(which) for which in Which}


def current(conn: psycopg.Connection[DictRow], which: str) -> str | None:
    """Return the revision of an open database (`which` as in Which), None when it was never migrated."""
    row = conn.execute("SELECT to_regclass(%s) IS NOT NULL AS present", (VERSION_TABLES[Which(which)],)).fetchone()
    if row is None or not row["present"]:
        return None
    row = conn.execute(VERSION_QUERIES[Which(which)]).fetchone()
    return None if row is None else str(row["version_num"])


def check(platform_url: str, ops_url: str) -> list[str]:
    """List how two migrated databases differ from the table classes; empty when they agree."""
    found: list[str] = []
    for which, url in ((Which.PLATFORM, platform_url), (Which.OPS, ops_url)):
        with _connect(url) as conn:
            found_in = MigrationContext.configure(conn, opts={"version_table": VERSION_TABLES[which], "compare_type": True})
            found += [f"{which}: {difference}" for difference in compare_metadata(found_in, metadata(which))]
    return found


def run_in_context(which: Which) -> None:
    """Run inside Alembic's env.py, on the connection that `_move` opened and locked."""
    connection = context.config.attributes["connection"]
    tables = metadata(which)
    context.configure(connection=connection, target_metadata=tables, version_table=VERSION_TABLES[which], compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


def connect(url: str) -> psycopg.Connection[DictRow]:
    """Open one connection outside any pool. Raises Unavailable when the server does not let us in."""
    try:
        return psycopg.connect(url, connect_timeout=5, row_factory=dict_row)
    except psycopg.OperationalError as error:
        raise Unavailable(f"PostgreSQL does not let us in: {str(error).partition(chr(10))[0]}") from error


def _move(url: str, which: Which, revision: str, *, up: bool) -> str | None:
    with _connect(url) as conn:
        conn.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        conn.commit()
        before = MigrationContext.configure(conn, opts={"version_table": VERSION_TABLES[which]}).get_current_revision()
        conn.commit()
        config = _config(which)
        config.attributes["connection"] = conn
        if up:
            command.upgrade(config, revision)
        else:
            command.downgrade(config, revision)
        conn.commit()
    # Closing the connection released the lock, also when a migration failed.
    return before


@contextmanager
def _connect(url: str) -> Iterator[Connection]:
    opened = connect(url)
    opened.row_factory = tuple_row  # type: ignore[assignment]  # what SQLAlchemy reads
    engine = create_engine("postgresql+psycopg://", creator=lambda: opened, poolclass=NullPool)
    with engine.connect() as conn:
        yield conn


def _config(which: Which) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS / which).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _head(which: Which) -> str:
    head = ScriptDirectory.from_config(_config(which)).get_current_head()
    if head is None:
        message = f"migrations/{which} has no revision"
        raise LookupError(message)
    return head
