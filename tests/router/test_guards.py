"""Guards of the ops database that no statement of ours runs into: raw SQL as somebody in a hurry would write it."""

from datetime import datetime
from typing import LiteralString

import psycopg
import pytest

from router import customers, inbox
from router.databases import Databases
from router.errors import Broken
from router.ids import VendorId
from router.inbox import EntryKind, NewEntry
from router.work import unit_of_work
from tests.operator import operating
from tests.router.chats import open_chat


@pytest.fixture
def confirmed(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        chat = open_chat(work, now)
        inbox.accept(
            work,
            NewEntry(
                kind=EntryKind.MESSAGE,
                source_id="wamid.1",
                body={},
                text="not now",
                received_at=now,
                customer_id=chat.customer_id,
                conversation_id=chat.id,
            ),
        )
        work.conn.execute(
            "INSERT INTO orders (vendor_id, id, number, customer_id, source, created_at, updated_at)"
            " VALUES (%s, gen_random_uuid(), 'S0001', %s, 'chat', %s, %s)",
            (vendor_id, chat.customer_id, now, now),
        )
        work.conn.execute(
            "INSERT INTO order_lines (vendor_id, order_id, position, name, unit, qty, price, total)"
            " SELECT vendor_id, id, 1, 'Unga', '2kg', 1, 215, 215 FROM orders"
        )
        work.conn.execute("UPDATE orders SET status = 'CONFIRMED', total = 215, confirmed_at = %s", (now,))


@pytest.mark.usefixtures("confirmed")
@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE orders SET status = 'PAID', paid_at = now(), receipt = 'SBC1234XYZ'", "PAID without a payment"),
        ("UPDATE inbox SET text = 'PAY'", "what came in never changes"),
        ("UPDATE inbox SET received_at = now() + interval '1 hour'", "what came in never changes"),
        ("UPDATE inbox SET customer_id = NULL", "what came in never changes"),
        ("TRUNCATE domain_events", "append-only"),
        ("TRUNCATE order_lines", "append-only"),
        ("TRUNCATE orders CASCADE", "append-only"),
        ("TRUNCATE callbacks", "append-only"),
    ],
)
def test_it_is_refused(databases: Databases, vendor_id: VendorId, statement: LiteralString, why: str) -> None:
    truncates = statement.startswith("TRUNCATE")  # the runtime's role may not even try
    with (
        pytest.raises(Broken, match=why) as refusal,
        operating(databases, ops=True) if truncates else databases.ops(vendor_id) as conn,
    ):
        conn.execute(statement)
    assert isinstance(refusal.value.__cause__, psycopg.Error)


def test_an_inbox_entry_may_still_be_handled(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        customers.recognise(work, phone="254700000001", bsuid=None, name=None, now=now)
        entry = NewEntry(kind=EntryKind.OTHER, source_id="1", body={}, text=None, received_at=now)
        inbox.mark_handled(work, inbox.accept(work, entry) or 0, turn=1, now=now)
        row = work.conn.execute("SELECT turn FROM inbox").fetchone()
    assert row == {"turn": 1}
