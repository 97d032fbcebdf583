"""`soko customer`: what a person may ask for: everything that is kept about them, or to be forgotten."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from soko.cli.counting import count
from soko.cli.failures import FAILED, fail
from soko.cli.opening import JsonOption, open_platform

if TYPE_CHECKING:
    from router.databases import Databases
    from router.ids import CustomerId, VendorId

commands = typer.Typer(
    name="customer", help="What a person may ask for: all that is kept about them, or to be forgotten.", no_args_is_help=True
)
WhoArgument = Annotated[str, typer.Argument(metavar="PHONE", help="0712345678 or 254712345678; or a customer's id")]
VendorOption = Annotated[UUID | None, typer.Option("--vendor", help="at this vendor alone; without: at every vendor")]


@commands.command("export")
def export(who: WhoArgument, *, vendor: VendorOption = None) -> None:
    """Write every row about this person to stdout, as one JSON object: by vendor, by table."""
    from router import rights
    from soko.clock import utc_now

    found: dict[str, Any] = {"of": who, "at": utc_now().isoformat(), "vendors": {}}
    with _open(who, vendor) as (databases, person, vendors):
        for vendor_id in vendors:
            rows = rights.export(databases, vendor_id, person)
            if rows:
                found["vendors"][str(vendor_id)] = rows
        if vendor is None and isinstance(person, str):
            found["platform"] = rights.export_platform(databases, person)
    typer.echo(json.dumps(found, indent=2, ensure_ascii=False))


@commands.command("erase")
def erase(
    who: WhoArgument,
    *,
    vendor: VendorOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="do not ask")] = False,
    as_json: JsonOption = False,
) -> None:
    """Forget this person: names, phones, words. Amounts and receipts stay. Exit 1 when a vendor has to be asked again later.

    Repeat it as often as you like, and once after a month: what WhatsApp or M-Pesa tell late names the phone again.
    """
    from router import rights
    from router.errors import Refused, Unavailable
    from soko.clock import utc_now

    if not yes:
        typer.confirm(f"Nothing brings it back. Forget {who}?", abort=True, err=True)
    later = 0
    with _open(who, vendor) as (databases, person, vendors):
        for vendor_id in vendors:
            try:
                erased = rights.erase(databases, vendor_id, person, now=utc_now())
            except (Refused, Unavailable) as error:
                later += 1
                _tell({"vendor": str(vendor_id), "erased": False, "why": str(error)}, as_json=as_json)
                continue
            if erased.rows or vendor is not None:
                told = {"vendor": str(vendor_id), "erased": True, "customers": len(erased.customers), "rows": dict(erased.rows)}
                _tell(told, as_json=as_json)
        if vendor is None and isinstance(person, str):
            rows = rights.erase_platform(databases, person)
            _tell({"vendor": None, "erased": True, "customers": 0, "rows": rows}, as_json=as_json)
    if later:
        raise typer.Exit(FAILED)


@commands.command("seal")
def seal() -> None:
    """Seal phone numbers that were written before there was a key, or with SOKO_PHONE_KEY_BEFORE. Can be repeated."""
    from router import sealing
    from router.rehearsal import list_vendors

    with open_platform() as databases:
        for vendor_id in list_vendors(databases):
            counted = sealing.seal_again(databases, vendor_id)
            _tell({"vendor": str(vendor_id), "erased": True, "customers": counted.get("customers", 0), "rows": counted})
        _tell({"vendor": None, "erased": True, "customers": 0, "rows": sealing.seal_platform_again(databases)})


@contextmanager
def _open(who: str, vendor: UUID | None) -> "Iterator[tuple[Databases, str | CustomerId, list[VendorId]]]":
    """Open the databases, read whom the argument means, and list the vendors to ask."""
    from router.ids import CustomerId, VendorId
    from router.phones import parse_msisdn
    from router.rehearsal import list_vendors

    try:
        person: str | CustomerId = CustomerId(UUID(who))
    except ValueError:
        try:
            person = parse_msisdn(who)
        except ValueError as error:
            fail(str(error), 2)
    with open_platform() as databases:
        yield databases, person, [VendorId(vendor)] if vendor else list(list_vendors(databases))


def _tell(told: dict[str, Any], *, as_json: bool = False) -> None:
    where = f"vendor {told['vendor']}" if told["vendor"] else "the platform"
    if as_json:
        typer.echo(json.dumps(told))
    elif not told["erased"]:
        typer.echo(f"{where}: not yet. {told['why']}")
    else:
        rows = ", ".join(f"{number} {table}" for table, number in told["rows"].items()) or "nothing"
        typer.echo(f"{where}: {count(told['customers'], 'customer')}; {rows}")
