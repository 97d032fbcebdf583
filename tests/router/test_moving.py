import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Final, LiteralString
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from router import events, migrating, moving, rights
from router.databases import SHARED, Databases, OpsTarget
from router.errors import Broken, Refused, Unavailable
from router.events import Cursor, Event, EventType
from router.ids import VendorId
from router.revisions import Which, heads
from router.seeding import DUKA_LA_PILI
from router.work import unit_of_work
from soko.embedded import Urls
from tests.operator import operating
from tests.router.chats import open_chat
from tests.router.horizon import settle
from tests.servers import scratch_database

STEPS = 6  # that a move says, the last one when all is done


@pytest.fixture(scope="module")
def own_url(servers: Urls) -> Iterator[str]:
    with scratch_database(servers.ops, prefix="tenant") as url:
        migrating.upgrade(url, Which.OPS)
        yield url


@pytest.fixture
def own(own_url: str) -> OpsTarget:
    return moving.dedicated_at(own_url, secret=None)


@pytest.fixture
def url_of(database_urls: dict[str, str], own_url: str) -> Callable[[OpsTarget], str]:
    return lambda target: database_urls["ops"] if target == SHARED else own_url


@pytest.fixture
def databases(databases: Databases) -> Iterator[Databases]:
    yield databases
    databases.close()  # before the database of its own is dropped


def use(databases: Databases, vendor: VendorId, key: str, now: datetime) -> str:
    """Write one row where the vendor lives; returns the name of that database."""
    with databases.ops(vendor) as conn:
        conn.execute("INSERT INTO usage_records VALUES (%s, 'm', %s, 1, %s)", (vendor, key, now))
        return conn.info.dbname


def keys(databases: Databases, vendor: VendorId) -> set[str]:
    with databases.ops(vendor) as conn:
        return {row["key"] for row in conn.execute("SELECT key FROM usage_records WHERE meter = 'm'")}


def fill(databases: Databases, vendor: VendorId, now: datetime) -> None:
    """A chat with an order whose life is over: what guards would refuse as it is."""
    with unit_of_work(databases, vendor) as work:
        chat = open_chat(work, now)
        work.conn.execute(
            "INSERT INTO orders (vendor_id, id, number, customer_id, source, created_at, updated_at)"
            " VALUES (%s, gen_random_uuid(), 'S0001', %s, 'chat', %s, %s)",
            (vendor, chat.customer_id, now, now),
        )
        work.conn.execute("UPDATE orders SET status = 'CANCELLED', cancelled_at = %s", (now,))
        work.conn.execute(
            "INSERT INTO inbox (vendor_id, kind, source_id, body, text, received_at) VALUES (%s, 'other', 'a', '{}', 'pay', %s)",
            (vendor, now),
        )


def test_a_vendor_moves_out_and_back_while_it_sells(
    databases: Databases, vendor_id: VendorId, own: OpsTarget, url_of: Callable[[OpsTarget], str], now: datetime
) -> None:
    other = VendorId(DUKA_LA_PILI)
    for vendor in (vendor_id, other):
        fill(databases, vendor, now)
    acknowledged: set[str] = set()
    seen: set[str] = set()
    stop = threading.Event()

    def sell() -> None:
        while not stop.is_set():
            key = str(uuid4())
            seen.add(use(databases, vendor_id, key, now))
            acknowledged.add(key)

    sellers = [threading.Thread(target=sell) for _ in range(2)]
    for seller in sellers:
        seller.start()
    try:
        for to in (own, SHARED):
            steps = list(moving.move(databases, vendor_id, to, url_of=url_of, most_pause=60))
            assert len(steps) == STEPS
            before = len(acknowledged)
            while len(acknowledged) < before + 20:
                stop.wait(0.01)
    finally:
        stop.set()
        for seller in sellers:
            seller.join()
    assert len(seen) == 2, "it sold in both databases"
    assert keys(databases, vendor_id) == acknowledged
    with databases.ops(vendor_id) as conn:
        assert conn.execute("SELECT number, status FROM orders").fetchall() == [{"number": "S0001", "status": "CANCELLED"}]
        ids = [
            row["id"]
            for row in conn.execute(
                "INSERT INTO inbox (vendor_id, kind, source_id, body, received_at)"
                " VALUES (%s, 'other', 'b', '{}', now()) RETURNING id",
                (vendor_id,),
            )
        ]
        assert conn.execute("SELECT count(*) AS n FROM inbox WHERE id >= %s", (ids[0],)).fetchone() == {"n": 1}
    with psycopg.connect(url_of(own)) as direct:
        assert direct.execute("SELECT DISTINCT vendor_id FROM usage_records").fetchall() == [(vendor_id,)], (
            "nobody else came along"
        )
    assert keys(databases, other) == set()


