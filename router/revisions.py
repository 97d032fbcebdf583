"""Which revision a database has and which the program needs, told without Alembic: a web process asks, and only asks."""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

import psycopg
from psycopg.rows import DictRow, dict_row

from router.errors import Unavailable

SCRIPTS: Final = Path(__file__).parent.parent / "migrations"
REVISION: Final = re.compile(r'^revision = "(\w+)"$.*?^down_revision = (?:None|"(\w+)")$', re.MULTILINE | re.DOTALL)


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


def connect(url: str) -> psycopg.Connection[DictRow]:
    """Open one connection outside any pool. Raises Unavailable when the server does not let us in."""
    try:
        return psycopg.connect(url, connect_timeout=5, row_factory=dict_row)
    except psycopg.OperationalError as error:
        raise Unavailable(f"PostgreSQL does not let us in: {str(error).partition(chr(10))[0]}") from error


def _head(which: Which) -> str:
    """The revision that no other builds on. Errors: ValueError when the files do not make one line."""
    read = [REVISION.search(file.read_text()) for file in (SCRIPTS / which / "versions").glob("*.py")]
    pairs = [found.groups() for found in read if found]
    [head] = {revision for revision, _ in pairs} - {before for _, before in pairs}
    return str(head)
