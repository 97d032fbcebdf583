import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from datetime import datetime
from pathlib import Path
from typing import LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.rows import DictRow

from router import migrating, vendors
from router.connections import Connections
from router.databases import SHARED, Databases, OpsTarget
from router.errors import Broken, Refused, Unavailable
from router.ids import VendorId
from router.inbox import EntryKind, NewEntry, accept
from router.revisions import Which
from router.secret_refs import open_secret
from router.seeding import DUKA_LA_PILI
from router.work import unit_of_work
from soko.embedded import Urls
from tests.operator import operating
from tests.servers import scratch_database, with_database

AWAY = "postgresql://postgres@127.0.0.1:1/none"
# From the old system's notes, word for word; only the name of the database and how to reach it differ.
REGISTER: LiteralString = """
    insert into vendors (
      id,
      name,
      isolation_level,
      db_target,
      created_at,
      updated_at
    )
    values (
      gen_random_uuid(),
      'ACME Enterprise',
      'dedicated_db',
      %s,
      now(),
      now()
    )
    returning id
    """
ENABLE: LiteralString = """
    insert into vendor_capabilities (
      id,
      vendor_id,
      capability_key,
      enabled,
      created_at
    )
    values (
      gen_random_uuid(),
      %s,
      %s,
      true,
      now()
    )
    """


def databases_at(platform_url: str, ops_url: str) -> Databases:
    return Databases(platform_url=platform_url, ops_url=ops_url, resolve_secret=lambda ref: open_secret(ref, allow_plain=True))


def db_target(url: str, **changes: object) -> str:
    """Name a database as a vendor's row does; a socket's directory is a host too."""
    with psycopg.connect(url) as conn:
        target = {"type": "postgres", "host": conn.info.host, "port": conn.info.port, "database": conn.info.dbname}
        return json.dumps(target | {"user": conn.info.user, "passwordSecretRef": "plain:strong-password"} | changes)


def register(databases: Databases, target: str) -> VendorId:
    with operating(databases) as conn:
        row = conn.execute(REGISTER, (target,)).fetchone()
    assert row is not None
    return VendorId(row["id"])


def one(databases: Databases, vendor_id: VendorId) -> object:
    with databases.ops(vendor_id) as conn:
        row = conn.execute("SELECT current_database() AS name").fetchone()
    assert row is not None
    return row["name"]


@pytest.fixture
def tenant_url(servers: Urls) -> Iterator[str]:
    with scratch_database(servers.platform, prefix="tenant_acme") as url:
        migrating.upgrade(url, Which.OPS)
        yield url


def test_a_dedicated_vendor_inserted_by_hand_has_its_own_rows(
    databases: Databases, vendor_id: VendorId, tenant_url: str, now: datetime
) -> None:
    acme = register(databases, db_target(tenant_url))
    with operating(databases) as conn:
        for key in ("commerce.catalog", "commerce.orders", "payments.mpesa_stk"):
            conn.execute(ENABLE, (acme, key))
    assert vendors.get_vendor(databases, acme).isolation_level == "dedicated_db"
    with unit_of_work(databases, acme) as work:
        accept(work, NewEntry(kind=EntryKind.OTHER, source_id="1", body={}, text=None, received_at=now))
    with databases.ops(vendor_id) as conn:
        assert conn.execute("SELECT count(*) AS n FROM inbox").fetchone() == {"n": 0}
    with psycopg.connect(tenant_url) as direct:
        assert direct.execute("SELECT vendor_id FROM inbox").fetchall() == [(acme,)]


def test_sweeps_see_the_shared_database_and_every_dedicated_one_once(databases: Databases, tenant_url: str) -> None:
    assert databases.ops_targets() == (SHARED,)
    for _ in range(2):
        register(databases, db_target(tenant_url))
    shared, dedicated = databases.ops_targets()
    assert shared == SHARED
    with databases.across(dedicated) as conn:
        assert conn.info.dbname.startswith("tenant_acme")
    assert dedicated.name.endswith(conn.info.dbname)
    assert "strong-password" not in repr(dedicated)


def test_a_dedicated_database_that_is_down_fails_its_vendor_alone_and_fast(databases: Databases, vendor_id: VendorId) -> None:
    acme = register(databases, json.dumps({"type": "postgres", "host": "127.0.0.1", "port": 1, "database": "x", "user": "x"}))
    started = time.monotonic()
    with pytest.raises(Unavailable, match=r"dedicated 127\.0\.0\.1:1/x"):
        one(databases, acme)
    assert time.monotonic() - started < 3
    assert one(databases, vendor_id)


