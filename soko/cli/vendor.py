"""`soko vendor`: where a vendor's operational data lives, and whether it can be paid."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from soko.cli.failures import FAILED
from soko.cli.opening import VendorArgument

if TYPE_CHECKING:
    from payments.vendor_check import Finding
    from router.ids import VendorId
    from soko.settings import Settings
    from worker.tools import Tools

commands = typer.Typer(name="vendor", help="Vendors: their databases, and their set-up.", no_args_is_help=True)
AdminOption = Annotated[
    str | None,
    typer.Option("--admin", help="URL of a login that may create roles and databases there; without one: that of SOKO_OPS_URL"),
]


@commands.command("list")
def list_all(as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False) -> None:
    """List the vendors: id, where their data lives, and name."""
    from router import vendors
    from soko.assembly import open_databases
    from soko.embedded import engines
    from soko.settings import load_settings

    settings = load_settings()
    with engines(settings) as urls, open_databases(settings, urls) as databases:
        found = [vendors.get_vendor(databases, vendor_id) for vendor_id in vendors.list_ids(databases)]
    for each in found:
        told = {"id": str(each.id), "isolation_level": each.isolation_level.value, "name": each.name, "language": each.language}
        typer.echo(
            json.dumps(told, ensure_ascii=False) if as_json else f"{each.id}  {each.isolation_level.value:<12}  {each.name}"
        )
    if not found and not as_json:
        typer.echo("There is no vendor yet: `./run up` seeds one, POST /vendors makes another.", err=True)


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


@contextmanager
def _open_tools(vendor: UUID) -> "Iterator[tuple[Settings, Tools, VendorId]]":
    """Open what a worker has, for one vendor."""
    from router.ids import VendorId
    from soko.assembly import open_databases, open_flows
    from soko.embedded import engines
    from soko.settings import load_settings
    from soko.workers import build_tools

    settings = load_settings()
    with engines(settings) as urls, open_databases(settings, urls) as databases:
        yield settings, build_tools(settings, databases, urls, open_flows(databases)), VendorId(vendor)


@commands.command("check-payments")
def check_payments(vendor: VendorArgument) -> None:
    """Look at a vendor's M-Pesa set-up, up to Safaricom's own answer. No prompt is sent. Exit 1 when something is wrong."""
    from payments.access_token import AccessTokens
    from payments.daraja import DarajaClient
    from payments.vendor_check import check

    with _open_tools(vendor) as (settings, tools, vendor_id):
        # With no token that somebody has kept: that would say nothing of the secret that is named now.
        daraja = DarajaClient(base_url=settings.daraja_url, tokens=AccessTokens(None))
        found = list(
            check(
                tools.databases,
                daraja,
                vendor_id=vendor_id,
                daraja_url=settings.daraja_url,
                open_secret=tools.open_secret,
                now=tools.clock(),
            )
        )
        daraja.close()
    _say(found)
    typer.echo("This vendor can be paid. Prove it once with KES 1 of your own.")


@commands.command("register-payments")
def register_payments(
    vendor: VendorArgument,
    *,
    strict: Annotated[
        bool, typer.Option("--strict", help="while we cannot be reached, M-Pesa refuses payments by hand instead of taking them")
    ] = False,
    pull: Annotated[
        str | None, typer.Option(help="also fetch what was paid; the phone that Safaricom knows as the shortcode's own")
    ] = None,
) -> None:
    """Let M-Pesa report what customers pay by hand to the vendor's paybill. Once; production takes the addresses once only."""
    from payments.registering import Registering
    from router.phones import parse_msisdn

    try:
        phone = None if pull is None else parse_msisdn(pull)
    except ValueError as error:
        raise typer.BadParameter(f"--pull: {error}") from None
    with _open_tools(vendor) as (_, tools, vendor_id):
        registering = Registering(
            databases=tools.databases,
            daraja=tools.daraja,
            vendor_id=vendor_id,
            callback_base_url=tools.callback_base_url,
            open_secret=tools.open_secret,
            now=tools.clock(),
        )
        found = [registering.c2b(strict=strict), *([registering.pull(phone=phone)] if phone else [])]
    _say(found)


def _say(found: "Sequence[Finding]") -> None:
    """Show each finding with its fix. Exit 1 when one is not good."""
    for finding in found:
        typer.echo(
            f"{'ok   ' if finding.good else 'WRONG'}  {finding.what}" + ("" if finding.good else f"\n       {finding.fix}")
        )
    if not all(finding.good for finding in found):
        raise typer.Exit(FAILED)
