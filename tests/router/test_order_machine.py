from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.databases import Databases
from router.errors import Broken, Unavailable
from router.ids import OrderId, VendorId
from router.orders.status import NEXT, OrderAction, OrderStatus, advance, draw
from router.seeding import DUKA_LA_PILI
from router.work import unit_of_work
from tests.router.chats import give_money, open_chat

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
INSERT: LiteralString = """
    INSERT INTO orders (vendor_id, id, number, customer_id, source, status, created_at, updated_at)
    VALUES (%(vendor_id)s, %(id)s, %(number)s, %(customer_id)s, 'api', %(status)s, %(now)s, %(now)s)
    """
LINE: LiteralString = """
    INSERT INTO order_lines (vendor_id, order_id, position, name, unit, qty, price, total)
    VALUES (%(vendor_id)s, %(id)s, 1, 'Unga 2kg', '2kg', 2, 215, 430)
    """
# What the raw statement of each status writes beside it; the trigger alone says whether it may.
MOVE: LiteralString = """
    UPDATE orders SET status = %(status)s,
      confirmed_at = CASE WHEN %(status)s IN ('CONFIRMED', 'PAID') THEN coalesce(confirmed_at, %(now)s) ELSE confirmed_at END,
      paid_at = CASE WHEN %(status)s = 'PAID' THEN %(now)s::timestamptz END,
      cancelled_at = CASE WHEN %(status)s = 'CANCELLED' THEN %(now)s::timestamptz END
    WHERE vendor_id = %(vendor_id)s AND id = %(id)s
    """


def draft(databases: Databases, vendor_id: VendorId, *, total: int = 430) -> OrderId:
    order_id = OrderId(uuid4())
    with unit_of_work(databases, vendor_id) as work:
        chat = open_chat(work, NOW)
        values = {"vendor_id": vendor_id, "id": order_id, "customer_id": chat.customer_id, "now": NOW, "status": "DRAFT"}
        work.conn.execute(INSERT, values | {"number": f"S{order_id.int % 10**9:09}"})
        work.conn.execute(LINE, values)
        work.conn.execute("UPDATE orders SET total = %s WHERE id = %s", (total, order_id))
        give_money(work, order_id, NOW)
    return order_id


def move(databases: Databases, vendor_id: VendorId, order_id: OrderId, status: str) -> bool:
    """Write a status with plain SQL; False when a guard refused."""
    try:
        with unit_of_work(databases, vendor_id) as work:
            work.conn.execute(MOVE, {"vendor_id": vendor_id, "id": order_id, "status": status, "now": NOW})
    except Broken:
        return False
    return True


def execute(databases: Databases, vendor_id: VendorId, statement: LiteralString, *values: object) -> None:
    with unit_of_work(databases, vendor_id) as work:
        work.conn.execute(statement, values)


def reach(databases: Databases, vendor_id: VendorId, order_id: OrderId, status: OrderStatus) -> None:
    path = {"PAID": ["CONFIRMED", "PAID"], "CONFIRMED": ["CONFIRMED"], "CANCELLED": ["CANCELLED"], "DRAFT": []}
    for step in path[status]:
        assert move(databases, vendor_id, order_id, step)


def test_the_machine_is_the_one_that_was_written_down() -> None:
    assert {f"{before} {action} {after}" for (before, action), after in NEXT.items()} == {
        "DRAFT addItem DRAFT",
        "DRAFT removeItem DRAFT",
        "DRAFT cancel CANCELLED",
        "DRAFT confirm CONFIRMED",
        "CONFIRMED pay PAID",
        "CONFIRMED cancel CANCELLED",
    }
    assert all(advance(end, action) is None for end in (OrderStatus.PAID, OrderStatus.CANCELLED) for action in OrderAction)


def test_the_diagram_in_the_docs_is_drawn_from_the_table() -> None:
    text = (Path(__file__).parents[2] / "docs" / "order-state-machine.md").read_text()
    assert f"```text\n{draw()}\n```" in text


@pytest.mark.parametrize("before", OrderStatus)
@pytest.mark.parametrize("after", OrderStatus)
def test_sql_allows_exactly_the_moves_of_the_table(
    databases: Databases, vendor_id: VendorId, before: OrderStatus, after: OrderStatus
) -> None:
    order_id = draft(databases, vendor_id)
    reach(databases, vendor_id, order_id, before)
    allowed = {end for (start, _), end in NEXT.items() if start is before}
    if before is OrderStatus.CONFIRMED:
        allowed.add(before)  # writing the same status again is not a move
    assert move(databases, vendor_id, order_id, after) is (after in allowed)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=st.lists(st.sampled_from(OrderStatus), min_size=1, max_size=6))
def test_no_walk_of_sql_statements_leaves_the_table(
    databases: Databases, vendor_id: VendorId, wanted: Sequence[OrderStatus]
) -> None:
    order_id = draft(databases, vendor_id)
    status = OrderStatus.DRAFT
    for after in wanted:
        terminal = not any(start is status for start, _ in NEXT)
        reachable = not terminal and (after is status or after in {end for (start, _), end in NEXT.items() if start is status})
        assert move(databases, vendor_id, order_id, after) is reachable
        status = after if reachable else status
        with databases.ops(vendor_id) as conn:
            assert conn.execute("SELECT status FROM orders WHERE id = %s", (order_id,)).fetchone() == {"status": status}


