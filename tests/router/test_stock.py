from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import LiteralString
from uuid import uuid4

import pytest

from router import catalog, due, stock
from router.databases import SHARED, Databases
from router.ids import CatalogItemId, CustomerId, OrderId, VendorId
from router.orders import store
from router.orders.lines import Change, ChangeKind, Want
from router.orders.store import Changed, Confirmed, Edited
from router.wakeups import Job
from router.work import Work, unit_of_work
from tests.router.chats import open_chat

GAS, BREAD = "gas-6kg", "mkate-400g"


def item_id(databases: Databases, vendor_id: VendorId, sku: str) -> CatalogItemId:
    return next(item.id for item in catalog.read_items(databases, vendor_id) if item.sku == sku)


def draft(work: Work, now: datetime, *, customer_id: CustomerId | None = None, **wanted: int) -> OrderId:
    order_id = OrderId(uuid4())
    add = [Want(item_id=item_id(work.databases, work.vendor_id, sku.replace("_", "-")), qty=qty) for sku, qty in wanted.items()]
    customer_id = customer_id or open_chat(work, now).customer_id
    assert isinstance(store.edit(work, order_id=order_id, customer_id=customer_id, add=add, remove=(), now=now), Edited)
    return order_id


def api_draft(databases: Databases, vendor_id: VendorId, now: datetime, phone: str, **wanted: int) -> OrderId:
    lines = [Want(item_id=item_id(databases, vendor_id, sku.replace("_", "-")), qty=qty) for sku, qty in wanted.items()]
    with unit_of_work(databases, vendor_id) as work:
        return store.create(
            work, customer_phone=phone, amount=None, lines=lines, idempotency_key=None, request_sha256=b"", now=now
        ).id


def count(databases: Databases, vendor_id: VendorId, sku: str, number: int | None) -> None:
    statement: LiteralString = "UPDATE catalog_items SET stock = %s WHERE vendor_id = %s AND sku = %s"
    with databases.platform(vendor_id) as conn:
        conn.execute(statement, (number, vendor_id, sku))
    databases.cache.forget()


def free(databases: Databases, vendor_id: VendorId, sku: str) -> int | None:
    with unit_of_work(databases, vendor_id) as work:
        return next(item.stock for item in stock.list_shelf(work) if item.sku == sku)


def confirm(databases: Databases, vendor_id: VendorId, order_id: OrderId, now: datetime) -> object:
    with unit_of_work(databases, vendor_id) as work:
        return store.confirm(work, order_id=order_id, now=now)


