"""`soko demo`: one order from hello to receipt, shown as it happens."""

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from soko.demo import Result

commands = typer.Typer()
TICKS: Final = {"sent": "✓", "delivered": "✓✓", "read": "[blue]✓✓[/blue]"}


@commands.command()
def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="leave it running until Ctrl-C")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object on stdout, and nothing else there")] = False,
) -> None:
    """Play one whole order: chat, basket, PAY, M-Pesa prompt, receipt. Exit 0 only if it was paid once and told so."""
    from rich.console import Console

    from soko.assembly import open_databases
    from soko.demo import alone, clear, play, to_demo
    from soko.logs import configure
    from soko.settings import load_settings
    from soko.up import running, wait_for_a_signal

    talk, show = Console(stderr=True), Console(stderr=as_json)
    configure(stream=sys.stderr, level="WARNING")
    given = load_settings()
    begin = time.monotonic()
    with alone(given), talk.status("Starting …") as status:
        settings = to_demo(given)
        clear(settings)

        def report(step: str) -> None:
            status.update(f"{step} …")

        with running(settings, logs=settings.home / "logs", report=report) as stack:
            started = round(time.monotonic() - begin, 3)
            show.print(f"[dim]Soko is up after {started:.1f} s. Now a customer writes to Mama Duka.[/dim]\n")
            with open_databases(settings, stack.urls) as databases:
                result = play(settings, databases, show=lambda message: _show(show, message), report=report)
            result.seconds = {"start": started, **result.seconds, "all": round(time.monotonic() - begin, 3)}
            status.stop()
            _sum_up(show, result)
            if as_json:
                sys.stdout.write(result.to_json() + "\n")
                sys.stdout.flush()
            if keep:
                talk.print(f"\nStill running: {stack.web_url}  [dim]Ctrl-C stops everything.[/dim]")
                wait_for_a_signal(stack, report=talk.print)
    if result.complaints:
        raise typer.Exit(1)


def _show(console: "Console", message: Mapping[str, Any]) -> None:
    """Show one message as a phone would: the customer on the right, the shop on the left."""
    from rich.align import Align
    from rich.markup import escape
    from rich.panel import Panel

    out = message["direction"] == "out"
    lines = [escape(message["text"] or f"[{message['type']}]")]
    lines += [f"[cyan]( {escape(button['title'])} )[/cyan]" for button in message["buttons"]]
    if message["list"]:
        rows = message["list"]["rows"]
        lines += [f"[cyan]≡ {escape(message['list']['button'])}[/cyan]"]
        lines += [
            f"[cyan]  · {escape(row['title'])}[/cyan] [dim]{escape(row.get('description') or '')}[/dim]" for row in rows[:4]
        ]
        lines += [f"[dim]    and {len(rows) - 4} more[/dim]"] if len(rows) > 4 else []
    panel = Panel("\n".join(lines), border_style="green" if out else "white", expand=False, width=None)
    console.print(Align(panel, "left" if out else "right", width=72))


def _sum_up(console: "Console", result: "Result") -> None:
    """Show what is in the databases now, and where the time went."""
    from rich.table import Table

    order, payment = result.order, result.payment
    if order:
        lines = ", ".join(f"{line['qty']} x {line['name']}" for line in order["lines"] or [])
        console.print(f"\n[bold]order[/bold]    {order['number']}  {order['status']}  KES {order['total']:,}  ({lines})")
    if payment:
        console.print(
            f"[bold]payment[/bold]  {payment['receipt']}  KES {payment['amount']:,} to {payment['paid_to_kind']}"
            f" {payment['paid_to']}, confirmed by {payment['confirmed_by']}"
        )
    console.print(f"[bold]pushes[/bold]   {result.stk_pushes}")
    console.print(f"[bold]vendor[/bold]   was told: {result.alert}")
    table = Table("", "message", "status", title="what the databases hold", title_justify="left", box=None)
    for message in result.messages:
        text = (message["text"] or "").split("\n")[0]
        table.add_row(
            "→" if message["direction"] == "in" else "←", text[:60], TICKS.get(message["status"], "") + " " + message["status"]
        )
    console.print(table)
    clock = Table("where the time went", "seconds", box=None)
    for name, seconds in result.seconds.items():
        clock.add_row(name, f"{seconds:.2f}")
    console.print(clock)
    for complaint in result.complaints:
        console.print(f"[bold red]not as it should be:[/bold red] {complaint}")
    if not result.complaints:
        console.print("\n[bold green]One order, one prompt, one payment, one receipt.[/bold green]")