def test_an_order_starts_as_draft(databases: Databases, vendor_id: VendorId) -> None:
    def start_confirmed() -> None:
        with unit_of_work(databases, vendor_id) as work:
            values = {"vendor_id": vendor_id, "id": uuid4(), "customer_id": open_chat(work, NOW).customer_id, "now": NOW}
            work.conn.execute(INSERT, values | {"number": "S0001", "status": "CONFIRMED"})

    with pytest.raises(Broken, match="an order starts as DRAFT"):
        start_confirmed()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE orders SET total = 1 WHERE id = %s", "frozen once it is CONFIRMED"),
        ("UPDATE orders SET confirmed_at = now() WHERE id = %s", "frozen once it is CONFIRMED"),
        ("UPDATE orders SET customer_id = gen_random_uuid() WHERE id = %s", "never change"),
        ("UPDATE orders SET number = 'S9999' WHERE id = %s", "never change"),
        ("UPDATE order_lines SET qty = 1, total = 215 WHERE order_id = %s", "the lines of an order that is CONFIRMED"),
        ("DELETE FROM order_lines WHERE order_id = %s", "the lines of an order that is CONFIRMED"),
        ("DELETE FROM orders WHERE id = %s", "never deleted"),
    ],
)
def test_the_terms_of_a_confirmed_order_are_frozen(
    databases: Databases, vendor_id: VendorId, statement: LiteralString, message: str
) -> None:
    order_id = draft(databases, vendor_id)
    reach(databases, vendor_id, order_id, OrderStatus.CONFIRMED)
    with pytest.raises(Broken, match=message):
        execute(databases, vendor_id, statement, order_id)


def test_lines_are_not_added_to_a_confirmed_order(databases: Databases, vendor_id: VendorId) -> None:
    order_id = draft(databases, vendor_id)
    reach(databases, vendor_id, order_id, OrderStatus.CONFIRMED)
    add = "INSERT INTO order_lines SELECT vendor_id, order_id, 2, item_id, name, unit, qty, price, total FROM order_lines"
    with pytest.raises(Broken, match="never change"):
        execute(databases, vendor_id, add)


def test_a_line_never_moves_to_another_order(databases: Databases, vendor_id: VendorId) -> None:
    first, second = draft(databases, vendor_id), draft(databases, vendor_id)
    with pytest.raises(Broken, match="never moves to another order"):
        execute(databases, vendor_id, "UPDATE order_lines SET order_id = %s, position = 2 WHERE order_id = %s", first, second)


def test_a_line_waits_for_a_confirm_that_is_under_way(databases: Databases, vendor_id: VendorId) -> None:
    order_id = draft(databases, vendor_id)

    def empty_the_order() -> None:
        with unit_of_work(databases, vendor_id) as work:
            work.conn.execute("SET LOCAL lock_timeout = '200ms'")
            work.conn.execute("DELETE FROM order_lines WHERE order_id = %s", (order_id,))

    with unit_of_work(databases, vendor_id) as work:
        work.conn.execute(MOVE, {"vendor_id": vendor_id, "id": order_id, "status": "CONFIRMED", "now": NOW})
        with pytest.raises(Unavailable, match="lock timeout"):
            empty_the_order()


def test_an_order_is_confirmed_for_the_sum_of_its_lines_only(databases: Databases, vendor_id: VendorId) -> None:
    assert not move(databases, vendor_id, draft(databases, vendor_id, total=1), "CONFIRMED")
    empty = draft(databases, vendor_id, total=0)
    execute(databases, vendor_id, "DELETE FROM order_lines WHERE order_id = %s", empty)
    assert not move(databases, vendor_id, empty, "CONFIRMED")


def test_a_paid_or_cancelled_order_never_changes(databases: Databases, vendor_id: VendorId) -> None:
    for end in (OrderStatus.PAID, OrderStatus.CANCELLED):
        order_id = draft(databases, vendor_id)
        reach(databases, vendor_id, order_id, end)
        with pytest.raises(Broken, match=f"an order that is {end} never changes"):
            execute(databases, vendor_id, "UPDATE orders SET receipt = 'SBC1234XYZ' WHERE id = %s", order_id)


def test_one_customer_has_one_open_chat_order(databases: Databases, vendor_id: VendorId) -> None:
    first, second = draft(databases, vendor_id), draft(databases, vendor_id)
    statement: LiteralString = """
        INSERT INTO orders (vendor_id, id, number, customer_id, source, created_at, updated_at)
        SELECT vendor_id, gen_random_uuid(), number || '9', customer_id, 'chat', created_at, created_at FROM orders WHERE id = %s
        """
    execute(databases, vendor_id, statement, first)
    with pytest.raises(Broken, match="orders_one_open_chat_order"):
        execute(databases, vendor_id, statement, second)


def test_two_vendors_may_have_the_same_order_number(databases: Databases, vendor_id: VendorId) -> None:
    for vendor in (vendor_id, VendorId(DUKA_LA_PILI)):
        with unit_of_work(databases, vendor) as work:
            values = {"vendor_id": vendor, "id": uuid4(), "customer_id": open_chat(work, NOW).customer_id, "now": NOW}
            assert work.conn.execute(INSERT, values | {"number": "S0001", "status": "DRAFT"}).rowcount == 1
