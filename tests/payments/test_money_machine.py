from datetime import datetime
from pathlib import Path

from payments.spool import Spool
from router.databases import Databases
from router.ids import VendorId
from tests.payments.money_machine import Mortal, open_world, run_machine


def test_money_in_any_order_with_a_crash_anywhere(
    databases: Databases, vendor_id: VendorId, now: datetime, tmp_path: Path, database_urls: dict[str, str]
) -> None:
    """A small sample; `./run bench money` has the long run and what it met."""
    mortal = Mortal(platform_url=database_urls["platform"], ops_url=database_urls["ops"], resolve_secret=str)
    with open_world(databases, mortal, vendor_id, Spool(tmp_path / "spool"), now) as world:
        run_machine(world, examples=6, steps=15, same_again=True)
        assert world.receipts > 0
    mortal.close()
