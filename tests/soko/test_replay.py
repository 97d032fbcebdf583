"""Transcripts that are wrong on purpose: each difference is found, shown in the chat, and leaves nothing behind."""

import json
import logging
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent, indent
from typing import Any, LiteralString
from xml.etree import ElementTree

import pytest
import structlog
from psycopg import sql
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from conversation.authoring.read_transcripts import parse_transcripts
from payments import stk
from payments.credentials import Credentials
from payments.daraja import StkRequest, TransactionType
from router.databases import SHARED, Databases
from router.rehearsal import ConsentSeen
from soko.cli import app
from soko.embedded import Urls
from soko.errors import NotReady
from soko.replay.invariants import message_faults, payment_faults
from soko.replay.mpesa import Prompt, ScriptedMpesa
from soko.replay.play import Failure, Played
from soko.replay.stage import Stage, find_flows, find_transcripts, open_stage
from tests.operator import operating

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "flows" / "tests" / "written-here.test.yaml"
NOW = datetime(2026, 3, 2, 6, 15, tzinfo=UTC)
TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relname"


@pytest.fixture
def stage(transcript_stage: Stage) -> Stage:
    return transcript_stage


def play(stage: Stage, chat: str, *, given: str = "", mpesa: str = "{}", vendor: str = "mama-duka", file: Path = SHOP) -> Played:
    head = f"""\
        test: written here
        flow: shop
        given: {{now: 2026-03-02 09:15, customer: {{phone: "+254700000099", first_name: Mteja}}, vendor: {vendor}{given}}}
        mpesa: {mpesa}
        chat:
        """
    text = dedent(head) + indent(dedent(chat).strip("\n"), "  ")
    (transcript,) = parse_transcripts(text, file=str(file))
    return stage.play(transcript)


def failure_of(played: Played) -> Failure:
    assert played.failure is not None
    return played.failure


CONFIRMED = ", order: {CONFIRMED: {Unga 2kg: 1}}"
PAYS = """
- customer: hi
- bot: ...
- customer: pay
- bot: ~Enter your M-Pesa PIN
"""


def test_what_is_as_written_passes(stage: Stage) -> None:
    played = play(stage, "- customer: 2 unga\n- bot: ~Total KES 430\n- expect: {state: cart, order: DRAFT}")

    assert played.failure is None
    assert played.turns == 1


def test_a_transcript_leaves_no_row_in_any_table(stage: Stage, databases: Databases) -> None:
    def count() -> dict[str, int]:
        found: dict[str, int] = {}
        with operating(databases) as platform, operating(databases, ops=True) as ops:
            for conn in (platform, ops):
                for table in [row["relname"] for row in conn.execute(TABLES)]:
                    query = sql.SQL("SELECT count(*) AS n FROM {}").format(sql.Identifier(table))
                    found[table] = sum(row["n"] for row in conn.execute(query))
        return found

    before = count()
    paid = PAYS + "- event: {payments.result: {attempt: 1, outcome: paid}}\n- bot: ~Paid\n- expect: {order: PAID}"
    assert play(stage, paid, given=CONFIRMED, mpesa="{push: [accepted]}").failure is None
    failure_of(play(stage, "- customer: 2 unga\n- bot: nothing"))

    assert "orders" in before
    assert "daily_intent_slots" in before
    assert count() == before


def test_a_difference_is_shown_in_the_chat_with_the_state_and_the_reasons(stage: Stage) -> None:
    failure = failure_of(play(stage, "- customer: 2 unga\n- bot: ~Total\n- customer: sijui\n- bot: Just a number"))

    assert failure.line == 9
    assert failure.headline.startswith(f"{SHOP}:9  expected: Just a number")
    shown = failure.report
    assert "  customer 2 unga\n  shop     🧺 *Your basket*\n           2 x Unga" in shown
    assert "[Confirm] [Add more] [Cancel order]" in shown
    assert "✗ shop     Tap a button, or type what to add or remove." in shown
    assert ">> expected: Just a number" in shown
    assert "state     shop.cart" in shown
    assert "order     S0001 DRAFT" in shown
    assert "not entities: no basket_edit in it" in shown
    assert re.search(r">> it is written in flows/shop\.yaml:\d+\n", shown)
    assert "state     shop.cart  flows/shop.yaml:" in shown


