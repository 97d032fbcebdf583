"""Let conversations hear what did not come as a message: payment results and timers. One door: the turn."""

from uuid import UUID

from router import inbox, timers
from router.ids import VendorId
from router.inbox import EntryKind
from router.wakeups import Job
from router.work import unit_of_work
from worker.retries import TURN_BATCH
from worker.tools import Tools, held


def run(vendor: str) -> None:
    """Take the turns that wait for one vendor."""
    tools, vendor_id = held(), VendorId(UUID(vendor))
    tools.wakeups.started(Job.TURN, vendor_id)
    drain(tools, vendor_id)


def drain(tools: Tools, vendor_id: VendorId) -> None:
    """Take every waiting turn, oldest first, each in a transaction of its own."""
    now = tools.clock()
    with unit_of_work(tools.databases, vendor_id) as work:
        entries = inbox.list_unhandled(work, kind=EntryKind.EVENT, before=now, limit=TURN_BATCH)
        due = timers.claim_due(work, now=now, limit=TURN_BATCH)
    for entry in entries:
        tools.turns.handle(vendor_id, entry.id)
    for timer in due:
        tools.turns.fire(vendor_id, timer)
