"""`soko vendor`: what a vendor is set up with: its numbers, where its money goes, its branches, who is told."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from soko.cli.failures import fail
from soko.cli.opening import JsonOption, VendorArgument, open_vendor
from soko.cli.vendor import commands

if TYPE_CHECKING:
    from router.branches import Branches

SecretOption = Annotated[
    str | None, typer.Option("--secret", help="where its secrets are: env:NAME, file:/path or vault:mount/path#field")
]


@commands.command("channel")
def channel(
    vendor: VendorArgument,
    phone_number_id: Annotated[str | None, typer.Argument(help="Meta's id of the number; without: list the numbers")] = None,
    *,
    phone: Annotated[str | None, typer.Option(help="the number itself, 254700100001")] = None,
    secret: SecretOption = None,
    remove: Annotated[bool, typer.Option("--remove", help="this number is the vendor's no more")] = False,
    as_json: JsonOption = False,
) -> None:
    """List a vendor's WhatsApp numbers, add one or change it, or take one away. The secret is Meta's access token."""
    from router import channels
    from router.errors import Refused

    if phone_number_id is not None and not remove and (phone is None or secret is None):
        raise typer.BadParameter("a number needs --phone and --secret")
    with open_vendor(vendor) as (databases, vendor_id):
        try:
            if phone_number_id is not None and remove:
                channels.remove_channel(databases, vendor_id, phone_number_id)
            elif phone_number_id is not None and phone is not None and secret is not None:
                channels.put_channel(databases, vendor_id, phone_number_id=phone_number_id, display_phone=phone, token_ref=secret)
        except Refused as error:
            fail(str(error))
        found = channels.list_channels(databases, vendor_id)
    for each in found:
        told = {"phone_number_id": each.phone_number_id, "phone": each.display_phone, "secret": _place(each.token_ref)}
        typer.echo(json.dumps(told) if as_json else "  ".join(told.values()))
    if not found and not as_json:
        typer.echo("This vendor has no WhatsApp number.", err=True)


@commands.command("shortcode")
def shortcode(
    vendor: VendorArgument,
    *,
    paybill: Annotated[str | None, typer.Option(help="the paybill that is paid")] = None,
    till: Annotated[str | None, typer.Option(help="the till that is paid")] = None,
    store: Annotated[str | None, typer.Option(help="the till's store (head office) number")] = None,
    secret: SecretOption = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="it is Safaricom's sandbox, and no real money")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show where a vendor's money goes, or let it go elsewhere from the next PAY on. docs/payments.md has the secret."""
    from router.errors import Refused
    from router.payment_intents import shortcodes
    from soko.clock import utc_now

    numbers = (paybill, paybill) if till is None else (store, till)
    changes = any((paybill, till, store, secret, sandbox))
    if changes and ((paybill is None) == (till is None) or None in numbers or secret is None):
        raise typer.BadParameter("give --paybill NUMBER --secret REF, or --till NUMBER --store NUMBER --secret REF")
    with open_vendor(vendor) as (databases, vendor_id):
        if numbers[0] and numbers[1] and secret:
            try:
                shortcodes.set_shortcode(
                    databases,
                    vendor_id,
                    kind="till" if till else "paybill",
                    business_shortcode=numbers[0],
                    party_b=numbers[1],
                    environment="sandbox" if sandbox else "production",
                    secret_ref=secret,
                    now=utc_now(),
                )
            except Refused as error:
                fail(str(error))
        found = shortcodes.list_active(databases, vendor_id)
    for each in found:
        told = asdict(each) | {"id": str(each.id), "secret_ref": _place(each.secret_ref)}
        line = f"{each.kind} {each.party_b}, asked by {each.business_shortcode}, {each.environment}, {told['secret_ref']}"
        typer.echo(json.dumps(told) if as_json else line)
    if not found and not as_json:
        typer.echo("This vendor can take no money yet.", err=True)
    elif changes:
        typer.echo(f"Look at it with ./run vendor check-payments {vendor}", err=True)


def _place(reference: str) -> str:
    """Say where a secret is; a plain one is the secret itself."""
    return "plain:…" if reference.startswith("plain:") else reference


@commands.command("alert")
def alert(
    vendor: VendorArgument,
    phone: Annotated[str | None, typer.Argument(help="0712345678: a phone with WhatsApp; without one: nobody is told")] = None,
) -> None:
    """Tell somebody on WhatsApp of each paid order, and of money that pays none. docs/payments.md has the texts to register."""
    from router import channels, listing
    from router.phones import parse_msisdn

    try:
        msisdn = None if phone is None else parse_msisdn(phone)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    with open_vendor(vendor) as (databases, vendor_id):
        if listing.change_vendor(databases, vendor_id, {"alert_phone": msisdn}) is None:
            fail(f"There is no vendor {vendor}: `./run vendor list` shows them.")
        has_number = channels.get_channel_of(databases, vendor_id) is not None
    typer.echo("Nobody is told." if msisdn is None else f"{msisdn} is told of each paid order.")
    if msisdn and not has_number:
        typer.echo("But this vendor has no WhatsApp number yet to tell it from.", err=True)


@commands.command("branches")
def branches(
    vendor: VendorArgument,
    *,
    put: Annotated[
        Path | None,
        typer.Option("--set", help="a YAML file of all branches, as this command prints them", exists=True, dir_okay=False),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a vendor's branches and opening hours, or let it have those of a file and no others."""
    from ruamel.yaml import YAML

    from router.branches import Branches, list_branches, set_branches

    wanted = None if put is None else _read_branches(put)
    with open_vendor(vendor) as (databases, vendor_id):
        if wanted is not None:
            set_branches(databases, vendor_id, wanted)
        found = Branches(branches=tuple(kept.branch for kept in list_branches(databases, vendor_id)))
    if as_json:
        typer.echo(found.model_dump_json())
    else:
        YAML().dump(found.model_dump(mode="json"), sys.stdout)


def _read_branches(file: Path) -> "Branches":
    from pydantic import ValidationError
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    from router.branches import Branches

    try:
        return Branches.model_validate(YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8")))
    except (YAMLError, UnicodeDecodeError) as error:
        fail(f"{file} cannot be read: {error}")
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc'])) or 'the file'}: {each['msg']}" for each in error.errors()]
        fail("\n".join([f"{file} is not taken in:", *wrong]))