@pytest.mark.parametrize(
    ("chat", "line", "reason"),
    [
        ("- customer: hi\n- bot: ~Karibu", 7, "the transcript does not have this reply"),
        ("- customer: 2 unga", 6, "the transcript does not have this reply"),
        ("- customer: 2 unga\n- bot: ...\n- bot: ~Total KES 9", 8, "the shop says nothing more, but should: ~Total KES 9"),
        ("- customer: 2 unga\n- bot: ~Total\n- bot: ~Asante", 8, "the shop says nothing more, but should: ~Asante"),
        ("- customer: 2 unga\n- bot: nothing", 7, "the transcript says that the shop says nothing here"),
        ("- customer: 2 unga\n- bot: {at: pay.ask}", 7, "it should come from pay.ask, and comes from shop.cart.ask"),
        (
            "- customer: 2 unga\n- bot: {buttons: [Confirm]}",
            7,
            "its buttons should be [Confirm], and are [Confirm, Add more, Can",
        ),
    ],
)
def test_every_reply_is_accounted_for(stage: Stage, chat: str, line: int, reason: str) -> None:
    failure = failure_of(play(stage, chat))

    assert failure.line == line
    assert f">> {reason}" in failure.report


@pytest.mark.parametrize(
    ("expect", "reason"),
    [
        ("{state: pay}", "state should be pay, and is shop.cart"),
        ("{order: CONFIRMED}", "order should be CONFIRMED, and is DRAFT"),
        ("{order: none}", "order should be none, and is DRAFT"),
        ("{ended: paid}", "the flow should have ended in paid, and did not end"),
        ("{slots: {edit.unknown: [kuku]}}", 'edit.unknown should be ["kuku"], and is []'),
        ("{slots: {edit.nothing: 1}}", "edit.nothing should be 1, and is null"),
        ("{effects: [orders.confirm]}", "effects should be orders.confirm; the calls were: orders.edit"),
        ("{effect: orders.confirm}", "there should be orders.confirm {}; the calls were: orders.edit"),
        ("{effect: {orders.edit: {add: []}}}", 'there should be orders.edit {"add": []}; orders.edit {"order": '),
        ("{no_effect: orders.edit}", "there should be no orders.edit; the calls were: orders.edit"),
        ("{effects_total: {orders.edit: 2}}", "orders.edit should have been called 2 times so far, and was 1 times"),
    ],
)
def test_every_expectation_is_held_against_what_happened(stage: Stage, expect: str, reason: str) -> None:
    failure = failure_of(play(stage, f"- customer: 2 unga\n- bot: ...\n- expect: {expect}"))

    assert failure.line == 8
    assert f">> {reason}" in failure.report


def test_effects_are_those_since_the_last_step(stage: Stage) -> None:
    chat = """
    - customer: 2 unga
    - bot: ...
    - expect: {effects: [orders.edit]}
    - customer: ok
    - bot: ...
    - expect: {effects: [orders.confirm], effects_total: {orders.edit: 1, orders.confirm: 1}}
    """
    assert play(stage, chat).failure is None


@pytest.mark.parametrize(
    ("mpesa", "chat", "line", "reason"),
    [
        ("{}", PAYS, 8, "M-Pesa got one more than the transcript lists: push 1 (KES 215), and mpesa.push lists 0"),
        ("{push: [accepted, accepted]}", PAYS, 4, "mpesa.push lists 2, and 1 were made"),
        ("{push: [accepted], query: [paid]}", PAYS, 4, "mpesa.query lists 1, and 0 were made"),
        ("{push: [accepted]}", PAYS + "- clock: +60s", 10, "M-Pesa got one more than the transcript lists: query 1, and mpesa"),
        (
            "{push: [accepted]}",
            PAYS + "- event: {payments.result: {attempt: 2, outcome: paid}}",
            10,
            "there is no prompt 2: 1 were pushed so far",
        ),
    ],
)
def test_mpesa_is_asked_exactly_as_listed(stage: Stage, mpesa: str, chat: str, line: int, reason: str) -> None:
    failure = failure_of(play(stage, chat, given=CONFIRMED, mpesa=mpesa))

    assert failure.line == line
    assert reason in failure.report


