"""A whole Soko on loopback for the tests that kill, flush and repeat: real HTTP in and out, real worker processes."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from typing import Any, Final

import httpx
import uvicorn

from router.databases import Databases
from router.ids import VendorId
from router.story import Story, tell
from router.wakeups import QueueName
from router.work import unit_of_work
from soko.assembly import build_turns, following
from soko.embedded import Urls
from soko.settings import Settings
from soko.simulators import daraja, whatsapp
from soko.simulators.serving import running
from soko.web import build_app
from soko.workers import work_all

NUMBER: Final = "100000000000001"
PATIENCE_SECONDS: Final = 30.0


@dataclass(kw_only=True)
class Shop:
    """What a test holds: the three addresses, the databases, and the worker it may kill."""

    settings: Settings
    databases: Databases
    vendor_id: VendorId
    web_url: str
    whatsapp_url: str
    daraja_url: str
    http: httpx.Client
    worker: ForkServerProcess | None = None
    phone: str = "254700000001"

    # the customer

    def say(self, **what: Any) -> dict[str, Any]:
        """Let the customer say something, e.g. text="Habari" or tap="Confirm", with the simulator's options."""
        body = {"phone_number_id": NUMBER, "from": self.phone, "name": "Mteja", **what}
        answer: dict[str, Any] = self.http.post(f"{self.whatsapp_url}/sim/say", json=body).raise_for_status().json()
        return answer

    def ask(self, **what: Any) -> list[str]:
        """Say something, wait until every reply that it is owed has come, and give their texts."""
        before = len(self.replies())
        self.say(**what)
        owed = self.count("SELECT count(*) FROM outbox")
        self.until(lambda: len(self.replies()) >= owed, f"the replies to {what}")
        return [reply["text"] for reply in self.replies()[before:]]

    def order_up_to_pay(self) -> None:
        """Fill a basket and confirm it: the next word would be PAY."""
        self.ask(text="Habari")
        self.ask(text="2 unga na 1 sukari")
        self.ask(tap="Confirm")

    def replies(self) -> list[dict[str, Any]]:
        """Everything the customer was sent."""
        chat = self.http.get(f"{self.whatsapp_url}/sim/messages", params={"phone": self.phone}).json()
        return [message for message in chat if message["direction"] == "out"]

    # M-Pesa

    def mpesa(self, **scenario: Any) -> None:
        """Write how M-Pesa treats this customer's next prompt."""
        self.http.put(f"{self.daraja_url}/sim/phones/{self.phone}", json=scenario).raise_for_status()

    def pushes(self) -> list[dict[str, Any]]:
        """Every prompt that was pushed to this customer's phone."""
        found: list[dict[str, Any]] = self.http.get(f"{self.daraja_url}/sim/pushes", params={"phone": self.phone}).json()
        return found

    def push_requests(self) -> int:
        """How many push requests M-Pesa got at all, accepted or not."""
        calls = self.http.get(f"{self.daraja_url}/sim/requests").json()
        return sum(call["path"].endswith("/stkpush/v1/processrequest") for call in calls)

    # what the databases say

    def story(self) -> Story:
        """The newest order of the customer, its payment and the chat."""
        with unit_of_work(self.databases, self.vendor_id) as work:
            return tell(work, phone=self.phone)

    def count(self, statement: str) -> int:
        """Run one counting statement on the vendor's ops database."""
        with self.databases.ops(self.vendor_id) as conn:
            row = conn.execute(statement).fetchone()
        assert row is not None
        return int(next(iter(row.values())))

    def status(self) -> str | None:
        """The newest order's status."""
        order = self.story().order
        return None if order is None else str(order["status"])

    def until(self, true: Callable[[], bool], what: str, *, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait for something to become true; fail with its name."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"waited {seconds} s for {what}"
            time.sleep(0.05)

    # the worker

    def start_worker(self) -> None:
        """Start what `soko worker` runs: three processes, one a queue. They fork off a server that imported it all once."""
        server = get_context("forkserver")
        server.set_forkserver_preload(["soko.workers"])
        self.worker = server.Process(target=_work, args=(self.settings,))
        self.worker.start()

    def kill_worker(self) -> None:
        """Kill the worker and its children with -9, all at once."""
        if self.worker is not None:
            assert self.worker.pid is not None
            with suppress(ProcessLookupError):
                os.killpg(self.worker.pid, signal.SIGKILL)
            self.worker.kill()  # who was killed before it had a group of its own
            self.worker.join()
            self.worker = None


def _work(settings: Settings) -> None:
    os.setsid()
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
        work_all(settings, list(QueueName))


class Web(uvicorn.Server):
    """The web process's app, served from a thread of this one."""

    def install_signal_handlers(self) -> None:
        """Leave pytest's own in place."""


@contextmanager
def open_shop(settings: Settings, databases: Databases, urls: Urls, vendor_id: VendorId, *, port: int) -> Iterator[Shop]:
    """Serve the web and both simulators; no worker yet."""
    web_url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        whatsapp_url = stack.enter_context(running(whatsapp.build_app(app_url=web_url, app_secret="dev-app-secret")))
        daraja_url = stack.enter_context(running(daraja.build_app()))
        here = settings.model_copy(
            update={"graph_url": whatsapp_url, "daraja_url": daraja_url, "public_url": web_url, "port": port}
        )
        flows = stack.enter_context(following(databases))
        app = build_app(here, urls, databases, build_turns(databases, urls, flows))
        server = Web(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        http = stack.enter_context(httpx.Client(timeout=60, trust_env=False, verify=False))
        shop = Shop(
            settings=here,
            databases=databases,
            vendor_id=vendor_id,
            web_url=web_url,
            whatsapp_url=whatsapp_url,
            daraja_url=daraja_url,
            http=http,
        )
        try:
            shop.until(lambda: server.started, "the web process")
            yield shop
        finally:
            shop.kill_worker()
            server.should_exit = True
            thread.join(10)
