"""Push the STK prompts that customers have asked for. Each attempt is claimed once, and never repeated."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from payments import stk
from router.ids import VendorId
from router.wakeups import Job
from worker.retries import PUSHES_AT_ONCE
from worker.tools import Tools, held


def run(vendor: str) -> None:
    """Push what is due for one vendor."""
    tools, vendor_id = held(), VendorId(UUID(vendor))
    tools.wakeups.started(Job.PUSH, vendor_id)
    drain(tools, vendor_id)


def drain(tools: Tools, vendor_id: VendorId) -> None:
    """Push every due attempt, a few at once: one customer's slow prompt does not hold up the next."""
    with ThreadPoolExecutor(max_workers=PUSHES_AT_ONCE) as pool:
        for done in [pool.submit(_push_all, tools, vendor_id) for _ in range(PUSHES_AT_ONCE)]:
            done.result()


def _push_all(tools: Tools, vendor_id: VendorId) -> None:
    while stk.push_next(
        tools.databases,
        tools.daraja,
        vendor_id=vendor_id,
        now=tools.clock(),
        callback_base_url=tools.callback_base_url,
        open_secret=tools.open_secret,
    ):
        tools.wakeups.wake([Job.TURN], vendor_id)  # a refused push is news for the conversation
