from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import LiteralString, TypeVar

import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg.rows import dict_row
from sqlalchemy import UniqueConstraint

from router import migrating, revisions, seeding
from router.errors import Broken, Refused, Unavailable
from router.revisions import Which
from router.seeding import MAMA_DUKA
from soko.embedded import Urls
from tests.servers import scratch_database

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
# A receipt is M-Pesa's own key: no vendor may claim the money of another one.
KEYED_BY_ANOTHER = {("payments", ("receipt",))}
OBJECTS: LiteralString = """
    SELECT relkind::text || ' ' || relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind <> 'i'
      AND relname NOT LIKE 'alembic%'
    UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    """


@pytest.fixture
def empty(servers: Urls) -> Iterator[str]:
    with scratch_database(servers.platform) as url:
        yield url


def at_once(count: int, work: Callable[..., T], *arguments: object) -> list[T]:
    """Do the same in several processes at once: Alembic's context belongs to its process."""
    server = get_context("forkserver")  # a fork of this process could inherit a lock that one of its threads holds
    server.set_forkserver_preload(["router.migrating", "router.seeding"])
    with server.Pool(count) as pool:
        return [done.get(60) for done in [pool.apply_async(work, arguments) for _ in range(count)]]


def objects(url: str) -> list[str]:
    with psycopg.connect(url, row_factory=dict_row) as conn:
        return [row["name"] for row in conn.execute(OBJECTS)]


def test_the_files_have_the_head_that_alembic_sees() -> None:
    for which, head in revisions.heads().items():
        config = Config()
        config.set_main_option("script_location", str(revisions.SCRIPTS / which))
        config.set_main_option("path_separator", "os")
        assert head == ScriptDirectory.from_config(config).get_current_head()


@pytest.mark.parametrize("which", Which)
def test_four_migrators_at_once_migrate_a_fresh_database_once(empty: str, which: Which) -> None:
    head = revisions.heads()[which]
    assert sorted(at_once(4, migrating.upgrade, empty, which), key=str) == sorted([None, head, head, head], key=str)


@pytest.mark.parametrize("which", Which)
def test_a_database_goes_up_down_and_up_again_and_down_leaves_nothing(empty: str, which: Which) -> None:
    assert migrating.upgrade(empty, which) is None
    there = sorted(objects(empty))
    assert there
    migrating.downgrade(empty, which)
    assert objects(empty) == []
    migrating.upgrade(empty, which)
    assert sorted(objects(empty)) == there
    with psycopg.connect(empty, row_factory=dict_row) as conn:
        assert revisions.current(conn, which) == revisions.heads()[which]


def test_the_migrations_make_the_tables_that_the_code_has(database_urls: dict[str, str]) -> None:
    assert [line for line in migrating.check(database_urls["platform"], database_urls["ops"]) if "soko_test" not in line] == []


@pytest.mark.parametrize(
    ("which", "statement"),
    [
        (Which.PLATFORM, "ALTER TABLE catalog_items ADD COLUMN colour text"),
        (Which.PLATFORM, "ALTER TABLE vendors ALTER COLUMN name DROP NOT NULL"),
        (Which.OPS, "DROP INDEX orders_one_open_chat_order"),
        (Which.OPS, "ALTER TABLE outbox ALTER COLUMN attempts TYPE bigint"),
        (Which.OPS, "DROP TABLE timers"),
    ],
)
def test_a_difference_between_tables_and_code_is_found(servers: Urls, which: Which, statement: LiteralString) -> None:
    with scratch_database(servers.platform) as platform, scratch_database(servers.platform) as ops:
        migrating.upgrade(platform, Which.PLATFORM)
        migrating.upgrade(ops, Which.OPS)
        with psycopg.connect(platform if which is Which.PLATFORM else ops) as conn:
            conn.execute(statement)
        found = migrating.check(platform, ops)
    assert found
    assert all(line.startswith(f"{which}: ") for line in found)


def test_a_server_that_is_away_is_unavailable() -> None:
    with pytest.raises(Unavailable, match="PostgreSQL does not let us in"):
        migrating.upgrade("postgresql://postgres@127.0.0.1:1/none", Which.OPS)


@pytest.mark.parametrize("which", Which)
def test_a_database_that_was_never_migrated_has_no_revision(empty: str, which: Which) -> None:
    with psycopg.connect(empty, row_factory=dict_row) as conn:
        assert revisions.current(conn, which) is None


