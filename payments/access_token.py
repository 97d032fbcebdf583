"""OAuth access tokens of Daraja: one per consumer key, because a new token ends the one before it.

Shared through Redis when there is one, with a lock so that one process asks. Without Redis, or while it is away, each
process keeps its own; Daraja's "invalid token" answer then purges it, and a push that met it is refused, never repeated.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import redis
import structlog
from pydantic import SecretStr

from payments.credentials import Credentials

log = structlog.get_logger(__name__)

_EARLY_SECONDS: Final = 300  # a token is renewed this long before it ends
_LOCK_MILLISECONDS: Final = 15_000
_WAIT_SECONDS: Final = 0.2
_WAITS: Final = 50  # 10 s, then we ask ourselves
_DELETE_IF: Final = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"


@dataclass(frozen=True, kw_only=True)
class AccessToken:
    """A bearer token. A repr shows stars."""

    value: SecretStr
    expires_in_seconds: int


def _key(scope: str, credentials: Credentials) -> str:
    digest = hashlib.sha256(credentials.consumer_key.get_secret_value().encode()).hexdigest()
    return f"daraja:tok:{scope}:{digest[:16]}"


class AccessTokens:
    """Gives a token from the cache, or fetches one: single flight per consumer key."""

    def __init__(self, client: redis.Redis | None, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Without a client each process keeps its own tokens; `monotonic` counts seconds."""
        self._redis = client
        self._monotonic = monotonic
        self._kept: dict[str, tuple[SecretStr, float]] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._locks_guard = threading.Lock()
        self._pause = threading.Event()

    def get(self, scope: str, credentials: Credentials, fetch: Callable[[], AccessToken]) -> SecretStr:
        """Give a valid token for these credentials at this host of Daraja. What `fetch` raises passes through."""
        key = _key(scope, credentials)
        with self._lock_of(key):
            return self._shared(key) or self._local(key) or self._fetch_alone(key, fetch)

    def purge(self, scope: str, credentials: Credentials, token: SecretStr) -> None:
        """Forget a token that Daraja called invalid, unless somebody has put a newer one in its place."""
        key = _key(scope, credentials)
        with self._lock_of(key):
            kept = self._kept.get(key)
            if kept is not None and kept[0] == token:
                del self._kept[key]
            if self._redis is not None:
                try:
                    self._redis.eval(_DELETE_IF, 1, key, token.get_secret_value())
                except redis.RedisError as error:
                    log.warning("token_cache_unavailable", error=type(error).__name__)

    def _lock_of(self, key: str) -> threading.Lock:
        with self._locks_guard:
            return self._locks.setdefault(key, threading.Lock())

    def _local(self, key: str) -> SecretStr | None:
        kept = self._kept.get(key)
        return kept[0] if kept is not None and self._monotonic() < kept[1] else None

    def _shared(self, key: str) -> SecretStr | None:
        if self._redis is None:
            return None
        try:
            found = cast("bytes | None", self._redis.get(key))
        except redis.RedisError as error:
            log.warning("token_cache_unavailable", error=type(error).__name__)
            return None
        if found is None:
            self._kept.pop(key, None)  # Redis is up and knows none: ours may have been ended by another process
        return SecretStr(found.decode()) if found else None

    def _fetch_alone(self, key: str, fetch: Callable[[], AccessToken]) -> SecretStr:
        if self._redis is None:
            return self._keep(key, fetch())
        owner = secrets.token_hex(8)
        try:
            for _ in range(_WAITS):
                if self._redis.set(f"{key}:lock", owner, nx=True, px=_LOCK_MILLISECONDS):
                    break
                self._pause.wait(_WAIT_SECONDS)
                found = self._shared(key)
                if found is not None:
                    return found
        except redis.RedisError as error:
            log.warning("token_cache_unavailable", error=type(error).__name__)
        try:
            return self._shared(key) or self._keep(key, fetch())
        finally:
            self._release(key, owner)

    def _keep(self, key: str, token: AccessToken) -> SecretStr:
        seconds = max(token.expires_in_seconds - _EARLY_SECONDS, 1)
        self._kept[key] = (token.value, self._monotonic() + seconds)
        if self._redis is not None:
            try:
                self._redis.set(key, token.value.get_secret_value(), ex=seconds)
            except redis.RedisError as error:
                log.warning("token_cache_unavailable", error=type(error).__name__)
        return token.value

    def _release(self, key: str, owner: str) -> None:
        if self._redis is not None:
            try:
                self._redis.eval(_DELETE_IF, 1, f"{key}:lock", owner)
            except redis.RedisError as error:
                log.warning("token_cache_unavailable", error=type(error).__name__)