@pytest.mark.parametrize("stopped_after", range(1, STEPS))
@pytest.mark.parametrize("then", ["go on", "abort"])
def test_stopped_at_any_step_nothing_is_lost_and_it_goes_on_or_back(
    databases: Databases,
    vendor_id: VendorId,
    own: OpsTarget,
    url_of: Callable[[OpsTarget], str],
    now: datetime,
    stopped_after: int,
    then: str,
) -> None:
    use(databases, vendor_id, "before", now)
    with closing(moving.move(databases, vendor_id, own, url_of=url_of, most_pause=60)) as steps:
        for _ in range(stopped_after):
            next(steps)
    written = {"before"}
    if stopped_after < STEPS - 1:  # the last but one stands between both databases: nobody writes there
        use(databases, vendor_id, "between", now)
        written.add("between")
    if then == "abort":
        moving.abort(databases, vendor_id, url_of=url_of)
        with psycopg.connect(url_of(own)) as conn:
            assert conn.execute("SELECT count(*) FROM usage_records").fetchone() == (0,)
    else:
        assert len(list(moving.move(databases, vendor_id, own, url_of=url_of, most_pause=60))) == STEPS
    lives_in = use(databases, vendor_id, "after", now)
    assert lives_in.startswith("tenant") == (then == "go on")
    assert keys(databases, vendor_id) == written | {"after"}
    with pytest.raises(Refused, match="is not on its way"):
        moving.abort(databases, vendor_id, url_of=url_of)


def test_between_two_databases_nobody_writes_and_the_message_says_what_to_run(
    databases: Databases,
    vendor_id: VendorId,
    own: OpsTarget,
    url_of: Callable[[OpsTarget], str],
    now: datetime,
    database_urls: dict[str, str],
) -> None:
    hasty = Databases(platform_url=database_urls["platform"], ops_url=database_urls["ops"], resolve_secret=str, move_seconds=0.05)
    with closing(moving.move(databases, vendor_id, own, url_of=url_of, most_pause=60)) as steps:
        for _ in range(STEPS - 1):
            next(steps)
    with closing(hasty):
        with pytest.raises(Unavailable, match="soko vendor move"):
            use(hasty, vendor_id, "lost", now)
        assert use(hasty, VendorId(DUKA_LA_PILI), "other", now)


def test_whoever_is_erased_goes_from_what_a_move_left_behind_too(
    databases: Databases, vendor_id: VendorId, own: OpsTarget, url_of: Callable[[OpsTarget], str], now: datetime
) -> None:
    fill(databases, vendor_id, now)
    list(moving.move(databases, vendor_id, own, url_of=url_of, most_pause=60))
    rights.erase(databases, vendor_id, "254700000001", now=now)
    gone = [{"phone": None, "erased_at": now}]
    with operating(databases, ops=True) as conn:
        assert conn.execute("SELECT phone, erased_at FROM customers").fetchall() == gone
    with databases.ops(vendor_id) as conn:
        assert conn.execute("SELECT phone, erased_at FROM customers").fetchall() == gone


def test_a_row_deleted_meanwhile_is_not_carried_over(
    databases: Databases, vendor_id: VendorId, own: OpsTarget, url_of: Callable[[OpsTarget], str], now: datetime
) -> None:
    use(databases, vendor_id, "gone", now)
    with closing(moving.move(databases, vendor_id, own, url_of=url_of, most_pause=60)) as steps:
        next(steps)
        next(steps)
        with operating(databases, ops=True) as conn:
            conn.execute("SET LOCAL session_replication_role = replica")  # nobody may, and still it must not be carried over
            conn.execute("DELETE FROM usage_records WHERE vendor_id = %s", (vendor_id,))
        list(steps)
    assert keys(databases, vendor_id) == set()


