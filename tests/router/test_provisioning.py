import json
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from router import migrating
from router.databases import Databases
from router.errors import Refused, Unavailable
from router.ids import VendorId
from router.provisioning import provision
from router.revisions import Which, connect, current, heads
from router.roles import RUNTIME_ROLE
from router.tenants import migrate_all
from router.work import unit_of_work
from soko.embedded import Urls
from soko.settings import Settings
from tests.operator import operating
from tests.servers import scratch_database


@pytest.fixture
def acme(databases: Databases, servers: Urls) -> Iterator[VendorId]:
    """A vendor whose row names a login and a database that are not there yet."""
    name = f"soko_test_{uuid4().hex[:8]}"
    at = conninfo_to_dict(servers.ops)
    target = {"type": "postgres", "host": at["host"], "port": int(at.get("port") or 5432), "database": name, "user": name}
    with operating(databases) as conn:
        row = conn.execute(
            "INSERT INTO vendors (name, isolation_level, db_target) VALUES ('ACME', 'dedicated_db', %s) RETURNING id",
            (json.dumps(target | {"passwordSecretRef": "plain:strong-password"}),),
        ).fetchone()
    assert row is not None
    yield VendorId(row["id"])
    databases.close()
    with psycopg.connect(servers.ops, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


def test_a_vendor_gets_its_login_database_and_tables_and_owns_none_of_them(
    databases: Databases, servers: Urls, settings: Settings, acme: VendorId
) -> None:
    steps = list(provision(databases, acme, admin_url=servers.ops, open_secret=settings.open_secret))
    assert [step.split()[0] for step in steps[:2]] == ["login", "database"]
    with unit_of_work(databases, acme) as work:
        row = work.conn.execute("SELECT current_user::text AS acting, session_user::text AS login").fetchone()
    assert row is not None
    assert row["acting"] == RUNTIME_ROLE
    assert row["login"] == work.conn.info.dbname
    again = list(provision(databases, acme, admin_url=servers.ops, open_secret=settings.open_secret))
    assert again == steps[-1:], "nothing was left to do"
    with psycopg.connect(servers.ops) as admin:
        owned = "SELECT count(*) FROM pg_shdepend WHERE deptype = 'o' AND refobjid = %s::regrole"
        assert admin.execute(owned, (row["login"],)).fetchone() == (0,)
        other = "SELECT has_database_privilege('soko_runtime', %s, 'CONNECT')"
        assert admin.execute(other, (row["login"],)).fetchone() == (False,), "other vendors' logins stay out"


def test_a_shared_vendor_needs_no_database_of_its_own(
    databases: Databases, servers: Urls, settings: Settings, vendor_id: VendorId
) -> None:
    with pytest.raises(Refused, match="shares the ops database"):
        list(provision(databases, vendor_id, admin_url=servers.ops, open_secret=settings.open_secret))


def test_an_administrator_of_another_server_is_told_which_one_is_meant(
    databases: Databases, servers: Urls, settings: Settings, acme: VendorId
) -> None:
    with operating(databases) as conn:
        conn.execute("UPDATE vendors SET db_target = jsonb_set(db_target, '{host}', '\"db7\"') WHERE id = %s", (acme,))
    with pytest.raises(Refused, match=r"belongs on db7:5432.*--admin postgresql://…@db7"):
        list(provision(databases, acme, admin_url=servers.ops, open_secret=settings.open_secret))


def test_a_login_that_may_not_create_is_told_so_and_nothing_is_made(
    databases: Databases, servers: Urls, settings: Settings, acme: VendorId
) -> None:
    weak = psycopg.conninfo.make_conninfo(servers.ops, user=RUNTIME_ROLE)
    with pytest.raises(Refused, match="Give --admin a login that may create"):
        list(provision(databases, acme, admin_url=weak, open_secret=settings.open_secret))


def test_before_that_the_vendor_alone_is_away(databases: Databases, vendor_id: VendorId, acme: VendorId) -> None:
    with pytest.raises(Unavailable, match="does not exist"), databases.ops(acme):
        pass
    with databases.ops(vendor_id) as conn:
        assert conn.execute("SELECT 1 AS one").fetchone() == {"one": 1}


@pytest.fixture
def ten(databases: Databases, servers: Urls) -> Iterator[list[str]]:
    """Ten vendors, each with a database of its own that lacks the newest revision."""
    with scratch_database(servers.ops, prefix="tenant") as first:
        migrating.upgrade(first, Which.OPS)
        migrating.downgrade(first, Which.OPS, revision="-1")
        at = conninfo_to_dict(first)
        names = [f"{at['dbname']}_{n}" for n in range(10)]
        with psycopg.connect(servers.ops, autocommit=True) as admin, operating(databases) as conn:
            for name in names:
                copied = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
                admin.execute(copied.format(sql.Identifier(name), sql.Identifier(str(at["dbname"]))))
                target = {"type": "postgres", "host": at["host"], "port": int(at.get("port") or 5432), "database": name}
                row = json.dumps(target | {"user": at["user"]})
                conn.execute(
                    "INSERT INTO vendors (name, isolation_level, db_target) VALUES (%s, 'dedicated_db', %s)", (name, row)
                )
        yield [psycopg.conninfo.make_conninfo(first, dbname=name) for name in names]
        databases.close()
        with psycopg.connect(servers.ops, autocommit=True) as admin:
            for name in names:
                admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_of_ten_databases_one_that_fails_is_left_whole_the_report_says_so_and_a_retry_ends_it(
    databases: Databases, servers: Urls, ten: list[str]
) -> None:
    def look(url: str) -> tuple[str | None, int]:
        with connect(url) as conn:
            row = conn.execute("SELECT count(*) AS n FROM pg_class WHERE relrowsecurity").fetchone()
            return current(conn, Which.OPS), int((row or {})["n"])

    before = look(ten[4])
    with psycopg.connect(ten[4]) as conn:
        conn.execute("CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$")
        # At the end of the revision, when all of its work is done.
        conn.execute("CREATE TRIGGER fail BEFORE UPDATE ON alembic_version_ops EXECUTE FUNCTION fail()")
    report = list(migrate_all(databases, admin_url=servers.ops))
    head = heads()[Which.OPS]
    failed = [migrated for migrated in report if migrated.error]
    assert len(report) == 10
    assert [(str(m.error), m.after) for m in failed] == [("disk full", before[0])]
    assert str(conninfo_to_dict(ten[4])["dbname"]) in str(failed[0])
    assert [look(url)[0] for url in ten] == [head] * 4 + [before[0]] + [head] * 5
    assert look(ten[4]) == before, "nothing of the revision stayed"
    with psycopg.connect(ten[4]) as conn:
        conn.execute("DROP TRIGGER fail ON alembic_version_ops")
        conn.execute("DROP FUNCTION fail()")
    again = list(migrate_all(databases, admin_url=servers.ops))
    assert sum(migrated.before != migrated.after for migrated in again) == 1
    assert {migrated.after for migrated in again} == {head}
    assert all(migrated.error is None for migrated in again)