@pytest.mark.parametrize(
    ("tap", "reason"),
    [
        ("{tap: Lipa}", "nothing called 'Lipa' can be tapped: there is Confirm, Add more, Cancel order"),
        ("{tap: PAY, of: pay.ask}", "nothing called 'PAY' can be tapped"),
        ("{tap: confirm, of: cart.ask, nth: 2}", "cart.ask was shown 1 times so far, not 2"),
    ],
)
def test_only_what_was_shown_can_be_tapped(stage: Stage, tap: str, reason: str) -> None:
    failure = failure_of(play(stage, f"- customer: 2 unga\n- bot: ...\n- customer: {tap}"))

    assert failure.line == 8
    assert f">> {reason}" in failure.report


@pytest.mark.parametrize(
    ("given", "vendor", "reason"),
    [
        ("", "mama-doka", "there is no vendor 'mama-doka': did you mean `mama-duka`?"),
        (", order: {CONFIRMED: {Unga 3kg: 1}}", "mama-duka", "the shop has no product 'Unga 3kg': did you mean `Unga 2kg`?"),
        (
            ", stock: {Unga 2kg: 1}, order: {DRAFT: {Unga 2kg: 2}}",
            "mama-duka",
            "given.order: only 1 of Unga wa mahindi 2kg can be",
        ),
    ],
)
def test_a_world_that_cannot_be_made_is_told(stage: Stage, given: str, vendor: str, reason: str) -> None:
    assert reason in failure_of(play(stage, "- customer: hi\n- bot: ...", given=given, vendor=vendor)).report


def test_stock_that_one_transcript_sets_is_unknown_to_the_next(stage: Stage) -> None:
    chat = "- customer: 5 sukari\n- bot: {at: cart.ask}"

    assert failure_of(play(stage, chat, given=", stock: {Sukari 1kg: 1}"))
    assert play(stage, chat).failure is None


def test_a_vendor_who_changes_the_shop_changes_it_for_this_transcript_alone(stage: Stage) -> None:
    stops = "- vendor: {stops: [payments.mpesa_stk, Mkate 400g], stock: {Unga 2kg: 1}}\n- bot: nothing\n"
    refused = "- customer: hi\n- bot: ...\n- customer: pay\n- bot: ~can't be used\n- bot: {at: handoff.say}"
    sold_out = "- customer: 2 unga\n- bot: ~only 1 of Unga\n- bot: {at: browse.ask}\n- customer: 1 mkate\n- bot: ~didn't find"

    assert play(stage, stops + refused, given=CONFIRMED).failure is None
    assert play(stage, stops + sold_out).failure is None
    assert play(stage, PAYS, given=CONFIRMED, mpesa="{push: [accepted]}").failure is None
    assert play(stage, "- customer: 2 unga na 1 mkate\n- bot: {at: cart.ask, text: ~Mkate}").failure is None
    unknown = play(stage, "- vendor: {stops: payments.mpesa}\n- bot: nothing")
    assert "the shop has no product 'payments.mpesa'" in failure_of(unknown).report


def test_timers_fire_in_the_order_in_which_they_are_due(stage: Stage) -> None:
    chat = "- customer: 2 unga\n- bot: ...\n- clock: +12h\n- bot: ~is still waiting\n- bot: ~back on the shelf\n"
    assert play(stage, chat + "- expect: {ended: expired}").failure is None


def test_a_wall_time_is_the_next_one_in_nairobi(stage: Stage) -> None:
    chat = """
    - customer: 2 unga
    - bot: ...
    - clock: "09:44"
    - bot: nothing
    - clock: "09:45"
    - bot: ~still waiting
    - clock: "09:44"
    - bot: ~back on the shelf
    """
    assert play(stage, chat).failure is None


