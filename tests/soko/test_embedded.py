import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from soko.embedded import Urls, are_kept, engines, revive, stop_kept
from soko.errors import NotReady
from soko.settings import Settings
from tests.servers import FAST

ROOT = Path(__file__).parents[2]
USER = """
import sys
from pathlib import Path
from soko.embedded import engines
from soko.settings import Settings

with engines(Settings(_env_file=None, home=Path(sys.argv[1])), postgres_options=sys.argv[2:]) as urls:
    print(urls.ops, flush=True)
    sys.stdin.readline()
"""


class User:
    """Another process that uses the engines until it is told to leave."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, home, *FAST], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def await_start(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def leave(self) -> None:
        self.process.communicate("\n", timeout=20)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def start_user(home: Path) -> Iterator[Callable[[], User]]:
    users: list[User] = []

    def start() -> User:
        users.append(User(home))
        return users[-1]

    yield start
    for user in users:
        user.kill()


def settings_of(home: Path) -> Settings:
    return Settings(_env_file=None, home=home)


@contextmanager
def fast_engines(home: Path) -> Iterator[Urls]:
    with engines(settings_of(home), postgres_options=FAST) as urls:
        yield urls


def postmaster(home: Path) -> int:
    return int((home / "postgres/data/postmaster.pid").read_text().split()[0])


def valkey(home: Path) -> int:
    return int((home / "valkey/valkey.pid").read_text())


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def await_end(pid: int) -> None:
    end = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < end, f"process {pid} still runs"
        time.sleep(0.02)


def test_both_databases_and_redis_answer(home: Path) -> None:
    with fast_engines(home) as urls:
        for url, name in ((urls.platform, "platform"), (urls.ops, "ops")):
            with psycopg.connect(url) as conn:
                assert conn.execute("SELECT current_database()").fetchone() == (name,)
        with redis.Redis.from_url(urls.redis) as client:
            assert client.config_get("appendonly") == {"appendonly": "yes"}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_processes_that_start_at_once_share_the_engines_and_the_last_one_stops_them(
    home: Path, start_user: Callable[[], User]
) -> None:
    first, second = start_user(), start_user()
    url = first.await_start()
    assert second.await_start() == url
    server, queue = postmaster(home), valkey(home)
    first.leave()
    with psycopg.connect(url) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    assert is_running(queue)
    second.leave()
    await_end(server)
    await_end(queue)


def test_engines_of_a_killed_process_are_taken_over_and_then_stopped(home: Path, start_user: Callable[[], User]) -> None:
    user = start_user()
    user.await_start()
    server = postmaster(home)
    user.kill()
    assert is_running(server)
    with fast_engines(home):
        assert postmaster(home) == server
    await_end(server)


def test_data_survives_engines_that_are_killed(home: Path) -> None:
    with fast_engines(home) as urls:
        with psycopg.connect(urls.ops) as conn:
            conn.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        with redis.Redis.from_url(urls.redis) as client:
            client.set("kept", "42")
            client.execute_command("WAITAOF", 1, 0, 5000)
        for pid in (postmaster(home), valkey(home)):
            os.kill(pid, signal.SIGKILL)
            await_end(pid)
    with fast_engines(home) as urls:
        with psycopg.connect(urls.ops) as conn:
            assert conn.execute("SELECT answer FROM kept").fetchone() == (42,)
        with redis.Redis.from_url(urls.redis) as client:
            assert client.get("kept") == b"42"


def test_half_made_data_is_made_again(home: Path) -> None:
    data = home / "postgres/data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18\n")
    with fast_engines(home) as urls, psycopg.connect(urls.platform) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)


def test_pid_files_that_name_somebody_else_do_not_matter(home: Path) -> None:
    with fast_engines(home):
        lines = (home / "postgres/data/postmaster.pid").read_text().splitlines()
    (home / "postgres/data/postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]))
    (home / "valkey/valkey.pid").write_text(str(os.getpid()))
    with fast_engines(home) as urls, psycopg.connect(urls.ops) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
        assert postmaster(home) != os.getpid()


def test_kept_engines_outlive_their_users_until_they_are_told_to_stop(home: Path) -> None:
    settings = settings_of(home)
    with engines(settings, postgres_options=FAST, keep=True):
        assert are_kept(settings)
        assert not stop_kept(settings), "in use: they stop with their user"
        assert not are_kept(settings)
    with engines(settings, postgres_options=FAST, keep=True):
        pass
    server, queue = postmaster(home), valkey(home)
    assert is_running(server)
    assert is_running(queue)
    assert stop_kept(settings)
    await_end(server)
    await_end(queue)


def test_engines_that_somebody_runs_are_not_kept_by_a_visitor(home: Path) -> None:
    settings = settings_of(home)
    with fast_engines(home):
        server = postmaster(home)
        with engines(settings, keep=True):
            assert not are_kept(settings)
        assert is_running(server)
    await_end(server)


def test_engines_killed_under_their_user_are_revived(home: Path) -> None:
    settings = settings_of(home)
    with fast_engines(home) as urls:
        assert not revive(settings)
        for killed in (postmaster(home), valkey(home)):
            os.kill(killed, signal.SIGKILL)
            await_end(killed)
        assert revive(settings)
        with psycopg.connect(urls.ops) as conn, redis.Redis.from_url(urls.redis) as client:
            assert conn.execute("SELECT 1").fetchone() == (1,)
            assert client.ping()


def test_a_note_about_kept_engines_ends_with_them(home: Path) -> None:
    settings = settings_of(home)
    with engines(settings, postgres_options=FAST, keep=True):
        pass
    assert are_kept(settings)
    os.kill(postmaster(home), signal.SIGKILL)
    await_end(postmaster(home))
    with fast_engines(home):
        server = postmaster(home)
    await_end(server)


def test_too_long_a_home_is_refused_by_name(home: Path) -> None:
    deep = home / ("d" * 60) / ("e" * 30)
    with pytest.raises(NotReady, match=r"SOKO_HOME is too long: .* 107 bytes.*Set SOKO_HOME to a shorter") as refusal:
        engines(settings_of(deep)).__enter__()
    assert str(deep) in str(refusal.value)


def test_external_servers_need_no_home(home: Path) -> None:
    outside = Settings(
        _env_file=None, home=home / "unmade", platform_url="postgresql://a/p", ops_url="postgresql://a/o", redis_url="redis://a"
    )
    with engines(outside) as urls:
        assert urls == Urls(platform="postgresql://a/p", ops="postgresql://a/o", redis="redis://a")
    assert not (home / "unmade").exists()
    assert not are_kept(outside)


def test_each_server_is_external_or_embedded_by_itself(home: Path) -> None:
    settings = Settings(_env_file=None, home=home, platform_url="postgresql://a/p", ops_url="postgresql://a/o")
    with engines(settings) as urls, redis.Redis.from_url(urls.redis) as client:
        assert urls.platform == "postgresql://a/p"
        assert client.ping()
        assert not (home / "postgres").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a home away")
def test_the_home_of_another_user_is_refused(home: Path) -> None:
    os.chown(home, 65533, 65533)
    with pytest.raises(NotReady, match=r"belongs to user number 65533.*set SOKO_HOME"):
        engines(settings_of(home)).__enter__()
    os.chown(home, 0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
def test_root_below_a_closed_directory_keeps_the_data_elsewhere(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    hidden = closed / ".soko"
    with fast_engines(hidden) as urls, psycopg.connect(urls.ops) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)
    data = (hidden / "postgres").resolve()
    assert data.parent == Path("/var/lib/soko")
    assert data.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(data)
    with fast_engines(hidden) as urls, psycopg.connect(urls.ops) as conn:
        assert conn.execute("SELECT 1").fetchone() == (1,)  # the link leads nowhere: start anew
    shutil.rmtree((hidden / "postgres").resolve())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives directories away")
def test_root_follows_no_link_that_soko_did_not_make(home: Path) -> None:
    with tempfile.TemporaryDirectory() as precious:
        (home / "postgres").symlink_to(precious)
        with pytest.raises(NotReady, match="which Soko did not make"):
            engines(settings_of(home)).__enter__()
        assert Path(precious).stat().st_uid == 0
    (home / "postgres").unlink()


def test_an_engine_that_cannot_start_shows_its_log_and_leaves_nothing_running(home: Path) -> None:
    with fast_engines(home):
        pass
    with pytest.raises(NotReady, match=r"PostgreSQL does not start(.|\n)*no_such_setting"):
        engines(settings_of(home), postgres_options=["no_such_setting=1"]).__enter__()
    assert stop_kept(settings_of(home))
