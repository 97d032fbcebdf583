"""How fast a whole turn is, beside the bare SQL of a turn and beside the engine's own step, in one run.

`./run bench turns` prints a table and writes bench/turns.md. Embedded PostgreSQL, fsync on, one process, one customer each.
"""

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from conversation.engine.context import Context
from conversation.engine.events import Said
from conversation.engine.lexicon import build_lexicon
from conversation.engine.snapshot import Snapshot
from conversation.engine.step import step
from conversation.live_flows import LiveFlows
from conversation.turn import Turns
from conversation.whatsapp.inbound import Incoming, Text
from router.databases import Databases
from router.ids import VendorId
from router.json_values import to_jsonb
from router.wakeups import Wakeups
from soko.assembly import load_flows
from soko.clock import utc_now
from soko.embedded import engines
from soko.settings import Settings
from soko.up import prepare

VENDOR: Final = VendorId(UUID("c7af4716-f9ab-465d-9afb-f1047bf37a40"))
NUMBER: Final = "100000000000001"
SAID: Final = ("Habari", "2 unga na 1 sukari", "toa sukari", "msaada")
TURNS: Final = 1200
NOW: Final = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def main() -> None:
    """Measure and write down."""
    with tempfile.TemporaryDirectory(prefix="soko-bench-") as home:
        Path(home).chmod(0o711)
        settings = Settings(_env_file=None, home=Path(home))
        with engines(settings) as urls:
            prepare(settings, urls)
            databases = Databases(platform_url=urls.platform, ops_url=urls.ops, resolve_secret=settings.open_secret, pool_size=16)
            rows = [
                ("bare SQL of a turn, 1 at a time", _rate(lambda n: take_bare_turn(databases, n), at_once=1)),
                ("whole turn, 1 at a time", _rate(build_turns(databases), at_once=1)),
                ("bare SQL of a turn, 8 at a time", _rate(lambda n: take_bare_turn(databases, n), at_once=8)),
                ("whole turn, 8 at a time", _rate(build_turns(databases), at_once=8)),
                ("engine step alone", _rate(_steps(), at_once=1)),
            ]
            databases.close()
    _write(rows)


def _rate(work: Callable[[int], None], *, at_once: int) -> float:
    """Turns a second over TURNS turns, after some to warm up. Each of `at_once` threads is a customer of its own."""
    each = TURNS // at_once

    def run(customer: int) -> None:
        for _ in range(each):
            work(customer)

    with ThreadPoolExecutor(at_once) as pool:
        list(pool.map(lambda customer: [work(customer) for _ in range(8)], range(at_once)))
        begin = time.perf_counter()
        list(pool.map(run, range(at_once)))
        return each * at_once / (time.perf_counter() - begin)


def build_turns(databases: Databases) -> Callable[[int], None]:
    """Take turns one after another, with what each customer says in its order; call it with the number of a customer."""
    turns = Turns(databases=databases, flows=LiveFlows(load_flows()), wakeups=Wakeups(None), clock=utc_now)
    numbers = count()
    run = uuid4().hex

    def take(customer: int) -> None:
        n = next(numbers)
        turns.accept(
            [
                Incoming(
                    wamid=f"wamid.{run}.{n}",
                    phone_number_id=NUMBER,
                    sender_phone=f"2547000{customer:05}",
                    sender_bsuid=None,
                    name="Mteja",
                    sent_at=NOW,
                    utterance=Text(text=SAID[n % len(SAID)]),
                    raw={"n": n},
                )
            ]
        )

    return take


def take_bare_turn(databases: Databases, customer: int) -> None:
    """The least a turn must write: inbox, conversation lock and snapshot, outbox; one statement a round trip."""
    key, now = uuid4().hex, utc_now()
    with databases.ops(VENDOR) as conn:
        found = conn.execute(
            "SELECT v.id FROM conversations v JOIN customers c USING (vendor_id) WHERE v.vendor_id = %s AND c.phone = %s"
            " AND c.id = v.customer_id FOR UPDATE OF v",
            (VENDOR, f"2547111{customer:05}"),
        ).fetchone()
        if found is None:
            customer_id, conversation_id = uuid4(), uuid4()
            conn.execute(
                "INSERT INTO customers (vendor_id, id, phone, created_at) VALUES (%s, %s, %s, %s)",
                (VENDOR, customer_id, f"2547111{customer:05}", now),
            )
            conn.execute(
                "INSERT INTO conversations (vendor_id, id, customer_id, phone_number_id, order_id, created_at)"
                " VALUES (%s, %s, %s, %s, %s, %s)",
                (VENDOR, conversation_id, customer_id, NUMBER, uuid4(), now),
            )
        else:
            conversation_id = found["id"]
        conn.execute(
            "INSERT INTO inbox (vendor_id, kind, source_id, conversation_id, body, text, received_at, handled_at)"
            " VALUES (%s, 'message', %s, %s, '{}', 'Habari', %s, %s)",
            (VENDOR, key, conversation_id, now, now),
        )
        row = conn.execute(
            "UPDATE conversations SET turn = turn + 1, snapshot = %s WHERE vendor_id = %s AND id = %s RETURNING turn",
            (to_jsonb({"turn": 1}), VENDOR, conversation_id),
        ).fetchone()
        conn.execute(
            "INSERT INTO outbox"
            " (vendor_id, conversation_id, phone_number_id, recipient, turn, n, place, message, due_at, created_at)"
            " VALUES (%s, %s, %s, '254', %s, 0, 'x', %s, %s, %s)",
            (VENDOR, conversation_id, NUMBER, row and row["turn"], to_jsonb({"text": "x"}), now, now),
        )


def _steps() -> Callable[[int], None]:
    """A question that is not understood: one ladder, one rendered question, no database."""
    bundle = load_flows()
    context = Context(
        vendor={"id": "v", "name": "Mama Duka"},
        customer={"phone": "254700000001", "first_name": "Mteja", "language": "en"},
        order={
            "id": "o",
            "number": "S0001",
            "lines": [{"product": "p", "name": "Unga 2kg", "qty": 2, "total": 430}],
            "total": 430,
            "is_confirmed": True,
            "is_paid": False,
            "receipt": None,
            "payment_attempt": None,
            "payment_unclear": False,
        },
        lexicon=build_lexicon([]),
    )
    at_pay = step(bundle, Snapshot.fresh("seed"), Said(id="1", at=NOW, text="Habari"), context).snapshot
    waiting = replace(at_pay, turn=at_pay.turn)

    def take(_customer: int) -> None:
        step(bundle, waiting, Said(id="2", at=NOW, text="sawa nitalipa"), context)

    return take


def _write(rows: list[tuple[str, float]]) -> None:
    found = dict(rows)
    lines = ["| what | turns a second |", "|---|---|", *(f"| {name} | {rate:,.0f} |" for name, rate in rows)]
    one = found["whole turn, 1 at a time"] / found["bare SQL of a turn, 1 at a time"]
    eight = found["whole turn, 8 at a time"] / found["bare SQL of a turn, 8 at a time"]
    lines += ["", f"A whole turn runs at {one:.2f} of the bare SQL one at a time, and at {eight:.2f} of it eight at a time."]
    text = "\n".join(lines) + "\n"
    print(text)  # noqa: T201 - the point of it
    head = "# Turns\n\nMade by `./run bench turns`; compare the rows with each other, not with another machine.\n\n"
    (Path(__file__).parent / "turns.md").write_text(head + text)


if __name__ == "__main__":
    main()
