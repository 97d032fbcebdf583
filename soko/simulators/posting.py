"""Posts to the app, now or later, on threads of their own: an answer never waits for a webhook."""

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import httpx

from soko.simulators.virtual import VirtualTime

THREADS: Final = 32
TIMEOUT_SECONDS: Final = 10.0

log = logging.getLogger(__name__)


class Postman:
    """Does jobs at their time and posts bodies. One timer thread, a few threads that wait for the app's answers."""

    def __init__(self, *, timeout_seconds: float = TIMEOUT_SECONDS, virtual: VirtualTime | None = None) -> None:
        """With a virtual time, jobs wait for that clock."""
        self._virtual = virtual
        self._due: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._stopped = False
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="simulator-post")
        # An idle connection is given up before the app closes it (5 s): a callback is posted once, none may be lost to that race.
        limits = httpx.Limits(max_connections=2 * THREADS, max_keepalive_connections=THREADS, keepalive_expiry=2.0)
        self._client = httpx.Client(timeout=timeout_seconds, trust_env=False, limits=limits)
        self._timer = threading.Thread(target=self._keep_time, name="simulator-timer", daemon=True)
        self._timer.start()

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int | None:
        """Post and give the HTTP status, or None when no answer came."""
        try:
            return self._client.post(url, content=body, headers=dict(headers)).status_code
        except httpx.TransportError:
            return None

    def ask(self, url: str, body: bytes, headers: Mapping[str, str]) -> Mapping[str, object] | None:
        """Post, and read the answer's JSON object; None when there is none in time."""
        try:
            answer = self._client.post(url, content=body, headers=dict(headers)).json()
        except (httpx.TransportError, ValueError):
            return None
        return answer if isinstance(answer, dict) else None

    def get(self, url: str, query: Mapping[str, str]) -> tuple[int, str] | None:
        """Get, for the hand-shake of a webhook address: HTTP status and text, or None when no answer came."""
        try:
            answer = self._client.get(url, params=dict(query))
        except httpx.TransportError:
            return None
        return answer.status_code, answer.text

    def at_once(self, jobs: list[Callable[[], int | None]]) -> list[int | None]:
        """Do jobs in parallel and give their results in order."""
        waiting: list[Future[int | None]] = [self._threads.submit(job) for job in jobs]
        return [each.result() for each in waiting]

    def later(self, delay_seconds: float, job: Callable[[], object]) -> None:
        """Do a job on a thread of ours after a delay, or when the virtual clock gets there."""
        if self._virtual is not None:
            self._virtual.later(delay_seconds, job)
            return
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + delay_seconds, next(self._numbers), job))
            self._changed.notify()

    def forget(self) -> None:
        """Drop every job that has not begun."""
        if self._virtual is not None:
            self._virtual.forget()
        with self._changed:
            self._due.clear()

    def stop(self) -> None:
        """Begin nothing more."""
        with self._changed:
            self._stopped = True
            self._due.clear()
            self._changed.notify()

    def close(self) -> None:
        """Stop, wait for what is under way, and close the connections."""
        self.stop()
        self._timer.join()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._client.close()

    def _keep_time(self) -> None:
        with self._changed:
            while not self._stopped:
                wait_seconds = self._due[0][0] - time.monotonic() if self._due else None
                if wait_seconds is not None and wait_seconds <= 0:
                    self._threads.submit(heapq.heappop(self._due)[2]).add_done_callback(_report)
                else:
                    self._changed.wait(wait_seconds)


def _report(job: Future[object]) -> None:
    if not job.cancelled() and (error := job.exception()) is not None:
        log.error("A simulator's background job failed", exc_info=error)
