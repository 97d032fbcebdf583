"""`soko inbox`: messages whose turn failed on our side, and their retry."""

import json
from typing import Annotated, Any

import typer

from soko.cli.failures import fail
from soko.cli.opening import JsonOption, VendorArgument, open_work

commands = typer.Typer(
    name="inbox", help="Messages that failed on our side: list them, and take their turn again.", no_args_is_help=True
)


@commands.command("failed")
def failed(
    vendor: VendorArgument,
    *,
    limit: Annotated[int, typer.Option(help="at most so many, the oldest first")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List what failed, with the error."""
    from router import inbox

    with open_work(vendor) as work:
        entries = inbox.list_failed(work, limit=limit)
    for entry in entries:
        shown: dict[str, Any] = {
            "id": entry.id,
            "kind": entry.kind,
            "received_at": entry.received_at.isoformat(),
            "error": entry.error,
        }
        typer.echo(json.dumps(shown) if as_json else f"{entry.id}  {shown['received_at']}  {entry.kind}  {entry.error}")
    if not entries and not as_json:
        typer.echo("Nothing failed.", err=True)


@commands.command("retry")
def retry(
    vendor: VendorArgument, entry: Annotated[int, typer.Argument(help="the entry's id, as `soko inbox failed` lists it")]
) -> None:
    """Take a failed entry's turn again, after the cause was repaired. Exit 1 when it fails again."""
    from router import inbox
    from router.ids import VendorId
    from router.work import unit_of_work
    from soko.assembly import build_turns, open_databases, open_flows
    from soko.embedded import engines
    from soko.settings import load_settings

    settings, vendor_id = load_settings(), VendorId(vendor)
    with engines(settings) as urls, open_databases(settings, urls) as databases:
        with unit_of_work(databases, vendor_id) as work:
            inbox.reopen(work, entry)
        build_turns(databases, urls, open_flows(databases)).handle(vendor_id, entry)
        with unit_of_work(databases, vendor_id) as work:
            again = next((kept for kept in inbox.list_failed(work, limit=10_000) if kept.id == entry), None)
    if again is not None:
        fail(f"inbox entry {entry} failed again: {again.error}")
    typer.echo(f"Inbox entry {entry} is handled.")
