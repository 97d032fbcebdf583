"""`soko webhook`: where a vendor's events are delivered."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from soko.cli.counting import count
from soko.cli.opening import JsonOption, VendorArgument

if TYPE_CHECKING:
    from router.webhooks.endpoints import Endpoint
    from router.webhooks.signing import Signing
    from router.work import Work

commands = typer.Typer(name="webhook", help="Where a vendor's events are delivered.", no_args_is_help=True)
WebhookArgument = Annotated[UUID, typer.Argument(help="the webhook's id, as `soko webhook list` shows it")]


@commands.command("list")
def list_webhooks(vendor: VendorArgument, *, as_json: JsonOption = False) -> None:
    """List a vendor's webhooks, and whether they work."""
    from router.webhooks import endpoints

    with _open(vendor) as (work, _):
        found = endpoints.list_all(work)
    for each in found:
        _show(each, as_json=as_json)
    if not found and not as_json:
        typer.echo("This vendor has no webhook.", err=True)


@commands.command("create")
def create(
    vendor: VendorArgument,
    url: Annotated[str, typer.Argument(help="https://…")],
    *,
    types: Annotated[list[str] | None, typer.Option("--type", help="only these events, repeatable; without: all")] = None,
    as_json: JsonOption = False,
) -> None:
    """Deliver what happens from now on to a URL, and show the secret that verifies it."""
    from router.events import EventType
    from router.webhooks import endpoints
    from soko.clock import utc_now

    try:
        named = [EventType(each) for each in types] if types else None
    except ValueError as error:
        raise typer.BadParameter(f"{error}; there are {', '.join(EventType)}", param_hint="--type") from None
    with _open(vendor) as (work, signing):
        made = endpoints.create(work, url=url, types=named, public_only=signing.public_only, now=utc_now())
        secret = signing.secret(made.id, made.version)
    _show(made, as_json=as_json, secret=secret)


@commands.command("delete")
def delete(vendor: VendorArgument, webhook: WebhookArgument) -> None:
    """Deliver nothing there any more."""
    from router.webhooks import endpoints

    with _open(vendor) as (work, _):
        gone = endpoints.delete(work, webhook)
    typer.echo(f"Nothing is delivered to {gone.url} any more.")


@commands.command("rotate")
def rotate(vendor: VendorArgument, webhook: WebhookArgument, *, as_json: JsonOption = False) -> None:
    """Go over to a new secret, and show it; for a day the old one signs as well."""
    from router.webhooks import endpoints
    from soko.clock import utc_now

    with _open(vendor) as (work, signing):
        made = endpoints.rotate(work, webhook, now=utc_now())
        secret = signing.secret(made.id, made.version)
    _show(made, as_json=as_json, secret=secret)


@commands.command("ping")
def ping(vendor: VendorArgument, webhook: WebhookArgument) -> None:
    """Deliver a test event there."""
    from router.webhooks import endpoints
    from soko.clock import utc_now

    with _open(vendor) as (work, _):
        endpoints.ping(work, webhook, now=utc_now())
    typer.echo(f"A worker delivers it within seconds: soko webhook deliveries {vendor} {webhook}")


@commands.command("enable")
def enable(vendor: VendorArgument, webhook: WebhookArgument) -> None:
    """Deliver again to a disabled webhook, from where it stopped."""
    from router.webhooks import endpoints

    with _open(vendor) as (work, _):
        again = endpoints.enable(work, webhook)
    typer.echo(f"Events are delivered to {again.url} again.")


@commands.command("resend")
def resend(
    vendor: VendorArgument,
    webhook: WebhookArgument,
    event: Annotated[str | None, typer.Argument(help="the event's id, evt_…; without: all that failed")] = None,
) -> None:
    """Deliver an event again, or all whose delivery has failed."""
    from router.webhooks import deliveries
    from soko.clock import utc_now

    with _open(vendor) as (work, _):
        number = deliveries.resend(work, webhook, event, now=utc_now())
    typer.echo(f"{number} will be delivered again.")


@commands.command("deliveries")
def list_deliveries(
    vendor: VendorArgument,
    webhook: WebhookArgument,
    *,
    status: Annotated[str | None, typer.Option("--status", help="pending, sending, delivered or failed")] = None,
    limit: Annotated[int, typer.Option("--limit", help="how many at most", min=1, max=10_000)] = 50,
    as_json: JsonOption = False,
) -> None:
    """List the last deliveries, the newest event first."""
    from router import events
    from router.webhooks import deliveries

    with _open(vendor) as (work, _):
        found = deliveries.list_last(work, webhook, status=status, limit=limit)
        names = [events.to_id(work.vendor_id, each.event_id) for each in found]
    for name, each in zip(names, found, strict=True):
        shown = vars(each) | {"event_id": name}
        tries = count(each.attempts, "try", "tries")
        told = f"{name}  {each.status:<9}  {each.type:<22}  {tries}  {each.error or each.answer or ''}"
        typer.echo(json.dumps(shown, default=str) if as_json else told)


@contextmanager
def _open(vendor: UUID) -> "Iterator[tuple[Work, Signing]]":
    from router.ids import VendorId
    from router.work import unit_of_work
    from soko.assembly import build_signing, open_databases
    from soko.embedded import engines
    from soko.settings import load_settings

    settings = load_settings()
    with (
        engines(settings) as urls,
        open_databases(settings, urls) as databases,
        unit_of_work(databases, VendorId(vendor)) as work,
    ):
        yield work, build_signing(settings)


def _show(each: "Endpoint", *, as_json: bool, secret: str | None = None) -> None:
    if as_json:
        told = {"secret": secret} if secret else {}
        typer.echo(json.dumps(vars(each) | told, default=str))
        return
    state = (
        f"disabled: {each.disabled_because}" if each.disabled_at else count(each.failures, "failure") if each.failures else "well"
    )
    typer.echo(f"{each.id}  {each.url}  {','.join(each.types) if each.types else 'all events'}  {state}")
    if secret:
        typer.echo(secret)
