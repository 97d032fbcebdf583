"""`soko catalog`: take in a price list, and look at what is on the shelf."""

import json
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from soko.cli.failures import FAILED, fail
from soko.cli.opening import JsonOption, open_vendor, open_work

commands = typer.Typer(name="catalog", help="What a vendor sells: take in a price list, look at the shelf.", no_args_is_help=True)
VendorOption = Annotated[UUID, typer.Option("--vendor", help="the vendor's id")]


@commands.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="a CSV file in UTF-8", exists=True, dir_okay=False, readable=True)],
    *,
    vendor: VendorOption,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="read, check and compare; write nothing")] = False,
    as_json: JsonOption = False,
) -> None:
    """Take in a catalogue: all of its lines, or none when one is wrong. Exit 0: taken in (or would be); 1: something is wrong.

    Columns: sku, name, price; if you like short_name, unit, category, aliases (apart by ;), stock, active (yes, no), position.
    A number in stock is a new count of what is free to be sold; empty leaves the count, - stops counting.
    """
    from router.catalog_import import Outcome, import_file, list_wrong

    with open_vendor(vendor) as (databases, vendor_id):
        report = import_file(databases, vendor_id, file.read_bytes(), dry_run=dry_run)
    counts = {outcome.value: report.count(outcome) for outcome in Outcome}
    if as_json:
        for line in report.lines:
            wrong = [{"column": each.column, "message": each.message} for each in line.wrong]
            typer.echo(json.dumps({"line": line.line, "sku": line.sku, "outcome": line.outcome, "problems": wrong}))
        typer.echo(json.dumps({"written": report.written, **counts}))
    else:
        for line in report.lines:
            if line.outcome not in (Outcome.SAME, Outcome.WRONG):
                typer.echo(f"line {line.line}  {line.outcome}  {line.sku}")
        typer.echo(
            ", ".join(f"{count} {name}" for name, count in counts.items()) + ("" if report.written else ": nothing is written")
        )
    if counts[Outcome.WRONG]:
        if as_json:
            raise typer.Exit(FAILED)
        fail("\n".join(["the file is not taken in:", *list_wrong(report)]))


@commands.command("list")
def list_items(
    *,
    vendor: VendorOption,
    category: Annotated[str | None, typer.Option(help="only this category")] = None,
    as_json: JsonOption = False,
) -> None:
    """List what is on sale, with how many are free to be sold now."""
    from router import stock
    from router.vendors import get_vendor

    with open_work(vendor) as work:
        get_vendor(work.databases, work.vendor_id)
        items = [item for item in stock.list_shelf(work) if category in (None, item.category)]
    for item in items:
        shown = {
            "sku": item.sku,
            "name": item.name,
            "unit": item.unit,
            "price": item.price,
            "free": item.stock,
            "category": item.category,
            "aliases": list(item.aliases),
        }
        free = "-" if item.stock is None else item.stock
        line = f"{item.sku:<20}  {item.name:<30}  {item.unit:<8}  KES {item.price:>7}  {free:>6}"
        typer.echo(json.dumps(shown, ensure_ascii=False) if as_json else f"{line}  {item.category}".rstrip())
    if not items and not as_json:
        typer.echo("Nothing is on sale.", err=True)
