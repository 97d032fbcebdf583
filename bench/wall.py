"""What row-level security costs a turn: the same statements with and without it, taking turns. Run by `./run bench wall`."""

import logging
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog
from psycopg import Connection
from psycopg.rows import DictRow

from bench.turns import VENDOR, build_turns, take_bare_turn
from router.databases import SHARED, Databases, OpsTarget
from router.ids import VendorId
from soko.embedded import engines
from soko.settings import Settings
from soko.up import prepare

ROUNDS: Final = 40
EACH: Final = 25


class _WithoutWall(Databases):
    """As the owner, whom nothing binds, and without naming a vendor."""

    def _step_down(self, conn: Connection[DictRow], target: OpsTarget | None) -> None:
        pass

    @contextmanager
    def ops(self, vendor_id: VendorId) -> Iterator[Connection[DictRow]]:
        del vendor_id
        with self.across(SHARED) as conn:
            yield conn


def main() -> None:
    """Measure and write bench/wall.md."""
    with tempfile.TemporaryDirectory(prefix="soko-bench-") as home:
        Path(home).chmod(0o711)
        settings = Settings(_env_file=None, home=Path(home))
        with engines(settings) as urls:
            prepare(settings, urls)
            kinds = {
                kind: made(platform_url=urls.platform, ops_url=urls.ops, resolve_secret=settings.open_secret)
                for kind, made in (("without", _WithoutWall), ("with", Databases))
            }
            structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
            turns = {databases: build_turns(databases) for databases in kinds.values()}
            for what, work in (
                ("empty transaction", _empty),
                ("bare SQL of a turn", lambda databases: take_bare_turn(databases, 1)),
                ("whole turn", lambda databases: turns[databases](1 + (databases is kinds["with"]))),
            ):
                times = {kind: [] for kind in kinds}
                for _ in range(ROUNDS):
                    for kind, databases in kinds.items():
                        times[kind].append(_time(work, databases))
                _note(what, times)
            for databases in kinds.values():
                databases.close()
    _write()


def _empty(databases: Databases) -> None:
    with databases.ops(VENDOR) as conn:
        conn.execute("SELECT 1")


def _time(work: Callable[[Databases], None], databases: Databases) -> float:
    """Microseconds of one piece of work, over EACH of them."""
    begin = time.perf_counter()
    for _ in range(EACH):
        work(databases)
    return (time.perf_counter() - begin) / EACH * 1e6


ROWS: Final[list[str]] = []


def _note(what: str, times: dict[str, list[float]]) -> None:
    without, with_it = (statistics.median(times[kind]) for kind in ("without", "with"))
    ratio = statistics.median(b / a for a, b in zip(times["without"], times["with"], strict=True))
    ROWS.append(f"| {what} | {without:,.0f} | {with_it:,.0f} | {ratio:.2f} |")


def _write() -> None:
    head = "# The second wall\n\nMade by `./run bench wall`; compare the columns with each other, not with another machine.\n\n"
    lines = ["| what | µs without | µs with | median of the ratios |", "|---|---|---|---|", *ROWS]
    text = "\n".join(lines) + "\n"
    print(text)  # noqa: T201 - the point of it
    (Path(__file__).parent / "wall.md").write_text(head + text)


if __name__ == "__main__":
    main()
