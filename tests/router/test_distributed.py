"""What a distributed PostgreSQL asks of the ops schema and of the statements on it, read from the catalogue and the source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from router import migrating
from router.databases import CONNECT_SETTINGS, Databases
from router.revisions import Which
from tests.operator import operating

ROOT = Path(__file__).parents[2]
# A receipt is M-Pesa's own key: no vendor may claim the money of another one. docs/scaling.md says what becomes of it.
KEYED_BY_ANOTHER = {"payments_receipt_key"}
# One prompt at a time on a phone, whichever vendor asks: politeness, and right without it.
LOCKS_ACROSS = {"router/payment_intents/attempts.py"}
LOCKS_OF_ONE_VENDOR = {"router/databases.py", "router/moving.py"}  # the fence of a move, in the database it leaves
ADVISORY_OF_OPERATORS = {"router/migrating.py", "router/rehearsal_databases.py"}
UNIQUE: LiteralString = """
    SELECT i.relname AS name, t.relname AS on_table, a.attname AS first
      FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
      JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = x.indkey[0]
     WHERE x.indisunique AND t.relnamespace = 'public'::regnamespace AND t.relname NOT LIKE 'alembic%'
    """
FOREIGN: LiteralString = """
    SELECT c.conname AS name, a.attname AS first FROM pg_constraint c
      JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
     WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace
    """
TRIGGERS: LiteralString = """
    SELECT t.tgname AS name, p.prosrc AS source FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
     WHERE NOT t.tgisinternal AND p.pronamespace = 'public'::regnamespace
    """
LOCK = re.compile(r"\bFOR (NO KEY )?(UPDATE|SHARE)\b")
WRITE = re.compile(r"^\s*(WITH\b.*?\b)?(UPDATE|DELETE FROM|INSERT INTO) +(?P<table>\w+)", re.DOTALL)
WRITES = re.compile(r"\bNEW\.\w+ *:=|\bINSERT +INTO\b|\bUPDATE +\w+ +SET\b|\bDELETE +FROM\b", re.IGNORECASE)


def statements() -> Iterator[tuple[str, str]]:
    """Yield every text in the source of the parts that speak SQL, with its file; an f-string with its constants filled in."""
    for file in sorted(ROOT.glob("router/**/*.py")):
        tree = ast.parse(file.read_text())
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        named = {
            target.id: ast.unparse(node.value)
            for node in tree.body
            if isinstance(node, ast.AnnAssign) and node.value is not None
            for target in [node.target]
            if isinstance(target, ast.Name)
        }
        inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
        for node in ast.walk(tree):
            if id(node) in docs or id(node) in inside:
                continue
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield str(file.relative_to(ROOT)), node.value
            elif isinstance(node, ast.JoinedStr):
                parts = [
                    str(part.value) if isinstance(part, ast.Constant) else named.get(ast.unparse(part.value), "")  # type: ignore[attr-defined]
                    for part in node.values
                ]
                yield str(file.relative_to(ROOT)), "".join(parts)


def locks_across(found: Iterator[tuple[str, str]]) -> list[str]:
    """Name the statements that lock rows, or anything, of more than one vendor."""
    wrong = []
    for file, text in found:
        if LOCK.search(text) and not re.search(
            r"vendor_id (= %|= \w+\.vendor_id|= \$1)|intent_id = %s FOR UPDATE|FROM vendors WHERE id = %s", text
        ):
            wrong.append(f"{file}: {text.strip()}: lock one vendor's rows, WHERE vendor_id = …")
        if "pg_advisory" in text and file not in LOCKS_ACROSS | LOCKS_OF_ONE_VENDOR | ADVISORY_OF_OPERATORS:
            wrong.append(f"{file}: {text.strip()}: an advisory lock is held on one node only; lock a row of the vendor")
    return wrong


def writes_across(found: Iterator[tuple[str, str]], tables: set[str]) -> list[str]:
    """Name the statements that write to an ops table without naming a vendor."""
    return [
        f"{file}: {text.strip()}: write one vendor's rows"
        for file, text in found
        if (match := WRITE.match(text)) and match["table"] in tables and "vendor_id" not in text
    ]


def test_every_key_and_every_reference_starts_with_the_vendor(databases: Databases) -> None:
    with operating(databases, ops=True) as conn:
        keys = conn.execute(UNIQUE).fetchall()
        references = conn.execute(FOREIGN).fetchall()
    assert {row["on_table"] for row in keys} == set(migrating.metadata(Which.OPS).tables)
    assert {row["name"] for row in keys if row["first"] != "vendor_id"} == KEYED_BY_ANOTHER
    assert [row["name"] for row in references if row["first"] != "vendor_id"] == []


def test_no_statement_locks_or_writes_across_vendors() -> None:
    assert locks_across(statements()) == []
    assert writes_across(statements(), set(migrating.metadata(Which.OPS).tables)) == []
    assert sum(bool(LOCK.search(text)) for _, text in statements()) > 8, "the lint reads nothing"


@pytest.mark.parametrize(
    "statement",
    ["SELECT id FROM outbox ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED", "SELECT pg_advisory_xact_lock(1)", "DELETE FROM outbox"],
)
def test_a_planted_statement_is_found(statement: str) -> None:
    planted = ("router/new.py", statement)
    assert locks_across(iter([planted])) + writes_across(iter([planted]), {"outbox"})


def test_a_trigger_refuses_and_never_writes(databases: Databases) -> None:
    with operating(databases, ops=True) as conn:
        triggers = conn.execute(TRIGGERS).fetchall()
    assert len(triggers) > 10
    assert [row["name"] for row in triggers if WRITES.search(row["source"])] == []
    assert [row["name"] for row in triggers if "RAISE EXCEPTION" not in row["source"]] == []


def test_a_pooler_of_transactions_is_asked_for_what_docs_scaling_says(database_urls: dict[str, str]) -> None:
    told = (ROOT / "docs" / "scaling.md").read_text()
    for name, value in re.findall(r"-c (\w+)=(\w+)", str(CONNECT_SETTINGS["options"])):
        assert re.search(rf"{name} = '{value}'", told), f"{name} is sent as an option: PgBouncer drops it, so the role needs it"
    assert psycopg.capabilities.has_send_close_prepared(), "an older libpq says DEALLOCATE, unknown to PgBouncer"
    (most,) = re.findall(r"max_prepared_statements = (\d+)", told)
    with psycopg.connect(database_urls["ops"]) as conn:
        assert conn.prepared_max is not None
        assert conn.prepared_max <= int(most)
