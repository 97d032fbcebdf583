"""Real servers for tests: one PostgreSQL and one Valkey a run, a clean and seeded pair of databases for every test.

Without options the servers are our embedded ones, in memory and without fsync. With `--external` they are those at
SOKO_TEST_POSTGRES and SOKO_TEST_REDIS. The migrations and seeds run once, into template databases; every xdist worker
clones them, and after each test its clones get the seeded rows back.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID, uuid4

import psycopg
import pytest
import redis
import structlog
from psycopg import sql

from router.databases import SHARED, Databases
from router.ids import VendorId
from router.revisions import Which
from router.sealed import Sealer
from soko.embedded import Urls, engines, locked, open_lock, stop_kept, take
from soko.settings import Settings

MEMORY: Final = Path("/dev/shm")
FAST: Final = ("fsync=off", "full_page_writes=off", "shared_buffers=64MB")
SETS: Final = ("platform", "ops")
RUN: Final = pytest.StashKey[Path]()
RUN_LOCK: Final = pytest.StashKey[IO[bytes]]()

# Seeded rows are copied into the schema soko_test of the template, and soko_test.reset() puts them back. As a replica the
# session fires no triggers and checks no foreign keys, so that append-only tables can be emptied, in any order.
MAKE_RESET: Final = """
DO $make$
DECLARE
    target record;
    body text := '';
    seeded boolean;
BEGIN
    CREATE SCHEMA soko_test;
    FOR target IN
        SELECT tables.relname AS name, string_agg(quote_ident(columns.attname), ', ' ORDER BY columns.attnum) AS columns
        FROM pg_class tables JOIN pg_attribute columns ON columns.attrelid = tables.oid
        WHERE tables.relnamespace = 'public'::regnamespace AND tables.relkind IN ('r', 'p') AND NOT tables.relispartition
          AND tables.relname NOT LIKE 'alembic_version%' AND columns.attnum > 0
          AND NOT columns.attisdropped AND columns.attgenerated = ''
        GROUP BY tables.relname
    LOOP
        EXECUTE format('CREATE TABLE soko_test.%1$I AS TABLE public.%1$I', target.name);
        body := body || format('DELETE FROM public.%I;', target.name);
        EXECUTE format('SELECT EXISTS (SELECT FROM soko_test.%I)', target.name) INTO seeded;
        IF seeded THEN
            body := body || format('INSERT INTO public.%1$I (%2$s) OVERRIDING SYSTEM VALUE SELECT %2$s FROM soko_test.%1$I;',
                                   target.name, target.columns);
        END IF;
    END LOOP;
    EXECUTE 'CREATE FUNCTION soko_test.reset() RETURNS void LANGUAGE plpgsql SET session_replication_role = replica AS '
        || quote_literal('BEGIN ' || body || ' END');