# ---------------------------------------------------------------- flows that break a rule


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    """Make a folder of flows of our own, and return where their transcripts stand."""
    (tmp_path / "app.yaml").write_text(
        "app: own\nlanguages: {base: en}\ntimezone: Africa/Nairobi\nchannel: whatsapp\nflows: [shop, late_payment]\n"
        "trouble: Something went wrong.\nlimits: {steps_per_turn: 50, messages_per_turn: 4, expression_cost: 5000}\n"
    )
    (tmp_path / "late_payment.yaml").write_text(
        "flow: late_payment\nstarts_when: [{event: payments.result}]\nstates:\n  arrived: {end: quiet}\n"
    )
    return tmp_path / "tests" / "own.test.yaml"


def write_shop(flows: Path, states: str) -> None:
    text = "flow: shop\nstarts_when: [{any: true}]\nslots: {n: {type: int, default: 0}}\nstates:\n" + indent(dedent(states), "  ")
    (flows.parents[1] / "shop.yaml").write_text(text)


TOO_MANY = "\n".join([*(f"s{n}: {{go: s{n + 1}}}" for n in range(51)), "s51: {end: done}"])  # states for one turn


def test_a_vendors_own_words_are_played(stage: Stage, flows: Path) -> None:
    write_shop(flows, "start: {say: One moment., end: done}")
    (flows.parents[1] / "text").mkdir()
    (flows.parents[1] / "text" / "en.mama-duka.yaml").write_text(
        "language: en\nvendor: mama-duka\nshop: {start.say: Mama is coming.}\n"
    )
    assert play(stage, "- customer: hi\n- bot: Mama is coming.", file=flows).failure is None


def test_a_message_outside_the_24_hours_fails_the_transcript(stage: Stage, flows: Path) -> None:
    # The checker adds up every silence that has an end; how long people keep a chat it cannot know.
    write_shop(
        flows,
        "start: {say: One moment., go: people}\n"
        "people: {handoff: {queue: shop, note: hm}, back: again, after: {23h: people}}\n"
        "again: {say: Hello?, end: done}",
    )
    failure = failure_of(
        play(stage, "- customer: hi\n- bot: One moment.\n- clock: +25h\n- person: {done: true}\n- bot: Hello?", file=flows)
    )

    assert failure.line == 9
    assert "the customer last wrote 1 day, 1:00:00 ago, and 24 hours is the most" in failure.report


def test_a_turn_that_fails_fails_the_transcript(stage: Stage, flows: Path) -> None:
    write_shop(flows, f"start: {{go: s0}}\n{TOO_MANY}")
    failure = failure_of(play(stage, "- customer: hi\n- bot: Something went wrong.", file=flows))

    assert "the turn failed, and the customer was only told the trouble text" in failure.report


def test_a_timer_that_fails_fails_the_transcript(stage: Stage, flows: Path) -> None:
    write_shop(flows, "start: {ask: {text: Well?}, after: {1h: s0}, replies: [], unmatched: {say: Hm}}\n" + TOO_MANY)
    failure = failure_of(play(stage, "- customer: hi\n- bot: Well?\n- clock: +1h\n- bot: nothing", file=flows))

    assert "a timer broke its turn" in failure.report


PAY = "- customer: hi\n- bot: ...\n- customer: pay\n- bot: ..."


def push_twice(databases: Databases, mpesa: ScriptedMpesa, **more: Any) -> bool:
    pushed = stk.push_next(databases, mpesa, **more)
    opened = Credentials(consumer_key=SecretStr("x"), consumer_secret=SecretStr("x"), passkey=SecretStr("x"))
    mpesa.push(mpesa.prompts[-1].request, opened, SecretStr("x"))
    return pushed


def push_after(statement: LiteralString) -> Callable[..., bool]:
    """Push after something was changed past every guard of the database."""

    def push(databases: Databases, mpesa: ScriptedMpesa, **more: Any) -> bool:
        with databases.across(SHARED) as ops:
            ops.execute("SET LOCAL ROLE NONE")  # back to the login, whom no guard binds
            ops.execute("SET LOCAL session_replication_role = replica")
            ops.execute(statement)
            ops.execute("SET LOCAL session_replication_role = origin")
            ops.execute("SET LOCAL ROLE soko_runtime")
        return stk.push_next(databases, mpesa, **more)

    return push