def test_a_copy_that_differs_is_never_switched_to(
    databases: Databases, vendor_id: VendorId, own: OpsTarget, url_of: Callable[[OpsTarget], str], now: datetime
) -> None:
    use(databases, vendor_id, "one", now)
    with psycopg.connect(url_of(own), autocommit=True) as conn:
        conn.execute(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.quantity := 2; RETURN NEW; END $$;"
            "CREATE TRIGGER spoil BEFORE INSERT OR UPDATE ON usage_records FOR EACH ROW EXECUTE FUNCTION spoil();"
            "ALTER TABLE usage_records ENABLE ALWAYS TRIGGER spoil"
        )
        try:
            with pytest.raises(Broken, match="the copy of usage_records differs"):
                list(moving.move(databases, vendor_id, own, url_of=url_of, most_pause=60))
        finally:
            conn.execute("DROP TRIGGER spoil ON usage_records; DROP FUNCTION spoil()")
    assert not use(databases, vendor_id, "two", now).startswith("tenant")


def test_what_cannot_be_done_is_refused_and_changes_nothing(
    databases: Databases, vendor_id: VendorId, own: OpsTarget, url_of: Callable[[OpsTarget], str]
) -> None:
    def refused(to: OpsTarget, match: str, most_pause: float = 60) -> None:
        with pytest.raises(Refused, match=match):
            list(moving.move(databases, vendor_id, to, url_of=url_of, most_pause=most_pause))

    refused(SHARED, "lives in shared already")
    refused(own, "--pause", most_pause=0)
    elsewhere = moving.dedicated_at("postgresql://x@db7/x", secret="env:X")
    refused(elsewhere, "is on its way to dedicated")
    with operating(databases) as conn:
        conn.execute("DELETE FROM vendor_moves")
    with psycopg.connect(url_of(own)) as direct:
        direct.execute("UPDATE alembic_version_ops SET version_num = '0001'")
        direct.commit()
        refused(own, "have other tables")
        direct.execute("UPDATE alembic_version_ops SET version_num = %s", (heads()[Which.OPS],))


# One row in every table, whatever the table is: no constraint but the keys is left, and nobody's triggers run.
ONE_ROW_EACH: LiteralString = """
DO $one$
DECLARE
    target record;
BEGIN
    FOR target IN SELECT conrelid::regclass AS name, conname FROM pg_constraint
                  WHERE contype = 'c' AND connamespace = 'public'::regnamespace LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', target.name, target.conname);
    END LOOP;
    SET LOCAL session_replication_role = replica;
    FOR target IN
        SELECT t.oid::regclass AS name, string_agg(quote_ident(c.attname), ', ') AS columns, string_agg(CASE
            WHEN c.attname = 'vendor_id' THEN quote_literal('c7af4716-f9ab-465d-9afb-f1047bf37a40')
            WHEN c.atttypid = 'uuid'::regtype THEN 'gen_random_uuid()'
            WHEN c.atttypid IN ('timestamptz'::regtype, 'date'::regtype) THEN 'now()'
            WHEN c.atttypid IN ('jsonb'::regtype, 'text[]'::regtype) THEN quote_literal('{}')
            WHEN c.atttypid = 'boolean'::regtype THEN 'false'
            ELSE quote_literal('1') END, ', ') AS row
        FROM pg_class t JOIN pg_attribute c ON c.attrelid = t.oid
        WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'p') AND t.relname NOT LIKE 'alembic%'
          AND c.attnum > 0 AND NOT c.attisdropped AND c.attgenerated = '' AND c.attidentity = ''
        GROUP BY t.oid
    LOOP
        EXECUTE format('INSERT INTO %s (%s) VALUES (%s)', target.name, target.columns, target.row);
    END LOOP;
END $one$
"""


def test_every_table_is_carried_or_named_as_left_behind(servers: Urls, vendor_id: VendorId) -> None:
    with scratch_database(servers.ops) as old_url, scratch_database(servers.ops) as new_url:
        migrating.upgrade(old_url, Which.OPS)
        new, old = (sql.Identifier(str(conninfo_to_dict(url)["dbname"])) for url in (new_url, old_url))
        with psycopg.connect(old_url) as conn:
            conn.execute(ONE_ROW_EACH)
            tables = [row[0] for row in conn.execute("SELECT relname FROM pg_class WHERE relrowsecurity").fetchall()]
        with psycopg.connect(servers.ops, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE {}").format(new))
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(new, old))  # without the constraints, too
        with moving._sides(vendor_id, old_url=old_url, new_url=new_url) as sides:
            for table in tables:
                sides.new.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
            moving._carry(sides, None)
            known = migrating.metadata(Which.OPS).tables
            arrived = {table: moving._count(sides.new, known[table], vendor_id) for table in tables}
            assert moving._compare(sides, strict=True) == len(tables) - 1
    assert set(tables) == set(known)
    assert {table for table, rows in arrived.items() if rows != 1} == {moving.LEFT_BEHIND}


