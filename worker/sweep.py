"""Find due rows that no wake-up told us about, and do their jobs here and now.

Flush Redis, lose a wake-up, kill a worker: the row is still there, and this looks every second.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import structlog

from router import due, turns, vendors
from router.errors import Refused, Unavailable
from router.ids import VendorId
from router.turns import PURGE_BATCH
from router.wakeups import Job
from router.webhooks import deliveries
from router.work import unit_of_work
from worker.jobs import deliver_events, expire_orders, pull_money, push_stk, query_stk, send_messages, settle_payment, take_turns
from worker.tools import Tools

log = structlog.get_logger(__name__)

DRAIN: Final[Mapping[Job, Callable[[Tools, VendorId], None]]] = {
    Job.SEND: send_messages.drain,
    Job.PUSH: push_stk.drain,
    Job.QUERY: query_stk.drain,
    Job.PULL: pull_money.drain,
    Job.SETTLE: settle_payment.drain,
    Job.TURN: take_turns.drain,
    Job.EXPIRE: expire_orders.drain,
    Job.WEBHOOK: deliver_events.drain,
}


def sweep(tools: Tools, jobs: Collection[Job]) -> None:
    """Do every due job of these kinds, over all ops databases. What fails, fails alone, and is tried again next time."""
    for target in tools.databases.ops_targets():
        with _alone(ops=target.name):
            with tools.databases.across(target) as conn:
                found = due.find(conn, jobs, now=tools.clock())
            for job, vendor_id in found:
                with _alone(ops=target.name, job=job.name, vendor_id=str(vendor_id)):
                    DRAIN[job](tools, vendor_id)


def purge(tools: Tools) -> None:
    """Forget turns and deliveries that are older than they are kept, vendor by vendor, in small transactions."""
    before = tools.clock() - timedelta(days=tools.trace_days)
    for vendor_id in vendors.list_ids(tools.databases):
        with _alone(vendor_id=str(vendor_id)):
            gone = PURGE_BATCH
            while gone == PURGE_BATCH:
                with unit_of_work(tools.databases, vendor_id) as work:
                    gone = turns.purge(work, before=before)
            gone = PURGE_BATCH
            while gone == PURGE_BATCH:
                with unit_of_work(tools.databases, vendor_id) as work:
                    gone = deliveries.purge(work, before=before, limit=PURGE_BATCH)


@contextmanager
def _alone(**where: str) -> Iterator[None]:
    """Log what went wrong here and go on: one vendor's trouble must not stop the sweep of the others."""
    try:
        yield
    except (Unavailable, Refused) as error:
        log.warning("sweep_put_off", error=str(error), **where)
    except Exception as error:
        log.exception("sweep_failed", error=str(error), **where)
