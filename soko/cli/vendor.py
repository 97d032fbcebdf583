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


@commands.callback()
def group() -> None:
    """Make `vendor` a group although it has one command so far."""


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
