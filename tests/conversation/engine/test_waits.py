"""Waits: timers and their fence, silence, tries, events that are awaited, late, or heard before."""

from datetime import timedelta

import pytest

from conversation.authoring.load import build_unchecked
from conversation.engine.events import Returned, TimerFired
from conversation.engine.flow import Bundle
from conversation.engine.step import step
from conversation.errors import Broken
from conversation.services import CATALOGUE
from tests.conversation.engine.shop import Shop
from tests.conversation.engine.small import bundle_of, files_of


def test_a_timer_of_an_older_wait_changes_nothing() -> None:
    shop = Shop().to_pay().say("pay")
    old = shop.snapshot.waiting_turn
    shop.fire("after:90s")
    assert shop.calls == ["payments.query"]
    new = shop.snapshot.waiting_turn
    assert old is not None
    assert new is not None
    assert new > old
    before = shop.snapshot
    shop.fire("after:90s", turn=old)
    assert (shop.snapshot, shop.effects) == (before, [])


def test_a_timer_that_the_wait_never_set_changes_nothing() -> None:
    shop = Shop().to_pay().say("pay")
    before = shop.snapshot
    for name in ("after:30s", "expires@1", "remind:1@1", "nonsense"):
        assert shop.fire(name).snapshot == before


def test_repeating_a_question_keeps_its_number_and_its_due_times() -> None:
    shop = Shop().to_pay().say("pay")
    number, due = shop.snapshot.waiting_turn, shop.timers["after:90s"]
    assert due == shop.now + timedelta(seconds=90)
    for text in ("hello?", "help", "swahili", "cart"):
        shop.say(text)
        assert (shop.snapshot.waiting_turn, shop.timers.get("after:90s", due)) == (number, due)
    assert shop.fire("after:90s", turn=number).calls == ["payments.query"]


def test_repeating_a_question_with_a_timer_keeps_both_as_they_are() -> None:
    flow = """
flow: a
starts_when: [any: true]
commands: {help: {words: [help], say: Here., then: resume}}
states:
  x: {ask: {text: Well?, buttons: {b: B}}, replies: [{choice: b, go: y}], after: {5m: late}}
  y: {end: tapped}
  late: {end: late}
"""
    shop = Shop(bundle=bundle_of(flow)).say("hi")
    number, due = shop.snapshot.waiting_turn, shop.timers["after:5m"]
    for text in ("hm?", "help"):
        shop.say(text)
        assert (shop.texts[-1], shop.snapshot.waiting_turn, shop.timers.get("after:5m", due)) == ("Well?", number, due)
    assert shop.snapshot.frames[-1].wait is not None
    assert shop.snapshot.frames[-1].wait.timers == {"after:5m": due.isoformat()}
    assert Shop(bundle=shop.bundle, snapshot=shop.snapshot).fire("after:5m").ended == ["late"]
    assert shop.tap("B", menu=0).ended == ["tapped"]  # the first copy is as good as the last


def test_the_payment_that_nobody_called_back_about_is_asked_for() -> None:
    shop = Shop(query=["pending", "pending", "paid"]).to_pay().say("pay").fire("after:90s")
    assert (shop.state, shop.places) == ("waiting", ["shop.ask_mpesa.payments.query.pending.say.1"])
    assert shop.fire("after:90s").messages == []  # told once, and not every 90 seconds
    shop.receipt = "SBC1"
    shop.status = "PAID"
    shop.fire("after:90s")
    assert shop.ended == ["paid"]
    assert shop.result("paid").messages == []  # the late callback says what the customer has heard
    assert shop.trace[0]["what"] == "echo"


def test_an_awaited_event_leads_on_once() -> None:
    shop = Shop().to_pay().say("pay").result("wrong_pin")
    assert (shop.places, shop.state) == (["shop.pay_failed.say.2", "shop.pay.ask"], "pay")
    assert (shop.result("wrong_pin").messages, shop.trace[0]["what"], shop.state) == ([], "echo", "pay")
    shop.say("pay").result("paid")
    assert shop.ended == ["paid"]
    assert (shop.result("paid").effects, shop.trace[0]["what"]) == ([], "echo")


def test_money_that_comes_after_it_was_called_lost_is_told() -> None:
    shop = Shop().to_pay().say("pay").result("timed_out")
    assert shop.state == "pay"
    shop.result("paid", receipt="SBC7")
    assert (shop.ended, shop.places) == (["quiet", "paid"], ["shop.receipt.say"])
    assert "SBC7" in shop.texts[0]


def test_money_for_an_earlier_order_is_told_and_the_open_question_asked_again() -> None:
    shop = Shop().say("hi")
    number = shop.snapshot.waiting_turn
    shop.result("paid", key="attempt-of-old", receipt="SBC8")
    assert shop.places == ["late_payment.thank.say", "shop.browse.ask"]
    assert (shop.state, shop.snapshot.waiting_turn) == ("browse", number)


def test_a_late_failure_is_not_worth_a_word() -> None:
    shop = Shop().say("hi").result("cancelled", key="attempt-of-old")
    assert (shop.messages, shop.state) == ([], "browse")


def test_an_event_for_an_idle_conversation_is_told_and_leaves_it_idle() -> None:
    shop = Shop().result("paid", key="attempt-of-old", receipt="SBC9")
    assert (shop.places, shop.snapshot.idle) == (["late_payment.thank.say"], True)


def test_a_late_event_does_not_disturb_the_prompt_that_is_out() -> None:
    shop = Shop().to_pay().say("pay")
    number = shop.snapshot.waiting_turn
    shop.result("failed", key="attempt-of-old")
    assert (shop.state, shop.snapshot.waiting_turn, shop.messages) == ("waiting", number, [])
    assert shop.result("paid").ended == ["paid"]


