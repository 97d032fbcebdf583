"""`soko payment`: read a payment's whole story, ask M-Pesa again, and decide what only a person may decide."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer

from soko.cli.counting import count
from soko.cli.failures import fail
from soko.cli.opening import JsonOption, VendorArgument, open_work

commands = typer.Typer(name="payment", help="Payments: their story, their reconciliation, their review.", no_args_is_help=True)
review = typer.Typer(name="review", help="Payments that wait for a person.", no_args_is_help=True)
commands.add_typer(review)
IntentArgument = Annotated[UUID, typer.Argument(help="the payment's id, as `soko payment review list` shows it")]


def _some_words(text: str) -> str:
    if not text.strip():
        raise typer.BadParameter("say it in words: the audit trail keeps it")
    return text.strip()


ActorOption = Annotated[str, typer.Option("--by", help="who decides; it stays in the audit trail", callback=_some_words)]
ReasonOption = Annotated[str, typer.Option(help="why, in your words; it stays in the audit trail", callback=_some_words)]


@commands.command("show")
def show(vendor: VendorArgument, payment: IntentArgument, *, as_json: JsonOption = False) -> None:
    """Tell a payment's story in order: the message that allowed it, what was sent, what came back. Exit 1 when there is none."""
    from router.ids import IntentId
    from router.payment_intents import money, store, trail

    with open_work(vendor) as work:
        by_hand = money.get(work, payment)
        intent = store.get(work, IntentId(payment))
        pay = None if intent is None else store.get_pay(work, intent.pay_message_id)
        noted = trail.list_noted(work, IntentId(payment))
    if by_hand is not None:
        _say(by_hand, as_json=as_json)
        return
    if intent is None or pay is None:
        fail(f"There is no payment {payment} at this vendor.")
    about: dict[str, Any] = {
        "payment": str(intent.id),
        "status": intent.status,
        "reason": intent.reason,
        "amount": intent.amount,
        "phone": intent.msisdn,
        "account": intent.account_ref,
        "paid_to": intent.shortcode.party_b,
        "receipt": intent.receipt,
        "prompt": intent.attempt.status,
        "allowed_by_message": pay.source_id,
        "message_at": pay.received_at.isoformat(),
    }
    _say(about, as_json=as_json)
    for line in noted:
        told = {"at": line.at.isoformat(), "event": line.event, "from": line.from_status, "to": line.to_status, "data": line.data}
        moved = f"  {line.from_status or '-'} -> {line.to_status}" if line.to_status else ""
        typer.echo(json.dumps(told) if as_json else f"{told['at']}  {line.event}{moved}  {json.dumps(line.data)}")


def _say(about: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(about, default=str))
        return
    for name, value in about.items():
        typer.echo(f"{name.replace('_', ' '):>20}  {'-' if value is None else value}")


@commands.command("reconcile")
def reconcile(vendor: VendorArgument) -> None:
    """Fetch what was paid, give up what waited too long, and ask M-Pesa about every prompt whose end is open, now."""
    from router.ids import VendorId
    from router.payment_intents import attempts, shortcodes
    from router.work import unit_of_work
    from soko.assembly import open_databases, open_flows
    from soko.embedded import engines
    from soko.settings import load_settings
    from soko.workers import build_tools
    from worker.jobs import pull_money, query_stk, settle_payment

    settings = load_settings()
    with engines(settings) as urls, open_databases(settings, urls) as databases:
        tools = build_tools(settings, databases, urls, open_flows(databases))
        with unit_of_work(databases, VendorId(vendor)) as work:
            shortcodes.pull_now(work, now=tools.clock())
            attempts.ask_all_now(work, now=tools.clock())
        pull_money.drain(tools, VendorId(vendor))
        settle_payment.drain(tools, VendorId(vendor))
        query_stk.drain(tools, VendorId(vendor))
    with open_work(vendor) as work:
        from router.payment_intents import money, store

        waiting, unmatched = len(store.list_under_review(work)), len(money.list_unmatched(work))
    typer.echo(f"Reconciled. {count(waiting, 'payment')} for a person to decide: soko payment review list {vendor}")
    typer.echo(f"{count(unmatched, 'receipt')} without an order: soko payment unmatched {vendor}")


