"""One whole order, played through the real webhook as WhatsApp would: the journey that everything else serves."""

import json
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import httpx

from router import listing
from router.databases import Databases
from router.ids import VendorId
from router.seeding import MAMA_DUKA
from router.story import Story, tell
from router.work import unit_of_work
from soko.embedded import open_home, open_lock, stop_kept, take
from soko.errors import NotReady
from soko.settings import Settings
from soko.up import is_free

PHONE_NUMBER_ID: Final = "100000000000001"
PATIENCE_SECONDS: Final = 30.0


@dataclass(frozen=True, kw_only=True)
class Line:
    """What the customer does next, and how many replies come before the customer goes on."""

    say: Mapping[str, str]
    replies: int
    wait_for: str = "the reply"


# A customer who mixes Swahili and English, takes something out again, and pays.
SCRIPT: Final = (
    Line(say={"text": "Habari"}, replies=2),
    Line(say={"text": "2 unga na 1 sukari"}, replies=1),
    Line(say={"text": "ongeza mkate mbili, toa sukari"}, replies=1),
    Line(say={"tap": "Confirm"}, replies=1),
    Line(say={"text": "PAY"}, replies=2, wait_for="the M-Pesa prompt, the PIN and the receipt"),
)


@dataclass(kw_only=True)
class Result:
    """What the demo shows at its end, and whether it may call itself a success."""

    order: dict[str, Any] = field(default_factory=dict)
    payment: dict[str, Any] = field(default_factory=dict)
    stk_pushes: int = 0
    messages: list[dict[str, Any]] = field(default_factory=list)
    alert: str | None = None  # what the vendor was told
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def complaints(self) -> list[str]:
        """Everything that keeps this from being one order, paid once."""
        found = []
        if self.order.get("status") != "PAID":
            found.append(f"the order is {self.order.get('status', 'missing')}, not PAID")
        if self.stk_pushes != 1:
            found.append(f"{self.stk_pushes} STK pushes were made, not 1")
        receipt = self.payment.get("receipt")
        sent = [
            message
            for message in self.messages
            if message["direction"] == "out" and message["status"] in ("sent", "delivered", "read")
        ]
        if not receipt or not any(receipt in (message["text"] or "") for message in sent):
            found.append("the receipt was not sent to the customer")
        if not receipt or receipt not in (self.alert or ""):
            found.append("the vendor was not told of the paid order")
        return found

    def to_json(self) -> str:
        """Give one JSON object, as `--json` prints it."""
        return json.dumps(asdict(self), default=str, ensure_ascii=False, indent=2)


def to_demo(settings: Settings) -> Settings:
    """Give the demo a home and ports of its own, so that it disturbs nothing that runs. Errors: NotReady in production."""
    if not settings.is_development:
        raise NotReady("The demo sends simulated messages and simulated money: run it with SOKO_ENV=development.")
    port = next(
        (first for first in range(settings.port, settings.port + 300, 3) if all(is_free(first + n) for n in range(3))), None
    )
    if port is None:
        raise NotReady(f"No three free ports in a row above {settings.port}: set SOKO_PORT to another one.")
    address = f"http://127.0.0.1:{port}"
    return settings.model_copy(
        update={
            "home": settings.home / "demo",
            "port": port,
            "public_url": address,
            "graph_url": f"http://127.0.0.1:{port + 1}",
            "daraja_url": f"http://127.0.0.1:{port + 2}",
        }
    )


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Hold the demo's place: its home and its ports are for one demo at a time. Errors: NotReady."""
    with open_lock(open_home(settings.home) / "demo.lock") as lock:
        if not take(lock):
            raise NotReady(f"A demo is still running in {settings.home}: wait for it, or stop it (Ctrl-C there).")
        yield


def clear(settings: Settings) -> None:
    """Begin with empty databases. Errors: NotReady when another demo still uses them."""
    if not stop_kept(settings):
        raise NotReady(f"A demo is still running in {settings.home}: stop it first (Ctrl-C there).")
    data = settings.home / "postgres"
    shutil.rmtree(data.resolve(), ignore_errors=True)  # as root it may be a link to where `nobody` can reach it
    shutil.rmtree(settings.home, ignore_errors=True)


def play(
    settings: Settings, databases: Databases, *, show: Callable[[Mapping[str, Any]], None], report: Callable[[str], None]
) -> Result:
    """Speak the script's lines through the WhatsApp simulator and wait for the replies; then read what is in the databases.

    Errors: NotReady when a reply does not come
    """
    result = Result()
    phone = f"254700{secrets.randbelow(10**6):06}"  # a new customer: on external servers yesterday's demo is still there
    vendors_phone = f"254722{secrets.randbelow(10**6):06}"
    listing.change_vendor(databases, VendorId(MAMA_DUKA), {"alert_phone": vendors_phone})
    with httpx.Client(timeout=PATIENCE_SECONDS + 5, trust_env=False) as http:
        seen = replies = 0
        for line in SCRIPT:
            report(f"waiting for {line.wait_for}")
            begin = time.monotonic()
            said = http.post(
                f"{settings.graph_url}/sim/say",
                json={"phone_number_id": PHONE_NUMBER_ID, "from": phone, "name": "Mteja", **line.say},
            )
            if said.status_code != 200 or said.json()["status"] != 200:
                raise NotReady(f"the webhook did not take {line.say}: {said.text}")
            replies += line.replies
            chat = _await_replies(http, settings, phone, replies)
            result.seconds[f"{_name(line)} until answered"] = round(time.monotonic() - begin, 3)
            for message in chat[seen:]:
                show(message)
            seen = len(chat)
        report("waiting for what the vendor is told")
        result.alert = _await_replies(http, settings, vendors_phone, 1)[-1]["text"]
        report("waiting for the blue ticks")
        _await_ticks(http, settings, phone)
        pushes = http.get(f"{settings.daraja_url}/sim/pushes", params={"phone": phone}).json()
    with unit_of_work(databases, VendorId(MAMA_DUKA)) as work:
        story = tell(work, phone=phone)
    _fill(result, story, pushes=len(pushes))
    return result


def _await_replies(http: httpx.Client, settings: Settings, phone: str, count: int) -> list[dict[str, Any]]:
    answer = http.get(f"{settings.graph_url}/sim/messages", params={"phone": phone, "count": count, "timeout": PATIENCE_SECONDS})
    chat: list[dict[str, Any]] = answer.json()
    replies = [message for message in chat if message["direction"] == "out"]
    if len(replies) < count:
        raise NotReady(f"only {len(replies)} of {count} replies came within {PATIENCE_SECONDS:.0f} s")
    return chat


def _await_ticks(http: httpx.Client, settings: Settings, phone: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        chat = http.get(f"{settings.graph_url}/sim/messages", params={"phone": phone}).json()
        if all(message["status"] == "read" for message in chat if message["direction"] == "out"):
            return
        time.sleep(0.05)


def _fill(result: Result, story: Story, *, pushes: int) -> None:
    result.order = dict(story.order or {})
    result.payment = dict(story.payment or {})
    result.messages = [dict(message) for message in story.messages]
    result.stk_pushes = pushes
    if story.payment is not None and story.order is not None:
        paid, asked, sent = story.payment["paid_at"], story.payment["asked_at"], story.payment["dispatched_at"]
        result.seconds["PAY until the prompt left"] = round((sent - asked).total_seconds(), 3)
        result.seconds["prompt until M-Pesa's callback was settled"] = round((paid - sent).total_seconds(), 3)


def _name(line: Line) -> str:
    return f"“{next(iter(line.say.values()))}”"
