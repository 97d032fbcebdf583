"""`soko migrate` and `soko seed`: the tables and the development rows of the databases."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from soko.cli.failures import fail

if TYPE_CHECKING:
    from soko.embedded import Urls

commands = typer.Typer()
FAST: Final = ("fsync=off", "shared_buffers=16MB")


class Database(StrEnum):
    """What can be migrated; a tenant is the dedicated ops database at DATABASE_URL, tenants are all of them."""

    PLATFORM = "platform"
    OPS = "ops"
    TENANT = "tenant"
    TENANTS = "tenants"


class Seeded(StrEnum):
    """What can be seeded."""

    PLATFORM = "platform"
    OPS = "ops"


@commands.command()
def migrate(
    database: Annotated[Database | None, typer.Argument(help="platform, ops, tenant, tenants; without one the first two")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="change nothing: do the migrations make, from nothing, the tables that the code has?")
    ] = False,
) -> None:
    """Bring a database to the newest tables; `tenant` is the one at DATABASE_URL. Safe to repeat, and for several at once.

    `tenants` are all dedicated databases: each is migrated whole or left as it was, and the report says which. Exit 1 when one
    of them failed: repair it and repeat.
    """
    if check:
        _check(database)
        return
    if database is Database.TENANT:
        _upgrade("tenant", _tenant_url(), "ops")
        return
    if database is Database.TENANTS:
        _upgrade_tenants()
        return
    with _engines() as urls:
        if database in (None, Database.PLATFORM):
            _upgrade("platform", urls.platform, "platform")
        if database in (None, Database.OPS):
            _upgrade("ops", urls.ops, "ops")


@commands.command()
def seed(database: Annotated[Seeded, typer.Argument(help="platform or ops")]) -> None:
    """Put in the development vendors, their catalogue and the internal key. Safe to repeat: nothing is doubled."""
    from router.seeding import seed_ops, seed_platform
    from soko.embedded import engines
    from soko.settings import load_settings

    settings = load_settings()
    production = not settings.is_development
    with engines(settings) as urls:
        if database is Seeded.PLATFORM:
            done = seed_platform(urls.platform, production=production)
        else:
            done = seed_ops(urls.ops, urls.platform, production=production)
    for line in done or ["nothing to do"]:
        typer.echo(f"{database.value}: {line}")


def _upgrade(name: str, url: str, which: str) -> None:
    from router.migrating import upgrade
    from router.revisions import Which, heads

    before = upgrade(url, Which(which))
    head = heads()[Which(which)]
    typer.echo(f"{name}: already at {head}" if before == head else f"{name}: {before or 'nothing'} -> {head}")


def _upgrade_tenants() -> None:
    from router.tenants import migrate_all
    from soko.assembly import open_databases
    from soko.embedded import engines
    from soko.settings import load_settings

    settings = load_settings()
    with engines(settings) as urls, open_databases(settings, urls) as databases:
        done = []
        for migrated in migrate_all(databases, admin_url=urls.ops):
            typer.echo(str(migrated))
            done.append(migrated)
    failed = [migrated.name for migrated in done if migrated.error]
    if failed:
        fail(f"{len(failed)} of {len(done)} dedicated databases are as they were: {', '.join(failed)}. Repair them, then repeat.")
    typer.echo(f"All {len(done)} dedicated databases have the newest tables.", err=True)


def _check(database: Database | None) -> None:
    """Migrate an empty pair of databases, in memory, and compare."""
    from router.migrating import check, upgrade
    from router.revisions import Which

    with _scratch_engines() as urls:
        upgrade(urls.platform, Which.PLATFORM)
        upgrade(urls.ops, Which.OPS)
        wanted = tuple(Which) if database is None else (Which.PLATFORM if database is Database.PLATFORM else Which.OPS,)
        found = [line for line in check(urls.platform, urls.ops) if line.startswith(wanted)]
    if found:
        fail("The migrations do not make the tables that the code has:\n" + "\n".join(f"  {line}" for line in found))
    typer.echo("The migrations make the tables that the code has.", err=True)


def _tenant_url() -> str:
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        raise typer.BadParameter("`soko migrate tenant` reads DATABASE_URL: DATABASE_URL=postgres://… soko migrate tenant")
    return url


@contextmanager
def _engines() -> Iterator["Urls"]:
    from soko.embedded import engines
    from soko.settings import load_settings

    with engines(load_settings()) as urls:
        yield urls


@contextmanager
def _scratch_engines() -> Iterator["Urls"]:
    """Give empty databases that nobody else sees and nobody needs afterwards."""
    from soko.embedded import engines
    from soko.settings import Settings

    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    home = Path(tempfile.mkdtemp(prefix="soko-check-", dir=memory if os.access(memory, os.W_OK) else None))
    home.chmod(0o711)  # root's PostgreSQL runs as `nobody`, who has to pass
    try:
        own = Settings(_env_file=None, home=home).model_copy(update=dict.fromkeys(("platform_url", "ops_url", "redis_url")))
        with engines(own, postgres_options=FAST) as urls:
            yield urls
    finally:
        shutil.rmtree(home, ignore_errors=True)
