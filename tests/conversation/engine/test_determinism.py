"""The same log gives the same conversation, bit for bit; and no message of any customer crashes the shop."""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import cast

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conversation.engine.random_logs import play
from tests.conversation.engine.shop import Shop

ROOT = Path(__file__).parents[3]


def a_long_conversation() -> Shop:
    shop = Shop(query=["pending", "not_paid"])
    shop.say("Habari").say("2 unga na 1 sukari na 1 kuku").say("msaada").say("toa 1 sukari").tap("Confirm").say("nitalipa")
    shop.say("kiswahili").say("pay").say("cart").fire("after:90s").fire("after:90s").tap("Badilisha oda").say("5 mkate")
    return (
        shop.say("sawa").tap("PAY").result("no_funds").tap("PAY", menu=4).say("PAY!").result("paid", receipt="SBC1").say("asante")
    )


LOGS = range(1000, 1024)


@cache
def played() -> list[str]:
    """The long conversation and the random logs, once."""
    return [json.dumps(a_long_conversation().log), *(json.dumps(play(seed)) for seed in LOGS)]


def start_under(hash_seed: str) -> subprocess.Popen[str]:
    """Start a process that prints what the long conversation and the random logs led to, a line each."""
    code = "from tests.conversation.engine import test_determinism as here; print(*here.played(), sep='\\n')"
    env = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True)


def test_the_same_logs_give_the_same_bytes_whatever_the_hash_seed() -> None:
    process = start_under("1" if os.environ.get("PYTHONHASHSEED") != "1" else "4242")
    here = played()
    said, _ = process.communicate()
    assert process.returncode == 0
    assert said.splitlines() == here


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**6))
def test_a_random_log_played_twice_gives_the_same_snapshots_effects_and_traces(seed: int) -> None:
    assert json.dumps(play(seed)) == json.dumps(play(seed))


def test_random_logs_go_through_most_of_the_flows() -> None:
    visited = {
        str(entry["place"])
        for log in played()
        for turn in cast("list[tuple[object, object, list[dict[str, object]]]]", json.loads(log))
        for entry in turn[2]
        if entry["what"] == "entered"
    }
    assert {"shop.pay", "shop.charge", "shop.waiting", "shop.receipt", "late_payment.arrived", "shop.amend"} <= visited
    assert len(visited) > 20


ACTIONS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["hi", "2 unga", "toa unga", "ok", "pay", "PAY", "cart", "cancel", "help", "kiswahili", "mtu", "mbili", "3", "more", "🔥"]
    ),
    st.tuples(st.just("tap"), st.integers(0, 60), st.integers(0, 9)),
    st.tuples(st.just("fire"), st.integers(0, 8)),
    st.tuples(
        st.just("result"), st.sampled_from(["paid", "cancelled", "timed_out", "no_funds", "wrong_pin", "failed"]), st.booleans()
    ),
    st.tuples(st.just("share"), st.sampled_from(["image", "sticker"])),
    st.tuples(st.just("push"), st.sampled_from(["sent", "refused", "daily_limit", "sent"])),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ACTIONS, max_size=25))
@example(["2 unga", "ok", "pay", ("fire", 0), ("result", "paid", True), ("tap", 3, 0)])
def test_no_utterance_crashes_the_shop_and_no_push_happens_without_a_pay(actions: list[object]) -> None:
    shop = Shop()
    timers: list[tuple[str, int]] = []
    for action in actions:
        pushed = len(shop.pushes)
        pays = act(shop, action, timers)
        if shop.snapshot.idle and shop.status in ("PAID", "CANCELLED"):
            shop.status, shop.basket, shop.attempt, shop.receipt = "DRAFT", {}, None, None
        timers += [(name, shop.snapshot.waiting_turn or 0) for name in shop.timers]
        assert len(shop.pushes) - pushed <= (1 if pays else 0)
        assert all(call.consent is not None for call in shop.pushes)


def act(shop: Shop, action: object, timers: list[tuple[str, int]]) -> bool:
    """Do it; True when it may have been a PAY."""
    match action:
        case str():
            shop.say(action)
            return action.strip().upper() == "PAY" or "PAY" in action.upper()
        case ("tap", int(menu), int(index)) if shop.shown:
            titles = list(shop.shown[menu % len(shop.shown)])
            title = titles[index % len(titles)]
            shop.tap(title, menu=menu % len(shop.shown))
            return title == "PAY"
        case ("fire", int(index)) if timers:
            shop.fire(*timers[-1 - index % len(timers)])
        case ("result", str(outcome), bool(mine)):
            shop.result(outcome, key=shop.attempt if mine else "attempt-of-old")
        case ("share", str(what)):
            shop.share(what)
        case ("push", str(push)):
            shop.push = push
    return False
