from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Barrier
from typing import LiteralString
from uuid import uuid4

import pytest

from router import catalog
from router.databases import Databases
from router.errors import Refused
from router.ids import CatalogItemId, CustomerId, OrderId, VendorId
from router.orders import store
from router.orders.lines import Change, ChangeKind, Want
from router.orders.status import OrderStatus
from router.orders.store import Amended, Cancelled, Changed, Confirmed, Edited, Empty, Locked, Order, OutOfStock
from router.work import Work, unit_of_work
from tests.operator import operating
from tests.router.chats import give_money, open_chat

ANY_REQUEST = sha256(b"one").digest()


@pytest.fixture
def work(databases: Databases, vendor_id: VendorId) -> Iterator[Work]:
    with unit_of_work(databases, vendor_id) as opened:
        yield opened


@pytest.fixture
def order_id() -> OrderId:
    return OrderId(uuid4())


def item(work: Work, sku: str) -> CatalogItemId:
    return next(found.id for found in catalog.list_items(work.databases, work.vendor_id) if found.sku == sku)


def customer(work: Work, now: datetime) -> CustomerId:
    return open_chat(work, now).customer_id


def put(work: Work, order_id: OrderId, now: datetime, **wanted: int) -> Order:
    add = [Want(item_id=item(work, sku.replace("_", "-")), qty=qty) for sku, qty in wanted.items()]
    edited = store.edit(work, order_id=order_id, customer_id=customer(work, now), add=add, remove=(), now=now)
    assert isinstance(edited, Edited)
    return edited.order


def take(work: Work, order_id: OrderId, now: datetime, sku: str, qty: int | None = None) -> Order:
    wanted = [Want(item_id=item(work, sku), qty=qty)]
    edited = store.edit(work, order_id=order_id, customer_id=customer(work, now), add=(), remove=wanted, now=now)
    assert isinstance(edited, Edited)
    return edited.order


def confirmed(work: Work, order_id: OrderId, now: datetime) -> Order:
    put(work, order_id, now, unga_2kg=2, sukari_1kg=1)
    answer = store.confirm(work, order_id=order_id, now=now)
    assert isinstance(answer, Confirmed)
    return answer.order


def set_item(databases: Databases, sku: str, column: LiteralString, value: object) -> None:
    with operating(databases) as conn:
        conn.execute(f"UPDATE catalog_items SET {column} = %s WHERE sku = %s", (value, sku))
    databases.cache.forget()


def types(work: Work) -> list[str]:
    return [row["type"] for row in work.conn.execute("SELECT type FROM domain_events ORDER BY id")]


def test_an_order_begins_with_its_first_item_under_the_reserved_id(work: Work, now: datetime, order_id: OrderId) -> None:
    assert store.get(work, order_id) is None
    order = put(work, order_id, now, unga_2kg=2, sukari_1kg=1)
    assert (order.id, order.number, order.status, order.source, order.total) == (order_id, "S0001", "DRAFT", "chat", 590)
    assert [(line.name, line.qty, line.price, line.total) for line in order.lines] == [
        ("Unga wa mahindi 2kg", 2, 215, 430),
        ("Sukari 1kg", 1, 160, 160),
    ]
    assert store.get(work, order_id) == order


def test_items_are_added_to_and_taken_from_their_line(work: Work, now: datetime, order_id: OrderId) -> None:
    put(work, order_id, now, unga_2kg=2, sukari_1kg=1, mkate_400g=1)
    assert put(work, order_id, now, unga_2kg=1).total == 3 * 215 + 160 + 70
    assert take(work, order_id, now, "unga-2kg", 2).total == 215 + 160 + 70
    order = take(work, order_id, now, "sukari-1kg")
    assert [line.name for line in order.lines] == ["Unga wa mahindi 2kg", "Mkate 400g"]
    order = put(work, order_id, now, maziwa_500ml=1)
    assert [line.name for line in order.lines] == ["Unga wa mahindi 2kg", "Mkate 400g", "Maziwa 500ml"]
    for sku in ("unga-2kg", "mkate-400g", "maziwa-500ml", "maziwa-500ml"):
        order = take(work, order_id, now, sku)
    assert (order.lines, order.total, order.status) == ((), 0, "DRAFT")


def test_more_than_the_shelf_holds_changes_nothing(work: Work, now: datetime, order_id: OrderId) -> None:
    put(work, order_id, now, gas_6kg=7)
    add = [Want(item_id=item(work, "unga-2kg"), qty=1), Want(item_id=item(work, "gas-6kg"), qty=2)]
    answer = store.edit(work, order_id=order_id, customer_id=customer(work, now), add=add, remove=(), now=now)
    assert answer == OutOfStock(name="Gesi kujaza 6kg", left=8)
    order = store.get(work, order_id)
    assert order is not None
    assert [line.qty for line in order.lines] == [7]