def test_tries_are_counted_for_this_wait_and_a_digression_uses_none() -> None:
    shop = Shop().say("hi").say("xyzzy").say("help").say("swahili").say("xyzzy")
    assert shop.state == "browse"
    shop.say("xyzzy")
    assert (shop.ended, shop.handed_off) == (["handed_off"], ["no order, was at browse"])


def test_a_failed_check_says_why_and_uses_a_try() -> None:
    shop = Shop().say("hi").tap("Unga 2kg").say("50")
    assert (shop.texts, shop.state) == (["We have 9 of them. How many?"], "quantity")
    shop.say("0").say("1000")
    assert shop.state == "browse"


def test_a_live_prompt_cannot_be_walked_away_from() -> None:
    shop = Shop().to_pay().say("pay")
    for text in ("cart", "cancel", "2 sukari", "stop", "confirm", "hi"):
        shop.say(text)
        assert (shop.state, shop.calls, len(shop.messages)) == ("waiting", [], 1), text


def test_the_wait_for_money_ends_with_a_person_at_last() -> None:
    shop = Shop().to_pay().say("pay")
    for _ in range(20):
        if shop.snapshot.idle:
            break
        shop.fire("after:90s")
    assert shop.ended == ["handed_off"]


def test_a_silent_customer_is_reminded_once_and_then_the_basket_goes_back() -> None:
    shop = Shop().say("2 unga")
    assert set(shop.timers) == {"expires@1", "remind:1@1"}
    assert shop.timers["remind:1@1"] == shop.now + timedelta(minutes=30)
    assert shop.fire("remind:1@1").places == ["shop.conversation.remind.say"]
    assert shop.timers == {}
    assert shop.fire("remind:1@1").effects == []
    shop.fire("expires@1")
    assert (shop.calls, shop.ended) == (["orders.cancel"], ["expired"])


def test_a_customer_who_spoke_is_not_expired_by_an_older_timer() -> None:
    shop = Shop().say("2 unga").say("help")
    assert set(shop.timers) == {"expires@2", "remind:1@2"}
    before = shop.snapshot
    assert shop.fire("expires@1").snapshot == before
    assert shop.fire("remind:1@1").snapshot == before
    assert shop.fire("expires@2").ended == ["expired"]


def test_reminders_keep_to_the_hours_of_the_day() -> None:
    shop = Shop()
    shop.now = shop.now.replace(hour=17, minute=20)  # 20:20 in Nairobi; half past eight is the latest
    shop.say("2 unga")
    assert shop.timers["remind:1@1"].isoformat() == "2026-03-03T05:00:00+00:00"


def test_nobody_is_expired_while_the_money_is_on_its_way() -> None:
    assert set(Shop().to_pay().say("pay").timers) == {"after:90s"}


def test_only_the_answer_to_a_call_may_follow_it() -> None:
    shop = Shop().to_pay()
    taken = step(shop.bundle, shop.snapshot, TimerFired(at=shop.now, name="x", turn=99), shop.context())
    assert taken.snapshot is shop.snapshot
    with pytest.raises(Broken, match="nothing was called"):
        step(shop.bundle, shop.snapshot, Returned(at=shop.now, outcome="ok"), shop.context())


REMINDED = """
flow: a
starts_when: [any: true]
conversation:
  expires: {after: 5h, to: gone}
  remind: {after: 1h, in: [x], times: 2, between: ["08:00", "11:30"], say: Still there?}
commands: {help: {words: [help], say: Here., then: resume}}
states:
  x: {ask: Well?, replies: [{words: [b], go: y}]}
  y: {ask: And?, replies: [{words: [c], go: gone}]}
  gone: {say: Bye., end: gone}
"""


def reminding() -> Bundle:
    return build_unchecked(files_of(REMINDED), CATALOGUE)  # over a night, both could come too late for WhatsApp


def test_reminders_come_so_often_and_count_from_the_last_message() -> None:
    shop = Shop(bundle=reminding()).say("hi")
    assert shop.timers["remind:1@1"] == shop.now + timedelta(hours=1)
    shop.now += timedelta(hours=1)
    shop.fire("remind:1@1")
    assert (shop.texts, shop.timers) == (["Still there?"], {"remind:2@1": shop.now + timedelta(hours=1)})
    assert shop.fire("remind:1@1").messages == []
    assert (shop.fire("remind:2@1").texts, shop.timers) == (["Still there?"], {})
    assert shop.fire("remind:3@1").messages == []
    shop.say("help")  # whoever speaks again may be reminded again only of another question
    assert set(shop.timers) == {"expires@4"}


def test_nobody_is_reminded_where_the_flow_does_not_say_so() -> None:
    shop = Shop(bundle=reminding()).say("hi").say("b")
    assert set(shop.timers) == {"expires@2"}
    before = shop.snapshot
    assert shop.fire("remind:1@1").snapshot == before


@pytest.mark.parametrize(
    ("hour", "due"), [(6, "2026-03-02T07:10:05+00:00"), (2, "2026-03-02T05:00:00+00:00"), (9, "2026-03-03T05:00:00+00:00")]
)
def test_a_reminder_that_falls_outside_the_hours_waits_for_their_next_minute(hour: int, due: str) -> None:
    shop = Shop(bundle=reminding())
    shop.now = shop.now.replace(hour=hour, minute=10)
    assert shop.say("hi").timers["remind:1@1"].isoformat() == due


def test_nobody_is_reminded_when_whatsapp_would_not_take_it() -> None:
    flow = REMINDED.replace("after: 1h", "after: 25h").replace('times: 2, between: ["08:00", "11:30"], ', "")
    shop = Shop(bundle=build_unchecked(files_of(flow), CATALOGUE)).say("hi")
    assert set(shop.timers) == {"expires@1"}
