"""A customer who writes more than a person can: told so once, then not heard for a while, so that everybody else is."""

from collections import OrderedDict
from enum import Enum, auto
from threading import Lock
from typing import Final

from conversation.whatsapp.inbound import Incoming
from router.errors import Throttled
from router.ids import VendorId
from router.rate_limits import RateLimits, Subject

REMEMBERED: Final = 10_000  # messages of the last moments: one that is delivered again is not written again


class Verdict(Enum):
    """What becomes of a message: it is heard, answered with a request to wait, or dropped."""

    HEAR = auto()
    TELL = auto()
    DROP = auto()


class Floods:
    """Counts what each customer writes to each vendor. Safe for threads; without limits everybody is heard."""

    def __init__(self, limits: RateLimits | None) -> None:
        self._limits = limits
        self._lock = Lock()
        self._seen: OrderedDict[str, None] = OrderedDict()

    def judge(self, vendor_id: VendorId, update: Incoming) -> Verdict:
        """Count one message and say what becomes of it."""
        if self._limits is None or self._is_known(update.wamid):
            return Verdict.HEAR
        who = f"{vendor_id}:{update.sender_phone or update.sender_bsuid}"
        if _has_room(self._limits, Subject.MESSAGE, who):
            return Verdict.HEAR
        return Verdict.TELL if _has_room(self._limits, Subject.WARNING, who) else Verdict.DROP

    def _is_known(self, wamid: str) -> bool:
        with self._lock:
            known = wamid in self._seen
            self._seen[wamid] = None
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)
        return known


def _has_room(limits: RateLimits, subject: Subject, who: str) -> bool:
    try:
        limits.check(subject, who)
    except Throttled:
        return False
    return True