def test_an_item_that_is_not_in_the_catalogue_is_refused(work: Work, now: datetime, order_id: OrderId) -> None:
    add = [Want(item_id=CatalogItemId(uuid4()), qty=1)]
    with pytest.raises(Refused, match="no item") as refused:
        store.edit(work, order_id=order_id, customer_id=customer(work, now), add=add, remove=(), now=now)
    assert refused.value.code == "unknown_item"


def test_without_the_capability_no_order_is_touched(databases: Databases, work: Work, now: datetime, order_id: OrderId) -> None:
    with operating(databases) as conn:
        conn.execute("UPDATE vendor_capabilities SET enabled = false WHERE capability_key = 'commerce.orders'")
    databases.cache.forget()
    with pytest.raises(Refused) as refused:
        store.edit(work, order_id=order_id, customer_id=customer(work, now), add=(), remove=(), now=now)
    assert refused.value.code == "capability_off"


def test_a_confirmed_order_is_locked(work: Work, now: datetime, order_id: OrderId) -> None:
    order = confirmed(work, order_id, now)
    assert (order.status, order.total, order.confirmed_at) == (OrderStatus.CONFIRMED, 590, now)
    add = [Want(item_id=item(work, "unga-2kg"), qty=1)]
    answer = store.edit(work, order_id=order_id, customer_id=order.customer_id, add=add, remove=(), now=now)
    assert answer == Locked(status=OrderStatus.CONFIRMED)
    assert store.confirm(work, order_id=order_id, now=now) == Locked(status=OrderStatus.CONFIRMED)
    assert types(work) == ["order_confirmed"]


def test_nothing_is_not_confirmed(work: Work, now: datetime, order_id: OrderId) -> None:
    assert store.confirm(work, order_id=order_id, now=now) == Empty()
    put(work, order_id, now, unga_2kg=1)
    take(work, order_id, now, "unga-2kg")
    assert store.confirm(work, order_id=order_id, now=now) == Empty()


def test_a_catalogue_that_moved_updates_the_draft_instead(
    databases: Databases, work: Work, now: datetime, order_id: OrderId
) -> None:
    put(work, order_id, now, unga_2kg=2, sukari_1kg=5, mkate_400g=1)
    set_item(databases, "unga-2kg", "price", 220)
    set_item(databases, "sukari-1kg", "stock", 3)
    set_item(databases, "mkate-400g", "active", value=False)
    answer = store.confirm(work, order_id=order_id, now=now)
    assert isinstance(answer, Changed)
    assert answer.what == (
        Change(kind=ChangeKind.PRICE, name="Unga wa mahindi 2kg", before=215, after=220),
        Change(kind=ChangeKind.FEWER, name="Sukari 1kg", before=5, after=3),
        Change(kind=ChangeKind.GONE, name="Mkate 400g", before=1, after=0),
    )
    assert (answer.order.status, answer.order.total) == (OrderStatus.DRAFT, 440 + 480)
    again = store.confirm(work, order_id=order_id, now=now)
    assert isinstance(again, Confirmed)
    assert again.order.total == 920


def test_cancelling_ends_a_draft_or_a_confirmed_order_and_nothing_else(work: Work, now: datetime, order_id: OrderId) -> None:
    assert store.cancel(work, order_id=order_id, reason="changed_mind", now=now) == Cancelled()
    confirmed(work, order_id, now)
    assert store.cancel(work, order_id=order_id, reason="changed_mind", now=now) == Cancelled()
    assert store.cancel(work, order_id=order_id, reason="changed_mind", now=now) == Locked(status=OrderStatus.CANCELLED)
    assert store.pay(work, order_id=order_id, receipt="SBC1234XYZ", now=now) is False
    assert types(work) == ["order_confirmed", "order_cancelled"]


def test_an_order_is_paid_once(work: Work, now: datetime, order_id: OrderId) -> None:
    put(work, order_id, now, unga_2kg=1)
    give_money(work, order_id, now)
    assert store.pay(work, order_id=order_id, receipt="SBC1234XYZ", now=now) is False
    assert isinstance(store.confirm(work, order_id=order_id, now=now), Confirmed)
    assert store.pay(work, order_id=order_id, receipt="SBC1234XYZ", now=now + timedelta(seconds=9)) is True
    assert store.pay(work, order_id=order_id, receipt="SBC9999XYZ", now=now) is False
    order = store.get(work, order_id)
    assert order is not None
    assert (order.status, order.receipt, order.paid_at) == (OrderStatus.PAID, "SBC1234XYZ", now + timedelta(seconds=9))
    assert store.cancel(work, order_id=order_id, reason="changed_mind", now=now) == Locked(status=OrderStatus.PAID)
    assert types(work) == ["order_confirmed", "order_paid"]
    usage = {row["meter"] for row in work.conn.execute("SELECT meter FROM usage_records WHERE key = %s", (str(order_id),))}
    assert usage == {"order_confirmed", "order_paid"}


