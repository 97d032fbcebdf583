from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from router import conversations, customers
from router.databases import Databases
from router.errors import Broken
from router.ids import VendorId
from router.seeding import DUKA_LA_PILI
from router.work import Work, unit_of_work

PHONE, BSUID = "254700000001", "KE.1a2b"


@pytest.fixture
def work(databases: Databases, vendor_id: VendorId) -> Iterator[Work]:
    with unit_of_work(databases, vendor_id) as opened:
        yield opened


def test_a_customer_is_made_once_and_then_recognised(work: Work, now: datetime) -> None:
    made = customers.recognise(work, phone=PHONE, bsuid=None, name="Asha", now=now)
    assert customers.recognise(work, phone=PHONE, bsuid=None, name=None, now=now) == made
    assert (made.phone, made.name, made.language) == (PHONE, "Asha", None)


def test_a_new_customer_who_writes_twice_at_once_is_one_customer(
    databases: Databases, vendor_id: VendorId, now: datetime
) -> None:
    def write(_: int) -> object:
        with unit_of_work(databases, vendor_id) as work:
            return customers.recognise(work, phone=PHONE, bsuid=BSUID, name="Asha", now=now).id

    with ThreadPoolExecutor(max_workers=8) as pool:
        assert len(set(pool.map(write, range(8)))) == 1


def test_a_customer_that_another_turn_is_making_is_waited_for(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    def write() -> object:
        with unit_of_work(databases, vendor_id) as work:
            return customers.recognise(work, phone=PHONE, bsuid=None, name=None, now=now).id

    with ThreadPoolExecutor(max_workers=1) as pool:
        with unit_of_work(databases, vendor_id) as work:
            first = customers.recognise(work, phone=PHONE, bsuid=None, name=None, now=now).id
            second = pool.submit(write)
            with pytest.raises(TimeoutError):
                second.result(timeout=0.3)
        assert second.result() == first


def test_a_changed_name_is_taken_and_the_chosen_language_stays(work: Work, now: datetime) -> None:
    made = customers.recognise(work, phone=PHONE, bsuid=None, name="Asha", now=now)
    customers.set_language(work, made.id, "sw")
    found = customers.recognise(work, phone=PHONE, bsuid=None, name="Asha W.", now=now)
    assert (found.id, found.name, found.language) == (made.id, "Asha W.", "sw")


def test_a_phone_completes_a_customer_known_by_user_id_and_the_other_way_round(work: Work, now: datetime) -> None:
    by_id = customers.recognise(work, phone=None, bsuid=BSUID, name=None, now=now)
    both = customers.recognise(work, phone=PHONE, bsuid=BSUID, name=None, now=now)
    assert (both.id, both.phone, both.bsuid) == (by_id.id, PHONE, BSUID)
    assert customers.recognise(work, phone=PHONE, bsuid=None, name=None, now=now).id == by_id.id


def test_two_rows_of_one_person_become_the_one_that_wrote_last(work: Work, now: datetime) -> None:
    by_phone = customers.recognise(work, phone=PHONE, bsuid=None, name="Asha", now=now)
    by_id = customers.recognise(work, phone=None, bsuid=BSUID, name=None, now=now + timedelta(days=1))
    for customer, at in ((by_phone, now), (by_id, now + timedelta(days=1))):
        held = conversations.lock(work, customer_id=customer.id, phone_number_id="1", now=at)
        conversations.save(
            work, held.id, snapshot={}, turn=1, before_turn=0, order_id=held.order_id, flow=None, state=None,
            last_inbound_at=at, now=at,
        )  # fmt: skip
    both = customers.recognise(work, phone=PHONE, bsuid=BSUID, name="Asha", now=now + timedelta(days=2))
    assert (both.id, both.phone, both.bsuid) == (by_id.id, PHONE, BSUID)
    row = work.conn.execute("SELECT phone, bsuid, merged_into FROM customers WHERE id = %s", (by_phone.id,)).fetchone()
    assert row == {"phone": None, "bsuid": None, "merged_into": by_id.id}


def test_nobody_is_known_by_nothing(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work, pytest.raises(Broken, match="a phone or a business-scoped user id"):
        customers.recognise(work, phone=None, bsuid=None, name="Asha", now=now)
    with pytest.raises(Broken, match="customers_known_by_something"):
        _insert_unknown(databases, vendor_id, now)


def test_the_same_phone_at_two_vendors_is_two_customers(databases: Databases, work: Work, now: datetime) -> None:
    mine = customers.recognise(work, phone=PHONE, bsuid=None, name=None, now=now)
    with unit_of_work(databases, VendorId(DUKA_LA_PILI)) as other:
        assert customers.recognise(other, phone=PHONE, bsuid=None, name=None, now=now).id != mine.id


def _insert_unknown(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        statement = "INSERT INTO customers (vendor_id, id, created_at) VALUES (%s, gen_random_uuid(), %s)"
        work.conn.execute(statement, (vendor_id, now))
