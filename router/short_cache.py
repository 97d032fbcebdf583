"""What the platform database said a moment ago, so that a turn does not ask again."""

from collections.abc import Callable, Hashable
from threading import Lock
from time import monotonic
from typing import Final, TypeVar, cast

T = TypeVar("T")

SECONDS: Final = 2.0
MOST_ENTRIES: Final = 10_000


class ShortCache:
    """Answers live for two seconds: a changed row is seen everywhere after that, without any message between processes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._entries: dict[Hashable, tuple[float, object]] = {}

    def get(self, key: Hashable, read: Callable[[], T]) -> T:
        """Return the answer for this key, reading it when it is missing or old. Errors are not kept."""
        found = self._entries.get(key)
        if found is not None and found[0] > monotonic():
            return cast("T", found[1])
        answer = read()
        with self._lock:
            if len(self._entries) >= MOST_ENTRIES:
                self._entries.clear()
            self._entries[key] = (monotonic() + SECONDS, answer)
        return answer

    def forget(self) -> None:
        """Drop every answer: the next question of each kind reads the database."""
        with self._lock:
            self._entries.clear()
