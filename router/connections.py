"""The connections of one process to one database: opened by who needs one, lent one at a time, bounded, quick to say no."""

import select
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Lock
from time import monotonic
from typing import Final

import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow

from router.errors import Unavailable

WAIT_SECONDS: Final = 2.0
IDLE_SECONDS: Final = 60.0


class Connections:
    """Lends connections to one database.

    Nobody connects in the background: who finds none free connects in its own thread and gets the server's own answer.
    `most` connections at once, and `most_waiting` callers for them: a database that hangs holds no more threads than that.
    After a failed connect the circuit is open for `rest_seconds`: everybody is refused at once, then one may try.
    """

    def __init__(
        self, connect: Callable[[], Connection[DictRow]], *, name: str, most: int, most_waiting: int, rest_seconds: float
    ) -> None:
        """`name` is the database's, for messages."""
        self.leases = 0  # of whoever found this object in Databases: it is closed when nobody has one
        self._connect = connect
        self._name = name
        self._lent = 0
        self._most = most
        self._most_waiting = most_waiting
        self._rest_seconds = rest_seconds
        self._free: list[tuple[float, Connection[DictRow]]] = []  # with when it was given back, the oldest first
        self._lock = Lock()
        self._waiting: deque[Event] = deque()
        self._rests_until = 0.0
        self._failure = ""  # why the last connect failed; empty while all is well
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[Connection[DictRow]]:
        """Lend a connection that the server has not closed. Raises Unavailable, or what connecting raises."""
        conn = self._take()
        try:
            yield conn
        finally:
            self._give_back(conn)

    def close(self, *, idle_for: float = 0.0) -> None:
        """Close what lies idle that long; without a time everything, for good: the lent ones when they come back."""
        with self._lock:
            self._closed = self._closed or not idle_for
            limit = monotonic() - idle_for
            closing = [conn for since, conn in self._free if since <= limit or self._closed]
            self._free = [] if self._closed else [(since, conn) for since, conn in self._free if since > limit]
            while self._closed and self._waiting:
                self._waiting.popleft().set()
        for conn in closing:
            conn.close()

    def _take(self) -> Connection[DictRow]:
        self._await_turn()
        try:
            while (conn := self._pop_free()) is not None:
                if not _hung_up(conn):
                    return conn
                conn.close()
            return self._connect_now()
        except BaseException:
            self._pass_on()
            raise

    def _await_turn(self) -> None:
        """Wait until fewer than `most` are lent, first come first served; not at all when enough others wait."""
        with self._lock:
            if not self._closed and self._lent < self._most:
                self._lent += 1
                return
            if self._closed or len(self._waiting) >= self._most_waiting:
                raise self._refusal()
            turn = Event()
            self._waiting.append(turn)
        turn.wait(WAIT_SECONDS)
        with self._lock:
            if not turn.is_set():
                self._waiting.remove(turn)
                raise self._refusal()
            if self._closed:
                raise self._refusal()

    def _refusal(self) -> Unavailable:
        if self._closed:
            return Unavailable(f"the {self._name} database was closed here")
        return Unavailable(f"the {self._name} database is too busy: all {self._most} connections are in use")

    def _pop_free(self) -> Connection[DictRow] | None:
        with self._lock:
            return self._free.pop()[1] if self._free else None

    def _connect_now(self) -> Connection[DictRow]:
        with self._lock:
            now = monotonic()
            if self._failure and now < self._rests_until:
                message = f"the {self._name} database was away a moment ago and is not asked again yet: {self._failure}"
                raise Unavailable(message)
            self._rests_until = now + self._rest_seconds  # after a failure this caller tries, and the others do not wait for it
        try:
            conn = self._connect()
        except psycopg.OperationalError as error:
            self._failure, self._rests_until = why_not(error), monotonic() + self._rest_seconds
            raise
        self._failure = ""
        return conn

    def _pass_on(self) -> None:
        """Give a turn to who waits longest."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._lent -= 1

    def _give_back(self, conn: Connection[DictRow]) -> None:
        usable = not conn.closed and conn.info.transaction_status is TransactionStatus.IDLE
        with self._lock:
            usable = usable and not self._closed
            if usable:
                self._free.append((monotonic(), conn))
        if not usable:
            conn.close()
        self._pass_on()


def why_not(error: psycopg.Error) -> str:
    """Say why a server did not let us in, without its address: callers from outside read this."""
    return str(error).partition("\n")[0].rpartition(" failed: ")[2]


def _hung_up(conn: Connection[DictRow]) -> bool:
    """Tell whether an idle connection has something to read: the server said goodbye. Costs no round trip."""
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN)
    return bool(poll.poll(0))
