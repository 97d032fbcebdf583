"""The commands that a newcomer types first, as they type them."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.system.publishing import publish_and_roll_back

SEED_VENDOR = "c7af4716-f9ab-465d-9afb-f1047bf37a40"
SEED_CURL = {"vendor_id": SEED_VENDOR, "customer_phone": "254703283383", "amount": 30}
SEED_HEADERS = {"x-vendor-id": SEED_VENDOR, "x-internal-key": "dev-internal-secret"}


@pytest.fixture
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Give a home of its own, and three free ports that no other test takes."""
    home = Path("/dev/shm" if os.access("/dev/shm", os.W_OK) else str(tmp_path_factory.getbasetemp())) / f"soko-{os.getpid()}"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = min(probe.getsockname()[1], 60000)
    yield {**os.environ, "SOKO_HOME": str(home), "SOKO_PORT": str(port), "NO_COLOR": "1"}
    shutil.rmtree(home, ignore_errors=True)


def left_running(home: str) -> list[str]:
    return [
        " ".join(each.info["cmdline"] or ()) for each in psutil.process_iter(["cmdline"]) if home in str(each.info["cmdline"])
    ]


def soko(environment: dict[str, str], *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "soko", *words], env=environment, capture_output=True, text=True, timeout=120, **more
    )


@pytest.mark.security(23)
def test_demo_as_json_is_one_paid_order_and_leaves_nothing_running(environment: dict[str, str]) -> None:
    done = soko(environment, "demo", "--json", check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["order"]["status"] == "PAID"
    assert told["stk_pushes"] == 1
    assert told["alert"].startswith(f"soko_order_paid · {told['order']['number']} · ")
    assert told["payment"]["amount"] == told["order"]["total"]
    assert told["payment"]["paid_to"] == "174379"
    sent = [message for message in told["messages"] if message["direction"] == "out"]
    assert {message["status"] for message in sent} == {"read"}
    assert any(told["payment"]["receipt"] in message["text"] for message in sent)
    assert {"start", "all"} <= told["seconds"].keys()
    assert left_running(environment["SOKO_HOME"]) == []
    assert_logs_name_conversations_and_nobody(Path(environment["SOKO_HOME"]) / "demo/logs")


def assert_logs_name_conversations_and_nobody(logs: Path) -> None:
    lines = [json.loads(line) for name in ("web", "worker") for line in (logs / f"{name}.log").read_text().splitlines()]
    about = {"turn_taken", "message_sent", "prompt_pushed", "callback_settled"}
    told = [line for line in lines if line["event"] in about]
    (alert,) = [line for line in told if "alert" in line]
    assert (alert["event"], alert["alert"].split(":")[0]) == ("message_sent", "order_paid")
    told.remove(alert)
    assert {line["event"] for line in told} == about
    assert len({line["conversation_id"] for line in told}) == 1
    assert not [line for line in lines if re.search(r"254700\d{6}", json.dumps(line))]


def stop(up: "subprocess.Popen[str]") -> None:
    """End what a failed test left running."""
    if up.poll() is None:
        up.send_signal(signal.SIGINT)
        up.communicate(timeout=60)


def test_up_serves_until_interrupted_and_stops_all_it_started(
    environment: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"http://127.0.0.1:{environment['SOKO_PORT']}"
    up = subprocess.Popen(
        [sys.executable, "-m", "soko", "up"], env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    request.addfinalizer(lambda: stop(up))
    assert up.stderr is not None
    said = ""
    while "Ctrl-C" not in said:
        line = up.stderr.readline()
        assert line, said
        said += line
    assert f"{url}/webhooks/whatsapp" in said
    assert httpx.get(f"{url}/healthz").json()["status"] == "ok"
    ready = httpx.get(f"{url}/readyz")
    assert ready.status_code == 200, ready.text
    assert set(ready.json()["checks"].values()) == {"ok"}
    orders = [httpx.post(f"{url}/orders", headers=SEED_HEADERS, json=SEED_CURL) for _ in range(2)]
    assert [order.status_code for order in orders] == [201, 201]
    assert orders[0].json()["id"] != orders[1].json()["id"]
    publish_and_roll_back(environment, tmp_path)
    database = soko(environment, "db", "url", "ops", check=True).stdout.strip()
    assert database.startswith("postgresql://")
    time.sleep(0.1)
    up.send_signal(signal.SIGINT)
    up.stderr.read()
    assert up.wait(30) == 0
    up.stderr.close()
    soko(environment, "down", check=True)
    assert left_running(environment["SOKO_HOME"]) == []
