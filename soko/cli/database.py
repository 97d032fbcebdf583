"""`soko db url` and `soko down`: the databases from outside."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

if TYPE_CHECKING:
    from soko.embedded import Urls
    from soko.settings import Settings

commands = typer.Typer()
db = typer.Typer(name="db", help="The databases, for psql and other tools.", no_args_is_help=True)
commands.add_typer(db)


class Database(StrEnum):
    """Which database: the control plane, shared operations, or the one a vendor's orders are in."""

    PLATFORM = "platform"
    OPS = "ops"
    TENANT = "tenant"


@db.callback()
def group() -> None:
    """Make `db` a group although it has one command so far."""


@db.command()
def url(
    database: Annotated[Database, typer.Argument(help="platform, ops or tenant")],
    vendor: Annotated[UUID | None, typer.Argument(help="the vendor's id, for tenant")] = None,
) -> None:
    """Print what psql needs: psql "$(soko db url ops)". Embedded databases that nobody runs are started and left running."""
    from soko.embedded import are_kept, engines
    from soko.settings import load_settings

    if (database is Database.TENANT) != (vendor is not None):
        raise typer.BadParameter("`tenant` needs the vendor's id, the other two take none: soko db url tenant VENDOR")
    settings = load_settings()
    with engines(settings, keep=True) as urls:
        if vendor is not None:
            found = _tenant_url(settings, urls, vendor)
        else:
            found = urls.platform if database is Database.PLATFORM else urls.ops
    typer.echo(found)
    if are_kept(settings):
        typer.echo("The embedded databases keep running: `soko down` stops them.", err=True)


@commands.command()
def down() -> None:
    """Stop the embedded databases that `soko db url`, or a killed process, left running."""
    from soko.embedded import stop_kept
    from soko.settings import load_settings

    if not stop_kept(load_settings()):
        typer.echo("A running soko still uses the embedded databases: they stop when it does.", err=True)


def _tenant_url(settings: "Settings", urls: "Urls", vendor: UUID) -> str:
    """Connect as the router would, so that a URL that is printed is a URL that works."""
    from urllib.parse import quote

    from router.databases import SHARED, Databases
    from router.ids import VendorId

    databases = Databases(platform_url=urls.platform, ops_url=urls.ops, resolve_secret=settings.open_secret)
    try:
        target = databases.target_of(VendorId(vendor))
        if target == SHARED:
            return urls.ops
        with databases.across(target) as conn:
            info = conn.info
            login = quote(info.user, safe="") + (f":{quote(info.password, safe='')}" if info.password else "")
            if info.host.startswith("/"):
                return f"postgresql://{login}@/{quote(info.dbname, safe='')}?host={quote(info.host)}&port={info.port}"
            return f"postgresql://{login}@{info.host}:{info.port}/{quote(info.dbname, safe='')}"
    finally:
        databases.close()
