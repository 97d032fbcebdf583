from contextlib import suppress
from datetime import UTC, datetime
from threading import Thread

import pytest

from router import catalog, customers, rehearsal
from router.databases import Databases
from router.errors import Broken
from router.ids import VendorId
from router.rehearsal_databases import make_databases
from router.work import unit_of_work
from soko.embedded import Urls

NOW = datetime(2026, 3, 2, 6, 15, tzinfo=UTC)
DEFERRED = "CREATE TEMP TABLE later (n integer, CONSTRAINT one UNIQUE (n) DEFERRABLE INITIALLY DEFERRED)"


def count_customers(databases: Databases, vendor_id: VendorId) -> int:
    with databases.ops(vendor_id) as conn:
        row = conn.execute("SELECT count(*) AS n FROM customers").fetchone()
    return int(row["n"]) if row else -1


def meet(databases: Databases, vendor_id: VendorId) -> None:
    with unit_of_work(databases, vendor_id) as work:
        customers.recognise(work, phone="254700000001", bsuid=None, name="Mteja", now=NOW)


def test_a_rehearsal_sees_its_own_rows_and_leaves_none(databases: Databases, vendor_id: VendorId) -> None:
    with rehearsal.rehearse(databases) as stage:
        meet(stage, vendor_id)
        assert count_customers(stage, vendor_id) == 1

    assert count_customers(databases, vendor_id) == 0


def test_two_rehearsals_on_one_pair_follow_each_other(databases: Databases, vendor_id: VendorId) -> None:
    def play() -> None:
        with rehearsal.rehearse(databases) as stage:
            meet(stage, vendor_id)

    second = Thread(target=play)
    with rehearsal.rehearse(databases) as stage:
        second.start()
        second.join(0.2)
        assert second.is_alive()
        meet(stage, vendor_id)
    second.join(10)
    assert not second.is_alive()


def test_a_rehearsal_that_breaks_leaves_none_either(databases: Databases, vendor_id: VendorId) -> None:
    def break_off() -> None:
        with rehearsal.rehearse(databases) as stage:
            meet(stage, vendor_id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()

    assert count_customers(databases, vendor_id) == 0


def test_a_unit_of_work_that_fails_is_undone_alone(databases: Databases, vendor_id: VendorId) -> None:
    with rehearsal.rehearse(databases) as stage:
        with suppress(ZeroDivisionError), unit_of_work(stage, vendor_id) as work:
            customers.recognise(work, phone="254700000002", bsuid=None, name=None, now=NOW)
            raise ZeroDivisionError
        meet(stage, vendor_id)

        assert count_customers(stage, vendor_id) == 1


def test_deferred_constraints_are_checked_at_the_end_of_each_unit_of_work(databases: Databases, vendor_id: VendorId) -> None:
    with rehearsal.rehearse(databases) as stage:
        with stage.ops(vendor_id) as conn:
            conn.execute(DEFERRED)
        with pytest.raises(Broken, match="duplicate key"), stage.ops(vendor_id) as conn:
            conn.execute("INSERT INTO later VALUES (1), (1)")


def test_stock_set_for_a_rehearsal_is_the_real_stock_again_afterwards(databases: Databases, vendor_id: VendorId) -> None:
    with rehearsal.rehearse(databases) as stage:
        assert rehearsal.set_stock(stage, vendor_id, "Sukari 1kg", 3)
        stage.cache.forget()
        assert [item.stock for item in catalog.list_items(stage, vendor_id) if item.name == "Sukari 1kg"] == [3]
    databases.cache.forget()

    assert [item.stock for item in catalog.list_items(databases, vendor_id) if item.name == "Sukari 1kg"] != [3]


def test_own_databases_are_made_once(servers: Urls) -> None:
    first = make_databases(platform_url=servers.platform, ops_url=servers.ops)
    again = make_databases(platform_url=servers.platform, ops_url=servers.ops)

    assert first == again
    databases = Databases(platform_url=first[0], ops_url=first[1], resolve_secret=lambda reference: reference)
    assert "Mama Duka" in rehearsal.list_vendors(databases).values()
    databases.close()
