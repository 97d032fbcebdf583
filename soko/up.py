"""Everything on one command: engines, migrations, seed, simulators, workers and web, started and stopped in order."""

import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from router import revisions, seeding
from router.revisions import Which
from soko.children import Children
from soko.embedded import Urls, engines, revive
from soko.errors import NotReady
from soko.settings import Settings, to_variable

READY_SECONDS: Final = 60.0
LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A running Soko."""

    settings: Settings
    urls: Urls
    children: Children
    web_url: str


@contextmanager
def running(settings: Settings, *, logs: Path | None, report: Callable[[str], None]) -> Iterator[Stack]:
    """Start everything, say each step before it, and stop everything at the end of the block.

    Errors: NotReady when something does not start, or ends at once
    """
    refuse_taken_ports(settings)
    report("Starting PostgreSQL and Valkey")
    with engines(settings) as urls:
        children = Children(environment=_environment(settings), logs=logs)
        try:
            if settings.is_development:
                children.start("simulators", ["simulators"])
            report("Migrating the databases" + (" and putting goods on the shelf" if settings.is_development else ""))
            prepare(settings, urls)
            report("Starting the web process and the workers")
            children.start("worker", ["worker"])
            children.start("web", ["serve"])
            web_url = f"http://127.0.0.1:{settings.port}"
            await_ready(f"{web_url}/readyz", children)
            for simulator in (settings.graph_url, settings.daraja_url) if settings.is_development else ():
                await_ready(f"{simulator}/sim/health", children)
            yield Stack(settings=settings, urls=urls, children=children, web_url=web_url)
        finally:
            children.stop()


def refuse_taken_ports(settings: Settings) -> None:
    """Say which port is taken before anything starts. Errors: NotReady."""
    simulated = (settings.graph_url, settings.daraja_url) if settings.is_development else ()
    for port in (settings.port, *(urlsplit(url).port for url in simulated)):
        if port is not None and not is_free(port):
            raise NotReady(
                f"Port {port} is taken, perhaps by another Soko. Stop that one, or set SOKO_PORT to another port;"
                " the simulators take the two after it."
            )


def is_free(port: int) -> bool:
    """Tell whether we could listen on this port of this machine now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def prepare(settings: Settings, urls: Urls) -> None:
    """Bring both databases to the newest revision, in development with the seed's vendors."""
    heads = revisions.heads()
    for url, which in ((urls.platform, Which.PLATFORM), (urls.ops, Which.OPS)):
        with revisions.connect(url) as conn:
            is_current = revisions.current(conn, which) == heads[which]
        if not is_current:
            from router import migrating  # noqa: PLC0415 - Alembic takes a second, and a second start does not need it

            migrating.upgrade(url, which)
    if settings.is_development:
        seeding.seed_platform(urls.platform)
        seeding.seed_ops(urls.ops, urls.platform)


def await_ready(url: str, children: Children) -> None:
    """Wait until this address answers 200. Errors: NotReady with its last answer."""
    end, last = time.monotonic() + READY_SECONDS, "no answer"
    with httpx.Client(timeout=5, trust_env=False) as http:
        while time.monotonic() < end:
            children.check()
            try:
                answer = http.get(url)
            except httpx.TransportError as error:
                last = str(error)
            else:
                if answer.status_code == 200:
                    return
                last = answer.text
            time.sleep(0.05)
    raise NotReady(f"{url} is not ready after {READY_SECONDS:.0f} s. Its last answer: {last}")


def _environment(settings: Settings) -> dict[str, str]:
    """Give the children our own settings, word for word; embedded servers they find by the same home."""
    values = {name: getattr(settings, name) for name in Settings.model_fields}
    values["home"] = settings.home.absolute()
    return {to_variable(name): str(value) for name, value in values.items() if value is not None}


def wait_for_a_signal(stack: Stack, *, report: Callable[[str], None], each_second: Callable[[], None] = lambda: None) -> None:
    """Wait for Ctrl-C or SIGTERM; what is killed meanwhile is started again. Errors: NotReady when that does not help."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda _number, _frame: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        while not stop.wait(LOOK_SECONDS):
            if revive(stack.settings):
                report("PostgreSQL or Valkey had gone: started again")
            for name in stack.children.mend():
                report(f"{name} had ended: started again")
            each_second()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
