"""How long a vendor's messages wait while it moves, by how much it has, and whether kill -9 at every step loses anything.

`./run bench move` runs `soko vendor move` itself, under a writer, and writes bench/move.md.
"""

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import uuid4

from bench.turns import VENDOR
from router.clock import utc_now
from router.databases import Databases
from router.errors import Unavailable
from soko.embedded import engines
from soko.settings import Settings
from soko.up import prepare

STEPS: Final = 6
SIZES: Final = (1_000, 10_000, 50_000)
FILL: Final = "INSERT INTO usage_records SELECT %s, 'm', gen_random_uuid()::text, 1, now() FROM generate_series(1, %s)"


@dataclass
class Writer:
    """One who sells all the time; `longest` is the longest that one write took."""

    databases: Databases
    written: set[str] = field(default_factory=set)
    longest: float = 0.0
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Write until told to stop."""
        begun = time.perf_counter()
        while not self.stop.is_set():
            key = str(uuid4())
            with suppress(Unavailable), self.databases.ops(VENDOR) as conn:
                conn.execute("INSERT INTO usage_records VALUES (%s, 'written', %s, 1, %s)", (VENDOR, key, utc_now()))
            self.written.add(key) if self._is_there(key) else None
            self.longest = max(self.longest, time.perf_counter() - begun)
            begun = time.perf_counter()

    def _is_there(self, key: str) -> bool:
        with suppress(Unavailable), self.databases.ops(VENDOR) as conn:
            return conn.execute("SELECT FROM usage_records WHERE key = %s", (key,)).rowcount == 1
        return False


def main() -> None:
    """Measure and write down."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="soko-bench-") as home:
        Path(home).chmod(0o711)
        settings = Settings(_env_file=None, home=Path(home))
        with engines(settings) as urls:
            prepare(settings, urls)
            environment = {
                **os.environ,
                "SOKO_HOME": home,
                "SOKO_PLATFORM_URL": urls.platform,
                "SOKO_OPS_URL": urls.ops,
                "SOKO_REDIS_URL": urls.redis,
                "NO_COLOR": "1",
            }
            own = re.sub(r"/soko_ops\b|/ops\b", "/tenant_bench", urls.ops)
            for number, size in enumerate(SIZES):
                databases = Databases(platform_url=urls.platform, ops_url=urls.ops, resolve_secret=settings.open_secret)
                writer = Writer(databases)
                with databases.ops(VENDOR) as conn:
                    conn.execute(FILL, (VENDOR, size - SIZES[number - 1] if number else size))
                rows.append(_there_and_back(environment, own, writer, size, kills=number == 0))
                databases.close()
    _write(rows)


def _there_and_back(environment: dict[str, str], own: str, writer: Writer, size: int, *, kills: bool) -> str:
    thread = threading.Thread(target=writer.run)
    thread.start()
    killed = 0
    if kills:
        for step in range(1, STEPS):
            killed += _move(environment, own, kill_after=step) is None
    writer.longest = 0.0
    begun = time.perf_counter()
    said = _move(environment, own) or ""
    lasted, longest = time.perf_counter() - begun, writer.longest
    writer.stop.set()
    thread.join()
    with writer.databases.ops(VENDOR) as conn:
        kept = {row["key"] for row in conn.execute("SELECT key FROM usage_records WHERE meter = 'written'")}
    lost = len(writer.written - kept)
    back = _move(environment, "shared") or ""
    waits = [float(found) for found in re.findall(r"messages waited ([\d.]+) s", said + back)]
    return (
        f"| {size:,} | {killed} | {lasted:.1f} | {waits[0]:.2f} | {waits[1]:.2f} | {longest:.2f} | {len(writer.written):,} "
        f"| {lost} |"
    )


def _move(environment: dict[str, str], to: str, *, kill_after: int | None = None) -> str | None:
    """Run the command; None when it was killed after so many of a move's own lines."""
    command = [sys.executable, "-m", "soko", "vendor", "move", str(VENDOR), "--to", to]
    process = subprocess.Popen(command, env={**environment, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True)
    said, steps = "", 0
    for line in process.stdout or ():
        said += line
        steps += bool(re.match(r"from |copied|caught up|compared|moved", line))
        if kill_after is not None and steps == kill_after:
            process.kill()
            process.wait()
            return None
    if process.wait():
        raise SystemExit(said)
    return said


def _write(rows: list[str]) -> None:
    head = "| rows | killed with -9 before | seconds | waited there | waited back | longest write | writes | lost |"
    text = "\n".join([head, "|---|---|---|---|---|---|---|---|", *rows]) + "\n"
    print(text)  # noqa: T201 - the point of it
    intro = """# Moving a vendor

Made by `./run bench move`: `soko vendor move` to a database of its own and back while one thread writes; compare the rows with
each other, not with another machine. *waited* is what the command says that messages had to wait, *longest write* what the writer
saw of it, the reconnecting included. Before the first one the command was killed after each of its steps and begun again.

"""
    (Path(__file__).parent / "move.md").write_text(intro + text)


if __name__ == "__main__":
    main()
