"""A clock that stands until it is moved, with what comes due when it is: minutes of M-Pesa in a test's milliseconds."""

import heapq
import itertools
import threading
from collections.abc import Callable
from datetime import datetime, timedelta


class VirtualTime:
    """The time of a simulator, in the hands of a test. Jobs run in the thread that moves the clock, in order of time."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._due: list[tuple[datetime, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    def __call__(self) -> datetime:
        """Tell the time."""
        return self._now

    def later(self, delay_seconds: float, job: Callable[[], object]) -> None:
        """Do a job when the clock gets there."""
        with self._lock:
            heapq.heappush(self._due, (self._now + timedelta(seconds=delay_seconds), next(self._numbers), job))

    def advance(self, seconds: float) -> int:
        """Move the clock and do what comes due on the way, each at its own moment; gives the number of jobs."""
        end, done = self._now + timedelta(seconds=seconds), 0
        while (job := self._take(end)) is not None:
            job()
            done += 1
        self._now = end
        return done

    def flush(self) -> int:
        """Do everything that waits, now: the clock stands still."""
        done = 0
        while self._due:
            with self._lock:
                job = heapq.heappop(self._due)[2]
            job()
            done += 1
        return done

    def forget(self) -> None:
        """Drop what waits."""
        with self._lock:
            self._due.clear()

    def _take(self, end: datetime) -> Callable[[], object] | None:
        with self._lock:
            if not self._due or self._due[0][0] > end:
                return None
            at, _, job = heapq.heappop(self._due)
            self._now = max(self._now, at)
            return job
