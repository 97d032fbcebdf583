"""What one customer who floods a shop costs the others: their answers without a flood, with it, and with it unlimited.

`./run bench flood` prints a table and writes bench/flood.md. Real HTTP, embedded PostgreSQL and Valkey, a web process for each
of the two policies; the phases take turns in one run.
"""

import hashlib
import hmac
import json
import logging
import signal
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Final
from uuid import uuid4

import structlog
import uvicorn
from fastapi import FastAPI

from bench.turns import NUMBER
from conversation.live_flows import LiveFlows
from conversation.turn import Turns
from conversation.webhook import PATH, build_routes
from router.databases import Databases
from router.rate_limits import RateLimits
from router.wakeups import Wakeups
from soko.assembly import load_flows
from soko.clock import utc_now
from soko.embedded import Urls, engines
from soko.settings import Settings
from soko.up import prepare

SECONDS: Final = 5.0
ROUNDS: Final = 4
REGULARS: Final = 3  # customers who write at a time, each some words, then the next one
WORDS_EACH: Final = 10
PAUSE_SECONDS: Final = 0.05
FLOODERS: Final = 12  # connections of the one who floods
FLOOD_A_SECOND: Final = 60  # WhatsApp carries 80 a second for one number, in and out together
SECRET: Final = "bench"  # noqa: S105 - signs nothing else
RUN: Final = uuid4().hex[:8]
NUMBERS: Final = count()


@dataclass
class Phase:
    """What was measured in all rounds of one phase."""

    policy: str
    flooded: bool
    seconds: list[float] = field(default_factory=list)
    flood: int = 0


def serve(urls: Urls, port: int, *, limited: bool) -> None:
    """Be a web process that takes turns, with or without limits."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    databases = Databases(platform_url=urls.platform, ops_url=urls.ops, resolve_secret=str)
    limits = RateLimits(urls.redis) if limited else None
    flows = LiveFlows(load_flows())
    turns = Turns(databases=databases, flows=flows, wakeups=Wakeups(None), clock=utc_now, limits=limits)
    app = FastAPI()
    app.include_router(build_routes(accept=turns.accept, verify_token=SECRET, app_secret=SECRET))
    uvicorn.run(app, host="127.0.0.1", port=port, log_config=None)


def _post(client: HTTPConnection, phone: str, text: str) -> float:
    """Deliver one message; the seconds until the answer."""
    wamid = f"wamid.{RUN}.{next(NUMBERS)}"
    message = {"id": wamid, "from": phone, "timestamp": "1771234567", "type": "text", "text": {"body": text}}
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": NUMBER, "display_phone_number": "254711000001"},
        "contacts": [{"wa_id": phone, "profile": {"name": "Mteja"}}],
        "messages": [message],
    }
    change = {"field": "messages", "value": value}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}).encode()
    signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    begin = time.perf_counter()
    client.request("POST", PATH, body, {"X-Hub-Signature-256": signature})
    answer = client.getresponse()
    answer.read()
    if answer.status != HTTPStatus.OK:
        raise RuntimeError(answer.status)
    return time.perf_counter() - begin


def _write(port: int, stop: threading.Event, told: Callable[[float], None]) -> None:
    """Be customers, one after another, who think between their words."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as client:
        while not stop.is_set():
            phone = f"25471{next(NUMBERS) % 10_000_000:07}"
            for text in ("Habari", "2 unga", "1 sukari", "toa sukari", "kikapu") * (WORDS_EACH // 5):
                if stop.wait(PAUSE_SECONDS):
                    return
                told(_post(client, phone, text))


def _flood(port: int, stop: threading.Event, told: Callable[[float], None]) -> None:
    """Be one of the connections of the one who floods: at a fixed pace, or as fast as the answers come."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as client:
        due = time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            due = max(due + FLOODERS / FLOOD_A_SECOND, time.monotonic() - 1)
            told(_post(client, "254799999999", "2 unga"))


def _run(phase: Phase, port: int) -> None:
    stop, flood = threading.Event(), list[float]()
    threads = [threading.Thread(target=_write, args=(port, stop, phase.seconds.append)) for _ in range(REGULARS)]
    if phase.flooded:
        threads += [threading.Thread(target=_flood, args=(port, stop, flood.append)) for _ in range(FLOODERS)]
    for thread in threads:
        thread.start()
    time.sleep(SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    phase.flood += len(flood)


@contextmanager
def _served(urls: Urls):  # type: ignore[no-untyped-def]
    processes, ports = [], {}
    for policy in ("limited", "unlimited"):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = get_context("spawn").Process(target=serve, args=(urls, port), kwargs={"limited": policy == "limited"})
        process.start()
        processes.append(process)
        ports[policy] = port
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
    try:
        yield ports
    finally:
        for process in processes:
            process.kill()
            process.join()


def main() -> None:
    """Measure and write down."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="soko-bench-") as home:
        Path(home).chmod(0o711)
        settings = Settings(_env_file=None, home=Path(home))
        with engines(settings) as urls:
            prepare(settings, urls)
            phases = [Phase(policy, flooded) for policy in ("limited", "unlimited") for flooded in (False, True)]
            with _served(urls) as ports:
                for port in ports.values():
                    _run(Phase("warm", flooded=False), port)
                for _ in range(ROUNDS):
                    for phase in phases:
                        _run(phase, ports[phase.policy])
    _note(phases)


def _note(phases: list[Phase]) -> None:
    lines = ["| who floods | messages answered a second | of the others, a second | median ms | 95 of 100 within ms |"]
    lines += ["|---|---|---|---|---|"]
    figures = {}
    for phase in phases:
        if phase.policy == "unlimited" and not phase.flooded:
            continue
        name = "nobody" if not phase.flooded else f"one customer, {phase.policy}"
        half, most = statistics.median(phase.seconds), statistics.quantiles(phase.seconds, n=20)[-1]
        figures[name] = (half, most, len(phase.seconds))
        all_seconds = SECONDS * ROUNDS
        lines.append(
            f"| {name} | {phase.flood / all_seconds:,.0f} | {len(phase.seconds) / all_seconds:,.0f} "
            f"| {half * 1000:.0f} | {most * 1000:.0f} |"
        )
    nobody, limited, unlimited = (figures[n] for n in ("nobody", "one customer, limited", "one customer, unlimited"))
    lines += [
        "",
        f"With the limit the others keep {limited[2] / nobody[2]:.2f} of what they could write, and wait"
        f" {limited[0] / nobody[0]:.1f} times as long for an answer; without it {unlimited[2] / nobody[2]:.2f} and"
        f" {unlimited[0] / nobody[0]:.1f} times. The flood and the others are written by one process on the same two cores."
        " What the limit cannot take away is the price of reading and refusing: the signature, and one count in Valkey.",
    ]
    text = "\n".join(lines) + "\n"
    print(text)  # noqa: T201 - the point of it
    head = "# A flood\n\nMade by `./run bench flood`; compare the rows with each other, not with another machine.\n\n"
    (Path(__file__).parent / "flood.md").write_text(head + text)


if __name__ == "__main__":
    main()
