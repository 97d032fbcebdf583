"""What sealing phone numbers costs: the same turns with and without it, taking turns. Run by `./run bench phones`."""

import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final
from uuid import uuid4

from psycopg import sql

from bench.turns import NOW, NUMBER, VENDOR
from conversation.live_flows import LiveFlows
from conversation.turn import Turns
from conversation.whatsapp.inbound import Incoming, Text
from router import customers
from router.databases import Databases
from router.sealed import Sealer
from router.wakeups import Wakeups
from router.work import unit_of_work
from soko.clock import utc_now
from soko.embedded import engines
from soko.settings import Settings
from soko.up import prepare
from tests.flows import load_flows

ROUNDS: Final = 40
EACH: Final = 20
PEOPLE: Final = 50
SAID: Final = ("Habari", "2 unga na 1 sukari", "toa sukari", "nipigie 0712345678")
TABLES: Final = ("customers", "conversations", "inbox", "outbox", "turns", "usage_records")
KINDS: Final = ("open", "sealed")


def main() -> None:
    """Measure and write bench/phones.md. Each kind has databases of its own, on one server, that grow alike."""
    with tempfile.TemporaryDirectory(prefix="soko-bench-") as home:
        Path(home).chmod(0o711)
        settings = Settings(_env_file=None, home=Path(home))
        with engines(settings) as urls:
            prepare(settings, urls)
            opened = {
                kind: Databases(
                    platform_url=urls.platform,
                    ops_url=urls.ops,
                    resolve_secret=settings.open_secret,
                    sealer=Sealer(settings.open_phone_keys) if kind == "sealed" else None,
                )
                for kind in KINDS
            }
            rows = [
                _compare(
                    "a whole turn", {kind: _turn(databases, people) for people, (kind, databases) in enumerate(opened.items())}
                ),
                _compare(
                    "find a customer by phone",
                    {kind: _find(databases, people) for people, (kind, databases) in enumerate(opened.items())},
                ),
            ]
            sealer = Sealer(settings.open_phone_keys)
            numbers = count()
            plain = _compare(
                "seal a number never seen", {"open": lambda: None, "sealed": lambda: sealer.seal(f"2547{next(numbers):08}")}
            )
            sizes = _sizes(opened["open"])
            for databases in opened.values():
                databases.close()
    _write([*rows, plain], sizes)


def _phone(people: int, n: int) -> str:
    return f"2547{people}{n % PEOPLE:07}"


def _turn(databases: Databases, people: int) -> Callable[[], None]:
    turns = Turns(databases=databases, flows=LiveFlows(load_flows()), wakeups=Wakeups(None), clock=utc_now)
    numbers = count()

    def take() -> None:
        n = next(numbers)
        phone = _phone(people, n)
        raw = {"entry": [{"changes": [{"value": {"contacts": [{"wa_id": phone}], "messages": [{"from": phone, "id": str(n)}]}}]}]}
        turns.accept(
            [
                Incoming(
                    wamid=f"wamid.{uuid4().hex}{uuid4().hex[:20]}",
                    phone_number_id=NUMBER,
                    sender_phone=phone,
                    sender_bsuid=None,
                    name="Mteja",
                    sent_at=NOW,
                    utterance=Text(text=SAID[n % len(SAID)]),
                    raw=raw,
                )
            ]
        )

    return take


def _find(databases: Databases, people: int) -> Callable[[], None]:
    numbers = count()

    def find() -> None:
        with unit_of_work(databases, VENDOR) as work:
            customers.recognise(work, phone=_phone(people, next(numbers)), bsuid=None, name=None, now=NOW)

    return find


def _compare(what: str, works: dict[str, Callable[[], None]]) -> tuple[str, float, float, float]:
    """Time both kinds by turns: medians in microseconds, and the median of the ratios of each round."""
    times: dict[str, list[float]] = {kind: [] for kind in works}
    for work in works.values():
        for _ in range(PEOPLE):
            work()
    for _ in range(ROUNDS):
        for kind, work in works.items():
            begin = time.perf_counter()
            for _ in range(EACH):
                work()
            times[kind].append((time.perf_counter() - begin) / EACH * 1e6)
    ratios = [sealed / opened for opened, sealed in zip(times["open"], times["sealed"], strict=True)]
    return what, statistics.median(times["open"]), statistics.median(times["sealed"]), statistics.median(ratios)


def _sizes(databases: Databases) -> list[tuple[str, float, float]]:
    """Bytes of a row as stored, by table: of customers whose number stands there open, and of the others."""
    found = []
    with databases.ops(VENDOR) as conn:
        for table in TABLES:
            query = sql.SQL(
                "SELECT avg(octet_length(t::text)) FILTER (WHERE t::text !~ 'sealed[.]') AS open,"
                " avg(octet_length(t::text)) FILTER (WHERE t::text ~ 'sealed[.]') AS sealed FROM {} t"
            ).format(sql.Identifier(table))
            row = conn.execute(query).fetchone() or {}
            found.append((table, float(row["open"] or 0), float(row["sealed"] or 0)))
    return found


def _write(rows: list[tuple[str, float, float, float]], sizes: list[tuple[str, float, float]]) -> None:
    lines = [
        "# Phone numbers, open and sealed",
        "",
        "Made by `./run bench phones`; compare the columns with each other, not with another machine.",
        "",
        "| what | µs open | µs sealed | median of the ratios |",
        "|---|---|---|---|",
        *(
            f"| {what} | {opened:,.1f} | {sealed:,.1f} | {f'{ratio:.2f}' if opened > 1 else '-'} |"
            for what, opened, sealed, ratio in rows
        ),
        "",
        "| a row of | bytes open | bytes sealed |",
        "|---|---|---|",
        *(f"| {table} | {opened:,.0f} | {f'{sealed:,.0f}' if sealed else '-'} |" for table, opened, sealed in sizes),
    ]
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")
    print(*lines, sep="\n")  # noqa: T201 — its output


if __name__ == "__main__":
    main()
