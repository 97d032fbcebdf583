"""Everything that can happen to money, in any order, with a crash at any commit and any call: one state machine.

The app's own adapter on real databases, the simulated M-Pesa over HTTP with a virtual clock. The simulator's ledger and request
log are the oracle. `./run bench money` runs it long; the suite takes a small sample.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any, Final

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from payments import pull, review
from payments.daraja import Daraja
from router.errors import Refused
from router.orders import store as orders
from router.usage import effects
from router.usage.days import day_of
from router.work import unit_of_work
from soko.simulators.daraja.forging import Forgery
from soko.simulators.daraja.money import ByHand, Transaction
from soko.simulators.daraja.prompts import Scenario
from tests.payments.dying import Crash, Meanwhile
from tests.payments.money_world import Deal, Side, World
from tests.payments.shop import Shop, open_plain

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
    {"callback": "late", "late_seconds": 300},
    {"report_seconds": 30},
    {"report_seconds": 700},
    {"callback": "never", "report_seconds": 250},
    {"callback": "before_answer"},
    {"callback": "before_answer", "report_seconds": 100},
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
DEALS: Final = st.integers(0, 3)
SIDES: Final = st.integers(0, 1)
TOTALS: Final = st.sampled_from((200, 430))
MEETS: Final = st.sampled_from(SCENARIOS)
NAMED: Final = ("before the push", "after the push", "before a query", "after a query", "after a page of Pull")
POINTS: Final = st.one_of(
    st.none(), st.integers(1, 12), st.sampled_from(NAMED)
)  # which commit or call of an operation it dies at
HOOK_POINTS: Final = st.sampled_from((None, None, "before a commit", "after a commit"))  # where an endpoint dies
JOBS: Final = ("push", "settle reports", "settle", "query", "sweep", "pull")
BATCH: Final = 10  # Hypothesis varies what it has drawn before: new beginnings meet more
_phones = count(712_000_000)


def run_machine(world: World, *, examples: int, steps: int, first_seed: int) -> None:
    """Run so many examples in this world; what does not hold is raised. The same first seed runs the same ones."""
    for number in range(0, examples, BATCH):

        @seed(first_seed + number)
        class InWorld(MoneyMachine):
            pass

        InWorld.world = world
        run_state_machine_as_test(
            InWorld,
            settings=settings(
                max_examples=min(BATCH, examples - number),
                stateful_step_count=steps,
                deadline=None,
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
        self.deals: list[Deal] = []
        self.paid: set[Any] = set()
        self.since = self.world.virtual()

    # ------------------------------------------------------------ people

    @initialize(total=TOTALS, side=SIDES, crash=POINTS, hook=HOOK_POINTS, scenario=MEETS)
    def begin(self, total: int, side: int, crash: int | str | None, hook: str | None, scenario: Mapping[str, Any]) -> None:
        self.world.network.forget()
        self.world.virtual.forget()
        self.world.examples += 1
        self.order(total, side, crash, hook, scenario, same_phone=False, pays=True)

    @precondition(lambda self: len(self.deals) < 4)
    @rule(total=TOTALS, side=SIDES, crash=POINTS, hook=HOOK_POINTS, scenario=MEETS, same_phone=st.booleans(), pays=st.booleans())
    def order(
        self,
        total: int,
        side: int,
        crash: int | str | None,
        hook: str | None,
        scenario: Mapping[str, Any],
        *,
        same_phone: bool,
        pays: bool,
    ) -> None:
        chosen = self.world.sides[side]
        phone = self.deals[-1].ordered.phone if same_phone and self.deals else f"254{next(_phones)}"
        ordered = chosen.seen.order(total, phone)
        (row,) = chosen.seen.rows("SELECT number FROM orders WHERE id = %s", ordered.order_id)
        self.deals.append(Deal(side=chosen, ordered=ordered, number=row["number"]))
        if pays:
            self.pay(len(self.deals) - 1, crash, hook, scenario)

    @rule(which=DEALS, crash=POINTS, hook=HOOK_POINTS, scenario=MEETS)
    def pay(self, which: int, crash: int | str | None, hook: str | None, scenario: Mapping[str, Any]) -> None:
        deal = self._pick(which)
        self.consent(deal, crash, scenario)
        with self._endpoints_die(hook):
            self._do("push", crash, self._job("push", deal.side.shop, self.world.client))

    def consent(self, deal: Deal, crash: int | str | None, scenario: Mapping[str, Any]) -> None:
        self.world.network.prompts.write_scenario(deal.ordered.phone, Scenario(**scenario))
        message_id = deal.side.seen.say(deal.ordered)
        self._do("prepare", crash, lambda: deal.side.shop.prepare(deal.ordered, message_id))
        self._do("prepare again", None, lambda: deal.side.shop.prepare(deal.ordered, message_id))

    @rule(
        which=DEALS,
        typed=st.sampled_from(ACCOUNTS),
        more=st.sampled_from((0, 0, 0, -10, 10)),
        report=st.sampled_from(("normal", "never", "twice")),
        report_seconds=st.sampled_from((0, 0, 100)),
        listed=st.booleans(),
    )
    def pay_by_hand(
        self, which: int, typed: Callable[[str], str], more: int, report: Any, report_seconds: int, *, listed: bool
    ) -> None:
        deal = self._pick(which)
        paid = ByHand(
            phone=deal.ordered.phone,
            paybill=deal.side.account.party_b,
            account="" if deal.side.is_till else typed(deal.number),
            amount=deal.ordered.total + more,
            report=report,
            report_seconds=report_seconds,
            listed=listed or report == "never",
        )
        self.world.network.pay_by_hand(paid)

    @rule(which=DEALS, code=st.sampled_from(("0", "2001", "1032")))
    def answer_prompt(self, which: int, code: str) -> None:
        phone = self._pick(which).ordered.phone
        if self.world.network.prompts.waiting_for_a_person(phone) is not None:
            self.world.network.decide_by_hand(phone, code)

    @rule(which=DEALS, sure=st.integers(0, 4))
    def cancel_order(self, which: int, sure: int) -> None:
        if sure < 4:
            return
        deal = self._pick(which)
        with unit_of_work(deal.side.seen.databases, deal.side.seen.vendor_id) as work:
            orders.cancel(work, order_id=deal.ordered.order_id, reason="customer", now=self.world.virtual())

    @rule(kind=st.sampled_from(("no_token", "bad_token", "foreign_token", "guessed_checkout", "success")))
    def forge(self, kind: Forgery) -> None:
        # A success that is forged with the right token while its prompt may still be paid gives that money a false receipt:
        # no answer of M-Pesa to a query tells one. docs/decisions/0162 says so.
        everyone = self.world.prompts()
        ended = [each for each in everyone if each.result_code not in (None, "0") and not each.scenario.paid_after_seconds]
        if ended:
            self.world.network.forge(kind, ended[-1].checkout_request_id)

    # ------------------------------------------------------------ operators

    @rule(which=DEALS, receipt=st.integers(0, 5), is_paid=st.booleans(), seconds=st.sampled_from((0, 1000)), crash=POINTS)
    def operate(self, which: int, receipt: int, seconds: int, crash: int | str | None, *, is_paid: bool) -> None:
        """Decide what is under review, by what the statement says where it says something; assign what is unmatched."""
        self.world.virtual.advance(seconds)
        for job in ("push", "settle", "query", "sweep", "settle reports"):
            self.work(job, None)
        for side, intent in self._reviewed():
            receipts = sorted(self._may_be_read_as(side, intent)) if is_paid else []
            if receipts:
                chosen = receipts[receipt % len(receipts)]
                self._do("decide paid", crash, partial(self._decide_paid, side, intent, chosen))
            elif not is_paid:
                self._do("decide failed", crash, partial(self._decide_failed, side, intent))
        # At a till a prompt's money may be written down twice, once without a receipt: a person sees that, so this one does.
        deal = self._pick(which)
        by_hand = {each.receipt for each in self.world.transactions(deal.side) if each.by_hand or not deal.side.is_till}
        unmatched = by_hand & {row["receipt"] for row in deal.side.payments(self.since) if row["order_id"] is None}
        if unmatched:
            self._do("assign", crash, partial(self._assign, deal, min(unmatched)))

    # ------------------------------------------------------------ workers and time

    @rule(seconds=st.sampled_from((1, 11, 61, 95, 200, 400, 1000, 4000)), hook=HOOK_POINTS)
    def let_time_pass(self, seconds: int, hook: str | None) -> None:
        with self._endpoints_die(hook):
            self.world.virtual.advance(seconds)

    def work(self, job: str, crash: int | str | None) -> None:
        for side in self._sides():
            self._do(job, crash, self._job(job, side.shop, self.world.client))

    @rule(seconds=st.sampled_from((2, 65, 300, 1000)), jobs=st.permutations(JOBS), crash=POINTS, hook=HOOK_POINTS)
    def work_a_while(self, seconds: int, jobs: list[str], crash: int | str | None, hook: str | None) -> None:
        self.let_time_pass(seconds, hook)
        for job in jobs:
            self.work(job, crash)
            self.no_intent_is_pushed_twice()

    @rule(
        which=DEALS,
        scenario=st.one_of(st.none(), MEETS),
        seconds=st.sampled_from((0, 1, 61, 200, 700)),
        job=st.sampled_from(("push", "query", "settle", "settle reports", "pull")),
        others=st.lists(st.sampled_from((*JOBS, "time")), min_size=1, max_size=3),
        stops=st.integers(1, 6),
        crash=POINTS,
        other_crash=POINTS,
    )
    def overtake(
        self,
        which: int,
        scenario: Mapping[str, Any] | None,
        seconds: int,
        job: str,
        others: list[str],
        stops: int,
        crash: int | str | None,
        other_crash: int | str | None,
    ) -> None:
        """One worker stands still between two transactions; other jobs, or a minute of M-Pesa, come in between."""
        side = self._pick(which).side
        if scenario is not None:
            self.consent(self._pick(which), None, scenario)
            if job != "push":
                self._do("push", None, self._job("push", side.shop, self.world.client))
        self.world.virtual.advance(seconds)

        def come_between() -> None:
            for other in others:
                if other == "time":
                    self.world.virtual.advance(61)
                else:
                    self._do(other, other_crash, self._job(other, side.shop, self.world.client))

        plan = self.world.workers.plan
        plan.meanwhile = Meanwhile(points=stops, act=come_between)
        self._do(job, crash, self._job(job, side.shop, self.world.client))
        plan.meanwhile = None

    @rule(jobs=st.lists(st.sampled_from((*JOBS, "push", "prepare")), min_size=2, max_size=4), which=DEALS)
    def work_at_once(self, jobs: list[str], which: int) -> None:
        """Let workers of one vendor, and turns of one customer, run in threads of their own."""
        deal, client = self._pick(which), self.world.client.inner
        shop = deal.side.seen
        acts = [
            self._job(job, shop, client) if job != "prepare" else lambda: shop.prepare(deal.ordered, shop.say(deal.ordered))
            for job in jobs
        ]
        self.world.operations["several at once"] += 1
        with ThreadPoolExecutor(len(acts)) as threads:
            for done in [threads.submit(act) for act in acts]:
                done.result()

    # ------------------------------------------------------------ what must hold

    @invariant()
    def no_intent_is_pushed_twice(self) -> None:
        bodies = [call.body for call in self.world.pushes()]
        pushed = Counter((str(body["BusinessShortCode"]), body["AccountReference"]) for body in bodies)
        assert max(pushed.values(), default=0) <= 1, pushed
        sent = {
            (side.account.short_code, row["account_ref"])
            for side in self._sides()
            for row in side.intents(self.since, "a.dispatched_at IS NOT NULL")
        }
        assert set(pushed) <= sent, "a prompt left that was not stamped before"

    @invariant()
    def paid_means_that_money_moved(self) -> None:
        all_paid: set[Any] = set()
        for side in self._sides():
            moved = {each.receipt: each for each in self.world.transactions(side)}
            by_prompt = {each.account for each in moved.values() if not each.by_hand}
            rows = side.payments(self.since)
            for row in rows:
                if row["receipt"] is None:
                    assert row["account_ref"] in by_prompt, f"{row} was never paid"
                else:
                    assert moved[row["receipt"]].amount == row["amount"]
            # A till's report names nothing: what a query confirmed without a receipt stands beside it until a person looks.
            counted = [row for row in rows if row["order_id"] is not None] if side.is_till else rows
            assert len(counted) <= len(moved), "money was written down twice"
            told = [row["receipt"] for row in rows if row["receipt"] is not None]
            assert len(told) == len(set(told)), "a receipt was written down twice"
            paid = {row["id"] for row in side.intents(self.since, "i.status = 'paid'")}
            assert paid == {row["intent_id"] for row in rows} - {None}
            all_paid |= paid
        assert self.paid <= all_paid, "a paid intent left paid"
        self.paid = all_paid

    @invariant()
    def an_order_is_paid_once_or_told_to_be_paid_twice(self) -> None:
        for deal in self.deals:
            order_id, seen = deal.ordered.order_id, deal.side.seen
            (order,) = seen.rows("SELECT status FROM orders WHERE id = %s", order_id)
            rows = [row for row in deal.side.payments(self.since) if row["order_id"] == order_id]
            assert order["status"] != "PAID" or rows, "PAID without a payment"
            matched = [row["amount"] for row in rows if row["assigned_by"] is None]
            assert set(matched) <= {deal.ordered.total}, "another amount than the order's was matched by itself"
            told = seen.rows(
                "SELECT id FROM domain_events WHERE type = 'payment_duplicate_paid' AND data ->> 'order_id' = %s", str(order_id)
            )
            assert len(told) == max(len(rows) - 1, 0), f"{len(rows)} payments, {len(told)} told as one too many"

    def usage_equals_what_happened(self) -> None:
        first, last = (day_of(at) for at in (self.since, self.world.virtual()))
        for side in self._sides():
            with unit_of_work(side.seen.databases, side.seen.vendor_id) as work:
                differences = [effects.compare(work, first + timedelta(days=n)) for n in range((last - first).days + 1)]
            assert not any(differences), differences

    def teardown(self) -> None:
        """Let two days pass with every worker at work: then every receipt M-Pesa told of is written down, once, and metered."""
        for seconds in (1, 20, 65, 300, 900, 3600, 20_000, 65_000, 80_000):
            self.world.virtual.advance(seconds)
            for job in ("push", "pull", "settle reports", "settle", "query", "sweep"):
                self.work(job, None)
        self.paid_means_that_money_moved()
        self.an_order_is_paid_once_or_told_to_be_paid_twice()
        self.usage_equals_what_happened()
        for side in self._sides():
            rows = side.payments(self.since)
            written = {row["receipt"] for row in rows}
            without = {row["account_ref"] for row in rows if row["receipt"] is None}
            for each in self.world.transactions(side):
                told = each.receipt in written or (not each.by_hand and each.account in without)
                reviewed = side.intents(self.since, "i.status = 'needs_review' AND i.account_ref = %s", each.account)
                assert told or reviewed or not each.listed, f"{each} is lost"
            assert side.intents(self.since, "i.status IN ('consented', 'processing')") == []
            self.world.receipts[side.account.kind] += len(self.world.transactions(side))
        self.world.virtual.advance(200_000)

    # ------------------------------------------------------------ tools

    def _do(self, operation: str, crash: int | str | None, act: Callable[[], object]) -> None:
        plan = self.world.workers.plan
        plan.operation, plan.dies_at = operation, crash
        self.world.steps += 1
        self.world.operations[operation] += 1
        try:
            act()
        except Crash:
            pass
        finally:
            plan.dies_at = None

    @contextmanager
    def _endpoints_die(self, where: str | None) -> Iterator[None]:
        """Let an endpoint die at the first point of this name: it has stored what it was told, or not, and answers nothing."""
        plan = self.world.endpoints.plan
        plan.operation, plan.dies_at = "endpoint", where
        yield
        plan.dies_at = None

    def _job(self, name: str, shop: Shop, client: Daraja) -> Callable[[], object]:
        once: dict[str, Callable[[], object]] = {
            "settle": lambda: self._all(shop.settle),
            "settle reports": shop.settle_reports,
            "query": lambda: self._all(lambda: shop.query(client)),
            "sweep": shop.sweep,
            "push": lambda: self._all(lambda: shop.push(client)),
            "pull": lambda: self._all(lambda: self._pull(shop, client)),
        }
        return once[name]

    def _all(self, once: Callable[[], bool]) -> None:
        for _ in range(100):
            if not once():
                return
        raise AssertionError("a worker finds the same work again and again")

    def _pull(self, shop: Shop, client: Daraja) -> bool:
        return pull.pull_next(shop.databases, client, vendor_id=shop.vendor_id, now=shop.clock(), open_secret=open_plain)

    def _assign(self, deal: Deal, receipt: str) -> None:
        with suppress(Refused), unit_of_work(deal.side.shop.databases, deal.side.shop.vendor_id) as work:
            now = self.world.virtual()
            review.assign(work, receipt, deal.number, actor="W", reason="hers", accept_difference=True, now=now)

    def _decide_failed(self, side: Side, intent: Mapping[str, Any]) -> None:
        with unit_of_work(side.shop.databases, side.shop.vendor_id) as work:
            review.decide_failed(work, intent["id"], actor="W", reason="no such money", now=self.world.virtual())

    def _decide_paid(self, side: Side, intent: Mapping[str, Any], receipt: str) -> None:
        with suppress(Refused), unit_of_work(side.shop.databases, side.shop.vendor_id) as work:
            review.decide_paid(work, intent["id"], receipt=receipt, actor="W", reason="seen", now=self.world.virtual())

    def _may_be_read_as(self, side: Side, intent: Mapping[str, Any]) -> set[str]:
        """Give what an operator may take for this payment in M-Pesa's statement: also what stands for another one already."""
        given = {row["receipt"] for row in side.payments(self.since) if row["order_id"] is not None}

        def fits(each: Transaction) -> bool:
            return each.amount == intent["amount"] and (
                each.by_hand or each.account == intent["account_ref"] or each.receipt in given
            )

        return {each.receipt for each in self.world.transactions(side) if fits(each)}

    def _reviewed(self) -> list[tuple[Side, dict[str, Any]]]:
        return [(side, row) for side in self._sides() for row in side.intents(self.since, "i.status = 'needs_review'")]

    def _sides(self) -> list[Side]:
        """Give the vendors that somebody ordered from."""
        return [each for each in self.world.sides if any(deal.side is each for deal in self.deals)]

    def _pick(self, which: int) -> Deal:
        return self.deals[which % len(self.deals)]
