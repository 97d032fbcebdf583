"""Fetch what was paid to shortcodes, for money whose callback and report were lost. Fetching is safe to repeat."""

from uuid import UUID

from payments import pull
from router.ids import VendorId
from router.wakeups import Job
from worker.tools import Tools, held


def run(vendor: str) -> None:
    """Fetch what is due for one vendor."""
    tools, vendor_id = held(), VendorId(UUID(vendor))
    tools.wakeups.started(Job.PULL, vendor_id)
    drain(tools, vendor_id)


def drain(tools: Tools, vendor_id: VendorId) -> None:
    """Fetch every due window; what came is settled like a report that M-Pesa has posted."""
    while pull.pull_next(tools.databases, tools.daraja, vendor_id=vendor_id, now=tools.clock(), open_secret=tools.open_secret):
        tools.wakeups.wake([Job.SETTLE], vendor_id)
