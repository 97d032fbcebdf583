"""The databases we start ourselves when none are configured, and who stops them: the last process that uses them."""

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from router.roles import RUNTIME_ROLE
from soko.engines import (
    create_databases,
    open_postgres_home,
    postgres_runs,
    postgres_url,
    start_postgres,
    start_valkey,
    stop_postgres,
    stop_valkey,
    valkey_runs,
    valkey_url,
)
from soko.errors import NotReady
from soko.settings import Settings

DATABASES: Final = ("platform", "ops")
KEPT: Final = "kept"  # a file in the home: the engines stay up when their last user leaves


@dataclass(frozen=True, kw_only=True)
class Urls:
    """Where the servers of this run are, embedded or external: `platform` and `ops` as migrations, seeds and people use them.

    Web and workers log in to embedded ones as a role that owns nothing; for external ones the URL says as whom.
    """

    platform: str
    ops: str
    redis: str
    runtime_platform: str | None = None
    runtime_ops: str | None = None


@contextmanager
def engines(settings: Settings, *, postgres_options: Sequence[str] = (), keep: bool = False) -> Iterator[Urls]:
    """Give the servers for as long as the block runs; those that are not configured are our own, below SOKO_HOME.

    Every user holds a shared lock on `<home>/users.lock`. Who leaves and can then have it for itself was the last, and
    stops the engines. The system drops a killed process's lock, so that its engines belong to the next one that starts.

    Shape:  postgres_options like "fsync=off", one setting each, used when this call starts the server
            keep: nobody else uses them now, so let them outlive this block, until stop_kept()
    Errors: NotReady
    """
    if settings.platform_url and settings.ops_url and settings.redis_url:
        yield Urls(platform=settings.platform_url, ops=settings.ops_url, redis=settings.redis_url)
        return
    home = open_home(settings.home)
    with open_lock(home / "users.lock") as users:
        with locked(home / "start.lock"):
            alone = take(users)
            fcntl.flock(users, fcntl.LOCK_SH)
            urls = _start(home, settings, postgres_options)
            if keep and alone:
                (home / KEPT).touch()
        try:
            yield urls
        finally:
            with locked(home / "start.lock"):
                fcntl.flock(users, fcntl.LOCK_UN)
                if take(users) and not (home / KEPT).exists():
                    _stop(home)


def are_kept(settings: Settings) -> bool:
    """Tell whether the engines will outlive their users."""
    return (settings.home / KEPT).exists()


def revive(settings: Settings) -> bool:
    """Start again, for a user of the engines, what was killed under it; True when something had to be started."""
    if settings.platform_url and settings.ops_url and settings.redis_url:
        return False
    home = open_home(settings.home)
    own_postgres = not (settings.platform_url and settings.ops_url)
    if (not own_postgres or postgres_runs(open_postgres_home(home))) and (settings.redis_url or valkey_runs(home)):
        return False
    with locked(home / "start.lock"):
        _start(home, settings, ())
    return True


def stop_kept(settings: Settings) -> bool:
    """Stop the engines, kept or orphaned. False when a running process still uses them: they stop with it."""
    if not settings.home.is_dir():
        return True
    home = open_home(settings.home)
    with open_lock(home / "users.lock") as users, locked(home / "start.lock"):
        (home / KEPT).unlink(missing_ok=True)
        if not take(users):
            return False
        _stop(home)
        return True


def open_home(directory: Path) -> Path:
    """Make the home and return its real path. Only its owner may use it: other users could not read what we write there."""
    # Root's PostgreSQL runs as `nobody`, which has to pass through; everything below has mode 0700.
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        directory.mkdir(mode=mode, parents=True, exist_ok=True)
    except OSError as error:
        raise NotReady(f"SOKO_HOME cannot be made: {error}. Set it to a directory that you may write.") from error
    owner = directory.stat().st_uid
    if owner != os.geteuid():
        raise NotReady(
            f"SOKO_HOME ({directory.absolute()}) belongs to user number {owner}, and this is user number {os.geteuid()}."
            " Run Soko as its owner, or set SOKO_HOME to another directory."
        )
    return directory.resolve()


@contextmanager
def locked(path: Path, *, seconds: float = 120) -> Iterator[None]:
    """Hold a file's lock: one process at a time starts or stops engines."""
    with open_lock(path) as file:
        end = time.monotonic() + seconds
        while not take(file):
            if time.monotonic() > end:
                raise NotReady(f"Another process has been starting or stopping the engines for {seconds:.0f} s; it holds {path}.")
            time.sleep(0.02)
        yield


def open_lock(path: Path) -> IO[bytes]:
    """Open a lock file that other users of the machine cannot open, and so cannot hold."""
    path.touch(mode=0o600)
    return path.open("ab")


def take(file: IO[bytes]) -> bool:
    """Take the lock for ourselves unless somebody else holds it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start(home: Path, settings: Settings, postgres_options: Sequence[str]) -> Urls:
    """Start what is not configured. Both directories are checked before anything starts."""
    started = False
    redis, own, runtime = settings.redis_url, {}, {}
    with ExitStack() as undo:
        if not (settings.platform_url and settings.ops_url):
            place = open_postgres_home(home)
            undo.callback(stop_postgres, place)
            started |= start_postgres(place, options=postgres_options)
            create_databases(place, DATABASES)
            own = {name: postgres_url(place, name) for name in DATABASES}
            runtime = {name: postgres_url(place, name, user=RUNTIME_ROLE) for name in DATABASES}
        if not redis:
            started |= start_valkey(home)
            redis = valkey_url(home)
        undo.pop_all()
    if started:
        (home / KEPT).unlink(missing_ok=True)  # it spoke of engines that are gone
    return Urls(
        platform=settings.platform_url or own["platform"],
        ops=settings.ops_url or own["ops"],
        redis=redis,
        runtime_platform=settings.platform_url or runtime["platform"],
        runtime_ops=settings.ops_url or runtime["ops"],
    )


def _stop(home: Path) -> None:
    stop_valkey(home)
    if (home / "postgres").is_dir():
        stop_postgres(open_postgres_home(home))
