"""A publish and a rollback by the command line, while the processes of a whole Soko serve customers."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx

from tests.conversation.test_publishing import FILES, SWAHILI, TIED, edited, renamed
from tests.soko.test_cli import soko
from tests.system.shop import NUMBER, PATIENCE_SECONDS

PAYING, CHOOSING, BUYING = "254700000011", "254700000012", "254700000013"
OLD_HELP, NEW_HELP = "Andika kwa mfano", "Tuma kwa mfano"
OLD_RECEIPT, NEW_RECEIPT = "Umelipa KES", "Umeshalipa KES"
SIMPLER: Final = "We made ordering simpler."
EDITED: Final = renamed(edited(SWAHILI, (b"Andika kwa mfano", b"Tuma kwa mfano"), (b"Umelipa {{", b"Umeshalipa {{"), files=FILES))


class Phones:
    """The customers' phones, in both simulators."""

    def __init__(self, http: httpx.Client, port: int) -> None:
        self._http = http
        self._whatsapp, self._daraja = f"http://127.0.0.1:{port + 1}/sim", f"http://127.0.0.1:{port + 2}/sim"

    def ask(self, phone: str, *texts: str) -> str:
        """Write texts, each when the one before is answered; returns the replies that came first to the last one."""
        new = ""
        for text in texts:
            before = len(self._replies(phone))
            self._http.post(
                f"{self._whatsapp}/say", json={"phone_number_id": NUMBER, "from": phone, "text": text}
            ).raise_for_status()
            new = self._wait(phone, before, "")
        return new

    def ask_until(self, phone: str, text: str, words: str) -> None:
        """Write the same until it is answered in these words."""
        end = time.monotonic() + PATIENCE_SECONDS
        while words not in (said := self.ask(phone, text)):
            assert time.monotonic() < end, f"{text} is still answered by {said}, and not by {words}"
            time.sleep(0.4)  # who writes faster is told to wait

    def order(self, phone: str, what: str, receipt: str) -> None:
        """Order, pay, and wait for the receipt in these words."""
        before = len(self._replies(phone))
        self.ask(phone, what, "sawa", "PAY")
        self._wait(phone, before, receipt)

    def hold_prompt(self, phone: str) -> None:
        """Let the next prompt wait for its owner."""
        self._http.put(f"{self._daraja}/phones/{phone}", json={"outcome": "ask"}).raise_for_status()

    def enter_pin(self, phone: str, receipt: str) -> None:
        """Pay what the phone asks for, and wait for the receipt in these words."""
        self._http.get(f"{self._daraja}/pushes", params={"phone": phone, "count": 1, "timeout": PATIENCE_SECONDS})
        before = len(self._replies(phone))
        self._http.post(f"{self._daraja}/phones/{phone}/pin").raise_for_status()
        self._wait(phone, before, receipt)

    def _replies(self, phone: str) -> list[str]:
        chat: list[dict[str, Any]] = self._http.get(f"{self._whatsapp}/messages", params={"phone": phone}).json()
        return [message["text"] for message in chat if message["direction"] == "out"]

    def _wait(self, phone: str, before: int, words: str) -> str:
        end = time.monotonic() + PATIENCE_SECONDS
        while not (new := "\n".join(self._replies(phone)[before:])) or words not in new:
            assert time.monotonic() < end, f"no reply with {words!r}; there is {new}"
            time.sleep(0.05)
        return new


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write flows into a folder of their own."""
    for name, data in files.items():
        path = folder / name.removeprefix("flows/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def migrate(folder: Path, name: str, left: str, states: str) -> None:
    """Say where people go who are in a bundle's states of the shop."""
    write(folder, {f"migrations/{name}.yaml": f"migrate: shop\nfrom: {left}\nstates:\n  {states}\n".encode()})


def publish_and_roll_back(environment: Mapping[str, str], folder: Path) -> None:
    """Refused while it strands somebody, live within seconds when it does not, and back again; money stays where it began."""
    flows = str(write(folder, EDITED))
    with httpx.Client(timeout=60, trust_env=False) as http:
        phones = Phones(http, int(environment["SOKO_PORT"]))
        phones.hold_prompt(PAYING)
        phones.ask(PAYING, "1 unga", "swahili", "sawa", "PAY")
        phones.ask(CHOOSING, TIED)
        phones.ask(BUYING, "hi", "swahili")

        typed = [sys.executable, "-m", "soko", "flow", "publish", "--flows", flows, "--plan"]
        plan = subprocess.run(typed, env=dict(environment), capture_output=True, text=True, timeout=120, check=False)
        assert plan.returncode == 1, plan.stderr
        assert "pinned (money in flight)" in plan.stdout
        assert re.search(r"^shop.which +1 person +blocked", plan.stdout, re.MULTILINE), plan.stdout
        (before,) = soko("flow", "published", "--json", environment=environment).stdout.splitlines()
        first = json.loads(before)["bundle"]

        migrate(folder, "1", first, f"which: {{to: choose, say: {SIMPLER}}}")
        published = soko("flow", "publish", "--flows", flows, "--json", environment=environment)
        assert published.exit_code == 0, published.output
        phones.ask_until(BUYING, "help", NEW_HELP)
        phones.ask_until(CHOOSING, "?", SIMPLER)
        phones.order(BUYING, "1 unga", NEW_RECEIPT)
        phones.enter_pin(PAYING, OLD_RECEIPT)

        assert soko("flow", "rollback", "--flows", flows, "--plan", environment=environment).exit_code == 1
        migrate(folder, "2", json.loads(published.stdout)["bundle"], "choose: which")
        back = soko("flow", "rollback", "--flows", flows, "--json", environment=environment)
        assert back.exit_code == 0, back.output
        assert json.loads(back.stdout)["bundle"] == first
        phones.ask_until(BUYING, "help", OLD_HELP)
        phones.order(BUYING, "2 unga", OLD_RECEIPT)  # M-Pesa takes no amount twice within two minutes
