from datetime import datetime

import pytest

from router import events, metering
from router.databases import Databases
from router.errors import Broken
from router.events import EventType
from router.ids import VendorId
from router.work import unit_of_work


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