BETWEEN: Final = 5  # the step after which a vendor is between both databases


def move_in_a_child(platform: str, ops: str, own: str, vendor_id: VendorId, told: Connection) -> None:
    """Be `soko vendor move`, and say each step. It stands still before the last: however late it is killed, it is not done."""
    databases = Databases(platform_url=platform, ops_url=ops, resolve_secret=str)
    to = moving.dedicated_at(own, secret=None)
    steps = moving.move(databases, vendor_id, to, url_of=lambda target: ops if target == SHARED else own, most_pause=60)
    for number, step in enumerate(steps, 1):
        told.send(step)
        if number == BETWEEN:
            told.recv()


def test_killed_with_9_and_started_again_nothing_is_lost(
    databases: Databases, database_urls: dict[str, str], vendor_id: VendorId, own_url: str, own: OpsTarget, now: datetime
) -> None:
    server = get_context("forkserver")
    server.set_forkserver_preload(["router.moving"])
    acknowledged: set[str] = set()
    stop = threading.Event()

    def sell() -> None:
        while not stop.is_set():
            with suppress(Unavailable):  # between the databases, until the command is repeated
                key = str(uuid4())
                use(databases, vendor_id, key, now)
                acknowledged.add(key)

    seller = threading.Thread(target=sell)
    seller.start()
    try:
        for steps in (2, 4, BETWEEN):  # while it copies, before the fence, between both databases
            hears, told = server.Pipe()
            arguments = (database_urls["platform"], database_urls["ops"], own_url, vendor_id, told)
            child = server.Process(target=move_in_a_child, args=arguments)
            child.start()
            told.close()
            for _ in range(steps):
                hears.recv()
            child.kill()
            child.join()
            assert child.exitcode == -signal.SIGKILL
        url_of = {SHARED: database_urls["ops"]}
        rest = list(moving.move(databases, vendor_id, own, url_of=lambda to: url_of.get(to, own_url), most_pause=60))
        assert len(rest) == STEPS
        sold = len(acknowledged)
        while len(acknowledged) < sold + 5:
            stop.wait(0.01)
    finally:
        stop.set()
        seller.join()
    assert keys(databases, vendor_id) >= acknowledged
    assert use(databases, vendor_id, "after", now).startswith("tenant")


def test_a_reader_of_events_goes_on_where_it_was_after_a_move_or_the_vendor_stays(
    databases: Databases, vendor_id: VendorId, own: OpsTarget, url_of: Callable[[OpsTarget], str], now: datetime
) -> None:
    def happen(subject: str) -> None:
        with unit_of_work(databases, vendor_id) as work:
            events.append(work, type=EventType.ORDER_PAID, subject=subject, data={}, now=now)

    def read(after: Cursor) -> list[Event]:
        settle(databases, vendor_id)
        with unit_of_work(databases, vendor_id) as work:
            return events.read(work, after=after, limit=10)

    happen("before")
    kept = read(events.START)[-1].cursor
    list(moving.move(databases, vendor_id, own, url_of=url_of, most_pause=60))
    happen("after")
    assert [each.subject for each in read(kept)] == ["after"]
    with closing(moving.move(databases, vendor_id, SHARED, url_of=url_of, most_pause=60)) as steps:
        assert [next(steps) for _ in range(2)][1].startswith("copied")
        with psycopg.connect(url_of(own)) as direct:  # the old server counts faster than the new one while it copies
            direct.execute("SELECT set_config('app.vendor_id', %s, false)", (str(vendor_id),))
            direct.execute(
                "INSERT INTO domain_events (vendor_id, xid, type, subject, data, at)"
                " VALUES (%s, '9000000000000', 'x', 'x', '{}', %s)",
                (vendor_id, now),
            )
        with pytest.raises(Refused, match="out of their order"):
            list(steps)
    assert databases.target_of(vendor_id) == own
