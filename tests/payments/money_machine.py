"""Everything that can happen to money, in any order, with a crash at any commit and any call: one state machine.

The app's own adapter on real databases, the simulated M-Pesa over HTTP with a virtual clock. The simulator's ledger and request
log are the oracle. `./run bench money` runs it long; the suite takes a small sample.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any, Final, TypeVar

from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from psycopg import Connection
from psycopg.rows import DictRow
from pydantic import SecretStr

from payments import pull, review
from payments.access_token import AccessTokens
from payments.c2b_webhook import build_routes as build_c2b_routes
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
from payments.registering import Registering
from payments.spool import Spool
from payments.webhook import build_routes
from router.databases import Databases
from router.errors import Refused
from router.ids import IntentId, VendorId
from router.orders import store as orders
from router.wakeups import Wakeups
from router.work import unit_of_work
from soko.simulators.daraja import Kind, Vendor, build_app
from soko.simulators.daraja.forging import Forgery
from soko.simulators.daraja.money import ByHand, Transaction
from soko.simulators.daraja.network import Network
from soko.simulators.daraja.prompts import Scenario
from soko.simulators.serving import running
from soko.simulators.virtual import VirtualTime
from tests.payments.shop import Clock, Ordered, Shop, open_plain

PAYBILL: Final = Vendor(
    short_code="174379",
    kind=Kind.PAYBILL,
    party_b="174379",
    consumer_key="sim-key-1",
    consumer_secret="sim-secret-1",
    passkey="sim-passkey-1",
)
PUSH: Final = "/mpesa/stkpush/v1/processrequest"
SCENARIOS: Final[tuple[Mapping[str, Any], ...]] = (
    {},
    {"outcome": "ask"},
    {"outcome": "cancelled"},
    {"outcome": "no_funds", "query": "phases"},
    {"outcome": "42424"},
    {"outcome": "SFC_IC0003", "code_as_text": True},
    {"outcome": "unreachable", "paid_after_seconds": 45},
    {"outcome": "cancelled", "paid_after_seconds": 200, "report": "never"},
    {"callback": "never"},
    {"callback": "never", "report": "never", "listed": False},
    {"callback": "never", "query": "pending"},
    {"callback": "late", "late_seconds": 100},
    {"callback": "before_answer"},
    {"callback": "before_answer", "answer": "reset"},
    {"callbacks": 3, "report": "twice"},
    {"answer": "reset"},
    {"answer": "http_500_after_accept", "report": "never"},
    {"answer": "html_503"},
    {"answer": "html_200"},
    {"answer": "envelope_200"},
    {"answer": "spike_arrest"},
    {"answer": "reject:404.001.03"},
    {"answer": "reject:500.001.1001"},
    {"query": "1032"},
    {"query": "spike_arrest"},
    {"query": "busy", "report": "never"},
    {"wrong_amount": 1},
    {"other_checkout": True},
    {"amount_as_text": True, "masked_phone": True, "with_balance": True},
    {"changed_duplicate": True},
    {"outcome": "cancelled", "changed_duplicate": True},
    {"garbled": "invalid"},
    {"garbled": "deep", "report": "never", "listed": False},
)
ACCOUNTS: Final[tuple[Callable[[str], str], ...]] = (
    str,
    str.lower,
    lambda number: f" {number[0]}-{number[1:]} ",
    lambda _: "JOHN",
)
POINTS: Final = st.one_of(st.none(), st.integers(1, 12))  # which commit or call of an operation it dies at
T = TypeVar("T")
_phones = count(712_000_000)


class Crash(BaseException):
    """The process is gone."""


@dataclass
class Plan:
    """Where the next crash is, and where crashes have been."""

    left: int | None = None
    operation: str = ""
    met: Counter[str] = field(default_factory=Counter)

    def pass_point(self, name: str) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left == 0:
            self.left = None
            self.met[f"{self.operation}: {name}"] += 1
            raise Crash(name)


class Mortal(Databases):
    """Databases of a process that may die at each commit: just before it, or just after."""

    plan = Plan()

    @contextmanager
    def ops(self, vendor_id: VendorId) -> Iterator[Connection[DictRow]]:
        with super().ops(vendor_id) as conn:
            yield conn
            self.plan.pass_point("before a commit")
        self.plan.pass_point("after a commit")

    @contextmanager
    def platform(self, vendor_id: VendorId | None = None) -> Iterator[Connection[DictRow]]:
        with super().platform(vendor_id) as conn:
            yield conn
            self.plan.pass_point("before a commit of the platform")
        self.plan.pass_point("after a commit of the platform")


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


@dataclass
class Linked(Clock):
    """The simulator's virtual time as the app's clock."""

    virtual: VirtualTime = field(kw_only=True)

    def __call__(self) -> datetime:
        return self.virtual()


class Quiet:
    """An app without threads, for `running`."""

    def stop(self) -> None: ...

    def close(self) -> None: ...


@dataclass(kw_only=True)
class World:
    """One process that may die, one that never does and looks on, and M-Pesa."""

    mortal: Mortal
    shop: Shop  # by the process that may die
    seen: Shop  # by the one that looks on
    network: Network
    virtual: VirtualTime
    client: MortalClient
    examples: int = 0
    steps: int = 0
    receipts: int = 0
    operations: Counter[str] = field(default_factory=Counter)


@contextmanager
def open_world(databases: Databases, mortal: Mortal, vendor_id: VendorId, spool: Spool, now: datetime) -> Iterator[World]:
    """Start M-Pesa and our endpoints, and register the paybill."""
    virtual = VirtualTime(now)
    clock = Linked(now=now, virtual=virtual)
    mpesa = build_app(vendors=(PAYBILL,), clock=virtual)
    ours = FastAPI(title="callbacks")
    ours.state.simulator = Quiet()
    for build in (build_routes, build_c2b_routes):
        ours.include_router(build(databases, Wakeups(None), clock=clock, spool=spool))
    with running(mpesa) as mpesa_url, running(ours) as our_url:
        tokens = AccessTokens(None, monotonic=lambda: virtual().timestamp())
        client = DarajaClient(base_url=mpesa_url, tokens=tokens, read_seconds=5)
        registering = Registering(
            databases=databases,
            daraja=client,
            vendor_id=vendor_id,
            callback_base_url=our_url,
            open_secret=open_plain,
            now=now,
        )
        assert registering.c2b(strict=False).good
        assert registering.pull(phone="254700000009").good
        yield World(
            mortal=mortal,
            shop=Shop(databases=mortal, vendor_id=vendor_id, clock=clock, callback_base_url=our_url),
            seen=Shop(databases=databases, vendor_id=vendor_id, clock=clock),
            network=mpesa.state.simulator,
            virtual=virtual,
            client=MortalClient(inner=client, plan=mortal.plan),
        )
        client.close()


def run_machine(world: World, *, examples: int, steps: int, same_again: bool) -> None:
    """Run so many examples in this world; what does not hold is raised. `same_again`: the same ones each time."""

    class InWorld(MoneyMachine):
        pass

    InWorld.world = world
    run_state_machine_as_test(
        InWorld,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=same_again,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


class MoneyMachine(RuleBasedStateMachine):
    """Rules are what people, M-Pesa, workers and accidents do; invariants are what must hold after each."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.orders: list[Ordered] = []
        self.numbers: dict[Any, str] = {}
        self.paid: set[Any] = set()
        self.since = self.world.virtual()

    # ------------------------------------------------------------ people

    @initialize(total=st.sampled_from((200, 430)))
    def begin(self, total: int) -> None:
        self.world.network.forget()
        self.world.virtual.forget()
        self.world.examples += 1
        self.order(total)

    @precondition(lambda self: len(self.orders) < 3)
    @rule(total=st.sampled_from((200, 430)))
    def order(self, total: int) -> None:
        ordered = self.world.seen.order(total, f"254{next(_phones)}")
        self.orders.append(ordered)
        (row,) = self.world.seen.rows("SELECT number FROM orders WHERE id = %s", ordered.order_id)
        self.numbers[ordered.order_id] = row["number"]

    @precondition(lambda self: self.orders)
    @rule(which=st.integers(0, 2), crash=POINTS, scenario=st.sampled_from(SCENARIOS))
    def pay(self, which: int, crash: int | None, scenario: Mapping[str, Any]) -> None:
        ordered = self._pick(which)
        self.world.network.prompts.write_scenario(ordered.phone, Scenario(**scenario))
        message_id = self.world.seen.say(ordered)
        self._do("prepare", crash, lambda: self.world.shop.prepare(ordered, message_id))
        self._do("prepare again", None, lambda: self.world.shop.prepare(ordered, message_id))
        self._do("push", crash, lambda: self._all(lambda: self.world.shop.push(self.world.client)))

    @precondition(lambda self: self.orders)
    @rule(
        which=st.integers(0, 2),
        typed=st.sampled_from(ACCOUNTS),
        more=st.sampled_from((0, 0, 0, -10, 10)),
        report=st.sampled_from(("normal", "never", "twice")),
        listed=st.booleans(),
    )
    def pay_by_hand(self, which: int, typed: Callable[[str], str], more: int, report: Any, listed: bool) -> None:  # noqa: FBT001
        ordered = self._pick(which)
        account = typed(self.numbers[ordered.order_id])
        paid = ByHand(
            phone=ordered.phone,
            paybill="174379",
            account=account,
            amount=ordered.total + more,
            report=report,
            listed=listed or report == "never",
        )
        self.world.network.pay_by_hand(paid)

    @precondition(lambda self: self.orders)
    @rule(which=st.integers(0, 2), code=st.sampled_from(("0", "2001", "1032")))
    def answer_prompt(self, which: int, code: str) -> None:
        phone = self._pick(which).phone
        if self.world.network.prompts.waiting_for_a_person(phone) is not None:
            self.world.network.decide_by_hand(phone, code)

    @precondition(lambda self: self.orders)
    @rule(which=st.integers(0, 2))
    def cancel_order(self, which: int) -> None:
        with unit_of_work(self.world.seen.databases, self.world.seen.vendor_id) as work:
            orders.cancel(work, order_id=self._pick(which).order_id, reason="customer", now=self.world.virtual())

    @precondition(lambda self: self.orders)
    @rule(kind=st.sampled_from(("no_token", "bad_token", "foreign_token", "guessed_checkout", "success")))
    def forge(self, kind: Forgery) -> None:
        # A success that is forged with the right token while its prompt may still be paid gives that money a false receipt:
        # no answer of M-Pesa to a query tells one. docs/decisions/0162 says so.
        ended = [each for each in self._prompts() if each.result_code not in (None, "0") and not each.scenario.paid_after_seconds]
        if ended:
            self.world.network.forge(kind, ended[-1].checkout_request_id)

    @precondition(lambda self: self.orders)
    @rule(which=st.integers(0, 2), crash=POINTS)
    def assign(self, which: int, crash: int | None) -> None:
        number = self.numbers[self._pick(which).order_id]
        rows = self.world.seen.rows("SELECT receipt FROM payments WHERE order_id IS NULL AND paid_at >= %s", self.since)
        if rows:
            receipt = min(row["receipt"] for row in rows)
            self._do("assign", crash, lambda: self._assign(receipt, number))

    @rule(crash=POINTS)
    def decide_failed(self, crash: int | None) -> None:
        rows = self._intents("i.status = 'needs_review'")
        if rows:
            self._do("decide", crash, lambda: self._decide_failed(rows[0]["id"]))

    # ------------------------------------------------------------ workers and time

    @rule(seconds=st.sampled_from((1, 11, 61, 95, 200, 400, 1000, 4000)))
    def let_time_pass(self, seconds: int) -> None:
        self.world.virtual.advance(seconds)

    @rule(job=st.sampled_from(("settle", "settle reports", "query", "sweep", "push", "pull")), crash=POINTS)
    def work(self, job: str, crash: int | None) -> None:
        shop, client = self.world.shop, self.world.client
        once: dict[str, Callable[[], object]] = {
            "settle": lambda: self._all(shop.settle),
            "settle reports": shop.settle_reports,
            "query": lambda: self._all(lambda: shop.query(client)),
            "sweep": shop.sweep,
            "push": lambda: self._all(lambda: shop.push(client)),
            "pull": lambda: self._all(self._pull),
        }
        self._do(job, crash, once[job])

    @rule(
        seconds=st.sampled_from((2, 65, 300, 1000)),
        jobs=st.permutations(("push", "settle reports", "settle", "query", "sweep", "pull")),
        crash=POINTS,
    )
    def work_a_while(self, seconds: int, jobs: list[str], crash: int | None) -> None:
        self.world.virtual.advance(seconds)
        for job in jobs:
            self.work(job, crash)
            self.no_intent_is_pushed_twice()

    # ------------------------------------------------------------ what must hold

    @invariant()
    def no_intent_is_pushed_twice(self) -> None:
        pushed = Counter(call.body["AccountReference"] for call in self._pushes())
        assert max(pushed.values(), default=0) <= 1, pushed
        sent = {row["account_ref"] for row in self._intents("a.dispatched_at IS NOT NULL")}
        assert set(pushed) <= sent, "a prompt left that was not stamped before"

    @invariant()
    def paid_means_that_money_moved(self) -> None:
        moved = {each.receipt: each for each in self._transactions()}
        by_prompt = {each.account for each in moved.values() if not each.by_hand}
        rows = self._payments()
        for row in rows:
            if row["receipt"] is None:
                assert row["account_ref"] in by_prompt, f"{row} was never paid"
            else:
                assert moved[row["receipt"]].amount == row["amount"]
        assert len(rows) <= len(moved), "money was written down twice"
        told = {row["receipt"] for row in rows}
        assert len(told - {None}) == sum(row["receipt"] is not None for row in rows)
        paid = {row["id"] for row in self._intents("i.status = 'paid'")}
        assert paid == {row["intent_id"] for row in rows} - {None}
        assert self.paid <= paid, "a paid intent left paid"
        self.paid = paid

    @invariant()
    def an_order_is_paid_once_or_told_to_be_paid_twice(self) -> None:
        for ordered in self.orders:
            (order,) = self.world.seen.rows("SELECT status FROM orders WHERE id = %s", ordered.order_id)
            rows = [row for row in self._payments() if row["order_id"] == ordered.order_id]
            assert order["status"] != "PAID" or rows, "PAID without a payment"
            matched = [row["amount"] for row in rows if row["assigned_by"] is None]
            assert set(matched) <= {ordered.total}, "another amount than the order's was matched by itself"
            told = self.world.seen.rows(
                "SELECT id FROM domain_events WHERE type = 'payment_duplicate_paid' AND data ->> 'order_id' = %s",
                str(ordered.order_id),
            )
            assert len(told) == max(len(rows) - 1, 0), f"{len(rows)} payments, {len(told)} told as one too many"

    def teardown(self) -> None:
        """Let two days pass with every worker at work: then every receipt M-Pesa told of is written down, once."""
        for seconds in (1, 20, 65, 300, 900, 3600, 20_000, 65_000, 80_000):
            self.world.virtual.advance(seconds)
            for job in ("push", "pull", "settle reports", "settle", "query", "sweep"):
                self.work(job, None)
        self.paid_means_that_money_moved()
        self.an_order_is_paid_once_or_told_to_be_paid_twice()
        written = {row["receipt"] for row in self._payments()}
        without = {row["account_ref"] for row in self._payments() if row["receipt"] is None}
        for each in self._transactions():
            told = each.receipt in written or (not each.by_hand and each.account in without)
            reviewed = self._intents("i.status = 'needs_review' AND i.account_ref = %s", each.account)
            assert told or reviewed or not each.listed, f"{each} is lost"
        assert self._intents("i.status IN ('consented', 'processing')") == []
        self.world.receipts += len(self._transactions())
        self.world.virtual.advance(200_000)

    # ------------------------------------------------------------ tools

    def _do(self, operation: str, crash: int | None, act: Callable[[], object]) -> None:
        plan = self.world.mortal.plan
        plan.operation, plan.left = operation, crash
        self.world.steps += 1
        self.world.operations[operation] += 1
        try:
            act()
        except Crash:
            pass
        finally:
            plan.left = None

    def _all(self, once: Callable[[], bool]) -> None:
        for _ in range(100):
            if not once():
                return
        raise AssertionError("a worker finds the same work again and again")

    def _pull(self) -> bool:
        shop = self.world.shop
        return pull.pull_next(
            shop.databases, self.world.client, vendor_id=shop.vendor_id, now=shop.clock(), open_secret=open_plain
        )

    def _assign(self, receipt: str, number: str) -> None:
        with suppress(Refused), unit_of_work(self.world.shop.databases, self.world.shop.vendor_id) as work:
            now = self.world.virtual()
            review.assign(work, receipt, number, actor="W", reason="hers", accept_difference=True, now=now)

    def _decide_failed(self, intent_id: IntentId) -> None:
        with unit_of_work(self.world.shop.databases, self.world.shop.vendor_id) as work:
            review.decide_failed(work, intent_id, actor="W", reason="no such money", now=self.world.virtual())

    def _pick(self, which: int) -> Ordered:
        return self.orders[which % len(self.orders)]

    def _prompts(self) -> list[Any]:
        return self.world.network.prompts.wait_for(phone=None, count=0, callbacks=0, timeout_seconds=0)

    def _pushes(self) -> list[Any]:
        return [call for call in self.world.network.requests.calls() if call.path == PUSH]

    def _transactions(self) -> list[Transaction]:
        return list(self.world.network.money.transactions())

    def _payments(self) -> list[dict[str, Any]]:
        return self.world.seen.rows(
            "SELECT p.*, i.account_ref FROM payments p LEFT JOIN payment_intents i ON i.id = p.intent_id WHERE p.paid_at >= %s",
            self.since,
        )

    def _intents(self, condition: str, *values: object) -> list[dict[str, Any]]:
        return self.world.seen.rows(
            f"SELECT i.* FROM payment_intents i JOIN stk_attempts a ON a.intent_id = i.id"
            f" WHERE i.created_at >= %s AND {condition} ORDER BY i.created_at",
            self.since,
            *values,
        )
