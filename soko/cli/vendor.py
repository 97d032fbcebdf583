"""`soko vendor`: is a vendor's set-up right?"""

import typer

from soko.cli.failures import FAILED
from soko.cli.opening import VendorArgument

commands = typer.Typer(name="vendor", help="Vendors: is their set-up right?", no_args_is_help=True)


@commands.callback()
def group() -> None:
    """Vendors: is their set-up right?"""


@commands.command("check-payments")
def check_payments(vendor: VendorArgument) -> None:
    """Look at a vendor's M-Pesa set-up, up to Safaricom's own answer. No prompt is sent. Exit 1 when something is wrong."""
    from payments.vendor_check import check
    from router.ids import VendorId
    from router.work import unit_of_work
    from soko.assembly import open_databases
    from soko.clock import utc_now
    from soko.embedded import engines
    from soko.settings import load_settings
    from soko.workers import build_tools

    settings = load_settings()
    with engines(settings) as urls, open_databases(settings, urls) as databases:
        tools = build_tools(settings, databases, urls)
        with unit_of_work(databases, VendorId(vendor)) as work:
            found = list(
                check(work, tools.daraja, daraja_url=settings.daraja_url, open_secret=settings.open_secret, now=utc_now())
            )
    for finding in found:
        typer.echo(
            f"{'ok   ' if finding.good else 'WRONG'}  {finding.what}" + ("" if finding.good else f"\n       {finding.fix}")
        )
    if not all(finding.good for finding in found):
        raise typer.Exit(FAILED)
    typer.echo("This vendor can be paid. Prove it once with KES 1 of your own.")
