"""The databases that replays have for themselves: migrated, seeded, and the same for ever, since replays write nothing."""

from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, TypeAlias

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from router.errors import Refused, Unavailable

Which: TypeAlias = Literal["platform", "ops"]
Admin: TypeAlias = "psycopg.Connection[tuple[object, ...]]"

ROOT: Final = Path(__file__).parent
PREFIX: Final = "soko_replay_"
FIRST: Final = ""
MEETING: Final = "postgres"  # an advisory lock holds within one database, so all who make these meet in the same
MAKING_LOCK: Final = 7_215_060  # any fixed number: one process makes them, the others wait


def make_databases(*, platform_url: str, ops_url: str, pair: str = FIRST) -> tuple[str, str]:
    """Give conninfos of a migrated and seeded pair on these servers that nobody writes to; made when the schema changed.

    Their names hold a hash of the migrations and seeds. Another `pair`, of one letter, is a copy of the first.
    Raises Refused when the user may not create databases, Unavailable.
    """
    fingerprint = _fingerprint()
    try:
        platform = _ensure(platform_url, "platform", fingerprint, pair, None)
        return platform, _ensure(ops_url, "ops", fingerprint, pair, platform)
    except psycopg.errors.InsufficientPrivilege as error:
        message = (
            f"replays need databases of their own, and this PostgreSQL user may not create any: {error.diag.message_primary}"
        )
        raise Refused("replay_database_refused", message) from error
    except psycopg.OperationalError as error:
        raise Unavailable(f"the PostgreSQL server for replays is away: {str(error).partition(chr(10))[0]}") from error


def _fingerprint() -> str:
    files = [
        *(ROOT.parent / "migrations").rglob("*.py"),
        *ROOT.glob("seed*.py"),
        *(path for path in (ROOT / "seeds").rglob("*") if path.is_file()),
    ]
    digest = sha256()
    for file in sorted(file for file in files if file.suffix != ".pyc"):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _ensure(server: str, which: Which, fingerprint: str, pair: str, platform: str | None) -> str:
    """Make one database under another name first: the right name means that it is complete."""
    name = f"{PREFIX}{fingerprint}{pair}_{which}"
    url = make_conninfo(server, dbname=name)
    with psycopg.connect(make_conninfo(server, dbname=MEETING), autocommit=True, connect_timeout=5) as admin:
        admin.execute("SELECT pg_advisory_lock(%s)", (MAKING_LOCK,))
        known = {str(row[0]) for row in admin.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", (f"{PREFIX}%",))}
        if name in known:
            return url
        for old in known:
            kept = old.startswith(f"{PREFIX}{fingerprint}") and old.endswith(f"_{which}")
            if old.endswith((f"_{which}", f"_{which}_unfinished")) and not kept:
                _drop_unless_used(admin, old)
        unfinished = f"{name}_unfinished"
        original = "template0" if pair == FIRST else f"{PREFIX}{fingerprint}{FIRST}_{which}"
        make = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'")
        admin.execute(make.format(sql.Identifier(unfinished), sql.Identifier(original)))
        if pair == FIRST:
            _fill(make_conninfo(server, dbname=unfinished), which, platform)
        admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(unfinished), sql.Identifier(name)))
    return url


def _fill(url: str, which: Which, platform: str | None) -> None:
    from router import migrating, revisions, seeding  # noqa: PLC0415 - half a second, once a schema

    migrating.upgrade(url, revisions.Which(which))
    if platform is None:
        seeding.seed_platform(url)
    else:
        seeding.seed_ops(url, platform)


def _drop_unless_used(admin: Admin, name: str) -> None:
    try:
        admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
    except psycopg.errors.ObjectInUse:
        return  # another replay is in it; a later one will drop it