@pytest.mark.parametrize(
    ("push", "reason"),
    [
        (push_twice, "2 prompts were pushed for 1 payment intents"),
        (
            push_after("UPDATE orders SET confirmed_at = confirmed_at + interval '1 minute'"),
            "a prompt stands on a PAY that is older than the order's confirmation",
        ),
    ],
)
def test_a_shop_that_breaks_a_rule_of_payment_fails_every_transcript_that_comes_by(
    own_databases: dict[str, str], push: Callable[..., bool], reason: str
) -> None:
    with open_stage(platform_url=own_databases["platform"], ops_url=own_databases["ops"], push=push) as stage:
        failure = failure_of(play(stage, PAY, given=CONFIRMED, mpesa="{push: [accepted, accepted]}"))

    assert f">> {reason}" in failure.report


def test_message_faults_are_those_of_whatsapp() -> None:
    assert message_faults({"text": "Karibu"}, silence=timedelta(hours=23, minutes=59)) == []
    assert message_faults({"text": "x" * 4097}, silence=timedelta(0)) == [
        "WhatsApp would refuse this message: text: 4097 characters, at most 4096"
    ]
    assert len(message_faults({"text": "Karibu"}, silence=timedelta(hours=24))) == 1


def consent(text: str | None = "pay", *, dispatched: bool = True, seconds: int = 1) -> ConsentSeen:
    received = NOW + timedelta(seconds=seconds)
    return ConsentSeen(intent_id="1", dispatched=dispatched, text=text, received_at=received, confirmed_at=NOW)


def prompt(number: int, url: str) -> Prompt:
    request = StkRequest(
        business_shortcode="174379",
        transaction_type=TransactionType.PAYBILL,
        amount=1,
        msisdn="254700000001",
        party_b="174379",
        callback_url=url,
        account_ref="S1",
        description="Order payment",
        at=NOW,
    )
    return Prompt(number=number, request=request)


def test_each_prompt_needs_an_intent_of_its_own_and_a_fresh_pay() -> None:
    assert payment_faults([consent(" *Pay*! ")], [prompt(1, "a")]) == []
    assert payment_faults([consent(), consent(dispatched=False)], [prompt(1, "a")]) == []
    assert payment_faults([consent()], [prompt(1, "a"), prompt(2, "a")]) == ["2 prompts were pushed for 1 payment intents"]
    assert payment_faults([consent(), consent()], [prompt(1, "a"), prompt(2, "a")]) != []
    assert payment_faults([consent("pay now")], [prompt(1, "a")]) == [
        "a prompt stands on the word of 'pay now', which is not PAY"
    ]
    assert payment_faults([consent(None)], [prompt(1, "a")]) != []
    assert payment_faults([consent(seconds=-1)], [prompt(1, "a")]) == [
        "a prompt stands on a PAY that is older than the order's confirmation"
    ]


# ---------------------------------------------------------------- files, pytest, command line


def test_flows_are_those_above_the_transcript(tmp_path: Path) -> None:
    assert find_flows(SHOP) == ROOT / "flows"
    with pytest.raises(NotReady, match=r"has an app\.yaml"):
        find_flows(tmp_path / "lost.test.yaml")


def test_transcripts_are_found_in_folders_and_each_once() -> None:
    folder = ROOT / "flows" / "tests"

    assert find_transcripts([folder]) == sorted(folder.glob("*.test.yaml"))
    assert find_transcripts([folder / "pays.test.yaml", folder])[0] == folder / "pays.test.yaml"
    assert len(find_transcripts([folder, folder])) == len(find_transcripts([folder]))


