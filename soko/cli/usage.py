"""`soko usage`: what vendors used, what it costs, and whether the count is right."""

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from soko.cli.counting import count
from soko.cli.failures import FAILED
from soko.cli.opening import JsonOption, open_platform, open_vendor

if TYPE_CHECKING:
    from router.usage.statements import Statement

commands = typer.Typer(name="usage", help="What vendors used, and what it costs.", no_args_is_help=True)
VendorOption = Annotated[UUID, typer.Option("--vendor", help="the vendor's id")]
MonthOption = Annotated[str, typer.Option("--month", help="as 2026-11, in Nairobi")]


class Format(StrEnum):
    """How a statement is written."""

    CSV = "csv"
    JSON = "json"


@commands.command("show")
def show(*, vendor: VendorOption, month: MonthOption, as_json: JsonOption = False) -> None:
    """Show what a vendor used in a month, and what that costs."""
    from router.usage.invoice import to_record, to_shillings

    statement = _read(vendor, month)
    for line in statement.lines:
        if as_json:
            typer.echo(json.dumps(to_record(statement, line)))
            continue
        late = f"  used in {line.used_in:%Y-%m}" if line.used_in < statement.month else ""
        price = f"KES {to_shillings(line.cents)} for {line.per}"
        amount = to_shillings(line.amount_cents)
        typer.echo(f"{line.meter:<16} {line.category:<10} {line.quantity:>10}  {price:<24} KES {amount:>12}{late}")
    if not as_json:
        state = "open" if statement.closed_at is None else f"closed {statement.closed_at:%Y-%m-%d}"
        typer.echo(f"{'total':<16} {'':<10} {'':>10}  {state:<24} KES {to_shillings(statement.total_cents):>12}")


@commands.command("export")
def export(
    *,
    vendor: VendorOption,
    month: MonthOption,
    file_format: Annotated[Format, typer.Option("--format", help="csv or json")] = Format.CSV,
) -> None:
    """Write a month's statement to stdout: the invoice of a closed month, a draft of an open one."""
    from router.usage.invoice import to_csv, to_json

    statement = _read(vendor, month)
    typer.echo((to_csv if file_format is Format.CSV else to_json)(statement), nl=file_format is Format.JSON)
    if statement.closed_at is None:
        typer.echo("This is a draft: the month is not closed.", err=True)


@commands.command("close")
def close(*, vendor: VendorOption, month: MonthOption) -> None:
    """Close a month that is over: its statement never changes again. What comes late enters the next month's."""
    from router.usage import statements
    from router.usage.days import parse_month
    from router.usage.invoice import to_shillings
    from soko.clock import utc_now

    with open_vendor(vendor) as (databases, vendor_id):
        closed = statements.close(databases, vendor_id, parse_month(month), now=utc_now())
    typer.echo(f"{month} is closed: {count(len(closed.lines), 'line')}, KES {to_shillings(closed.total_cents)}.")


@commands.command("check")
def check(
    *,
    vendor: VendorOption,
    day: Annotated[str | None, typer.Option("--day", help="as 2026-11-23; without: yesterday")] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a day's usage with what happened. Exit 1 when they differ."""
    from datetime import date

    from router.usage import daily
    from router.usage.effects import compare
    from router.work import unit_of_work
    from soko.clock import utc_now

    try:
        wanted = daily.due_day(utc_now()) if day is None else date.fromisoformat(day)
    except ValueError:
        raise typer.BadParameter("write a day as 2026-11-23", param_hint="--day") from None
    with open_vendor(vendor) as (databases, vendor_id), unit_of_work(databases, vendor_id) as work:
        differences = compare(work, wanted)
    for each in differences:
        typer.echo(json.dumps(vars(each)) if as_json else f"{each.meter}: counted {each.counted}, happened {each.happened}")
    if differences:
        raise typer.Exit(FAILED)
    if not as_json:
        typer.echo(f"The usage of {wanted} equals what happened.")


@commands.command("price")
def price(
    meter: Annotated[str, typer.Argument(help="the meter, as `soko usage show` names it")],
    *,
    cents: Annotated[int, typer.Option("--cents", help="cents of a shilling", min=0)],
    month: Annotated[str, typer.Option("--from", help="the first month it applies to, as 2026-12")],
    per: Annotated[int, typer.Option("--per", help="for how many units", min=1)] = 1,
    category: Annotated[str, typer.Option("--category", help="only this category of the meter")] = "",
) -> None:
    """Say what a meter costs from a month on. Closed months stay as they are."""
    from router.usage import prices
    from router.usage.days import parse_month
    from router.usage.invoice import to_shillings

    wanted = prices.Price(meter=meter, category=category, valid_from=parse_month(month), per=per, cents=cents)
    with open_platform() as databases:
        prices.set_price(databases, wanted)
    typer.echo(f"{meter} costs KES {to_shillings(cents)} for {per} from {month} on.")


def _read(vendor: UUID, month: str) -> "Statement":
    from router.usage import statements
    from router.usage.days import parse_month

    with open_vendor(vendor) as (databases, vendor_id):
        return statements.get_statement(databases, vendor_id, parse_month(month))