@commands.command("statement")
def statement(
    vendor: VendorArgument,
    *,
    day: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="a day of Nairobi; without one: yesterday")] = None,
) -> None:
    """Write a day's orders, payments with their receipts, and unmatched money to stdout, as CSV."""
    from router.payment_intents.statement import list_day, to_csv, yesterday
    from soko.clock import utc_now

    chosen = day.date() if day is not None else yesterday(utc_now())
    with open_work(vendor) as work:
        lines = list_day(work, chosen)
    typer.echo(to_csv(lines), nl=False)
    money = sum(line.amount for line in lines if line.line in ("payment", "unmatched"))
    unmatched = sum(line.line == "unmatched" for line in lines)
    typer.echo(f"{chosen}: KES {money} came in, {count(unmatched, 'receipt')} without an order.", err=True)


@commands.command("unmatched")
def list_unmatched(vendor: VendorArgument, *, as_json: JsonOption = False) -> None:
    """List money that came and names no order of this vendor, with why; the oldest first."""
    from router.payment_intents import money

    with open_work(vendor) as work:
        found = money.list_unmatched(work)
    for each in found:
        shown = vars(each) | {"id": str(each.id), "paid_at": each.paid_at.isoformat()}
        line = f"{each.receipt}  KES {each.amount}  {each.account or '-'}  {each.because}  {each.paid_at.isoformat()}"
        typer.echo(json.dumps(shown) if as_json else line)
    if not found and not as_json:
        typer.echo("All money that came is matched.", err=True)


@commands.command("assign")
def assign(
    vendor: VendorArgument,
    receipt: Annotated[str, typer.Argument(help="M-Pesa's receipt, as `soko payment unmatched` shows it")],
    order: Annotated[str, typer.Argument(help="the order's number, like S0042")],
    *,
    actor: ActorOption,
    reason: ReasonOption,
    accept_difference: Annotated[
        bool, typer.Option("--accept-difference", help="also when the money is not the order's total")
    ] = False,
) -> None:
    """Say which order unmatched money is for. The order is paid by it, and the customer is told."""
    from payments import review as decisions
    from soko.clock import utc_now

    with open_work(vendor) as work:
        decisions.assign(
            work,
            receipt.strip().upper(),
            order.strip().upper(),
            actor=actor,
            reason=reason,
            accept_difference=accept_difference,
            now=utc_now(),
        )
    typer.echo(f"{receipt} pays for {order}.")


@review.command("list")
def list_reviews(vendor: VendorArgument, *, as_json: JsonOption = False) -> None:
    """List the payments that wait for a person, with why; the oldest first."""
    from router.payment_intents import store

    with open_work(vendor) as work:
        waiting = store.list_under_review(work)
    for each in waiting:
        shown = {
            "payment": str(each.id),
            "account": each.account_ref,
            "amount": each.amount,
            "phone": each.msisdn,
            "reason": each.reason,
            "claimed_receipt": each.attempt.claim.receipt if each.attempt.claim else None,
            "asked_at": each.pay_received_at.isoformat(),
        }
        typer.echo(json.dumps(shown) if as_json else "  ".join(f"{value or '-'}" for value in shown.values()))
    if not waiting and not as_json:
        typer.echo("Nothing waits for a person.", err=True)


@review.command("paid")
def decide_paid(
    vendor: VendorArgument,
    payment: IntentArgument,
    *,
    receipt: Annotated[str, typer.Option(help="M-Pesa's receipt, as the vendor's statement shows it")],
    actor: ActorOption,
    reason: ReasonOption,
) -> None:
    """Decide that the money came. The order is paid by it, and the customer is told."""
    from payments import review as decisions
    from router.ids import IntentId
    from soko.clock import utc_now

    with open_work(vendor) as work:
        decisions.decide_paid(work, IntentId(payment), receipt=receipt.strip().upper(), actor=actor, reason=reason, now=utc_now())
    typer.echo(f"The payment {payment} is paid.")


@review.command("failed")
def decide_failed(vendor: VendorArgument, payment: IntentArgument, *, actor: ActorOption, reason: ReasonOption) -> None:
    """Decide that no money came. The customer is told, and may pay again."""
    from payments import review as decisions
    from router.ids import IntentId
    from soko.clock import utc_now

    with open_work(vendor) as work:
        decisions.decide_failed(work, IntentId(payment), actor=actor, reason=reason, now=utc_now())
    typer.echo(f"The payment {payment} failed.")
