"""`soko flow explain`, `soko flow diff` and `soko record` as people call them."""

import json
import logging
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
import structlog
from typer.testing import CliRunner, Result

from router.databases import Databases
from router.ids import VendorId
from soko.cli import app
from soko.embedded import Urls
from tests.soko.lived import conversation_id, live, to_transcript

ROOT = Path(__file__).parents[2]
BUYS = """\
  - customer: Wanjiku, 2 unga
  - customer: {tap: Confirm}
  - customer: nitalipa na 0712 345 678
  - customer: {tap: PAY}
  - event: {payments.result: {attempt: 1, outcome: paid, receipt: UKN7IKCAXR}, after: 5s}
"""
GREETS = """\
test: asks for flour
flow: shop
given:
  now: 2026-03-02 09:15 Africa/Nairobi
  customer: {phone: "+254700000001", first_name: Mteja, language: en}
  vendor: mama-duka
chat:
  - customer: 1 unga
  - bot: ...
"""
Run = Callable[..., Result]


@pytest.fixture
def run(database_urls: dict[str, str], servers: Urls, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.chdir(ROOT)
    urls = {
        "SOKO_PLATFORM_URL": database_urls["platform"],
        "SOKO_OPS_URL": database_urls["ops"],
        "SOKO_REDIS_URL": servers.redis,
    }
    root, handler = logging.getLogger(), signal.getsignal(signal.SIGTERM)
    before = (root.handlers, root.level, logging.raiseExceptions)
    yield lambda *arguments: CliRunner().invoke(app, arguments, env=urls)
    signal.signal(signal.SIGTERM, handler)
    root.handlers, level, logging.raiseExceptions = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def bought(databases: Databases, vendor_id: VendorId) -> str:
    live(databases, to_transcript(BUYS, mpesa="{push: [accepted]}"))
    return str(conversation_id(databases, vendor_id))


def test_explain_tells_every_rung_guard_call_and_place(run: Run, bought: str) -> None:
    whole = run("flow", "explain", bought)
    assert whole.exit_code == 0, whole.output
    assert whole.stdout.count("turn ") == 5
    assert "shop.cart → shop.pay, understood as choice `confirm` (flows/shop.yaml:" in whole.stdout

    one = run("flow", "explain", bought, "3").stdout
    for part in (
        "no   consent: not the whole word PAY",
        "no   state_words: none is the whole message",
        "no   patterns: not a pattern of a reply here",
        "so   unmatched: no rung took it",
    ):
        assert part in one
    assert "0712 *** 678" in one

    paid = run("flow", "explain", bought, "4").stdout
    assert "redirect if order.is_paid: does not hold (order.is_paid = false)  flows/shop.yaml:" in paid
    assert "calls payments.stk_push in shop.charge, on the customer's own PAY" in paid
    assert "answered sent" in paid
    assert "timer after:90s: due in 90 s" in paid
    assert "254712345678" not in paid


def test_explain_gives_programs_the_same(run: Run, bought: str) -> None:
    (line,) = run("flow", "explain", bought, "4", "--json").stdout.splitlines()
    told = json.loads(line)
    assert (told["turn"], told["from"], told["to"], told["understood"]["rung"]) == (4, "shop.pay", "shop.waiting", "consent")
    assert [(call["name"], call["outcome"]) for call in told["calls"]] == [("payments.stk_push", "sent")]
    assert told["calls"][0]["ms"] > 0
    assert told["calls"][0]["args"]["phone"] == "254712***678"


def test_what_is_not_kept_is_told(run: Run, bought: str) -> None:
    other = run("flow", "explain", bought, "99")
    assert (other.exit_code, "turn 99 is not kept: there is 1 to 5" in other.stderr) == (1, True)
    nobody = run("flow", "explain", str(UUID(int=1)))
    assert (nobody.exit_code, "there is no conversation" in nobody.stderr) == (1, True)


def test_diff_shows_what_an_edit_does_and_ends_with_1_when_money_differs(run: Run, bought: str, tmp_path: Path) -> None:
    same = run("flow", "diff", "--since", "900d")
    assert (same.exit_code, "1 conversation of" in same.stdout, "0 differ" in same.stdout) == (0, True, True), same.output

    shop = (ROOT / "flows" / "shop.yaml").read_text()
    (tmp_path / "new.yaml").write_text(shop.replace("Reply *PAY* when you are ready.", "Just reply *PAY*."))
    worded = run("flow", "diff", "--since", "900d", "--flow", str(tmp_path / "new.yaml"))
    assert worded.exit_code == 0
    assert "1 x  shop.pay.unmatched.say is another message" in worded.stdout
    assert "Just reply *PAY*." in worded.stdout
    assert "0700 000 001" in worded.stdout
    assert "Wanjiku" not in worded.stdout

    guards = "or cancelled\n"
    assert guards in shop
    (tmp_path / "new.yaml").write_text(shop.replace(guards, f"{guards}      - {{if: order.lines, to: limit}}\n"))
    charged = run("flow", "diff", "--since", "900d", "--flow", str(tmp_path / "new.yaml"), "--json")
    assert charged.exit_code == 1, charged.output
    report = json.loads(charged.stdout)
    assert (report["differ"], report["money"]) == (1, 1)
    assert report["groups"][0]["what"] == "shop.pay: calls payments.stk_push no more"


def test_diff_says_what_it_cannot_use(run: Run, tmp_path: Path) -> None:
    assert "--since is an age such as 7d" in run("flow", "diff", "--since", "soon").stderr
    assert run("flow", "diff", "--flow", str(tmp_path / "none.yaml")).exit_code == 2
    nothing = run("flow", "diff", "--since", "1m")
    assert (nothing.exit_code, "no turn of the last 1m is kept" in nothing.stderr) == (2, True)
    (tmp_path / "bad.yaml").write_text("flow: shop\nstates: {a: {go: b}}\n")
    bad = run("flow", "diff", "--flow", str(tmp_path / "bad.yaml"))
    assert (bad.exit_code, "T1" in bad.stderr) == (2, True)


def test_record_writes_a_transcript_beside_its_flows(run: Run, bought: str, tmp_path: Path) -> None:
    flows = tmp_path / "flows"
    shutil.copytree(ROOT / "flows", flows, ignore=shutil.ignore_patterns("tests"))
    out = flows / "tests" / "bought.test.yaml"

    done = run("record", bought, "--out", str(out), "--flows", str(flows))

    assert done.exit_code == 0, done.output
    assert "push: [accepted]" in out.read_text()
    none = run("record", bought, "--from", "9", "--flows", str(flows))
    assert (none.exit_code, "turns 1 to 5 are kept" in none.stderr) == (2, True)
    again = run("record", bought, "--out", str(out), "--flows", str(flows))
    assert (again.exit_code, "exists already" in again.stderr) == (2, True)
    elsewhere = run("record", bought, "--out", str(tmp_path / "x.test.yaml"), "--flows", str(flows))
    assert (elsewhere.exit_code, "is not below" in elsewhere.stderr) == (2, True)


def test_the_funnel_and_the_drawing_count_what_people_did(run: Run, databases: Databases) -> None:
    live(databases, to_transcript(BUYS + "  - customer: 1 unga\n", mpesa="{push: [accepted]}"))
    (whole,) = json.loads(run("flow", "funnel", "--since", "900d", "--json").stdout)["groups"]
    assert (whole["group"], whole["conversations"]) == ("", 1)
    states = {each["state"]: (each["entered"], each["stayed"]) for each in whole["states"]}
    assert (states["shop.cart"], states["shop.pay"]) == ((1, 1), (1, 0))
    assert {"end": "shop: paid", "count": 1} in whole["ends"]
    (split,) = json.loads(run("flow", "funnel", "--since", "900d", "--by", "vendor", "--json").stdout)["groups"]
    assert split == {**whole, "group": "Mama Duka"}
    told = run("flow", "funnel", "--since", "900d").stdout
    assert "1 conversation in the last 900d" in told
    assert "1  100%  shop.cart  1 stayed\n" in told
    assert run("flow", "funnel", "--since", "soon").exit_code == 2
    drawn = run("flow", "draw", "shop", "--since", "900d").stdout
    assert [line for line in drawn.splitlines() if "1 here now" in line and "cart" in line]
    assert "here now" not in run("flow", "draw", "shop").stdout


def test_coverage_is_weighed_by_what_people_did(run: Run, databases: Databases, tmp_path: Path) -> None:
    live(databases, to_transcript(BUYS, mpesa="{push: [accepted]}"))
    shutil.copytree(ROOT / "flows", tmp_path / "flows", ignore=shutil.ignore_patterns("tests"))
    greets = tmp_path / "flows" / "tests" / "greets.test.yaml"
    greets.parent.mkdir()
    greets.write_text(GREETS)

    done = run("replay", str(greets), "--since", "900d")
    assert done.exit_code == 0, done.output
    told = json.loads(run("replay", str(greets), "--since", "900d", "--json").stdout)["coverage"]["traffic"]

    assert f"transcripts meet {told['percent']} % of what people did in the last 900d ({told['steps']} steps)" in done.stdout
    assert re.search(
        r"^flows/shop\.yaml:\d+  outcomes +shop\.charge: payments\.stk_push sent  \(1 person\)$", done.stdout, re.MULTILINE
    )
    assert told["conversations"] == 1
    assert told["steps"] - told["tested"] == sum(each["times"] for each in told["untested"]) > 0 < told["tested"]
    assert run("replay", str(greets), "--since", "soon").exit_code == 2
