"""Waits and limits of every job, as one table. A push is not in it: a push is never retried."""

from typing import Final

SEND_BATCH: Final = 16  # messages in flight at once in one worker process
SEND_LEASE_SECONDS: Final = 20  # longer than the Cloud API client's own timeouts together
SEND_ATTEMPTS: Final = 5
UNKNOWN_WAIT_SECONDS: Final = 30  # time for the status webhook to tell what the lost answer was
PUSHES_AT_ONCE: Final = 4  # a push may wait 30 s for M-Pesa; other customers of the vendor go on
TURN_BATCH: Final = 50
SWEEP_SECONDS: Final = 1.0
HEARTBEAT_SECONDS: Final = 15  # a worker silent for longer is reported as away