TWO = """\
test: is right
flow: shop
given: {now: 2026-03-02 09:15, customer: {phone: "+254700000099"}, vendor: mama-duka}
chat:
  - customer: 2 unga
  - bot: {at: cart.ask}
---
test: is wrong
flow: shop
given: {now: 2026-03-02 09:15, customer: {phone: "+254700000099"}, vendor: mama-duka}
chat:
  - customer: 2 unga
  - bot: {at: pay.ask}
"""


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Copy the flows, with two transcripts: one right, one wrong. Returns the folder of the transcripts."""
    shutil.copytree(ROOT / "flows", tmp_path / "flows", ignore=shutil.ignore_patterns("tests"))
    tests = tmp_path / "flows" / "tests"
    tests.mkdir()
    (tests / "two.test.yaml").write_text(TWO)
    return tests


@pytest.fixture
def soko(servers: Urls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Run a command in the folder of the copied flows; logging is put back afterwards."""
    monkeypatch.chdir(tmp_path)
    environment = own_servers(servers)
    root, handler = logging.getLogger(), signal.getsignal(signal.SIGTERM)
    before = (root.handlers, root.level, logging.raiseExceptions)
    yield lambda *arguments: CliRunner().invoke(app, arguments, env=environment)
    signal.signal(signal.SIGTERM, handler)
    root.handlers, level, logging.raiseExceptions = before
    root.setLevel(level)
    structlog.reset_defaults()


def own_servers(servers: Urls) -> dict[str, str]:
    return {"SOKO_PLATFORM_URL": servers.platform, "SOKO_OPS_URL": servers.ops, "SOKO_REDIS_URL": servers.redis}


STAGE = """
import pytest
from soko.replay.stage import open_stage

@pytest.fixture(scope="session")
def transcript_stage():
    with open_stage(platform_url={platform!r}, ops_url={ops!r}) as stage:
        yield stage
"""


@pytest.fixture
def collected(pytester: pytest.Pytester, copied: Path, own_databases: dict[str, str]) -> Callable[..., pytest.RunResult]:
    """Run pytest in this process, where a conftest gives the stage, as ours does."""
    shutil.copytree(copied.parent, pytester.path / "flows")
    pytester.makeconftest(STAGE.format(**own_databases))
    plain = ["-p", "soko.pytest_plugin", "-p", "no:cacheprovider", "-p", "no:xdist", "-q", "-rA"]
    return lambda *options: pytester.runpytest_inprocess(*plain, *options)


def test_pytest_collects_a_document_as_a_test_and_shows_the_chat(
    collected: Callable[..., pytest.RunResult], pytester: pytest.Pytester
) -> None:
    tests = pytester.path / "flows" / "tests"
    (tests / "wrong.test.yaml").write_text(TWO.replace("customer: 2", "custommer: 2"))
    (tests / "other.test.yaml").write_text(TWO.partition("---")[0].replace("is right", "another"))
    done = collected("--continue-on-collection-errors", "--junitxml=report.xml", "-k", "right or wrong")
    shown = done.stdout.str()

    assert done.ret == 1
    done.assert_outcomes(passed=1, failed=1, errors=1, deselected=1)
    assert "PASSED flows/tests/two.test.yaml::is right" in shown
    assert "FAILED flows/tests/two.test.yaml::is wrong" in shown
    assert "✗ shop     🧺 *Your basket*" in shown
    assert "two.test.yaml:13  is wrong" in shown
    assert "wrong.test.yaml:5:5  a step has no `custommer`: did you mean `customer`?" in shown
    assert "Traceback" not in shown
    assert "soko/replay" not in shown
    report = ElementTree.parse(pytester.path / "report.xml").getroot()
    assert {(case.get("name"), case.find("failure") is not None) for case in report.iter("testcase")} >= {
        ("is right", False),
        ("is wrong", True),
    }


def test_the_command_prints_a_line_each_and_a_sum(soko: Callable[..., Result], copied: Path) -> None:
    done = soko("replay")

    assert done.exit_code == 1, done.output
    assert "✓ is right  flows/tests/two.test.yaml:1" in done.stdout
    assert "✗ is wrong  flows/tests/two.test.yaml:8" in done.stdout
    assert "1 passed, 1 failed (2 turns in" in done.stdout
    (copied / "two.test.yaml").write_text(TWO.partition("---")[0])
    assert soko("replay").exit_code == 0


