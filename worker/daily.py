"""What is done once a day for every vendor: its usage is compared with what happened, and added up."""

from datetime import date

import structlog

from router.errors import Refused, Unavailable
from router.usage import daily
from worker.tools import Tools

log = structlog.get_logger(__name__)


class Daily:
    """Does what is due, and remembers that a day is done; another process may do the same, and changes nothing."""

    def __init__(self) -> None:
        self._done: date | None = None

    def run(self, tools: Tools) -> None:
        """Do yesterday for every vendor that it was not done for. One vendor's trouble is tried again next time."""
        day = daily.due_day(tools.clock())
        if self._done == day:
            return
        complete = True
        for vendor_id in daily.list_vendors(tools.databases, before=day):
            try:
                if daily.is_done(tools.databases, vendor_id, day):
                    continue
                for each in daily.run(tools.databases, vendor_id, day, now=tools.clock()):
                    log.error("usage_differs", vendor_id=str(vendor_id), day=str(day), **vars(each))
            except (Unavailable, Refused) as error:
                complete = False
                log.warning("daily_put_off", vendor_id=str(vendor_id), error=str(error))
        if complete:
            self._done = day
