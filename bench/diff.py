"""How long `soko flow diff` takes for a week of conversations, and how much of that is reading them.

`./run bench diff` prints a table and writes bench/diff.md. A few conversations are taken for real, then copied a thousandfold.
"""

import tempfile
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Final

from bench.turns import NUMBER, VENDOR
from conversation.authoring.differences import compare
from conversation.kept_turns import read_since
from conversation.live_flows import LiveFlows
from conversation.turn import Turns
from conversation.whatsapp.inbound import Incoming, Text
from router.databases import SHARED, Databases
from router.wakeups import Wakeups
from soko.assembly import load_flows
from soko.embedded import engines
from soko.settings import Settings
from soko.up import prepare

SAID: Final = (
    "Habari",
    "2 unga na 1 sukari na 1 kuku",
    "toa sukari",
    "msaada",
    "sawa",
    "lini?",
    "PAY",
    "cart",
    "agent",
    "cancel",
)
CUSTOMERS: Final = 20
CONVERSATIONS: Final = 1_000
NOW: Final = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
COPY: Final = """
    WITH copies AS (
      SELECT vendor_id, conversation_id, gen_random_uuid() AS copy
      FROM (SELECT DISTINCT vendor_id, conversation_id FROM turns) AS known, generate_series(2, %s)
    )
    INSERT INTO turns
    SELECT vendor_id, copy, turn, at, bundle, shelf, record FROM turns JOIN copies USING (vendor_id, conversation_id)
    """


def main() -> None:
    """Measure and write down."""
    with tempfile.TemporaryDirectory(prefix="soko-bench-") as home:
        Path(home).chmod(0o711)
        settings = Settings(_env_file=None, home=Path(home))
        with engines(settings) as urls:
            prepare(settings, urls)
            databases = Databases(platform_url=urls.platform, ops_url=urls.ops, resolve_secret=settings.open_secret)
            _talk(databases)
            since = NOW - timedelta(days=7)
            began = time.perf_counter()
            turns = sum(len(kept) for kept, _ in read_since(databases, since))
            read = time.perf_counter() - began
            began = time.perf_counter()
            compared = compare(read_since(databases, since), load_flows())
            seconds = time.perf_counter() - began
            databases.close()
    _write(compared.conversations, turns, read, seconds)


def _talk(databases: Databases) -> None:
    clock = count()
    turns = Turns(
        databases=databases,
        flows=LiveFlows(load_flows()),
        wakeups=Wakeups(None),
        clock=lambda: NOW + timedelta(seconds=next(clock)),
    )
    for customer in range(CUSTOMERS):
        for n, said in enumerate(SAID):
            update = Incoming(
                wamid=f"wamid.{customer}.{n}",
                phone_number_id=NUMBER,
                sender_phone=f"2547000{customer:05}",
                sender_bsuid=None,
                name="Mteja",
                sent_at=NOW,
                utterance=Text(text=said),
                raw={"n": n},
            )
            turns.accept([update])
    with databases.ops(VENDOR) as conn:
        conn.execute(COPY, (CONVERSATIONS // CUSTOMERS,))
    with databases.across(SHARED) as conn:
        conn.execute("SET LOCAL ROLE NONE")
        conn.execute("ANALYZE turns")


def _write(conversations: int, turns: int, read: float, seconds: float) -> None:
    rows = [
        "| what | seconds |",
        "|---|---|",
        f"| read {conversations:,} conversations, {turns:,} turns | {read:.1f} |",
        f"| the same, taken again and compared | {seconds:.1f} |",
        "",
        f"{turns / seconds:,.0f} turns a second; reading them is {read / seconds:.0%} of it.",
    ]
    text = "\n".join(rows) + "\n"
    print(text)  # noqa: T201 - the point of it
    head = "# Diff\n\nMade by `./run bench diff`; 1,000 conversations shall take less than a minute.\n\n"
    (Path(__file__).parent / "diff.md").write_text(head + text)


if __name__ == "__main__":
    main()
