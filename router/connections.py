"""The connections of one process to one database: opened by who needs one, lent one at a time, bounded, quick to say no."""

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition
from time import monotonic
from typing import Final

import psycopg
from psycopg import Connection
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
        self._change = Condition()
        self._waiting = 0
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
        with self._change:
            self._closed = self._closed or not idle_for
            limit = monotonic() - idle_for
            closing = [conn for since, conn in self._free if since <= limit or self._closed]
            self._free = [] if self._closed else [(since, conn) for since, conn in self._free if since > limit]
            self._change.notify_all()
        for conn in closing:
            conn.close()

    def _take(self) -> Connection[DictRow]:
        while True:
            with self._change:
                self._await_turn()
                conn = self._free.pop()[1] if self._free else None
                if conn is None:
                    self._refuse_while_resting()
                self._lent += 1
            if conn is None:
                return self._open()
            if not _hung_up(conn):
                return conn
            self._give_back(conn, spoilt=True)

    def _await_turn(self) -> None:
        """Wait until fewer than `most` are lent; not at all when enough others wait."""
        end = monotonic() + WAIT_SECONDS
        while not self._closed and self._lent >= self._most:
            left = end - monotonic()
            if left <= 0 or self._waiting >= self._most_waiting:
                raise Unavailable(f"the {self._name} database is too busy: all {self._most} connections are in use")
            self._waiting += 1
            try:
                self._change.wait(left)
            finally:
                self._waiting -= 1
        if self._closed:
            raise Unavailable(f"the {self._name} database was closed here")

    def _refuse_while_resting(self) -> None:
        if self._failure and self._rest_seconds:
            now = monotonic()
            if now < self._rests_until:
                raise Unavailable(f"the {self._name} database was away a moment ago and is not asked again yet: {self._failure}")
            self._rests_until = now + self._rest_seconds  # this caller tries, the others do not wait for it

    def _open(self) -> Connection[DictRow]:
        try:
            conn = self._connect()
        except BaseException as error:
            with self._change:
                self._lent -= 1
                if isinstance(error, psycopg.OperationalError):
                    self._failure = why_not(error)
                    self._rests_until = monotonic() + self._rest_seconds
                self._change.notify()
            raise
        self._failure = ""
        return conn

    def _give_back(self, conn: Connection[DictRow], *, spoilt: bool = False) -> None:
        usable = not spoilt and not conn.closed and conn.info.transaction_status is psycopg.pq.TransactionStatus.IDLE
        with self._change:
            self._lent -= 1
            usable = usable and not self._closed
            if usable:
                self._free.append((monotonic(), conn))
            self._change.notify()
        if not usable:
            conn.close()


def why_not(error: psycopg.Error) -> str:
    """Say why a server did not let us in, without its address: callers from outside read this."""
    return str(error).partition("\n")[0].rpartition(" failed: ")[2]


def _hung_up(conn: Connection[DictRow]) -> bool:
    """Tell whether an idle connection has something to read: the server said goodbye. Costs no round trip."""
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN)
    return bool(poll.poll(0))
