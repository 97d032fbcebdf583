from datetime import datetime, timedelta

import pytest

from router import timers
from router.databases import Databases
from router.errors import Broken
from router.ids import VendorId
from router.work import unit_of_work
from tests.router.chats import open_chat


def test_a_due_timer_is_claimed_by_one_worker_and_fires_once(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        chat = open_chat(work, now)
        timers.set_all(work, chat.id, turn=1, due={"after": now, "expiry": now + timedelta(days=1)})
    with unit_of_work(databases, vendor_id) as one, unit_of_work(databases, vendor_id) as two:
        (timer,) = timers.claim_due(one, now=now, limit=10)
        assert (timer.name, timer.turn, timer.due_at) == ("after", 1, now)
        assert timers.claim_due(two, now=now, limit=10) == []
        assert timers.get_for_turn(two, timer.id) is None
        timers.mark_fired(one, timer.id, now)
    with unit_of_work(databases, vendor_id) as work:
        assert timers.claim_due(work, now=now, limit=10) == []
        with pytest.raises(Broken, match="not open"):
            timers.mark_fired(work, timer.id, now)


def test_a_later_turn_drops_the_timers_of_earlier_ones(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        chat = open_chat(work, now)
        for turn in (1, 2):
            timers.set_all(work, chat.id, turn=turn, due={"after": now})
        assert [timer.turn for timer in timers.claim_due(work, now=now, limit=10)] == [2]


def test_dropping_never_waits_for_a_worker_that_holds_a_timer(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        chat = open_chat(work, now)
        timers.set_all(work, chat.id, turn=1, due={"after": now})
    with unit_of_work(databases, vendor_id) as firing, unit_of_work(databases, vendor_id) as turn:
        (timer,) = timers.claim_due(firing, now=now, limit=10)
        turn.conn.execute("SET LOCAL lock_timeout = '200ms'")
        timers.set_all(turn, chat.id, turn=2, due={})
        assert timers.get_for_turn(firing, timer.id) == timer


def test_the_same_timer_of_a_turn_is_moved_not_doubled(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        chat = open_chat(work, now)
        for minutes in (1, 2):
            timers.set_all(work, chat.id, turn=1, due={"after": now + timedelta(minutes=minutes)})
        assert timers.claim_due(work, now=now + timedelta(minutes=1), limit=10) == []
        assert len(timers.claim_due(work, now=now + timedelta(minutes=2), limit=10)) == 1


def test_when_nothing_waits_every_timer_is_dropped(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        chat = open_chat(work, now)
        timers.set_all(work, chat.id, turn=1, due={"after": now})
        timers.set_all(work, chat.id, turn=None, due={})
        assert timers.claim_due(work, now=now, limit=10) == []
