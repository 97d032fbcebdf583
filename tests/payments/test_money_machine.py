from datetime import datetime
from pathlib import Path

from payments.spool import Spool
from router.databases import Databases
from tests.payments.dying import Mortal
from tests.payments.money_machine import run_machine
from tests.payments.money_world import open_world


def test_money_in_any_order_with_a_crash_anywhere(
    databases: Databases, now: datetime, tmp_path: Path, database_urls: dict[str, str]
) -> None:
    """A small sample; `./run bench money` has the long run and what it met."""
    urls = {"platform_url": database_urls["platform"], "ops_url": database_urls["ops"]}
    workers, endpoints = (Mortal(**urls, resolve_secret=str, sealer=databases.sealer) for _ in range(2))
    with open_world(databases, workers, endpoints, Spool(tmp_path / "spool"), now) as world:
        run_machine(world, examples=5, steps=15, first_seed=1)
        assert world.receipts
    workers.close()
    endpoints.close()
