"""Alembic for two sets of tables, safe when several processes migrate at once.

URLs are libpq's (`postgresql://…`, socket form included): psycopg opens them, SQLAlchemy never parses them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from alembic import command, context
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from psycopg.rows import tuple_row
from sqlalchemy import Connection, MetaData, create_engine, text
from sqlalchemy.pool import NullPool

from router.revisions import SCRIPTS, VERSION_TABLES, Which, connect
from router.roles import GRANTS
from router.tables import ops, platform
from router.tables.registries import OpsTable, PlatformTable

# Any fixed number: whoever migrates a database holds it, the others wait.
MIGRATION_LOCK: Final = 7_215_001


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


def _move(url: str, which: Which, revision: str, *, up: bool) -> str | None:
    with _connect(url) as conn:
        conn.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        conn.commit()
        before = MigrationContext.configure(conn, opts={"version_table": VERSION_TABLES[which]}).get_current_revision()
        conn.commit()
        config = _config(which)
        config.attributes["connection"] = conn
        with conn.begin():  # one transaction for every revision and the grants: whole or nothing
            if up:
                command.upgrade(config, revision)
                conn.execute(text(GRANTS))
            else:
                command.downgrade(config, revision)
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
