"""Processes that die at a commit or a call, and that others overtake there: what the money machine breaks workers with."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from psycopg import Connection
from psycopg.rows import DictRow
from pydantic import SecretStr

from payments.credentials import Credentials
from payments.daraja import (
    Accepted,
    Ambiguous,
    Answered,
    DarajaClient,
    Endpoint,
    NoAnswer,
    NotAsked,
    Rejected,
    StkQuestion,
    StkRequest,
    Told,
)
from router.databases import Databases
from router.ids import VendorId

T = TypeVar("T")


class Crash(BaseException):
    """The process is gone."""


@dataclass(kw_only=True)
class Meanwhile:
    """What another process does while this one stands still, at the so manieth point where no transaction is open."""

    points: int
    act: Callable[[], object]


@dataclass
class Plan:
    """Where a process dies next (the so manieth point, or the first of a name), who overtakes it, and what it has met."""

    dies_at: int | str | None = None
    meanwhile: Meanwhile | None = None
    operation: str = ""
    open: int = 0  # transactions
    met: Counter[str] = field(default_factory=Counter)
    overtaken: Counter[str] = field(default_factory=Counter)

    def pass_point(self, name: str) -> None:
        self._let_others_go(name)
        if isinstance(self.dies_at, int):
            self.dies_at -= 1
        if self.dies_at in (0, name):
            self.dies_at = None
            self.met[f"{self.operation}: {name}"] += 1
            raise Crash(name)

    def _let_others_go(self, name: str) -> None:
        if self.meanwhile is None or self.open:
            return
        self.meanwhile.points -= 1
        if self.meanwhile.points == 0:
            act, self.meanwhile = self.meanwhile.act, None
            self.overtaken[f"{self.operation}: {name}"] += 1
            mine = self.operation, self.dies_at
            self.dies_at = None
            act()
            self.operation, self.dies_at = mine


class Mortal(Databases):
    """Databases of a process that may die at each commit: just before it, or just after."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.plan = Plan()

    @contextmanager
    def ops(self, vendor_id: VendorId) -> Iterator[Connection[DictRow]]:
        with self._opened(), super().ops(vendor_id) as conn:
            yield conn
            self.plan.pass_point("before a commit")
        self.plan.pass_point("after a commit")

    @contextmanager
    def platform(self, vendor_id: VendorId | None = None) -> Iterator[Connection[DictRow]]:
        with self._opened(), super().platform(vendor_id) as conn:
            yield conn
            self.plan.pass_point("before a commit of the platform")
        self.plan.pass_point("after a commit of the platform")

    @contextmanager
    def _opened(self) -> Iterator[None]:
        self.plan.open += 1
        try:
            yield
        finally:
            self.plan.open -= 1


@dataclass(kw_only=True)
class MortalClient:
    """A client in such a process: it may die before a call, or before its answer is looked at."""

    inner: DarajaClient
    plan: Plan

    def authorise(self, credentials: Credentials) -> SecretStr:
        return self._call("a token", lambda: self.inner.authorise(credentials))

    def push(self, request: StkRequest, credentials: Credentials, token: SecretStr) -> Accepted | Rejected | Ambiguous:
        return self._call("the push", lambda: self.inner.push(request, credentials, token))

    def query(self, question: StkQuestion, credentials: Credentials) -> Answered | NoAnswer | NotAsked:
        return self._call("a query", lambda: self.inner.query(question, credentials))

    def ask(self, endpoint: Endpoint, body: Mapping[str, str | int], credentials: Credentials) -> Told | NoAnswer | NotAsked:
        return self._call("a page of Pull", lambda: self.inner.ask(endpoint, body, credentials))

    def _call(self, name: str, call: Callable[[], T]) -> T:
        self.plan.pass_point(f"before {name}")
        answer = call()
        self.plan.pass_point(f"after {name}")
        return answer
