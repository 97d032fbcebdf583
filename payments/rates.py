"""How often we may call Daraja for one consumer key: Safaricom answers more than that with "Spike arrest violation".

Counted in Redis over all processes. While it is away no push goes: it waits, unsent, and a query is counted by its own process.
An installation without Redis is one process, which counts for itself.
Source: 429 and 500.003.02 of the Daraja 3.0 portal, read 2025-12-28; the sandbox allows five calls a minute.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

import redis
import structlog
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter

from payments.credentials import Credentials

log = structlog.get_logger(__name__)

REST: Final = RateLimitItemPerMinute(1, namespace="daraja-rest")
_SHARE_OF_PUSHES: Final = 4  # a query leaves this part of a minute's calls to the pushes: a customer waits for those


class Rates:
    """Takes places in the minute of a consumer key."""

    def __init__(self, client: redis.Redis | None, *, per_minute: int) -> None:
        """`per_minute` is the most calls of pushes and queries together that one consumer key makes."""
        self._minute = RateLimitItemPerMinute(per_minute, namespace="daraja")
        self._kept_for_pushes = max(per_minute // _SHARE_OF_PUSHES, 1)
        self._alone = MovingWindowRateLimiter(MemoryStorage())
        pool = client.connection_pool if client is not None else None
        self._shared = MovingWindowRateLimiter(RedisStorage("redis://", connection_pool=pool)) if pool is not None else None

    def take_push(self, host: str, credentials: Credentials) -> bool:
        """Take a place for a push; False when the minute is full or nobody can tell, and the push waits."""
        return self._take(self._limiters()[:1], _key(host, credentials), free=1)

    def take_query(self, host: str, credentials: Credentials) -> bool:
        """Take a place for a query; False when what is left is for pushes."""
        return self._take(self._limiters(), _key(host, credentials), free=1 + self._kept_for_pushes)

    def rest(self, host: str, credentials: Credentials) -> None:
        """Call no more for a minute: Daraja said that we call too often."""
        key = _key(host, credentials)
        for limiter in self._limiters():
            try:
                limiter.hit(REST, key)
            except redis.RedisError as error:
                log.warning("rates_unavailable", error=type(error).__name__)

    def _take(self, limiters: Iterable[MovingWindowRateLimiter], key: str, *, free: int) -> bool:
        for limiter in limiters:
            try:
                return limiter.test(REST, key) and limiter.test(self._minute, key, cost=free) and limiter.hit(self._minute, key)
            except redis.RedisError as error:
                log.warning("rates_unavailable", error=type(error).__name__)
        return False

    def _limiters(self) -> list[MovingWindowRateLimiter]:
        return [self._alone] if self._shared is None else [self._shared, self._alone]


def _key(host: str, credentials: Credentials) -> str:
    digest = hashlib.sha256(credentials.consumer_key.get_secret_value().encode()).hexdigest()
    return f"{host}:{digest[:16]}"
