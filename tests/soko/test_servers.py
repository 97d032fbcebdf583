"""The fixtures that every other test stands on."""

from datetime import UTC, datetime
from uuid import UUID

import psycopg
import redis

from router.databases import Databases
from router.ids import VendorId


def rows(url: str, table: str) -> int:
    with psycopg.connect(url) as conn:
        row = conn.execute(psycopg.sql.SQL("SELECT count(*) FROM {}").format(psycopg.sql.Identifier(table))).fetchone()
    assert row is not None
    return int(row[0])


def test_databases_are_migrated_and_seeded(databases: Databases, vendor_id: VendorId) -> None:
    with databases.platform() as conn:
        row = conn.execute("SELECT name FROM vendors WHERE id = %s", (vendor_id,)).fetchone()
    assert row is not None
    with databases.ops(vendor_id) as conn:
        assert conn.execute("SELECT count(*) AS n FROM orders").fetchone() == {"n": 0}


def test_what_a_test_changes_is_put_back(database_urls: dict[str, str]) -> None:
    url = database_urls["platform"]
    before = rows(url, "catalog_items")
    assert before > 20
    with psycopg.connect(url) as conn:
        conn.execute("SET session_replication_role = replica")
        conn.execute("DELETE FROM catalog_items")
        conn.execute("UPDATE vendors SET name = 'changed'")
        conn.execute(
            "INSERT INTO vendors (id, name, isolation_level, created_at, updated_at)"
            " VALUES (gen_random_uuid(), 'left behind', 'shared', now(), now())"
        )
    with psycopg.connect(url) as conn:
        conn.execute("SELECT soko_test.reset()")
        names = [row[0] for row in conn.execute("SELECT name FROM vendors").fetchall()]
    assert rows(url, "catalog_items") == before
    assert names
    assert not {"changed", "left behind"} & set(names)


def test_redis_is_empty_and_its_own(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("left behind", "1")


def test_time_and_vendor_are_fixed(now: datetime, vendor_id: VendorId) -> None:
    assert now == datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    assert vendor_id == UUID("c7af4716-f9ab-465d-9afb-f1047bf37a40")
