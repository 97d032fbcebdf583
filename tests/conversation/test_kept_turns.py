"""Every turn leaves how it went: in its own commit, whole enough to be taken again, and for some days only."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from conversation.authoring.rerun import Rerun
from conversation.engine.events import Happened, Said, TimerFired
from conversation.kept_turns import read_lexicons
from conversation.whatsapp.inbound import Text
from router import timers, turns
from router.databases import Databases
from router.ids import VendorId
from router.work import unit_of_work
from tests.conversation.test_turn import Chat, broken_orders, chat
from tests.soko.lived import conversation_id, flows, kept, live, to_transcript

__all__ = ["broken_orders", "chat"]

PAID = """\
  - customer: hello
  - customer: 2 unga na 1 sukari
  - customer: {tap: Confirm}
  - customer: PAY
  - clock: +95s
  - event: {payments.result: {attempt: 1, outcome: paid, receipt: SBC0001XYZ}}
  - event: same
"""
MPESA = "{push: [accepted], query: [pending, pending]}"


def test_a_kept_turn_holds_event_rung_guards_calls_effects_and_flows(databases: Databases, vendor_id: VendorId) -> None:
    live(databases, to_transcript(PAID, mpesa=MPESA))

    hello, order, confirm, pay, timer, result = kept(databases, vendor_id)

    assert hello.before is not None
    assert order.before is None
    assert (hello.came_from, hello.state, order.state) == (None, "shop.browse", "shop.cart")
    assert isinstance(order.event, Said)
    assert order.event.text == "2 unga na 1 sukari"
    (matched,) = [entry for entry in order.trace if entry["what"] == "matched"]
    assert (matched["rung"], matched["by"]) == ("entities", "basket_edit")
    assert str(matched["at"]).startswith("flows/shop.yaml:")
    guard = next(entry for entry in confirm.trace if entry["what"] == "guard" and entry["condition"] == "order.is_paid")
    assert guard["held"] is False
    assert guard["read"] == {"order.is_paid": False}
    assert str(guard["at"]).startswith("flows/shop.yaml:")
    (push,) = [step for step in pay.steps if step.answer is not None]
    assert push.effects[-1]["name"] == "payments.stk_push"
    assert push.answer is not None
    assert push.answer.outcome == "sent"
    assert push.answer.milliseconds > 0
    assert isinstance(timer.event, TimerFired)
    assert isinstance(result.event, Happened)
    assert result.state is None
    assert {each.bundle for each in (hello, order, confirm, pay, timer, result)} == {flows().hash}


def test_kept_turns_taken_again_lead_to_the_same(databases: Databases, vendor_id: VendorId) -> None:
    live(databases, to_transcript(PAID, mpesa=MPESA))
    with unit_of_work(databases, vendor_id) as work:
        lexicons = read_lexicons(work)

    taken = list(Rerun(bundle=flows(), lexicons=lexicons).take(kept(databases, vendor_id)))

    assert len(taken) == 6
    assert [each.now for each in taken] == [each.then for each in taken]


def test_a_turn_is_kept_in_its_own_commit(chat: Chat) -> None:
    chat.say(Text(text="Habari"))
    with chat.databases.ops(chat.vendor_id) as conn:
        found = conn.execute("SELECT xmin::text FROM turns UNION SELECT xmin::text FROM conversations").fetchall()
    assert len(found) == 1


def test_what_nobody_can_store_is_kept_as_the_replacement_character(chat: Chat) -> None:
    chat.say(Text(text="ha\x00bari \ud83d"))

    (event,) = chat.rows("SELECT record #>> '{event,text}' AS text FROM turns")
    assert event["text"] == "ha\ufffdbari \ufffd"


@pytest.mark.usefixtures("broken_orders")
def test_a_turn_that_failed_is_kept_with_its_error(chat: Chat) -> None:
    chat.say(Text(text="Habari"))
    chat.say(Text(text="2 unga"))

    _, failed = kept(chat.databases, chat.vendor_id)
    assert "a bug" in (failed.error or "")
    assert isinstance(failed.event, Said)
    assert failed.event.text == "2 unga"
    assert failed.steps == ()


def test_a_process_stores_a_shelf_once_an_hour(chat: Chat) -> None:
    chat.say(Text(text="Habari"))
    (first,) = chat.rows("SELECT seen_at FROM shelves")
    chat.say(Text(text="2 unga"))
    assert chat.rows("SELECT seen_at FROM shelves") == [first]

    chat.now += timedelta(hours=1)
    chat.say(Text(text="1 sukari"))
    (later,) = chat.rows("SELECT seen_at FROM shelves")
    assert later["seen_at"] > first["seen_at"]


def test_purging_forgets_old_turns_and_leaves_the_others_with_their_shelves(chat: Chat) -> None:
    chat.say(Text(text="Habari"))
    chat.now += timedelta(days=2)
    chat.say(Text(text="2 unga"))

    with unit_of_work(chat.databases, chat.vendor_id) as work:
        assert turns.purge(work, before=chat.now - timedelta(days=1)) == 1
        assert turns.purge(work, before=chat.now - timedelta(days=1)) == 0
    assert chat.rows("SELECT turn FROM turns") == [{"turn": 2}]
    assert len(chat.rows("SELECT * FROM shelves")) == 1

    with unit_of_work(chat.databases, chat.vendor_id) as work:
        turns.purge(work, before=chat.now + timedelta(days=2))
    assert chat.rows("SELECT * FROM turns") == chat.rows("SELECT * FROM shelves") == []


def test_nobody_reads_the_turns_of_another_vendor(chat: Chat) -> None:
    chat.say(Text(text="Habari"))
    other = VendorId(uuid4())

    with unit_of_work(chat.databases, chat.vendor_id) as work:
        theirs = replace(work, vendor_id=other)
        assert turns.list_of(theirs, conversation_id(chat.databases, chat.vendor_id)) == []
        assert list(turns.list_since(theirs, chat.now - timedelta(days=1))) == []
        assert turns.list_shelves(theirs) == {}


def test_a_timer_whose_wait_is_over_takes_no_turn_and_leaves_none(chat: Chat) -> None:
    chat.say(Text(text="2 unga"))
    with unit_of_work(chat.databases, chat.vendor_id) as work:
        work.conn.execute("UPDATE timers SET turn = 0")
        stale = timers.claim_due(work, now=chat.now + timedelta(days=1), limit=1)[0]

    chat.turns.fire(chat.vendor_id, stale)

    assert chat.rows("SELECT turn FROM turns") == [{"turn": 1}]
    assert chat.rows("SELECT id FROM timers WHERE fired_at IS NOT NULL") == [{"id": stale.id}]
    assert len(chat.reports) == 2
