"""Settle the callbacks and reports that came in: each moves its attempt, its intent and its order in one transaction."""

from uuid import UUID

from payments import by_hand, settle
from router.ids import VendorId
from router.wakeups import Job
from worker.jobs import take_turns
from worker.tools import Tools, held


def run(vendor: str) -> None:
    """Settle what came in for one vendor."""
    tools, vendor_id = held(), VendorId(UUID(vendor))
    tools.wakeups.started(Job.SETTLE, vendor_id)
    drain(tools, vendor_id)


def drain(tools: Tools, vendor_id: VendorId) -> None:
    """Settle every stored callback and report, then tell the conversations at once: the customer is looking at the phone."""
    while settle.settle_next(tools.databases, vendor_id=vendor_id, now=tools.clock()):
        tools.wakeups.wake([Job.QUERY], vendor_id)  # a success is believed when M-Pesa's answer to a query confirms it
    while by_hand.settle_next_report(tools.databases, vendor_id=vendor_id, now=tools.clock()):
        pass
    take_turns.drain(tools, vendor_id)