END $make$
"""


# ---------------------------------------------------------------- one run: its directory, and what a killed run left


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--external", action="store_true", help="use the servers at SOKO_TEST_POSTGRES and SOKO_TEST_REDIS")


def pytest_configure(config: pytest.Config) -> None:
    for name in [name for name in os.environ if name.startswith("SOKO_") and not name.startswith("SOKO_TEST_")]:
        del os.environ[name]  # a developer's own databases are none of a test's business
    os.environ.pop("SSL_CERT_FILE", None)
    os.environ["SSL_CERT_DIR"] = os.devnull  # tests trust nobody outside: reading the authorities takes 25 ms a client
    given: dict[str, Any] | None = getattr(config, "workerinput", None)
    if given is not None:
        config.stash[RUN] = Path(given["soko_run"])
        return
    root = MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    _sweep(root)
    config.stash[RUN] = root / f"soko-test-{uuid4().hex[:8]}"
    config.stash[RUN].mkdir(mode=0o711)  # root's PostgreSQL runs as `nobody`, who has to pass
    config.stash[RUN_LOCK] = open_lock(config.stash[RUN] / "run.lock")
    take(config.stash[RUN_LOCK])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["soko_run"] = str(node.config.stash[RUN])


def pytest_unconfigure(config: pytest.Config) -> None:
    lock = config.stash.get(RUN_LOCK, None)
    if lock is None:
        return
    if config.getoption("--external"):
        for name in SETS:
            _drop(external_postgres(), template_name(config.stash[RUN], name))
    lock.close()
    shutil.rmtree(config.stash[RUN], ignore_errors=True)


def _sweep(root: Path) -> None:
    """Stop and remove what killed runs left behind: their locks are free."""
    for left in root.glob("soko-test-*"):
        with suppress(OSError):
            if left.stat().st_uid != os.geteuid() or not (left / "run.lock").exists():
                continue
            with open_lock(left / "run.lock") as lock:
                if take(lock):
                    stop_kept(Settings(_env_file=None, home=left))
                    shutil.rmtree(left, ignore_errors=True)


# ---------------------------------------------------------------- servers and databases of a run


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Iterator[Urls]:
    """Give the run's servers: any database on this PostgreSQL may be made, this Redis belongs to this worker."""
    number = int(worker_name(request.config).removeprefix("gw") or 0)
    if request.config.getoption("--external"):
        postgres = external_postgres()
        base, _, first = os.environ.get("SOKO_TEST_REDIS", "redis://127.0.0.1:6379/9").rpartition("/")
        yield Urls(platform=postgres, ops=postgres, redis=f"{base}/{int(first) + number}")
        return
    with engines(Settings(_env_file=None, home=request.config.stash[RUN]), postgres_options=FAST) as urls:
        yield Urls(platform=urls.platform, ops=urls.ops, redis=urls.redis.replace("?db=0", f"?db={number}"))


@pytest.fixture(scope="session")
def own_databases(request: pytest.FixtureRequest, servers: Urls) -> Iterator[dict[str, str]]:
    """Give this worker's clones of the migrated and seeded template databases: {"platform": url, "ops": url}."""
    run = request.config.stash[RUN]
    with locked(run / "template.lock"):
        if not (run / "template.made").exists():
            _make_templates(servers.platform, run)
            (run / "template.made").touch()
        clones = {name: f"{template_name(run, name)}_{worker_name(request.config)}" for name in SETS}
        for name, clone in clones.items():
            with psycopg.connect(servers.platform, autocommit=True) as admin:
                statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
                admin.execute(statement.format(sql.Identifier(clone), sql.Identifier(template_name(run, name))))
    yield {name: with_database(servers.platform, clone) for name, clone in clones.items()}
    for clone in clones.values():
        _drop(servers.platform, clone)


@pytest.fixture(scope="session")
def _resets(own_databases: dict[str, str]) -> Iterator[list[psycopg.Connection[Any]]]:
    """Keep a connection to each clone, which has planned its reset: a new one would plan it again, for 5 ms."""
    with ExitStack() as stack:
        yield [
            stack.enter_context(psycopg.connect(url, autocommit=True, options="-c lock_timeout=10s"))
            for url in own_databases.values()
        ]


@pytest.fixture
def database_urls(own_databases: dict[str, str], _resets: list[psycopg.Connection[Any]]) -> Iterator[dict[str, str]]:
    """Give the URLs of a migrated and seeded pair of databases; their seeded rows come back after the test."""
    yield own_databases
    for conn in _resets:
        conn.execute("SELECT soko_test.reset()")


@pytest.fixture(scope="session")
def _kept() -> Iterator[list[Databases]]:
    """Keep at most one open Databases for the next test."""
    kept: list[Databases] = []
    yield kept
    for each in kept:
        each.close()


@pytest.fixture
def databases(database_urls: dict[str, str], settings: Settings, _kept: list[Databases]) -> Iterator[Databases]:
    """Give router's databases, clean and seeded. Connections to these two last from test to test; memory does not."""
    opened = _kept.pop() if _kept else _open(database_urls, settings)
    opened.cache.forget()
    yield opened
    if all(target in (None, SHARED) and not connections._closed for target, connections in opened._open.items()):
        _kept.append(opened)
    else:
        opened.close()


