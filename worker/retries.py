"""Waits and limits of every job, as one table. A push is not in it: a push is never retried."""

import random
from typing import Final

SEND_BATCH: Final = 16  # messages in flight at once in one worker process
SEND_LEASE_SECONDS: Final = 20  # longer than the Cloud API client's own timeouts together
SEND_ATTEMPTS: Final = 7  # with the waits below, an outage of about an hour and a half is survived
SECRET_WAIT_SECONDS: Final = 60  # an operator has to set the secret first
UNKNOWN_WAIT_SECONDS: Final = 30  # time for the status webhook to tell what the lost answer was
PUSHES_AT_ONCE: Final = 4  # a push may wait 30 s for M-Pesa; other customers of the vendor go on
TURN_BATCH: Final = 50
EXPIRE_BATCH: Final = 50  # overdue orders cancelled in one look
WEBHOOK_LEASE_SECONDS: Final = 120  # longer than a name takes to look up and a call to end
WEBHOOK_ENDPOINTS: Final = 64  # endpoints that one process delivers events to at once, a thread each
SWEEP_SECONDS: Final = 1.0
HOUSEKEEPING_SECONDS: Final = 600.0  # between two looks whether a day is over, and for what is kept no longer
HEARTBEAT_SECONDS: Final = 15  # a worker silent for longer is reported as away


def wait_before_resend(attempts: int, *, least_seconds: float) -> float:
    """Seconds until the next try: 4, 16, 64 … after the 1st, 2nd, 3rd, or what WhatsApp asked for; spread by a quarter."""
    return max(least_seconds, 4.0**attempts) * random.uniform(1.0, 1.25)  # noqa: S311 - spreads load, guards nothing