def cancel(databases: Databases, vendor_id: VendorId, order_id: OrderId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        store.cancel(work, order_id=order_id, reason="vendor", now=now)


def test_a_confirm_takes_and_a_cancel_gives_back_once(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    order_id = api_draft(databases, vendor_id, now, "254700000001", gas_6kg=3, unga_2kg=1)
    assert free(databases, vendor_id, GAS) == 8
    confirm(databases, vendor_id, order_id, now)
    assert (free(databases, vendor_id, GAS), free(databases, vendor_id, "unga-2kg")) == (5, 59)
    confirm(databases, vendor_id, order_id, now)
    assert free(databases, vendor_id, GAS) == 5
    for _ in range(2):
        cancel(databases, vendor_id, order_id, now)
    assert (free(databases, vendor_id, GAS), free(databases, vendor_id, "unga-2kg")) == (8, 60)


def test_a_cancelled_draft_gives_nothing_back(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    cancel(databases, vendor_id, api_draft(databases, vendor_id, now, "254700000001", gas_6kg=3), now)
    assert free(databases, vendor_id, GAS) == 8


def test_fifty_at_once_never_sell_more_than_there_is(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    orders = [api_draft(databases, vendor_id, now, f"2547000001{n:02}", gas_6kg=1, mkate_400g=1) for n in range(50)]
    with ThreadPoolExecutor(50) as people:
        answers = list(people.map(lambda order_id: confirm(databases, vendor_id, order_id, now), orders))
    sold = [answer for answer in answers if isinstance(answer, Confirmed)]
    assert len(sold) == 8
    assert sum(isinstance(answer, Changed) for answer in answers) == 42
    assert (free(databases, vendor_id, GAS), free(databases, vendor_id, BREAD)) == (0, 22)


def test_two_orders_with_the_same_items_in_another_order_do_not_wait_in_a_circle(
    databases: Databases, vendor_id: VendorId, now: datetime
) -> None:
    one = [api_draft(databases, vendor_id, now, f"25470000020{n}", gas_6kg=1, mkate_400g=1) for n in range(4)]
    other = [api_draft(databases, vendor_id, now, f"25470000021{n}", mkate_400g=1, gas_6kg=1) for n in range(4)]
    for order_id in other:
        confirm(databases, vendor_id, order_id, now)
    with ThreadPoolExecutor(8) as people:
        list(people.map(lambda order_id: confirm(databases, vendor_id, order_id, now), one))
        list(people.map(lambda order_id: cancel(databases, vendor_id, order_id, now), one + other))
    assert (free(databases, vendor_id, GAS), free(databases, vendor_id, BREAD)) == (8, 30)


def test_the_draft_is_brought_down_to_what_is_left(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    first, second = (api_draft(databases, vendor_id, now, f"25470000000{n}", gas_6kg=5) for n in (1, 2))
    confirm(databases, vendor_id, first, now)
    answer = confirm(databases, vendor_id, second, now)
    assert isinstance(answer, Changed)
    assert answer.what == (Change(kind=ChangeKind.FEWER, name="Gesi kujaza 6kg", before=5, after=3),)
    assert isinstance(confirm(databases, vendor_id, second, now), Confirmed)
    assert free(databases, vendor_id, GAS) == 0


@pytest.mark.parametrize("number", [8, 20])
def test_a_new_count_replaces_what_was_left_also_when_the_number_is_the_same(
    databases: Databases, vendor_id: VendorId, now: datetime, number: int
) -> None:
    order_id = api_draft(databases, vendor_id, now, "254700000001", gas_6kg=3)
    confirm(databases, vendor_id, order_id, now)
    count(databases, vendor_id, GAS, number)
    assert free(databases, vendor_id, GAS) == number
    cancel(databases, vendor_id, order_id, now)  # the count was of what is free: these three were not among them
    assert free(databases, vendor_id, GAS) == number + 3


def test_an_older_count_never_comes_back(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    order_id = api_draft(databases, vendor_id, now, "254700000001", gas_6kg=1)
    old = {item.id: item for item in catalog.read_items(databases, vendor_id)}
    count(databases, vendor_id, GAS, 4)
    confirm(databases, vendor_id, order_id, now)
    with unit_of_work(databases, vendor_id) as work:
        stock._bring_up(work, [item for item in old.values() if item.sku == GAS])
    assert free(databases, vendor_id, GAS) == 3


def test_what_is_not_counted_is_never_short(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    count(databases, vendor_id, GAS, None)
    order_id = api_draft(databases, vendor_id, now, "254700000001", gas_6kg=500)
    assert isinstance(confirm(databases, vendor_id, order_id, now), Confirmed)
    count(databases, vendor_id, GAS, 5)
    cancel(databases, vendor_id, order_id, now)  # it held nothing
    assert free(databases, vendor_id, GAS) == 5


def test_a_changed_confirmed_order_gives_back_what_it_held(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        order_id = draft(work, now, gas_6kg=8)
    confirm(databases, vendor_id, order_id, now)
    new_id = OrderId(uuid4())
    with unit_of_work(databases, vendor_id) as work:
        store.amend(work, order_id=order_id, new_order_id=new_id, now=now)
    assert free(databases, vendor_id, GAS) == 8
    assert isinstance(confirm(databases, vendor_id, new_id, now), Confirmed)
    assert free(databases, vendor_id, GAS) == 0


def test_a_confirmed_order_is_overdue_after_two_days(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    order_id = api_draft(databases, vendor_id, now, "254700000001", gas_6kg=8)
    confirm(databases, vendor_id, order_id, now)

    def overdue(at: datetime) -> list[OrderId]:
        with unit_of_work(databases, vendor_id) as work:
            listed = store.list_overdue(work, confirmed_before=at - timedelta(hours=store.HOLD_HOURS), limit=9)
        with databases.across(SHARED) as conn:
            found = due.find(conn, [Job.EXPIRE], now=at)
        assert found == [(Job.EXPIRE, vendor_id) for _ in listed]
        return listed

    assert overdue(now + timedelta(hours=47)) == []
    assert overdue(now + timedelta(hours=48)) == [order_id]
    cancel(databases, vendor_id, order_id, now)
    assert overdue(now + timedelta(hours=48)) == []