@pytest.mark.parametrize(
    "target",
    [
        {"type": "mysql", "host": "h", "database": "d", "user": "u"},
        {"type": "postgres", "database": "d", "user": "u"},
        {"type": "postgres", "host": "h", "database": "d", "user": "u", "password": "strong-password"},
        {"type": "postgres", "host": "h", "database": "d", "user": "u", "port": "x"},
    ],
)
def test_a_db_target_that_cannot_be_read_is_told_without_its_values(databases: Databases, target: object) -> None:
    acme = register(databases, json.dumps(target))
    with pytest.raises(Broken, match=r"vendors.db_target is not usable") as broken:
        one(databases, acme)
    assert "strong-password" not in str(broken.value)
    assert len(databases.ops_targets()) == 2


def test_a_secret_that_is_missing_names_its_reference(databases: Databases, tenant_url: str) -> None:
    acme = register(databases, db_target(tenant_url, passwordSecretRef="env:SOKO_TEST_NO_SUCH_VARIABLE"))
    with pytest.raises(Refused, match="SOKO_TEST_NO_SUCH_VARIABLE"):
        one(databases, acme)


def test_a_dedicated_vendor_needs_a_target(databases: Databases) -> None:
    with pytest.raises(Broken, match="vendors_dedicated_has_target"):
        register(databases, "null")


def test_an_unknown_vendor_is_refused(databases: Databases) -> None:
    with pytest.raises(Refused) as refused:
        one(databases, VendorId(uuid4()))
    assert refused.value.code == "unknown_vendor"


def test_a_database_that_is_away_is_told_within_three_seconds() -> None:
    databases = databases_at(AWAY, AWAY)
    started = time.monotonic()
    with pytest.raises(Unavailable, match="platform database is away"):
        databases.ops_targets()
    assert time.monotonic() - started < 3
    databases.close()


