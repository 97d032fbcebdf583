"""Every function of the router that does something for a vendor looks at its capability, whoever calls it."""

from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

import pytest

from payments import requests
from router import catalog, catalog_import, listing
from router.catalog_file import ReadLine
from router.databases import Databases
from router.errors import Refused
from router.ids import CatalogItemId, OrderId, VendorId
from router.orders import store
from router.orders.lines import Want
from router.seeds import development
from router.work import Work, unit_of_work
from tests.operator import operating
from tests.router.chats import open_chat
from tests.router.test_stock import GAS

WANT = [Want(item_id=CatalogItemId(development.MAMA_DUKA.id_of(GAS)), qty=1)]


@pytest.mark.security(5)
def test_without_capabilities_no_function_does_anything(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    draft, confirmed = OrderId(uuid4()), OrderId(uuid4())

    def make(work: Work, order_id: OrderId, phone: str) -> None:
        customer_id = open_chat(work, now, phone).customer_id
        store.edit(work, order_id=order_id, customer_id=customer_id, add=WANT, remove=[], now=now)

    with unit_of_work(databases, vendor_id) as work:
        make(work, draft, "254700000001")
        make(work, confirmed, "254700000002")
        assert isinstance(store.confirm(work, order_id=confirmed, now=now), store.Confirmed)
        customer_id = open_chat(work, now).customer_id
    with operating(databases) as conn:
        conn.execute("DELETE FROM vendor_capabilities")
    databases.cache.forget()
    line = ReadLine(line=1, sku="x", entry=None, wrong=())
    functions: dict[str, Callable[[Work], object]] = {
        "create": lambda work: store.create(
            work,
            customer_phone="254700000001",
            amount=30,
            lines=[],
            idempotency_key=None,
            request_sha256=b"",
            now=now,
        ),
        "edit": lambda work: store.edit(work, order_id=draft, customer_id=customer_id, add=WANT, remove=[], now=now),
        "confirm": lambda work: store.confirm(work, order_id=draft, now=now),
        "amend": lambda work: store.amend(work, order_id=confirmed, new_order_id=OrderId(uuid4()), now=now),
        "read": lambda work: store.read(work, confirmed),
        "list orders": lambda work: listing.list_rows(work, listing.ORDERS, after=None, limit=1, status=None, customer_id=None),
        "list customers": lambda work: listing.list_rows(work, listing.CUSTOMERS, after=None, limit=1, phones=None),
        "list payments": lambda work: listing.list_rows(
            work, listing.PAYMENTS, after=None, limit=1, order_id=None, unmatched=False
        ),
        "customer": lambda work: listing.get_row(work, listing.CUSTOMER, customer_id),
        "payment": lambda work: listing.get_row(work, listing.PAYMENT, uuid4()),
        "write": lambda work: catalog_import.write_lines(work.databases, vendor_id, [line]),
    }
    for name, function in functions.items():
        with pytest.raises(Refused) as refused, unit_of_work(databases, vendor_id) as work:
            function(work)
        assert (name, refused.value.code) == (name, "capability_off")
    with unit_of_work(databases, vendor_id) as work:
        told = requests.prepare(
            work, order_id=confirmed, customer_id=customer_id, amount=1, msisdn="254700000001", pay_message_id=1, now=now
        )
        assert isinstance(told, requests.Refused)
        assert told.reason is requests.RefusedReason.CAPABILITY_OFF
        assert catalog.read_items(databases, vendor_id) == catalog.list_items(databases, vendor_id) == ()
        assert isinstance(store.cancel(work, order_id=confirmed, reason="vendor", now=now), store.Cancelled)
    with operating(databases) as conn:
        asked = conn.execute("SELECT capability_key, times FROM capability_denials ORDER BY 1").fetchall()
    assert [(row["capability_key"], row["times"]) for row in asked] == [
        ("commerce.catalog", 1),
        ("commerce.orders", 8),
        ("payments.mpesa_stk", 3),
    ]
