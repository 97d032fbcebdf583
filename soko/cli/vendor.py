"""`soko vendor`: where a vendor's operational data lives."""

from typing import Annotated
from uuid import UUID

import typer

commands = typer.Typer(name="vendor", help="Vendors and the databases they live in.", no_args_is_help=True)
VendorArgument = Annotated[UUID, typer.Argument(help="the vendor's id")]
AdminOption = Annotated[
    str | None,
    typer.Option("--admin", help="URL of a login that may create roles and databases there; without one: that of SOKO_OPS_URL"),
]


@commands.command("provision")
def provision(vendor: VendorArgument, admin: AdminOption = None) -> None:
    """Make and migrate the database that a dedicated vendor's db_target names. Safe to repeat."""
    from router.ids import VendorId
    from router.provisioning import provision as steps
    from soko.assembly import open_databases
    from soko.embedded import engines
    from soko.settings import load_settings

    settings = load_settings()
    with engines(settings) as urls, open_databases(settings, urls) as databases:
        for step in steps(databases, VendorId(vendor), admin_url=admin or urls.ops, open_secret=settings.open_secret):
            typer.echo(step)


@commands.command("move")
def move(
    vendor: VendorArgument,
    *,
    to: Annotated[
        str | None, typer.Option(help="postgresql://LOGIN@HOST/DATABASE that web and workers will use, or the word shared")
    ] = None,
    secret: Annotated[str | None, typer.Option(help="where that login's password is: env:NAME or file:/path")] = None,
    abort: Annotated[bool, typer.Option("--abort", help="give an unfinished move up: the vendor stays where it is")] = False,
    pause: Annotated[float, typer.Option(help="for at most so many seconds its messages may have to wait")] = 1.0,
    admin: AdminOption = None,
) -> None:
    """Move a vendor to a database of its own, or back to the shared one, while it sells. Repeat it when it was stopped."""
    from router import moving, provisioning
    from router.databases import SHARED, parse_target
    from router.ids import VendorId
    from soko.assembly import open_databases
    from soko.embedded import engines
    from soko.settings import load_settings

    if (to is None) != abort:
        raise typer.BadParameter("name where it goes, --to URL or --to shared, or --abort")
    settings = load_settings()
    with engines(settings) as urls, open_databases(settings, urls) as databases:
        url_of = moving.owner_urls(databases, shared=urls.ops, admin=admin or urls.ops)
        if to is None:
            moving.abort(databases, VendorId(vendor), url_of=url_of)
            typer.echo("Given up: the vendor is where it was.")
            return
        target = SHARED if to == "shared" else moving.dedicated_at(to, secret=secret)
        if target.db_target is not None:
            wanted = parse_target(target.db_target)
            for step in provisioning.make_database(wanted, admin_url=admin or urls.ops, open_secret=settings.open_secret):
                typer.echo(step)
        for step in moving.move(databases, VendorId(vendor), target, url_of=url_of, most_pause=pause):
            typer.echo(step)