def test_the_command_prints_one_object_when_asked(soko: Callable[..., Result], copied: Path) -> None:
    done = soko("replay", "--json", str(copied / "two.test.yaml"))
    report = json.loads(done.stdout)

    assert done.exit_code == 1
    assert (report["schema"], report["passed"], report["failed"], report["turns"]) == (1, 1, 1, 2)
    right, wrong = report["transcripts"]
    assert (right["name"], right["passed"], right["failure"]) == ("is right", True, None)
    assert (wrong["line"], wrong["failure"]["line"]) == (8, 13)


def test_the_command_tells_what_no_transcript_meets(soko: Callable[..., Result], copied: Path) -> None:
    (copied / "two.test.yaml").write_text(TWO.partition("---")[0])
    done = soko("replay", "--fail-under", "5")

    assert done.exit_code == 1
    assert re.search(r"^states +2 of \d+ +\d\.\d %$", done.stdout, re.MULTILINE)
    assert re.search(r"^commands +0 of 41 +0\.0 %$", done.stdout, re.MULTILINE)
    assert re.search(r"^flows/shop\.yaml:\d+  ways +shop\.pay -- edit --> shop\.amend$", done.stdout, re.MULTILINE)
    assert done.stderr == "soko: 0.0 % is covered, and 5 % is asked for\n"

    report = json.loads(soko("replay", "--coverage", "--json").stdout)["coverage"]
    assert report["kinds"]["states"]["covered"] == 2
    assert {"kind", "name", "file", "line"} == set(report["missing"][0])
    assert report["excused"][0]["why"]


def test_the_command_draws_how_often_a_flow_went_where(soko: Callable[..., Result], copied: Path) -> None:
    (copied / "two.test.yaml").write_text(TWO.partition("---")[0])
    drawn, unknown = soko("replay", "--draw", "shop"), soko("replay", "--draw", "shoop")

    assert drawn.stdout.startswith("flowchart TD\n")
    assert 's_cart(["cart<br/>asks<br/>1x"])' in drawn.stdout
    assert (unknown.exit_code, unknown.stderr.partition(";")[0]) == (2, "soko: there is no flow shoop")


def test_the_command_rewrites_what_transcripts_expect(
    soko: Callable[..., Result], copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    assert soko("replay", "--update", "--yes").exit_code == 2
    assert (copied / "two.test.yaml").read_text() == TWO

    monkeypatch.delenv("CI")
    assert soko("replay", "--update", "--yes").exit_code == 0
    assert (copied / "two.test.yaml").read_text() == TWO.replace("pay.ask", "cart.ask")


def test_the_command_needs_something_to_play(soko: Callable[..., Result]) -> None:
    nowhere, empty = soko("replay"), soko("replay", ".")

    assert (nowhere.exit_code, nowhere.stderr) == (2, "soko: there is no flows/tests\n")
    assert (empty.exit_code, empty.stderr) == (2, "soko: there is no *.test.yaml in .\n")


def test_the_command_tells_every_file_that_cannot_be_read(soko: Callable[..., Result], copied: Path) -> None:
    (copied / "two.test.yaml").write_text(TWO.replace("customer: 2", "custommer: 2"))
    (copied / "empty.test.yaml").write_text("")
    done = soko("replay", "--json")

    assert done.exit_code == 1
    assert [line.partition("  ")[0] for line in json.loads(done.stdout)["problems"]] == [
        "flows/tests/empty.test.yaml:1:1",
        "flows/tests/two.test.yaml:5:5",
        "flows/tests/two.test.yaml:12:5",
    ]


def test_the_command_tells_why_flows_do_not_load(soko: Callable[..., Result], copied: Path) -> None:
    (copied.parent / "late_payment.yaml").write_text("flow: late_payment\nstats: {}\n")
    done = soko("replay")

    assert done.exit_code == 1
    assert "late_payment.yaml:2:1" in done.stderr


def test_replays_are_for_development(soko: Callable[..., Result], copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOKO_ENV", "production")

    assert soko("replay").exit_code == 3
