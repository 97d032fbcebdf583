from datetime import datetime
from typing import Any

import pytest

from router import events, metering
from router.databases import Databases
from router.errors import Broken
from router.events import Cursor, Event, EventType
from router.ids import VendorId
from router.seeding import DUKA_LA_PILI
from router.work import Work, unit_of_work
from tests.router.api import open_shared_api
from tests.router.asgi import Client
from tests.router.horizon import settle


def append(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        events.append(work, type=EventType.ORDER_PAID, subject="S0001", data={"total": 590}, now=now)


def execute(databases: Databases, vendor_id: VendorId, statement: str) -> None:
    with unit_of_work(databases, vendor_id) as work:
        work.conn.execute(statement)


def test_an_event_carries_the_transaction_that_made_it_true(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        events.append(work, type=EventType.ORDER_PAID, subject="S0001", data={"total": 590}, now=now)
        row = work.conn.execute(
            "SELECT type, subject, data, at, xid = pg_current_xact_id() AS mine FROM domain_events"
        ).fetchone()
    assert row == {"type": "order_paid", "subject": "S0001", "data": {"total": 590}, "at": now, "mine": True}


def test_a_fact_that_nobody_declared_is_not_written(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work, pytest.raises(ValueError, match="order_eaten"):
        events.append(work, type="order_eaten", subject="S0001", data={}, now=now)  # type: ignore[arg-type]  # the point


@pytest.mark.parametrize("statement", ["UPDATE domain_events SET subject = 'x'", "DELETE FROM domain_events"])
def test_events_are_append_only(databases: Databases, vendor_id: VendorId, now: datetime, statement: str) -> None:
    append(databases, vendor_id, now)
    with pytest.raises(Broken, match="append-only"):
        execute(databases, vendor_id, statement)


def test_a_cause_is_counted_once_for_ever(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        for _ in range(3):
            metering.record(work, meter="order_paid", key="one", now=now)
        metering.record(work, meter="order_paid", key="two", quantity=5, now=now)
        row = work.conn.execute("SELECT count(*) AS n, sum(quantity) AS total FROM usage_records").fetchone()
    assert row == {"n": 2, "total": 6}


def test_whoever_goes_on_from_the_last_cursor_misses_nothing_however_late_it_commits(
    databases: Databases, vendor_id: VendorId, now: datetime
) -> None:
    """A slow transaction wrote its event first and commits last: what came after it waits for it."""

    def told(work: Work, after: Cursor) -> list[Event]:
        return events.read(work, after=after, limit=10)

    with unit_of_work(databases, vendor_id) as slow:
        events.append(slow, type=EventType.ORDER_PLACED, subject="A", data={}, now=now)
        for subject in ("B", "A"):
            with unit_of_work(databases, vendor_id) as quick:
                events.append(quick, type=EventType.ORDER_PAID, subject=subject, data={}, now=now)
        with unit_of_work(databases, vendor_id) as reader:
            assert told(reader, events.START) == [], "a cursor behind B would never meet the slow A"
    with unit_of_work(databases, vendor_id) as work:
        events.append(work, type=EventType.PAYMENT_FAILED, subject="I", data={"order_id": "B"}, now=now)
        events.append(work, type=EventType.CUSTOMER_ERASED, subject="C", data={}, now=now)
    settle(databases, vendor_id)
    with unit_of_work(databases, vendor_id) as work:
        found = told(work, events.START)
        assert [(each.subject, each.order_id, each.sequence) for each in found] == [
            ("A", "A", 1), ("B", "B", 1), ("A", "A", 2), ("I", "B", 2), ("C", None, None),
        ]  # fmt: skip
        for number, each in enumerate(found):
            assert told(work, each.cursor) == found[number + 1 :], "from any place on, the rest"
            assert events.find(work, each.id) == each


def test_events_are_read_over_http_as_cloudevents_page_by_page_by_their_vendor_alone(
    databases: Databases, vendor_id: VendorId, now: datetime
) -> None:
    client = Client(open_shared_api(databases, now))
    headers = {"x-vendor-id": str(vendor_id), "x-internal-key": "dev-internal-secret"}
    with unit_of_work(databases, vendor_id) as work:
        for number in range(5):
            events.append(work, type=EventType.ORDER_PAID, subject="S0001", data={"total": number}, now=now)
    settle(databases, vendor_id)
    seen: list[dict[str, Any]] = []
    query = ""
    for size in (2, 2, 1, 0):
        page = client.get(f"/events?limit=2{query}", headers).json()
        assert (len(page["items"]), page["more"]) == (size, len(seen) < 3)
        seen += page["items"]
        query = f"&after={page['next']}"
    assert [(each["data"]["total"], each["sequence"]) for each in seen] == [(n, str(n + 1)) for n in range(5)]
    assert len({each["id"] for each in seen}) == 5
    assert seen[0] | {"id": "", "time": ""} == {
        "specversion": "1.0", "id": "", "source": f"/vendors/{vendor_id}", "type": "soko.order_paid.v1", "subject": "S0001",
        "time": "", "datacontenttype": "application/json", "vendorid": str(vendor_id), "orderid": "S0001", "sequence": "1",
        "data": {"total": 0},
    }  # fmt: skip
    assert client.get("/events", headers | {"x-vendor-id": str(DUKA_LA_PILI)}).json() == {
        "items": [], "next": "0-0", "more": False,
    }  # fmt: skip
    assert client.get("/events?after=x", headers).json()["errors"][0]["field"] == "after"
