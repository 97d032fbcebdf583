"""The same log gives the same conversation, bit for bit; and no message of any customer crashes the shop."""

import json
import os
import subprocess
import sys
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.conversation.engine.shop import Shop

ROOT = Path(__file__).parents[3]


def a_long_conversation() -> Shop:
    shop = Shop(query=["pending", "not_paid"])
    shop.say("Habari").say("2 unga na 1 sukari na 1 kuku").say("msaada").say("toa 1 sukari").tap("Confirm").say("nitalipa")
    shop.say("kiswahili").say("pay").say("cart").fire("after:90s").fire("after:90s").tap("Badilisha oda").say("5 mkate")
    return (
        shop.say("sawa").tap("PAY").result("no_funds").tap("PAY", menu=4).say("PAY!").result("paid", receipt="SBC1").say("asante")
    )


def test_the_same_log_gives_the_same_bytes_whatever_the_hash_seed() -> None:
    code = (
        "import json; from tests.conversation.engine.test_determinism import a_long_conversation; "
        "print(json.dumps(a_long_conversation().log))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "4242")
    }
    assert runs == {json.dumps(a_long_conversation().log)}


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


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