@pytest.fixture
def redis_url(servers: Urls) -> Iterator[str]:
    """Give an empty Redis database of this worker's own."""
    with redis.Redis.from_url(servers.redis) as client:
        client.flushdb()
    yield servers.redis
    with redis.Redis.from_url(servers.redis) as client:
        client.flushdb()


@pytest.fixture(scope="session")
def session_settings(request: pytest.FixtureRequest, servers: Urls, own_databases: dict[str, str]) -> Settings:
    """Give development settings that point at this worker's servers."""
    return Settings(
        _env_file=None,
        home=request.config.stash[RUN],
        platform_url=own_databases["platform"],
        ops_url=own_databases["ops"],
        redis_url=servers.redis,
    )


@pytest.fixture
def settings(session_settings: Settings) -> Settings:
    """Give a test its own copy."""
    return session_settings.model_copy()


@pytest.fixture(autouse=True)
def plain_logs() -> Iterator[None]:
    """Write logs as plain lines: structlog's own default draws every trace in colours, which takes seconds."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(),
        ]
    )
    yield
    structlog.reset_defaults()


@pytest.fixture
def environment(database_urls: dict[str, str], redis_url: str, tmp_path: Path) -> dict[str, str]:
    """Give what a command reads its settings from: this test's databases, a home of its own, no M-Pesa."""
    return {
        "SOKO_PLATFORM_URL": database_urls["platform"],
        "SOKO_OPS_URL": database_urls["ops"],
        "SOKO_REDIS_URL": redis_url,
        "SOKO_HOME": str(tmp_path),
        "SOKO_DARAJA_URL": "http://127.0.0.1:9",
    }


@pytest.fixture
def vendor_id() -> VendorId:
    """Name the vendor that the development seed has."""
    return VendorId(UUID("c7af4716-f9ab-465d-9afb-f1047bf37a40"))


@pytest.fixture
def now() -> datetime:
    """Fix the time: a Friday, 12:30 in Nairobi."""
    return datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


# ---------------------------------------------------------------- names, templates


def external_postgres() -> str:
    """Return a superuser's URL: tests create databases."""
    return os.environ.get("SOKO_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")


def worker_name(config: pytest.Config) -> str:
    """Return gw0, gw1, … under xdist, gw0 without."""
    given: dict[str, Any] = getattr(config, "workerinput", {})
    return str(given.get("workerid", "gw0"))


def template_name(run: Path, name: str) -> str:
    """Name a template database after its run: two runs may share one external server."""
    return f"{run.name.replace('-', '_')}_{name}"


def with_database(url: str, database: str) -> str:
    """Return the same server's URL for another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@contextmanager
def scratch_database(server: str, prefix: str = "soko_scratch") -> Iterator[str]:
    """Give the URL of an empty database that is dropped afterwards, for tests of migrations and tenants."""
    name = f"{prefix}_{uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'").format(sql.Identifier(name)))
    try:
        yield with_database(server, name)
    finally:
        _drop(server, name)


def _open(urls: dict[str, str], settings: Settings) -> Databases:
    return Databases(
        platform_url=urls["platform"],
        ops_url=urls["ops"],
        resolve_secret=settings.open_secret,
        sealer=Sealer(settings.open_phone_keys),
    )


def _make_templates(server: str, run: Path) -> None:
    from router import migrating, seeding  # noqa: PLC0415 - Alembic takes half a second, once a run

    urls = {}
    for name in SETS:
        with psycopg.connect(server, autocommit=True) as admin:
            statement = sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'")
            admin.execute(statement.format(sql.Identifier(template_name(run, name))))
        urls[name] = with_database(server, template_name(run, name))
        migrating.upgrade(urls[name], Which(name))
    seeding.seed_platform(urls["platform"])
    seeding.seed_ops(urls["ops"], urls["platform"])
    for url in urls.values():
        with psycopg.connect(url) as conn:
            conn.execute(MAKE_RESET)


def _drop(server: str, name: str) -> None:
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
