from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router import outbox
from router.databases import Databases
from router.errors import Broken
from router.ids import ConversationId, VendorId
from router.outbox import NEXT, NewMessage, OutboxStatus
from router.work import Work, unit_of_work
from tests.router.chats import open_chat

LEASE = 30.0


@pytest.fixture
def work(databases: Databases, vendor_id: VendorId) -> Iterator[Work]:
    with unit_of_work(databases, vendor_id) as opened:
        yield opened


def messages(conversation_id: ConversationId, due_at: datetime, count: int = 1, turn: int = 1) -> list[NewMessage]:
    return [
        NewMessage(
            conversation_id=conversation_id,
            phone_number_id="100000000000001",
            recipient="254700000001",
            turn=turn,
            n=n,
            place="shop.cart",
            message={"text": f"{turn}.{n} \x00 karibu", "buttons": [{"id": "pay", "title": "PAY"}]},
            due_at=due_at,
        )
        for n in range(count)
    ]


def add(work: Work, now: datetime, count: int = 1, phone: str = "254700000001") -> ConversationId:
    conversation = open_chat(work, now, phone)
    outbox.add(work, messages(conversation.id, now, count))
    return conversation.id


def claimed(work: Work, now: datetime) -> list[int]:
    return [row.id for row in outbox.claim(work, now=now, lease_seconds=LEASE, limit=10)]


def claim_one(work: Work, now: datetime) -> int:
    (row_id,) = claimed(work, now)
    return row_id


def status(work: Work, row_id: int) -> str:
    row = work.conn.execute("SELECT status FROM outbox WHERE vendor_id = %s AND id = %s", (work.vendor_id, row_id)).fetchone()
    assert row is not None
    return str(row["status"])


def told(work: Work, at: datetime, new_status: str, *, wamid: str = "wamid.A", tracker: str | None = None) -> bool:
    return outbox.record_status(work, wamid=wamid, tracker=tracker, status=new_status, error="131026", at=at)


def test_messages_are_kept_in_order_and_each_is_counted_once(work: Work, now: datetime) -> None:
    conversation_id = add(work, now, count=3)
    rows = work.conn.execute("SELECT n, message->>'text' AS text FROM outbox ORDER BY id").fetchall()
    assert rows == [{"n": n, "text": f"1.{n} \ufffd karibu"} for n in range(3)]
    keys = work.conn.execute("SELECT key FROM usage_records WHERE meter = 'message_out' ORDER BY key").fetchall()
    assert keys == [{"key": f"{conversation_id}:1:{n}"} for n in range(3)]
    outbox.add(work, [])


