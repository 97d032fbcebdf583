"""Commands that run Soko: `up` for everything, `serve`, `worker` and `simulators` for one process each."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

commands = typer.Typer()


@commands.command()
def up(
    flows: Annotated[Path | None, typer.Option(help="the folder with the app.yaml; Soko's own flows when not given")] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="development: whenever a file changes, publish the flows and play their transcripts")
    ] = False,
) -> None:
    """Run Soko here until Ctrl-C: databases, workers, web, and in development the simulators.

    In development the flows on disk are published at the start; in production `soko flow publish` does it.
    """
    from rich.console import Console

    from soko.assembly import FLOWS, open_databases
    from soko.logs import configure
    from soko.offering import Offering
    from soko.settings import load_settings
    from soko.up import running, wait_for_a_signal

    talk = Console(stderr=True)
    settings = load_settings()
    configure(stream=sys.stderr)
    logs = settings.home / "logs"
    with running(settings, logs=logs, report=lambda step: talk.print(f"[dim]{step} …[/dim]")) as stack:
        talk.print(f"\n[bold green]Soko is up[/bold green]  {stack.web_url}")
        talk.print(f"  WhatsApp webhook    {stack.web_url}/webhooks/whatsapp")
        talk.print(f"  orders API          {stack.web_url}/docs")
        talk.print(f"  health              {stack.web_url}/readyz")
        if settings.is_development:
            talk.print(f"  WhatsApp simulator  {settings.graph_url}/sim/health")
            talk.print(f"  M-Pesa simulator    {settings.daraja_url}/sim/health")
            talk.print(f"  a phone for M-Pesa  {settings.daraja_url}/phone")
        talk.print(f"  logs                {logs}/\n[dim]Ctrl-C stops everything.[/dim]")
        with open_databases(settings, stack.urls) as databases:
            offering = Offering(databases, flows or FLOWS, lambda said: talk.print(said, markup=False, soft_wrap=True))
            if settings.is_development:
                offering.look()
            look = offering.look if reload and settings.is_development else lambda: None
            with closing(offering):
                wait_for_a_signal(stack, report=talk.print, each_second=look)
        talk.print("[dim]Stopping …[/dim]")


@commands.command()
def serve(host: Annotated[str, typer.Option(help="the address to listen on")] = "127.0.0.1") -> None:
    """Run one web process."""
    import uvicorn

    from soko.assembly import build_turns, following, open_databases
    from soko.embedded import engines
    from soko.logs import configure
    from soko.parent import watch_parent
    from soko.settings import load_settings
    from soko.web import build_app

    settings = load_settings()
    configure()
    watch_parent()
    with engines(settings) as urls, open_databases(settings, urls) as databases, following(databases) as flows:
        app = build_app(settings, urls, databases, build_turns(databases, urls, flows))
        # We read X-Forwarded-For ourselves: uvicorn would believe anybody on this machine.
        uvicorn.run(app, host=host, port=settings.port, log_config=None, timeout_graceful_shutdown=5, proxy_headers=False)


@commands.command()
def worker(
    queues: Annotated[list[str] | None, typer.Argument(help="messages, pushes, events; all three when none is named")] = None,
) -> None:
    """Run the worker: one process for each queue."""
    from router.wakeups import QueueName
    from soko.logs import configure
    from soko.settings import load_settings
    from soko.workers import work_all

    try:
        chosen = [QueueName(queue) for queue in queues or list(QueueName)]
    except ValueError as error:
        raise typer.BadParameter(f"{error}; there are {', '.join(QueueName)}") from None
    settings = load_settings()
    configure()
    work_all(settings, chosen)


@commands.command()
def simulators() -> None:
    """Run the WhatsApp and M-Pesa simulators. Never in production."""
    from soko.parent import watch_parent
    from soko.settings import load_settings
    from soko.simulators.both import serve_both

    settings = load_settings()
    watch_parent()
    serve_both(settings)