def test_every_revision_gives_up_a_lock_it_cannot_get() -> None:
    revisions = [*ROOT.glob("migrations/*/versions/*.py"), *ROOT.glob("migrations/*/script.py.mako")]
    assert len(revisions) >= 5
    for revision in revisions:
        assert revision.read_text().count("SET LOCAL lock_timeout = '3s'") >= 2, revision


def test_every_ops_table_is_keyed_by_vendor_first() -> None:
    for table in migrating.metadata(Which.OPS).tables.values():
        uniques = [constraint for constraint in table.constraints if isinstance(constraint, UniqueConstraint)]
        columns = [table.primary_key.columns, *(u.columns for u in uniques), *(i.columns for i in table.indexes if i.unique)]
        keys = [tuple(column.name for column in key) for key in columns]
        found = {(table.name, key) for key in keys if key[0] != "vendor_id"}
        assert found <= KEYED_BY_ANOTHER, table.name
        assert all("vendor_id" in constraint.column_keys for constraint in table.foreign_key_constraints), table.name


def test_no_table_is_in_both_databases_by_accident() -> None:
    both = migrating.metadata(Which.OPS).tables.keys() & migrating.metadata(Which.PLATFORM).tables.keys()
    assert both == {"vendor_shortcodes"}


def test_the_seed_is_idempotent_and_four_at_once_put_it_in_once(empty: str) -> None:
    migrating.upgrade(empty, Which.PLATFORM)
    assert sorted(at_once(4, seeding.seed_platform, empty))[:3] == [[], [], []]
    assert seeding.seed_platform(empty) == []


def test_the_seed_has_what_a_first_order_needs(database_urls: dict[str, str]) -> None:
    with psycopg.connect(database_urls["platform"], row_factory=dict_row) as conn:
        items = conn.execute("SELECT sku, price FROM catalog_items WHERE vendor_id = %s", (MAMA_DUKA,)).fetchall()
        codes = conn.execute("SELECT kind, business_shortcode, party_b FROM vendor_shortcodes ORDER BY kind").fetchall()
        rows = conn.execute("SELECT * FROM internal_keys").fetchall()
    prices = {row["sku"]: row["price"] for row in items}
    assert len(items) >= 20
    assert 2 * prices["unga-2kg"] + prices["sukari-1kg"] == 590
    assert [code["kind"] for code in codes] == ["paybill", "till"]
    assert codes[0]["business_shortcode"] == codes[0]["party_b"] == "174379"
    assert codes[1]["business_shortcode"] != codes[1]["party_b"]
    assert "dev-internal-secret" not in str(rows)


def test_seeding_again_repairs_what_differs_and_keeps_the_stock(empty: str) -> None:
    migrating.upgrade(empty, Which.PLATFORM)
    seeding.seed_platform(empty)
    with psycopg.connect(empty) as conn:
        conn.execute("UPDATE catalog_items SET price = 1, stock = 3 WHERE sku = 'unga-2kg'")
    assert seeding.seed_platform(empty) == ["1 catalogue items written"]
    with psycopg.connect(empty) as conn:
        assert conn.execute("SELECT price, stock FROM catalog_items WHERE sku = 'unga-2kg'").fetchall() == [(215, 3)]


def test_the_seed_is_refused_in_production_and_before_the_migrations(empty: str, database_urls: dict[str, str]) -> None:
    with pytest.raises(Refused, match="production"):
        seeding.seed_platform(database_urls["platform"], production=True)
    with pytest.raises(Refused, match="production"):
        seeding.seed_ops(database_urls["ops"], database_urls["platform"], production=True)
    with pytest.raises(Broken, match="run `soko migrate platform`"):
        seeding.seed_platform(empty)
    with pytest.raises(Broken, match="run `soko migrate ops`"):
        seeding.seed_ops(empty, database_urls["platform"])
    assert seeding.seed_ops(database_urls["ops"], database_urls["platform"])


@pytest.mark.parametrize("statement", ["SELECT * FROM vendors", "SELECT * FROM catalog_items"])
def test_the_platforms_checklist_of_the_old_system_runs(database_urls: dict[str, str], statement: LiteralString) -> None:
    with psycopg.connect(database_urls["platform"]) as conn:
        assert conn.execute(statement).fetchall()


@pytest.mark.parametrize("statement", ["SELECT * FROM orders", "SELECT * FROM payments", "SELECT * FROM message_log"])
def test_the_ops_checklist_of_the_old_system_runs(database_urls: dict[str, str], statement: LiteralString) -> None:
    with psycopg.connect(database_urls["ops"]) as conn:
        assert conn.execute(statement).fetchall() == []