def test_a_database_that_comes_back_is_used_at_once(servers: Urls, database_urls: dict[str, str]) -> None:
    name = f"soko_scratch_{uuid4().hex[:8]}"
    databases = databases_at(database_urls["platform"], with_database(servers.platform, name))
    with pytest.raises(Unavailable), databases.across(SHARED):
        pass
    with psycopg.connect(servers.platform, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        started = time.monotonic()
        with databases.across(SHARED) as conn:
            assert conn.info.dbname == name
        waited = time.monotonic() - started
        databases.close()
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
    assert waited < 0.5


def test_connections_that_the_server_closed_are_replaced_unseen(databases: Databases, vendor_id: VendorId) -> None:
    with ExitStack() as opened:
        idle = [opened.enter_context(databases.ops(vendor_id)) for _ in range(6)]
        killed = [conn.info.backend_pid for conn in idle]
    with operating(databases) as conn:
        conn.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", (killed,))
    time.sleep(0.2)
    started = time.monotonic()
    assert [one(databases, vendor_id) for _ in range(8)]
    assert time.monotonic() - started < 1


def test_a_connection_lost_in_the_middle_is_unavailable_and_the_next_one_works(databases: Databases, vendor_id: VendorId) -> None:
    def die() -> None:
        with databases.ops(vendor_id) as conn:
            with operating(databases) as admin:
                admin.execute("SELECT pg_terminate_backend(%s)", (conn.info.backend_pid,))
            conn.execute("SELECT 1")

    with pytest.raises(Unavailable):
        die()
    assert one(databases, vendor_id)


def test_a_statement_that_waits_too_long_is_unavailable(databases: Databases, vendor_id: VendorId) -> None:
    def wait() -> None:
        with databases.ops(vendor_id) as conn:
            conn.execute("SET LOCAL statement_timeout = '50ms'")
            conn.execute("SELECT pg_sleep(5)")

    with pytest.raises(Unavailable, match="statement timeout"):
        wait()


def test_every_connection_has_its_time_limits(databases: Databases, vendor_id: VendorId) -> None:
    with databases.ops(vendor_id) as conn:
        found = {name: conn.execute(f"SHOW {name}").fetchone() for name in ("statement_timeout", "lock_timeout")}
        idle = conn.execute("SHOW idle_in_transaction_session_timeout").fetchone()
    assert (found["statement_timeout"], found["lock_timeout"]) == ({"statement_timeout": "10s"}, {"lock_timeout": "5s"})
    assert idle == {"idle_in_transaction_session_timeout": "30s"}


def test_a_full_pool_is_unavailable_and_never_hangs(database_urls: dict[str, str], vendor_id: VendorId) -> None:
    databases = Databases(platform_url=database_urls["platform"], ops_url=database_urls["ops"], resolve_secret=str, pool_size=1)
    with databases.ops(vendor_id), pytest.raises(Unavailable):
        one(databases, vendor_id)
    assert one(databases, vendor_id)
    databases.close()


def test_a_database_without_tables_says_what_to_run(servers: Urls, database_urls: dict[str, str], vendor_id: VendorId) -> None:
    with scratch_database(servers.platform) as empty:
        databases = databases_at(database_urls["platform"], empty)
        with pytest.raises(Broken, match="run `soko migrate`"), databases.ops(vendor_id) as conn:
            conn.execute("SELECT 1 FROM inbox")
        databases.close()


def test_an_error_leaves_nothing_behind(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    def fail() -> None:
        with unit_of_work(databases, vendor_id) as work:
            accept(work, NewEntry(kind=EntryKind.OTHER, source_id="1", body={}, text=None, received_at=now))
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    with databases.ops(vendor_id) as conn:
        assert conn.execute("SELECT count(*) AS n FROM inbox").fetchone() == {"n": 0}


def test_the_rows_of_a_refused_statement_are_not_in_the_error(databases: Databases, vendor_id: VendorId) -> None:
    statement: LiteralString = (
        "INSERT INTO customers (vendor_id, id, phone, created_at) VALUES (%s, gen_random_uuid(), '07x', now())"
    )
    with pytest.raises(Broken) as broken, databases.ops(vendor_id) as conn:
        conn.execute(statement, (vendor_id,))
    assert "07x" not in str(broken.value)


def test_nothing_runs_beside_its_callers_and_closing_ends_every_connection(
    databases: Databases, database_urls: dict[str, str], vendor_id: VendorId
) -> None:
    before = threading.active_count()
    closing = databases_at(database_urls["platform"], database_urls["ops"])
    with closing.ops(vendor_id) as lent:
        one(closing, vendor_id)
        assert threading.active_count() == before
        closing.close()
        lent.execute("SELECT 1")  # whoever holds one may finish
    assert lent.closed
    with pytest.raises(Unavailable, match="closed"), closing.across(SHARED):
        pass


def test_a_vendors_move_is_seen_within_two_seconds(databases: Databases, tenant_url: str) -> None:
    till = VendorId(DUKA_LA_PILI)
    before = one(databases, till)
    with operating(databases) as conn:
        move: LiteralString = "UPDATE vendors SET isolation_level = 'dedicated_db', db_target = %s WHERE id = %s"
        conn.execute(move, (db_target(tenant_url), till))
    assert one(databases, till) == before
    time.sleep(2.1)
    assert one(databases, till) != before


def test_a_rotated_password_is_read_at_the_next_connect(tmp_path: Path, database_urls: dict[str, str], tenant_url: str) -> None:
    read: list[str] = []

    def resolve(reference: str) -> str:
        read.append(reference)
        return "strong-password"

    databases = Databases(platform_url=database_urls["platform"], ops_url=database_urls["ops"], resolve_secret=resolve)
    acme = register(databases, db_target(tenant_url, passwordSecretRef=f"file:{tmp_path}/password"))
    with databases.ops(acme), databases.ops(acme):
        pass
    databases.close()
    assert len(read) == 2
    assert set(read) == {f"file:{tmp_path}/password"}


def test_interleaved_requests_of_two_vendors_never_cross(databases: Databases, vendor_id: VendorId, tenant_url: str) -> None:
    acme = register(databases, db_target(tenant_url))
    expected = {vendor_id: one(databases, vendor_id), acme: one(databases, acme)}
    assert len(set(expected.values())) == 2
    with ThreadPoolExecutor(max_workers=8) as pool:
        asked = [vendor_id, acme] * 100
        assert list(pool.map(lambda vendor: one(databases, vendor), asked)) == [expected[vendor] for vendor in asked]


def test_a_forked_child_opens_its_own_connections(databases: Databases, vendor_id: VendorId) -> None:
    with databases.ops(vendor_id) as conn:
        mine = conn.info.backend_pid
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # a child that waits for ever would make us wait for ever
        try:
            with databases.ops(vendor_id) as conn:
                os.write(writing, str(conn.info.backend_pid).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    theirs = int(os.read(reading, 20))
    os.close(reading)
    os.close(writing)
    with databases.ops(vendor_id) as conn:
        assert (conn.info.backend_pid, theirs != mine) == (mine, True)


def test_the_shared_target_has_a_name() -> None:
    assert OpsTarget(name="shared") == SHARED


def test_a_dedicated_database_that_is_away_is_not_asked_again_for_a_while(databases: Databases, vendor_id: VendorId) -> None:
    asked = 0
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            nonlocal asked
            with suppress(OSError):
                while True:
                    server.accept()[0].close()
                    asked += 1

        threading.Thread(target=hang_up, daemon=True).start()
        port = server.getsockname()[1]
        acme = register(
            databases, json.dumps({"type": "postgres", "host": "127.0.0.1", "port": port, "database": "x", "user": "x"})
        )
        with pytest.raises(Unavailable):
            one(databases, acme)
        first = asked
        for _ in range(20):
            with pytest.raises(Unavailable, match="not asked again yet"):
                one(databases, acme)
            assert one(databases, vendor_id)
        assert asked == first > 0
        server.shutdown(socket.SHUT_RDWR)


def test_a_database_that_hangs_holds_a_bounded_number_of_callers() -> None:
    hangs, begun = threading.Event(), threading.Semaphore(0)

    def connect() -> Connection[DictRow]:
        begun.release()
        hangs.wait(30)
        raise psycopg.OperationalError("connection failed: timeout expired")

    connections = Connections(connect, name="slow", most=2, most_waiting=3, rest_seconds=5)

    def ask(_: int) -> str:
        try:
            with connections.lend():
                return "lent"
        except (Unavailable, psycopg.OperationalError) as error:
            return type(error).__name__

    with ThreadPoolExecutor(6) as pool:
        waiting = [pool.submit(ask, n) for n in range(2)]
        assert all(begun.acquire(timeout=5) for _ in range(2))
        waiting += [pool.submit(ask, n) for n in range(3)]
        while len(connections._waiting) < 3:
            time.sleep(0.001)
        started = time.monotonic()
        assert ask(0) == "Unavailable"
        assert time.monotonic() - started < 0.5
        hangs.set()
        assert sorted(done.result() for done in waiting) == ["OperationalError"] * 2 + ["Unavailable"] * 3


def test_the_databases_a_process_holds_are_bounded_and_one_in_use_is_never_given_up(
    databases: Databases, database_urls: dict[str, str], tenant_url: str
) -> None:
    first, second, third = (register(databases, db_target(tenant_url, passwordSecretRef=f"plain:{n}")) for n in range(3))
    few = Databases(
        platform_url=database_urls["platform"],
        ops_url=database_urls["ops"],
        resolve_secret=lambda reference: reference.removeprefix("plain:"),
        most_databases=3,  # the platform and two more
    )
    with closing(few):
        with few.ops(first) as held:
            one(few, second)
            one(few, third)
            assert len(few._open) == 3
            assert held.execute("SELECT 1 AS one").fetchone() == {"one": 1}
            with few.ops(third), pytest.raises(Unavailable, match="may hold are in use"):
                one(few, second)
        assert one(few, second)


@pytest.mark.security(10)
def test_a_thousand_interleaved_requests_of_two_vendors_on_one_connection_never_cross(
    database_urls: dict[str, str], vendor_id: VendorId, now: datetime
) -> None:
    databases = Databases(platform_url=database_urls["platform"], ops_url=database_urls["ops"], resolve_secret=str, pool_size=1)
    both = (vendor_id, VendorId(DUKA_LA_PILI))

    def request(n: int) -> tuple[VendorId, set[object], int]:
        """Write a row and read the whole table, as a statement that forgot its vendor would; a third of them break off."""
        vendor = both[n % 2]
        with suppress(ZeroDivisionError), databases.ops(vendor) as conn:
            conn.execute("INSERT INTO usage_records VALUES (%s, 'm', %s, 1, %s)", (vendor, str(n), now))
            found = conn.execute("SELECT vendor_id FROM usage_records").fetchall()
            if n % 3 == 0:
                raise ZeroDivisionError
        return vendor, {row["vendor_id"] for row in found}, conn.info.backend_pid

    try:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(request, range(1000)))
        kept = {}
        for vendor in both:
            with databases.ops(vendor) as conn:
                kept[vendor] = conn.execute("SELECT count(*) AS n FROM usage_records").fetchone()
    finally:
        databases.close()
    assert {pid for _, _, pid in answers} == {answers[0][2]}, "one connection served them all"
    assert [found for vendor, found, _ in answers if found != {vendor}] == []
    expected = {both[n]: {"n": len([i for i in range(1000) if i % 2 == n and i % 3])} for n in (0, 1)}
    assert kept == expected
