import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest
import typer
from typer.testing import CliRunner, Result

from router.errors import Broken, Refused, Unavailable
from soko.cli import app
from soko.cli.failures import CarefulGroup
from soko.errors import NotReady
from tests.servers import scratch_database

ROOT = Path(__file__).parents[2]
SLOW = {"alembic", "fastapi", "httpx", "psycopg", "pydantic", "pywa", "redis", "rich.console", "rq", "sqlalchemy", "uvicorn"}


def soko(*arguments: str, environment: Mapping[str, str] | None = None, typed: str | None = None) -> Result:
    """Run a command in this process: a new one would spend a second on imports."""
    return invoke(app, *arguments, environment=environment, typed=typed)


def invoke(
    program: typer.Typer, *arguments: str, environment: Mapping[str, str] | None = None, typed: str | None = None
) -> Result:
    before = signal.getsignal(signal.SIGTERM)
    try:
        return CliRunner().invoke(program, arguments, env=environment, input=typed)
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_command_line_imports_nothing_slow() -> None:
    script = "import sys, soko.cli; print(*sorted(set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert SLOW.isdisjoint(found.stdout.split())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotReady("set SOKO_HOME"), 3),
        (Unavailable("the database is away"), 3),
        (Refused("unknown_vendor", "there is no such vendor"), 1),
        (Broken("not migrated"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_our_errors_become_one_paragraph_and_an_exit_code(error: BaseException, code: int) -> None:
    failing = typer.Typer(cls=CarefulGroup)

    @failing.callback()
    def group() -> None: ...

    @failing.command()
    def fail() -> None:
        raise error

    result = invoke(failing, "fail")
    assert result.exit_code == code
    assert str(error) in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_incomplete_production_ends_with_3_and_no_trace() -> None:
    command = [sys.executable, "-m", "soko", "config", "show"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "SOKO_ENV": "production"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "SOKO_WHATSAPP_APP_SECRET is missing" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_bad_usage_ends_with_2() -> None:
    assert soko("db", "url", "tenant").exit_code == 2
    assert soko("db", "url", "moon").exit_code == 2
    assert soko("migrate", "tenant", environment={"DATABASE_URL": ""}).exit_code == 2


def test_version_and_settings_are_one_json_object_each() -> None:
    assert json.loads(soko("version", "--json").stdout)["soko"] == "0.1.0"
    shown = json.loads(soko("config", "show", "--json").stdout)
    assert shown["schema"] == 1
    assert {"name", "value", "source", "about"} == set(shown["settings"][0])


def test_every_command_says_what_it_does() -> None:
    result = soko("--help")
    assert result.exit_code == 0
    for command in ("config", "db", "down", "migrate", "seed", "version"):
        assert command in result.stdout


def test_db_url_is_what_psql_needs_and_down_ends_it(home: Path) -> None:
    environment = {"SOKO_HOME": str(home)}
    done = soko("db", "url", "ops", environment=environment)
    assert "`soko down` stops them" in done.stderr
    with psycopg.connect(done.stdout.strip()) as conn:
        assert conn.execute("SELECT current_database()").fetchone() == ("ops",)
    assert soko("down", environment=environment).exit_code == 0
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(done.stdout.strip())


def test_migrate_and_seed_can_be_repeated_and_tenants_have_the_ops_tables(home: Path) -> None:
    environment = {"SOKO_HOME": str(home)}
    url = soko("db", "url", "platform", environment=environment).stdout.strip()
    first = soko("migrate", environment=environment)
    assert first.exit_code == 0, first.stderr
    assert "already at" not in first.stdout
    assert soko("migrate", "ops", environment=environment).stdout.startswith("ops: already at")
    assert "vendors" in soko("seed", "platform", environment=environment).stdout
    assert soko("seed", "platform", environment=environment).stdout == "platform: nothing to do\n"
    with scratch_database(url, "tenant") as tenant, psycopg.connect(url) as conn:
        done = soko("migrate", "tenant", environment=environment | {"DATABASE_URL": tenant})
        assert done.exit_code == 0, done.stderr
        target = {"type": "postgres", "host": str(home / "postgres"), "database": conn.info.dbname, "user": "postgres"}
        target["database"] = tenant.partition("?")[0].rpartition("/")[2]
        row = conn.execute(
            "INSERT INTO vendors (id, name, isolation_level, db_target, created_at, updated_at)"
            " VALUES (gen_random_uuid(), 'ACME', 'dedicated_db', %s, now(), now()) RETURNING id",
            (json.dumps(target),),
        ).fetchone()
        conn.commit()
        assert row is not None
        found = soko("db", "url", "tenant", str(row[0]), environment=environment)
        assert found.exit_code == 0, found.stderr
        with psycopg.connect(found.stdout.strip()) as dedicated:
            assert dedicated.execute("SELECT count(*) FROM orders").fetchone() == (0,)


def test_a_terminated_command_stops_the_engines_it_started(home: Path) -> None:
    script = "import sys; sys.argv = ['soko', 'wait']\n" + WAIT
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "SOKO_HOME": str(home)}, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    end = time.monotonic() + 5
    while (home / "postgres/data/postmaster.pid").exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not (home / "postgres/data/postmaster.pid").exists()


WAIT = """
import signal
from soko.cli import app

@app.command()
def wait() -> None:
    from soko.embedded import engines
    from soko.settings import load_settings

    with engines(load_settings(), postgres_options=["fsync=off"]):
        print("started", flush=True)
        signal.pause()

app()
"""
