from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Barrier

import pytest

from router import conversations, customers
from router.conversations import Conversation
from router.databases import Databases
from router.errors import Broken
from router.ids import CustomerId, VendorId
from router.work import Work, unit_of_work

PHONE_NUMBER_ID = "100000000000001"


def customer(work: Work, now: datetime, phone: str = "254700000001") -> CustomerId:
    return customers.recognise(work, phone=phone, bsuid=None, name="Asha", now=now).id


def save(work: Work, conversation: Conversation, now: datetime, *, before_turn: int) -> None:
    conversations.save(
        work,
        conversation.id,
        snapshot={"state": "cart", "turn": before_turn + 1},
        turn=before_turn + 1,
        before_turn=before_turn,
        order_id=conversation.order_id,
        flow="shop",
        state="cart",
        last_inbound_at=now,
        now=now,
    )


def test_a_new_conversation_reserves_an_order_that_has_no_row(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        made = conversations.lock(work, customer_id=customer(work, now), phone_number_id=PHONE_NUMBER_ID, now=now)
        assert (made.turn, made.snapshot, made.last_inbound_at) == (0, None, None)
        assert work.conn.execute("SELECT count(*) AS n FROM orders").fetchone() == {"n": 0}
        again = conversations.lock(work, customer_id=made.customer_id, phone_number_id=PHONE_NUMBER_ID, now=now)
        assert again == made


def test_the_conversation_follows_its_customer_to_another_number(
    databases: Databases, vendor_id: VendorId, now: datetime
) -> None:
    with unit_of_work(databases, vendor_id) as work:
        made = conversations.lock(work, customer_id=customer(work, now), phone_number_id="1", now=now)
        moved = conversations.lock(work, customer_id=made.customer_id, phone_number_id="2", now=now)
        assert (moved.id, moved.phone_number_id) == (made.id, "2")


@pytest.mark.parametrize("known", [True, False])
def test_messages_of_one_customer_wait_for_each_other(
    databases: Databases,
    vendor_id: VendorId,
    now: datetime,
    known: bool,  # noqa: FBT001
) -> None:
    with unit_of_work(databases, vendor_id) as work:
        who = customer(work, now)
        if known:
            conversations.lock(work, customer_id=who, phone_number_id=PHONE_NUMBER_ID, now=now)
    start = Barrier(8)

    def turn(_: int) -> None:
        start.wait()
        with unit_of_work(databases, vendor_id) as work:
            held = conversations.lock(work, customer_id=who, phone_number_id=PHONE_NUMBER_ID, now=now)
            save(work, held, now, before_turn=held.turn)

    with ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(turn, range(8)))
    with unit_of_work(databases, vendor_id) as work:
        assert conversations.lock(work, customer_id=who, phone_number_id=PHONE_NUMBER_ID, now=now).turn == 8


def test_a_turn_that_was_overtaken_cannot_save(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        held = conversations.lock(work, customer_id=customer(work, now), phone_number_id=PHONE_NUMBER_ID, now=now)
        save(work, held, now, before_turn=0)
        with pytest.raises(Broken, match="not at turn 0"):
            save(work, held, now, before_turn=0)
        saved = conversations.get(work, held.id)
        assert (saved.turn, saved.snapshot) == (1, {"state": "cart", "turn": 1})


def test_a_conversation_of_another_vendor_is_not_there(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        held = conversations.lock(work, customer_id=customer(work, now), phone_number_id=PHONE_NUMBER_ID, now=now)
        other = Work(vendor_id=VendorId(held.order_id), conn=work.conn, databases=databases)
        with pytest.raises(Broken, match="no conversation"):
            conversations.get(other, held.id)