def test_amending_cancels_and_opens_a_draft_with_the_same_lines(work: Work, now: datetime, order_id: OrderId) -> None:
    new_id = OrderId(uuid4())
    with pytest.raises(Refused, match="no order to change"):
        store.amend(work, order_id=order_id, new_order_id=new_id, now=now)
    put(work, order_id, now, unga_2kg=2, sukari_1kg=1)
    assert store.amend(work, order_id=order_id, new_order_id=new_id, now=now) == Locked(status=OrderStatus.DRAFT)
    before = store.confirm(work, order_id=order_id, now=now)
    assert isinstance(before, Confirmed)
    amended = store.amend(work, order_id=order_id, new_order_id=new_id, now=now)
    assert isinstance(amended, Amended)
    assert (amended.order.id, amended.order.number, amended.order.status) == (new_id, "S0002", OrderStatus.DRAFT)
    assert amended.order.lines == before.order.lines
    old = store.get(work, order_id)
    assert old is not None
    assert old.status is OrderStatus.CANCELLED


def test_a_forgotten_draft_gives_way_to_a_new_order_and_a_confirmed_one_does_not(work: Work, now: datetime) -> None:
    forgotten, new, third = (OrderId(uuid4()) for _ in range(3))
    put(work, forgotten, now, unga_2kg=1)
    put(work, new, now, sukari_1kg=1)
    old = store.get(work, forgotten)
    assert old is not None
    assert old.status is OrderStatus.CANCELLED
    assert isinstance(store.confirm(work, order_id=new, now=now), Confirmed)
    add = [Want(item_id=item(work, "unga-2kg"), qty=1)]
    answer = store.edit(work, order_id=third, customer_id=customer(work, now), add=add, remove=(), now=now)
    assert answer == Locked(status=OrderStatus.CONFIRMED)


def test_another_vendors_order_is_not_there(databases: Databases, work: Work, now: datetime, order_id: OrderId) -> None:
    put(work, order_id, now, unga_2kg=1)
    other = Work(vendor_id=VendorId(uuid4()), conn=work.conn, databases=databases)
    assert store.get(other, order_id) is None
    assert store.confirm(other, order_id=order_id, now=now) == Empty()
    assert store.pay(other, order_id=order_id, receipt=None, now=now) is False


def test_edits_of_one_order_at_once_lose_nothing(
    databases: Databases, vendor_id: VendorId, now: datetime, order_id: OrderId
) -> None:
    with unit_of_work(databases, vendor_id) as work:
        put(work, order_id, now, unga_2kg=1)
        who, unga = customer(work, now), item(work, "unga-2kg")
    start = Barrier(6)

    def add_one(_: int) -> None:
        start.wait()
        with unit_of_work(databases, vendor_id) as work:
            wanted = [Want(item_id=unga, qty=1)]
            store.edit(work, order_id=order_id, customer_id=who, add=wanted, remove=(), now=now)

    with ThreadPoolExecutor(max_workers=6) as pool:
        list(pool.map(add_one, range(6)))
    with unit_of_work(databases, vendor_id) as work:
        order = store.get(work, order_id)
        assert order is not None
        assert (order.lines[0].qty, order.total) == (7, 7 * 215)


def test_orders_at_once_have_different_numbers(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    def place(number: int) -> str:
        with unit_of_work(databases, vendor_id) as work:
            return store.create(
                work, customer_phone=f"25470000001{number}", amount=30, lines=(), idempotency_key=None,
                request_sha256=ANY_REQUEST, now=now,
            ).number  # fmt: skip

    with ThreadPoolExecutor(max_workers=8) as pool:
        assert sorted(pool.map(place, range(8))) == [f"S{n:04}" for n in range(1, 9)]


def test_one_idempotency_key_used_at_once_makes_one_order(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    def place(_: int) -> object:
        with unit_of_work(databases, vendor_id) as work:
            return store.create(
                work, customer_phone="254700000001", amount=30, lines=(), idempotency_key="k1",
                request_sha256=ANY_REQUEST, now=now,
            ).id  # fmt: skip

    with ThreadPoolExecutor(max_workers=8) as pool:
        assert len(set(pool.map(place, range(8)))) == 1
    with unit_of_work(databases, vendor_id) as work:
        assert types(work) == ["order_placed"]
