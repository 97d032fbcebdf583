"""`soko event`: what happened at a vendor."""

import json
from typing import Annotated

import typer

from soko.cli.opening import JsonOption, VendorArgument, open_work

commands = typer.Typer(name="event", help="What happened at a vendor, in order and without gaps.", no_args_is_help=True)


@commands.command("list")
def list_events(
    vendor: VendorArgument,
    *,
    after: Annotated[str, typer.Option("--after", help="go on after this place, the first column of the list")] = "0-0",
    limit: Annotated[int, typer.Option("--limit", help="how many at most", min=1, max=10_000)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List events, the oldest first. With --json each is the CloudEvent that a webhook delivers, and its `cursor`."""
    from router import events

    place = events.parse_cursor(after)
    if place is None:
        raise typer.BadParameter("give a place as the list shows it, such as 8123-42", param_hint="--after")
    with open_work(vendor) as work:
        found = events.read(work, after=place, limit=limit)
        vendor_id = work.vendor_id
    for event in found:
        if as_json:
            typer.echo(json.dumps({"cursor": str(event.cursor), **events.to_envelope(vendor_id, event)}))
        else:
            number = "" if event.sequence is None else f"#{event.sequence}"
            typer.echo(f"{event.cursor!s:<16}  {event.at.isoformat()}  {event.type:<22}  {event.subject} {number}")
    if not found and not as_json:
        typer.echo("Nothing happened after that.", err=True)
