"""The second wall: whatever a statement forgets, PostgreSQL shows and takes one vendor's rows only."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from router import customers, migrating
from router.databases import SHARED, Databases
from router.errors import Broken
from router.ids import VendorId
from router.revisions import Which
from router.roles import RUNTIME_ROLE
from router.seeding import DUKA_LA_PILI
from router.work import unit_of_work
from soko.embedded import Urls
from tests.operator import operating
from tests.servers import scratch_database

# Platform tables with a vendor that have no wall, and why.
LOOKED_UP_BEFORE_THE_VENDOR_IS_KNOWN = {"vendor_channels", "internal_keys"}
COUNTED_OVER_ALL_VENDORS = {"daily_intent_slots"}
ADVICE = "add op.execute(\"SELECT build_vendor_wall('{}')\") to the revision that makes it"
WALLS: LiteralString = """
    SELECT c.relname AS name, c.relrowsecurity AS enabled, c.relforcerowsecurity AS forced, p.qual, p.with_check, p.roles::text
      FROM pg_class c LEFT JOIN pg_policies p ON p.tablename = c.relname AND p.policyname = 'vendor_wall'
     WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND c.relname NOT LIKE 'alembic%'
    """
WALL = "(vendor_id = (NULLIF(current_setting('app.vendor_id'::text, true), ''::text))::uuid)"


@pytest.fixture
def other() -> VendorId:
    return VendorId(DUKA_LA_PILI)


@pytest.fixture
def two_customers(databases: Databases, vendor_id: VendorId, other: VendorId, now: Any) -> None:
    for vendor in (vendor_id, other):
        with unit_of_work(databases, vendor) as work:
            customers.recognise(work, phone="254700000001", bsuid=None, name=None, now=now)


def gaps(rows: list[dict[str, Any]], *, forced: bool) -> list[str]:
    """Name the tables without a whole wall, each with what to do."""
    whole = {
        row["name"]
        for row in rows
        if (row["qual"], row["with_check"], row["roles"], row["enabled"]) == (WALL, None, "{public}", True)
        and (row["forced"] or not forced)
    }
    return [f"{row['name']} has no wall: {ADVICE.format(row['name'])}" for row in rows if row["name"] not in whole]


@pytest.mark.security(9)
def test_every_ops_table_is_behind_the_wall(databases: Databases) -> None:
    with operating(databases, ops=True) as conn:
        rows = conn.execute(WALLS).fetchall()
    assert {row["name"] for row in rows} == set(migrating.metadata(Which.OPS).tables)
    assert gaps(rows, forced=True) == []


def test_every_platform_table_with_a_vendor_is_behind_the_wall_or_has_a_reason(databases: Databases) -> None:
    with operating(databases) as conn:
        rows = conn.execute(WALLS).fetchall()
    tables = migrating.metadata(Which.PLATFORM).tables
    with_vendor = {name for name, table in tables.items() if "vendor_id" in table.columns}
    walled = with_vendor - LOOKED_UP_BEFORE_THE_VENDOR_IS_KNOWN - COUNTED_OVER_ALL_VENDORS
    assert gaps([row for row in rows if row["name"] in walled], forced=False) == []


@pytest.mark.security(9)
@pytest.mark.parametrize(
    "breach",
    [
        "DROP POLICY vendor_wall ON customers",
        "ALTER TABLE customers DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE customers NO FORCE ROW LEVEL SECURITY",
        "ALTER POLICY vendor_wall ON customers USING (true)",
        "ALTER POLICY vendor_wall ON customers WITH CHECK (true)",
        "CREATE TABLE later (vendor_id uuid PRIMARY KEY)",
    ],
)
def test_a_breach_is_found_and_says_what_to_add(databases: Databases, breach: LiteralString) -> None:
    with operating(databases, ops=True) as conn:
        conn.execute(breach)
        found = gaps(conn.execute(WALLS).fetchall(), forced=True)
        conn.rollback()
    [gap] = found
    assert "build_vendor_wall('" in gap


def test_a_view_shows_no_more_than_its_reader_may_see(databases: Databases) -> None:
    with operating(databases, ops=True) as conn:
        views = conn.execute(
            "SELECT relname, reloptions FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm')"
        ).fetchall()
    assert views
    assert all("security_invoker=true" in (view["reloptions"] or []) for view in views), views


@pytest.mark.security(6)
@pytest.mark.usefixtures("two_customers")
def test_without_a_vendor_no_row_of_any_table_is_seen(databases: Databases) -> None:
    with databases.across(SHARED) as conn:
        for table in [*migrating.metadata(Which.OPS).tables, "message_log"]:
            assert conn.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))).fetchall() == [], table
    with operating(databases, ops=True) as conn:
        assert conn.execute("SELECT count(*) AS n FROM customers").fetchone() == {"n": 2}


@pytest.mark.parametrize("vendor", [None, "", "c7af4716-f9ab-465d-9afb-f1047bf37a40", 7])
def test_a_transaction_without_a_vendor_is_refused_before_anything_is_sent(vendor: Any) -> None:
    nowhere = Databases(platform_url="none", ops_url="none", resolve_secret=str)
    with pytest.raises(Broken, match="names its vendor"), nowhere.ops(vendor):
        pass


@pytest.mark.security(7)
@pytest.mark.usefixtures("two_customers")
def test_a_statement_that_forgets_its_vendor_touches_no_other(databases: Databases, vendor_id: VendorId, other: VendorId) -> None:
    with databases.ops(vendor_id) as conn:
        assert conn.execute("SELECT DISTINCT vendor_id FROM customers").fetchall() == [{"vendor_id": vendor_id}]
        assert conn.execute("UPDATE customers SET name = 'x'").rowcount == 1
        assert conn.execute("DELETE FROM customers WHERE vendor_id = %s", (other,)).rowcount == 0
    with databases.ops(other) as conn:
        assert conn.execute("SELECT name FROM customers").fetchall() == [{"name": None}]


@pytest.mark.security(7)
@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO customers (vendor_id, id, phone, created_at) VALUES (%s, gen_random_uuid(), '254700000009', now())",
        "UPDATE customers SET vendor_id = %s",
    ],
)
@pytest.mark.usefixtures("two_customers")
def test_no_row_is_given_to_another_vendor(
    databases: Databases, vendor_id: VendorId, other: VendorId, statement: LiteralString
) -> None:
    with pytest.raises(Broken, match="row-level security"), databases.ops(vendor_id) as conn:
        conn.execute(statement, (other,))


@pytest.mark.usefixtures("two_customers")
def test_the_runtime_may_not_look_across_by_the_owners_switch(databases: Databases, vendor_id: VendorId) -> None:
    with databases.ops(vendor_id) as conn:
        conn.execute("SET LOCAL app.all_vendors = 'on'")
        assert conn.execute("SELECT count(*) AS n FROM customers").fetchone() == {"n": 1}


def test_the_vendor_is_forgotten_with_its_transaction(databases: Databases, vendor_id: VendorId) -> None:
    for end in (None, ZeroDivisionError):
        with pytest.raises(end) if end else ExitStack(), databases.ops(vendor_id) as conn:
            if end:
                raise end
        with databases.across(SHARED) as again:
            assert again is conn
            assert again.execute("SELECT current_setting('app.vendor_id', true) AS v").fetchone() in ({"v": ""}, {"v": None})


def test_the_platforms_goods_are_read_for_one_vendor_only(databases: Databases, vendor_id: VendorId) -> None:
    with databases.platform() as conn:
        assert conn.execute("SELECT * FROM catalog_items").fetchall() == []
    with databases.platform(vendor_id) as conn:
        assert conn.execute("SELECT DISTINCT vendor_id FROM catalog_items").fetchall() == [{"vendor_id": vendor_id}]


@pytest.mark.security(8)
def test_the_runtime_owns_nothing_and_nothing_frees_it(databases: Databases, vendor_id: VendorId) -> None:
    owned: LiteralString = "SELECT count(*) AS n FROM pg_shdepend WHERE deptype = 'o' AND refobjid = %s::regrole"
    role: LiteralString = "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user"
    for opened in (databases.ops(vendor_id), databases.platform()):
        with opened as conn:
            assert conn.execute("SELECT current_user::text AS name").fetchone() == {"name": RUNTIME_ROLE}
            assert set((conn.execute(role).fetchone() or {}).values()) == {False}
            assert conn.execute(owned, (RUNTIME_ROLE,)).fetchone() == {"n": 0}
            assert conn.execute("SELECT has_schema_privilege('public', 'CREATE') AS may").fetchone() == {"may": False}


# ---------------------------------------------------------------- who may log in as what


@pytest.fixture
def login(servers: Urls) -> Iterator[Callable[..., str]]:
    """Make a role and a migrated database that it may own; gives the URL to log in with."""
    with ExitStack() as stack:
        admin = stack.enter_context(psycopg.connect(servers.platform, autocommit=True))

        def make(*, owner: bool = False, member: bool = False, options: LiteralString = "") -> str:
            name = f"soko_test_{uuid4().hex[:8]}"
            role = sql.Identifier(name)
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'pass' ").format(role) + sql.SQL(options))
            stack.callback(admin.execute, sql.SQL("DROP ROLE {}").format(role))
            url = stack.enter_context(scratch_database(servers.platform))  # dropped before the role that may own it
            if owner:
                database = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
                admin.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(str(database)), role))
            if member:
                admin.execute(sql.SQL("GRANT soko_runtime TO {}").format(role))
            mine = make_conninfo(url, user=name, password="pass")
            migrating.upgrade(mine if owner else url, Which.OPS)
            return mine

        yield make


def open_as(url: str, *, strict: bool = False) -> str:
    databases = Databases(platform_url=url, ops_url=url, resolve_secret=str, strict_login=strict)
    try:
        with databases.across(SHARED) as conn:
            row = conn.execute("SELECT current_user::text AS name").fetchone()
    finally:
        databases.close()
    return str((row or {})["name"])


def test_an_owner_is_refused_and_told_what_to_make(login: Callable[..., str]) -> None:
    with pytest.raises(Broken, match=r"who owns its tables.*CREATE ROLE soko_runtime LOGIN.*soko migrate"):
        open_as(login(owner=True))


def test_a_login_that_no_policy_binds_is_refused(login: Callable[..., str]) -> None:
    with pytest.raises(Broken, match="who is bound by no policy"):
        open_as(login(options="BYPASSRLS"))


def test_an_owner_that_may_step_down_does_but_not_in_production(login: Callable[..., str], servers: Urls) -> None:
    url = login(owner=True, member=True)
    assert open_as(url) == RUNTIME_ROLE
    with pytest.raises(Broken, match="who owns its tables"):
        open_as(url, strict=True)
    with pytest.raises(Broken, match="as postgres, who is bound by no policy"):
        open_as(make_conninfo(servers.ops, user="postgres"), strict=True)


# A prompt on a phone, of a vendor without anything else.
PROMPT_ALONE = """
    DO $$ DECLARE foreign_key name; BEGIN
      SET LOCAL app.all_vendors = 'on';
      FOR foreign_key IN SELECT conname FROM pg_constraint WHERE conrelid = 'stk_attempts'::regclass AND contype = 'f' LOOP
        EXECUTE format('ALTER TABLE stk_attempts DROP CONSTRAINT %I', foreign_key);
      END LOOP;
      INSERT INTO stk_attempts (vendor_id, intent_id, shortcode_id, amount, msisdn, pay_message_id, due_at, created_at)
        SELECT '00000000-0000-0000-0000-000000000001', gen_random_uuid(), gen_random_uuid(), 430, '254712345678', 1, now(), now();
      UPDATE stk_attempts SET status = 'dispatched', dispatched_at = now(), callback_token_sha256 = sha256('t');
      SET LOCAL app.all_vendors = '';
    END $$
    """


def test_the_functions_across_vendors_work_for_an_owner_who_is_no_superuser(login: Callable[..., str]) -> None:
    url = login(owner=True, member=True)
    with psycopg.connect(url) as conn:
        conn.execute("SET LOCAL app.all_vendors = 'on'")
        conn.execute("INSERT INTO usage_records VALUES (%s, 'm', 'k', 1, now())", (UUID(int=1),))
        conn.execute(
            "INSERT INTO inbox (vendor_id, kind, source_id, body, received_at) VALUES (%s, 'event', 's', '{}', now())",
            (UUID(int=1),),
        )
    with psycopg.connect(url) as conn:
        assert conn.execute("SELECT * FROM inbox").fetchall() == [], "the wall is forced on the owner too"
        assert conn.execute("SELECT * FROM vendors_with_work('{turn}', now())").fetchall() == [("turn", UUID(int=1))]
    with psycopg.connect(url) as conn:
        conn.execute(PROMPT_ALONE)
        prompt = conn.execute(
            "SELECT has_prompt_in_the_way('254712345678', gen_random_uuid(), now() - interval '90 s', 0, now())"
        )
        assert prompt.fetchall() == [(True,)]
