"""Cancel confirmed orders that nobody pays, so that what they hold can be sold to others."""

from datetime import timedelta
from uuid import UUID

from router.ids import VendorId
from router.orders import store
from router.orders.store import HOLD_HOURS
from router.wakeups import Job
from router.work import unit_of_work
from worker.retries import EXPIRE_BATCH
from worker.tools import Tools, held


def run(vendor: str) -> None:
    """Cancel what is overdue at one vendor."""
    tools, vendor_id = held(), VendorId(UUID(vendor))
    tools.wakeups.started(Job.EXPIRE, vendor_id)
    drain(tools, vendor_id)


def drain(tools: Tools, vendor_id: VendorId) -> None:
    """Cancel each overdue order in a transaction of its own. One that is paid meanwhile stays paid."""
    now = tools.clock()
    with unit_of_work(tools.databases, vendor_id) as work:
        overdue = store.list_overdue(work, confirmed_before=now - timedelta(hours=HOLD_HOURS), limit=EXPIRE_BATCH)
    for order_id in overdue:
        with unit_of_work(tools.databases, vendor_id) as work:
            store.cancel(work, order_id=order_id, reason="not_paid", now=now)
