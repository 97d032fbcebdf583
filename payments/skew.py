"""Is our clock right? Safaricom refuses a push whose timestamp is minutes off, and each answer says what time it is there."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import structlog

log = structlog.get_logger(__name__)

MOST: Final = timedelta(minutes=2)  # more than the longest wait for an answer


def warn_of_skew(date: str | None, at: datetime) -> None:
    """Tell the operator when an answer's Date header is far from `at`, our time of the request. One we cannot read is none."""
    try:
        theirs = parsedate_to_datetime(date or "").replace(tzinfo=UTC)
    except ValueError:
        return
    if abs(theirs - at) > MOST:
        log.error("clock_skewed", ahead_seconds=round((at - theirs).total_seconds()), fix="set the clock of this machine: NTP")
