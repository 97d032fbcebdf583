"""How often somebody may call: counted in Redis over all processes, and here alone while Redis is away."""

from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from math import ceil
from time import monotonic, time
from typing import Final

import redis
import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import RateLimiter, SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from router.errors import Throttled

log = structlog.get_logger(__name__)


class Subject(StrEnum):
    """Whose calls are counted together."""

    KEY = "key"
    VENDOR = "vendor"
    CUSTOMER = "customer"
    MESSAGE = "message"  # that a customer writes on WhatsApp
    WARNING = "warning"  # that a customer is told to write less


PER_MINUTE: Final[Mapping[Subject, int]] = {
    Subject.KEY: 600,
    Subject.VENDOR: 1200,
    Subject.CUSTOMER: 20,
    Subject.MESSAGE: 20,
    Subject.WARNING: 1,
}
# While Redis is away each process counts for itself, and lets through its share of what four of them may.
PROCESSES: Final = 4
NEVER_SHARED: Final = {Subject.MESSAGE, Subject.WARNING}  # rather hear four times as much than not hear a customer
TIMEOUT_SECONDS: Final = 0.1
REST_SECONDS: Final = 5.0  # a Redis that did not answer is not asked again for so long


class RateLimits:
    """Counts calls in a sliding minute. Safe for threads; `url` None: this process counts alone."""

    def __init__(self, url: str | None, per_minute: Mapping[Subject, int] = PER_MINUTE) -> None:
        self._items = {subject: RateLimitItemPerMinute(most) for subject, most in per_minute.items()}
        self._shares = {
            subject: RateLimitItemPerMinute(most if subject in NEVER_SHARED else max(1, most // PROCESSES))
            for subject, most in per_minute.items()
        }
        self._alone = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._shared: RateLimiter | None = None if url is None else SlidingWindowCounterRateLimiter(_storage(url))
        self._rest_until = 0.0

    def check(self, subject: Subject, who: str) -> None:
        """Count one call. Raises Throttled, with the seconds to wait, when there were too many in the last minute.

        `who` may be a phone: it does not stand in Redis as it is.
        """
        who = sha256(who.encode()).hexdigest()[:32]
        if self._shared is not None and monotonic() >= self._rest_until:
            try:
                return self._hit(self._shared, self._items[subject], subject, who)
            except redis.RedisError as error:
                self._rest_until = monotonic() + REST_SECONDS
                log.warning("rate_limits_counted_here_alone", error=str(error))
        items = self._items if self._shared is None else self._shares
        return self._hit(self._alone, items[subject], subject, who)

    def _hit(self, limiter: RateLimiter, item: RateLimitItem, subject: Subject, who: str) -> None:
        if not limiter.hit(item, subject, who):
            reset_at = limiter.get_window_stats(item, subject, who).reset_time
            raise Throttled(f"too many calls of this {subject} in the last minute", seconds=max(1, ceil(reset_at - time())))


def _storage(url: str) -> RedisStorage:
    pool = redis.ConnectionPool.from_url(
        url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0)
    )
    return RedisStorage("redis://", connection_pool=pool, key_prefix="soko:limit")