def test_a_turn_cannot_say_the_same_message_twice(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    def say_twice() -> None:
        with unit_of_work(databases, vendor_id) as work:
            outbox.add(work, messages(add(work, now), now))

    with pytest.raises(Broken, match="outbox"):
        say_twice()


def test_only_the_first_unfinished_message_of_a_conversation_is_claimed(work: Work, now: datetime) -> None:
    add(work, now, count=2)
    add(work, now, count=1, phone="254700000002")
    first, other = outbox.claim(work, now=now, lease_seconds=LEASE, limit=10)
    assert (first.n, first.attempts, first.message["text"]) == (0, 1, "1.0 \ufffd karibu")
    assert other.conversation_id != first.conversation_id
    assert claimed(work, now) == []
    outbox.record_sent(work, first.id, wamid="wamid.A", now=now)
    assert [row.n for row in outbox.claim(work, now=now, lease_seconds=LEASE, limit=10)] == [1]


@pytest.mark.parametrize("outcome", ["retry", "unknown"])
def test_a_message_without_an_outcome_holds_the_next_one_back(work: Work, now: datetime, outcome: str) -> None:
    add(work, now, count=2)
    first = claim_one(work, now)
    later = now + timedelta(seconds=20)
    if outcome == "retry":
        outbox.record_retry(work, first, due_at=later, error="429")
    else:
        outbox.record_unknown(work, first, error="timeout", due_at=later)
    assert claimed(work, now) == []


def test_a_message_that_failed_lets_the_next_one_go(work: Work, now: datetime) -> None:
    add(work, now, count=2)
    outbox.record_failed(work, claim_one(work, now), error="131026", now=now)
    assert len(claimed(work, now)) == 1


def test_a_message_is_not_claimed_before_it_is_due(work: Work, now: datetime) -> None:
    add(work, now + timedelta(seconds=1))
    assert claimed(work, now) == []


def test_two_senders_never_get_the_same_message_nor_wait(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        for n in range(4):
            add(work, now, count=2, phone=f"25470000000{n}")
    with unit_of_work(databases, vendor_id) as one, unit_of_work(databases, vendor_id) as two:
        first = outbox.claim(one, now=now, lease_seconds=LEASE, limit=2)
        second = outbox.claim(two, now=now, lease_seconds=LEASE, limit=10)
        assert {row.n for row in (*first, *second)} == {0}
        assert len({row.conversation_id for row in (*first, *second)}) == 4


def test_a_status_before_the_answer_resolves_the_row_by_its_tracker(work: Work, now: datetime) -> None:
    add(work, now)
    row_id = claim_one(work, now)
    assert told(work, now, "delivered", tracker=f"outbox:{row_id}")
    outbox.record_sent(work, row_id, wamid="wamid.A", now=now)
    assert status(work, row_id) == "delivered"
    assert told(work, now, "read")


def test_an_unknown_row_is_resolved_by_a_status_with_its_tracker(work: Work, now: datetime) -> None:
    add(work, now)
    row_id = claim_one(work, now)
    outbox.record_unknown(work, row_id, error="timeout", due_at=now)
    assert told(work, now, "sent", tracker=f"outbox:{row_id}")
    assert outbox.recover_expired(work, now=now) == 0
    assert status(work, row_id) == "sent"


@pytest.mark.parametrize("tracker", [None, "", "outbox:", "outbox:x", "outbox:-1", "1", "outbox:٣", "outbox:" + "9" * 30])
def test_a_status_for_nobody_moves_nothing(work: Work, now: datetime, tracker: str | None) -> None:
    add(work, now)
    claim_one(work, now)
    assert not told(work, now, "sent", tracker=tracker)


def test_a_status_we_do_not_know_moves_nothing(work: Work, now: datetime) -> None:
    add(work, now)
    row_id = claim_one(work, now)
    assert not told(work, now, "warning", tracker=f"outbox:{row_id}")
    assert not told(work, now, "pending", tracker=f"outbox:{row_id}")


def test_another_vendors_status_moves_nothing(databases: Databases, work: Work, now: datetime) -> None:
    add(work, now)
    row_id = claim_one(work, now)
    other = Work(vendor_id=VendorId(UUID(int=7)), conn=work.conn, databases=databases)
    assert not told(other, now, "sent", tracker=f"outbox:{row_id}")


def test_a_failure_of_the_first_copy_does_not_fail_the_second(work: Work, now: datetime) -> None:
    add(work, now)
    row_id = claim_one(work, now)
    outbox.record_sent(work, row_id, wamid="wamid.B", now=now)
    assert not told(work, now, "failed", wamid="wamid.A", tracker=f"outbox:{row_id}")
    assert told(work, now, "failed", wamid="wamid.B")
    row = work.conn.execute("SELECT status, error, failed_at FROM outbox").fetchone()
    assert row == {"status": "failed", "error": "131026", "failed_at": now}


@given(statuses=st.lists(st.sampled_from(["sent", "delivered", "read", "failed"]), max_size=8))
def test_the_table_only_climbs(statuses: Sequence[str]) -> None:
    rank = {"pending": 0, "sending": 1, "unknown": 1, "sent": 2, "failed": 2.5, "delivered": 3, "read": 4}
    now_at, path = OutboxStatus.SENDING, [OutboxStatus.SENDING]
    for name in statuses:
        if OutboxStatus(name) in NEXT[now_at]:
            now_at = OutboxStatus(name)
            path.append(now_at)
    assert all(rank[before] < rank[after] for before, after in pairwise(path))


def test_sql_moves_exactly_as_the_table_says(work: Work, now: datetime) -> None:
    add(work, now)
    row_id = claim_one(work, now)
    for before in OutboxStatus:
        for after in ("sent", "delivered", "read", "failed"):
            work.conn.execute("UPDATE outbox SET status = %s, lease_until = %s, wamid = 'wamid.A'", (before, now))
            assert told(work, now, after) is (OutboxStatus(after) in NEXT[before]), (before, after)
            assert status(work, row_id) == (after if OutboxStatus(after) in NEXT[before] else before)


def test_a_vanished_sender_leads_to_one_resend_and_then_to_failed(work: Work, now: datetime) -> None:
    add(work, now)
    at, seen = now, []
    row_id = claim_one(work, at)
    assert outbox.recover_expired(work, now=at) == 0
    for _ in range(4):
        at += timedelta(seconds=LEASE + outbox.UNKNOWN_WAIT_SECONDS)
        outbox.recover_expired(work, now=at)
        seen.append(status(work, row_id))
        if seen[-1] == "pending":
            assert claimed(work, at) == [row_id]
    assert seen == ["unknown", "pending", "unknown", "failed"]
    assert work.conn.execute("SELECT attempts, resends FROM outbox").fetchone() == {"attempts": 2, "resends": 1}


def test_a_sender_slower_than_its_lease_is_still_believed(work: Work, now: datetime) -> None:
    add(work, now)
    row_id = claim_one(work, now)
    later = now + timedelta(seconds=LEASE + 1)
    outbox.recover_expired(work, now=later)
    outbox.record_sent(work, row_id, wamid="wamid.A", now=later)
    assert status(work, row_id) == "sent"
    assert outbox.recover_expired(work, now=later + timedelta(hours=1)) == 0


def test_the_message_log_shows_both_directions(work: Work, now: datetime) -> None:
    add(work, now)
    outbox.record_sent(work, claim_one(work, now), wamid="wamid.A", now=now)
    row = work.conn.execute("SELECT direction, text, status, wamid FROM message_log").fetchone()
    assert row == {"direction": "out", "text": "1.0 \ufffd karibu", "status": "sent", "wamid": "wamid.A"}


def test_what_a_vendor_is_told_is_kept_once_for_its_cause_and_waits_for_no_other(work: Work, now: datetime) -> None:
    add(work, now, count=2)
    for cause in ("order_paid:1", "order_paid:1", "order_paid:2"):
        outbox.add_alert(
            work, cause=cause, phone_number_id="1", recipient="254722000001", place="alert", message={"text": cause}, now=now
        )
    rows = outbox.claim(work, now=now, lease_seconds=LEASE, limit=10)
    assert [row.message["text"] for row in rows if row.conversation_id is None] == ["order_paid:1", "order_paid:2"]
    assert len(rows) == 3, "and the first of the conversation"
    counted = work.conn.execute("SELECT key FROM usage_records WHERE category = 'template' ORDER BY key").fetchall()
    assert [row["key"] for row in counted] == ["order_paid:1", "order_paid:2"]
