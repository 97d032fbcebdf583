"""Ask M-Pesa about prompts whose answer we did not get. Asking is safe to repeat; pushing is not."""

from uuid import UUID

from payments import reconcile
from router.ids import VendorId
from router.wakeups import Job
from router.work import unit_of_work
from worker.jobs import take_turns
from worker.tools import Tools, held


def run(vendor: str) -> None:
    """Ask about what is due for one vendor."""
    tools, vendor_id = held(), VendorId(UUID(vendor))
    tools.wakeups.started(Job.QUERY, vendor_id)
    drain(tools, vendor_id)


def drain(tools: Tools, vendor_id: VendorId) -> None:
    """Give up what waited too long, send every due query, then tell the conversations."""
    with unit_of_work(tools.databases, vendor_id) as work:
        reconcile.sweep(work, now=tools.clock())
    while reconcile.query_next(
        tools.databases, tools.daraja, vendor_id=vendor_id, now=tools.clock(), open_secret=tools.open_secret
    ):
        pass
    take_turns.drain(tools, vendor_id)
