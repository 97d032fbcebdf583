"""`soko key`: keys for callers of the HTTP API."""

import json
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import typer

from soko.cli.opening import JsonOption, open_platform

commands = typer.Typer(name="key", help="Keys for callers of the HTTP API.", no_args_is_help=True)
MOST_DAYS = 3650


class OperationName(StrEnum):
    """What a key may do, as router.keys.Operation has it; a test compares both."""

    ORDERS_READ = "orders.read"
    ORDERS_WRITE = "orders.write"
    CATALOG_READ = "catalog.read"
    CATALOG_WRITE = "catalog.write"
    CUSTOMERS_READ = "customers.read"
    CUSTOMERS_RIGHTS = "customers.rights"
    PAYMENTS_READ = "payments.read"
    USAGE_READ = "usage.read"
    EVENTS_READ = "events.read"
    WEBHOOKS_WRITE = "webhooks.write"
    ADMIN = "admin"


@commands.command("create")
def create(
    name: Annotated[
        str, typer.Argument(help="who will use it; two live keys may share a name, so that one can follow the other")
    ],
    *,
    vendor: Annotated[UUID | None, typer.Option("--vendor", help="the one vendor it speaks for; without: every vendor")] = None,
    operations: Annotated[
        list[OperationName] | None, typer.Option("--may", help="what it may do, repeatable; without: everything but admin")
    ] = None,
    days: Annotated[
        int | None, typer.Option("--days", help="how long it lives; without: until revoked", min=1, max=MOST_DAYS)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and show it, once. To rotate: make the second, give it to the caller, then revoke the first."""
    from datetime import timedelta

    from router import keys
    from router.ids import VendorId
    from soko.clock import utc_now

    now = utc_now()
    not_after = None if days is None else now + timedelta(days=days)
    with open_platform() as databases:
        key_id, key = keys.create(
            databases,
            name=name,
            vendor_id=None if vendor is None else VendorId(vendor),
            operations=[keys.Operation(operation) for operation in operations or ()],
            not_after=not_after,
            now=now,
        )
    if as_json:
        typer.echo(json.dumps({"id": str(key_id), "key": key, "not_after": not_after and not_after.isoformat()}))
    else:
        typer.echo(key)
        typer.echo(f"This is shown once. To end it: soko key revoke {key_id}", err=True)


@commands.command("list")
def list_keys(
    *,
    ended: Annotated[bool, typer.Option("--all", help="also those that expired or were revoked")] = False,
    as_json: JsonOption = False,
) -> None:
    """List keys: whose they are and what they may do, never the key."""
    from router import keys
    from soko.clock import utc_now

    now = utc_now()
    with open_platform() as databases:
        found = keys.list_keys(databases, now=now, ended=ended)
    for key in found:
        expired = key.not_after is not None and key.not_after <= now
        shown = {
            "id": str(key.id),
            "name": key.name,
            "vendor": None if key.vendor_id is None else str(key.vendor_id),
            "may": None if key.operations is None else list(key.operations),
            "state": "revoked" if key.revoked_at else "expired" if expired else "live",
            "not_after": None if key.not_after is None else key.not_after.isoformat(),
        }
        may = "all but admin" if key.operations is None else ",".join(key.operations)
        vendor = shown["vendor"] or "every vendor"
        typer.echo(
            json.dumps(shown)
            if as_json
            else f"{key.id}  {shown['state']:<7}  {key.name:<16}  {vendor:<36}  {shown['not_after'] or '-'}  {may}"
        )


@commands.command("revoke")
def revoke(key: Annotated[UUID, typer.Argument(help="the key's id, as `soko key list` shows it")]) -> None:
    """End a key at once."""
    from router import keys
    from soko.clock import utc_now

    with open_platform() as databases:
        keys.revoke(databases, key, now=utc_now())
    typer.echo(f"The key {key} is revoked.")
