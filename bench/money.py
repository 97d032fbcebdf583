"""Money in any order, with a crash at any commit and any call: a long run of the state machine, and guards broken to see it fail.

`./run bench money [EXAMPLES]` writes bench/money.md; `./run bench money --broken NAME EXAMPLES` runs in a copy that is broken.
"""

import logging
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from payments.spool import Spool
from router.databases import Databases
from router.sealed import Sealer
from soko.embedded import engines
from soko.settings import Settings
from soko.up import prepare
from tests.payments.dying import Mortal
from tests.payments.money_machine import run_machine
from tests.payments.money_world import World, open_world

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = Path(__file__).with_suffix(".md")
NOW: Final = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
STEPS: Final = 40
# What is broken: file, the guard, what stands there instead.
BROKEN: Final[Mapping[str, tuple[str, str, str]]] = {
    "the prompt leaves before it is stamped": (
        "payments/stk.py",
        """    with unit_of_work(databases, vendor_id) as work:
        if not _claim(work, found, request, callback_token, now=now):
            return True
    outcome = daraja.push(request, ready.credentials, ready.token)
""",
        """    outcome = daraja.push(request, ready.credentials, ready.token)
    with unit_of_work(databases, vendor_id) as work:
        if not _claim(work, found, request, callback_token, now=now):
            return True
""",
    ),
    "a callback is believed without a query": (
        "payments/settle.py",
        """        attempts.claim(work, intent, receipt=result.receipt, payer=result.payer, now=now)
        return verdict
""",
        """        told = Result(code=result.code, desc=result.desc, source="callback")
        conclusions.paid(
            work, intent, receipt=result.receipt, payer=None, confirmed_by="callback+query", result=told, now=now
        )
        return verdict
""",
    ),
    "money paid twice is not told": ("payments/conclusions.py", "    if again:\n", "    if again and not subject:\n"),
    "a second receipt of an intent is taken for a duplicate": (
        "payments/by_hand.py",
        "        again = conclusions.paid_again(work, intent, receipt=told.receipt, confirmed_by=report.channel, now=now)\n",
        "        again = False\n",
    ),
    "an amount by hand is not compared": (
        "payments/by_hand.py",
        "    if told.amount != named.total:\n",
        "    if told.amount != named.total and named.intent_id is not None:\n",
    ),
    "a query concludes on what was read before it was asked": (
        "payments/reconcile.py",
        "    intent = store.lock(work, asked.id)\n",
        "    intent = asked\n",
    ),
    "a report is settled before it is stored whole": (
        "payments/pull.py",
        "since = max(due.pulled_until - AGAIN, now - KEPT_BY_MPESA)",
        "since = now",
    ),
}


def run(examples: int, *, first_seed: int) -> tuple[World, float]:
    """Run so many examples; what does not hold is raised."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="soko-bench-") as home:
        Path(home).chmod(0o711)
        chosen = Settings(_env_file=None, home=Path(home))
        with engines(chosen) as urls:
            prepare(chosen, urls)
            at = {"platform_url": urls.platform, "ops_url": urls.ops}
            sealer = Sealer(chosen.open_phone_keys)
            seeing = Databases(**at, resolve_secret=chosen.open_secret, sealer=sealer)
            workers, endpoints = (Mortal(**at, resolve_secret=chosen.open_secret, sealer=sealer) for _ in range(2))
            with open_world(seeing, workers, endpoints, Spool(Path(home) / "spool"), NOW) as world:
                run_machine(world, examples=examples, steps=STEPS, first_seed=first_seed)
            for each in (seeing, workers, endpoints):
                each.close()
    return world, time.monotonic() - started


def find(name: str, examples: int) -> str:
    """Break a guard in a copy of the tree, and give what the machine says to it."""
    file, guard, instead = BROKEN[name]
    with tempfile.TemporaryDirectory(prefix="soko-broken-") as copied:
        copy = Path(copied) / "tree"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".soko", ".*_cache"))
        source = (copy / file).read_text(encoding="utf-8")
        if source.count(guard) != 1:
            raise SystemExit(f"{file} has no such guard: {guard}")
        (copy / file).write_text(source.replace(guard, instead), encoding="utf-8")
        command = [sys.executable, "-m", "bench.money", "--only", str(examples)]
        done = subprocess.run(command, cwd=copy, env=os.environ | {"PYTHONPATH": str(copy)}, capture_output=True, text=True)
    if done.returncode == 0:
        return "NOT FOUND"
    told = re.search(r"(?:AssertionError|KeyError|router\.errors\.\w+): [^\[{(\n]*", done.stderr)
    return told[0].strip()[:110] if told else done.stderr.strip()[-110:]


def write(world: World, seconds: float, found: Mapping[str, str]) -> None:
    """Write the page."""
    met = world.workers.plan.met + world.endpoints.plan.met
    overtaken = world.workers.plan.overtaken
    lines = [
        "# Money in any order, with a crash anywhere",
        "",
        "Made by `./run bench money`. The machine is `tests/payments/money_machine.py`: real PostgreSQL, the simulated M-Pesa",
        "over HTTP with a virtual clock, a paybill and a till; M-Pesa's ledger and its request log are the oracle. Workers and",
        "endpoints die, workers stand still while others overtake them, and run in threads of their own. Operators assign money,",
        "and decide what is under review: paid or not. After every step: no intent was pushed",
        "twice, what is paid is money that moved, each receipt is written down once, no paid intent leaves paid, no order is",
        "PAID without a payment, and none is paid twice without `payment_duplicate_paid`. After two more days with every worker",
        "at work, every receipt that Pull Transactions lists is written down, or its payment waits for a person.",
        "",
        f"{world.examples} examples, {world.steps} operations, {world.receipts['paybill']} receipts of the paybill and"
        f" {world.receipts['till']} of the till, {sum(met.values())} crashes at {len(met)} different points,"
        f" {sum(overtaken.values())} workers overtaken at {len(overtaken)}, {seconds:.0f} s.",
        "",
        "| operation | times |",
        "|---|---|",
        *(f"| {name} | {times} |" for name, times in sorted(world.operations.items())),
        "",
        "| died at | times |",
        "|---|---|",
        *(f"| {name} | {times} |" for name, times in sorted(met.items())),
        "",
        "| overtaken at | times |",
        "|---|---|",
        *(f"| {name} | {times} |" for name, times in sorted(overtaken.items())),
        "",
        "Guards broken in a copy of the tree, and what the machine said:",
        "",
        "| broken | found by |",
        "|---|---|",
        *(f"| {name} | `{told}` |" for name, told in found.items()),
        "",
    ]
    PAGE.write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    """Run, break, and write down."""
    if sys.argv[1:2] == ["--only"]:
        run(int(sys.argv[2]), first_seed=1)
        return
    if sys.argv[1:2] == ["--broken"]:
        print(find(sys.argv[2], int(sys.argv[3])))  # noqa: T201
        return
    world, seconds = run(int(sys.argv[1]) if len(sys.argv) > 1 else 100, first_seed=secrets.randbelow(2**32))
    write(world, seconds, {name: find(name, 50) for name in BROKEN})
    print(PAGE.read_text(encoding="utf-8"))  # noqa: T201


if __name__ == "__main__":
    main()
