import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from payments import stk
from payments.access_token import AccessTokens
from payments.callback_urls import has_banned_word
from payments.credentials import Credentials
from payments.daraja import Accepted, Ambiguous, DarajaClient, Rejected, StkRequest
from payments.requests import Prepared
from payments.tokens import draw_token
from router.databases import Databases
from router.errors import Broken, Refused
from router.orders import store as orders
from router.payment_intents import attempts, trail
from router.payment_intents.attempts import InTheWay
from router.work import unit_of_work
from tests.operator import operating
from tests.payments.conftest import Mpesa
from tests.payments.shop import Answers, Clock, Shop


def test_a_pay_becomes_one_prompt_and_the_money_pays_the_order(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    mpesa.script()
    intent = open_shop.consented()
    assert open_shop.push(daraja)
    assert not open_shop.push(daraja)
    assert open_shop.states(intent.id) == ("processing", "accepted", "CONFIRMED")
    (push,) = mpesa.pushes(count=1, callbacks=1)
    assert (push["amount"], push["party_b"], push["account_reference"]) == (430, "174379", "S0001")
    assert [each["http_status"] for each in push["callbacks"]] == [200]
    assert open_shop.settle()
    assert not open_shop.settle()
    assert open_shop.states(intent.id) == ("processing", "accepted", "CONFIRMED")
    assert open_shop.query(daraja)
    assert open_shop.states(intent.id) == ("paid", "succeeded", "PAID")
    assert open_shop.news() == [("paid", push["receipt"])]
    assert open_shop.events() == ["payment_confirmed"]
    (order,) = open_shop.rows("SELECT receipt FROM orders WHERE id = %s", intent.order_id)
    assert order["receipt"] == push["receipt"]
    metered = open_shop.rows("SELECT meter FROM usage_records WHERE key = %s ORDER BY 1", str(intent.id))
    assert [row["meter"] for row in metered] == ["payment", "stk_push"]


@pytest.mark.case(8)
def test_twenty_workers_make_one_post(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    mpesa.script(callback="never")
    intent = open_shop.consented()
    with ThreadPoolExecutor(20) as pool:
        list(pool.map(lambda _: open_shop.push(daraja), range(20)))
    assert len(mpesa.posts()) == 1
    assert len(open_shop.opened) == 1  # the others saw that somebody is getting ready
    assert open_shop.states(intent.id)[1] == "accepted"


@pytest.mark.case(9)
def test_twenty_claims_of_one_attempt_win_once(database_urls: dict[str, str], shop: Shop) -> None:
    """Without the lease: everybody has seen it prepared."""
    databases = Databases(platform_url=database_urls["platform"], ops_url=database_urls["ops"], resolve_secret=str, pool_size=20)
    intent = shop.consented()
    barrier = threading.Barrier(20)

    def claim(_: int) -> bool:
        with unit_of_work(databases, shop.vendor_id) as work:
            barrier.wait(timeout=5)
            return attempts.dispatch(work, intent, token_sha256=b"t" * 32, terms={}, look_again_at=shop.clock(), now=shop.clock())

    with ThreadPoolExecutor(20) as pool:
        assert sorted(pool.map(claim, range(20))) == [False] * 19 + [True]
    databases.close()


@pytest.mark.case(26)
def test_a_callback_that_overtakes_the_answer_pays(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    mpesa.script(callback="before_answer", answer_after_seconds=0.2)
    intent = open_shop.consented()
    with ThreadPoolExecutor(1) as pool:
        pushing = pool.submit(open_shop.push, daraja)
        (push,) = mpesa.pushes(count=1, callbacks=1)
        assert open_shop.settle()
        assert pushing.result()
    open_shop.clock.advance(seconds=2)
    assert open_shop.settle()
    assert open_shop.query(daraja)
    after = open_shop.intent(intent.id)
    assert open_shop.states(intent.id) == ("paid", "succeeded", "PAID")
    assert after.attempt.checkout_request_id == push["checkout_request_id"]
    assert open_shop.news() == [("paid", push["receipt"])]


@pytest.mark.parametrize("answer", ["hang", "reset", "http_500_after_accept"])
@pytest.mark.case(13, 16)
def test_a_push_without_a_clear_answer_is_ambiguous_and_its_callback_pays(
    open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient, answer: str
) -> None:
    mpesa.script(answer=answer, delay_seconds=0.8)
    intent = open_shop.consented()
    assert open_shop.push(daraja)
    assert open_shop.states(intent.id) == ("processing", "ambiguous", "CONFIRMED")
    assert not open_shop.push(daraja)
    assert (open_shop.news(), open_shop.progress()) == ([], ["unclear"])
    (push,) = mpesa.pushes(count=1, callbacks=1)
    assert open_shop.settle()
    assert open_shop.query(daraja)
    assert open_shop.states(intent.id) == ("paid", "succeeded", "PAID")
    assert open_shop.intent(intent.id).attempt.checkout_request_id == push["checkout_request_id"]
    assert len(mpesa.posts()) == 1


@pytest.mark.parametrize("answer", ["html_503", "html_200", "empty_200", "reject:500.003.1001", "reject:500.003.02"])
@pytest.mark.case(17)
def test_an_answer_that_proves_nothing_is_ambiguous_and_never_repeated(
    open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient, answer: str
) -> None:
    mpesa.script(answer=answer)
    intent = open_shop.consented()
    assert open_shop.push(daraja)
    assert not open_shop.push(daraja)
    assert open_shop.states(intent.id) == ("processing", "ambiguous", "CONFIRMED")
    assert open_shop.intent(intent.id).attempt.next_query_at == open_shop.clock() + timedelta(minutes=15)
    assert open_shop.news() == []
    assert len(mpesa.posts()) == 1


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("reject:400.002.02:Bad Request - Invalid BusinessShortCode", "shop_set_up"),
        ("reject:404.001.03:Invalid Access Token", "failed"),
        ("reject:500.001.1001:Wrong credentials", "shop_set_up"),
        ("reject:500.001.1001:Unable to lock subscriber, a transaction is already in process", "other_prompt"),
        ("spike_arrest", "failed"),
    ],
)
@pytest.mark.case(19, 20)
def test_a_rejected_push_fails_and_a_new_pay_may_try_again(
    open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient, answer: str, why: str
) -> None:
    mpesa.script(answer=answer)
    ordered = open_shop.order()
    prepared = open_shop.prepare(ordered, open_shop.say(ordered))
    assert isinstance(prepared, Prepared)
    assert open_shop.push(daraja)
    assert open_shop.states(prepared.intent_id) == ("failed", "rejected", "CONFIRMED")
    assert (open_shop.news(), open_shop.why()) == ([("failed", None)], why)
    assert open_shop.events() == ["payment_failed"]
    assert not open_shop.push(daraja)
    assert len(mpesa.posts()) == 1
    again = open_shop.prepare(ordered, open_shop.say(ordered))
    assert isinstance(again, Prepared)
    assert open_shop.intent(again.intent_id).account_ref == "S0001B"


@pytest.mark.case(18)
def test_a_bad_token_is_purged_so_that_the_next_push_fetches_one(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    mpesa.script(callback="never")
    open_shop.consented(phone="254712000001")
    assert open_shop.push(daraja)
    mpesa.http.delete(f"{mpesa.url}/sim/tokens").raise_for_status()
    refused = open_shop.consented(phone="254712000002")
    assert open_shop.push(daraja)
    assert open_shop.states(refused.id)[:2] == ("failed", "rejected")
    taken = open_shop.consented(phone="254712000003")
    assert open_shop.push(daraja)
    assert open_shop.states(taken.id)[:2] == ("processing", "accepted")
    assert len(mpesa.posts("/oauth/v1/generate")) == 2
    assert len(mpesa.posts()) == 3


@pytest.mark.parametrize("answer", ["empty_400", "html_503"])
@pytest.mark.case(22)
def test_without_a_token_the_attempt_waits_and_nothing_is_claimed(
    open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient, answer: str
) -> None:
    mpesa.script(callback="never")
    mpesa.http.put(f"{mpesa.url}/sim/oauth", json={"answer": answer, "times": 2}).raise_for_status()
    intent = open_shop.consented()
    assert open_shop.push(daraja)
    assert open_shop.states(intent.id)[:2] == ("consented", "prepared")
    assert open_shop.progress() == ["mpesa_busy"]
    assert not open_shop.push(daraja)
    open_shop.clock.advance(seconds=10)
    assert open_shop.push(daraja)
    assert open_shop.states(intent.id)[:2] == ("processing", "accepted")


@pytest.mark.case(6, 22)
def test_a_pay_older_than_five_minutes_is_not_acted_on(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    intent = open_shop.consented()
    open_shop.clock.advance(minutes=5, seconds=1)
    assert open_shop.push(daraja)
    assert open_shop.states(intent.id) == ("expired", "rejected", "CONFIRMED")
    assert (open_shop.news(), open_shop.why()) == ([("failed", None)], "too_late")
    assert mpesa.posts() == []
    assert open_shop.opened == []


def test_a_pay_of_exactly_five_minutes_is_still_acted_on(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    mpesa.script(callback="never")
    intent = open_shop.consented()
    open_shop.clock.advance(minutes=5)
    assert open_shop.push(daraja)
    assert open_shop.states(intent.id)[0] == "processing"


def test_a_phone_shows_one_prompt_at_a_time(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    mpesa.script(callback="never")
    first, second = open_shop.consented(), open_shop.consented(total=215)
    assert open_shop.push(daraja)
    assert open_shop.push(daraja)
    assert not open_shop.push(daraja)
    waiting = {open_shop.states(each.id)[1] for each in (first, second)}
    assert waiting == {"accepted", "prepared"}
    open_shop.clock.advance(seconds=6)
    assert open_shop.push(daraja)  # looks again, and says nothing more
    assert open_shop.progress() == ["phone_busy"]
    open_shop.clock.advance(seconds=85)
    mpesa.wait_until_decided()
    mpesa.script(callback="never")
    assert open_shop.push(daraja)
    assert {open_shop.states(each.id)[1] for each in (first, second)} == {"accepted"}
    assert len(mpesa.posts()) == 2


def test_case_61_the_same_amount_to_the_same_phone_waits_two_minutes_also_after_it_was_paid(
    open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient
) -> None:
    mpesa.script()
    open_shop.consented()
    assert open_shop.push(daraja)
    mpesa.pushes(count=1, callbacks=1)
    assert open_shop.settle()
    assert open_shop.query(daraja)
    same, other = open_shop.consented(), open_shop.consented(total=215)
    mpesa.script(callback="never", outcome="cancelled")
    while open_shop.push(daraja):
        pass
    assert open_shop.states(same.id)[1] == "prepared"
    assert open_shop.states(other.id)[1] == "accepted"
    mpesa.wait_until_decided()
    open_shop.clock.advance(seconds=115)
    while open_shop.push(daraja):
        pass
    assert open_shop.states(same.id)[1] == "prepared"
    assert "same_amount" in open_shop.progress()
    open_shop.clock.advance(seconds=6)
    assert open_shop.push(daraja)
    assert open_shop.states(same.id)[1] == "accepted"


def test_two_workers_cannot_prompt_one_phone_at_once(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    mpesa.script(callback="never", answer_after_seconds=0.3)
    for _ in range(3):
        open_shop.consented()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: open_shop.push(daraja), range(3)))
    assert len(mpesa.posts()) == 1


def test_a_phone_is_held_while_it_is_looked_at_and_another_vendors_prompt_counts(shop: Shop, other_shop: Shop) -> None:
    mine, theirs = shop.consented(), other_shop.consented(total=215)
    since = shop.clock() - timedelta(seconds=90)

    def is_free() -> bool:
        (row,) = shop.rows("SELECT pg_try_advisory_xact_lock(hashtextextended('stk:' || %s, 0)) AS free", mine.msisdn)
        return bool(row["free"])

    with unit_of_work(other_shop.databases, other_shop.vendor_id) as work:
        assert attempts.find_in_the_way(work, theirs, since=since, same_amount_since=since) is None
        assert not is_free()
        attempts.dispatch(work, theirs, token_sha256=b"t" * 32, terms={}, look_again_at=shop.clock(), now=shop.clock())
    assert is_free()
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        assert attempts.find_in_the_way(work, mine, since=since, same_amount_since=since) is InTheWay.PROMPT


@dataclass(kw_only=True)
class Slow(Answers):
    """M-Pesa whose token takes so long that something happens meanwhile."""

    meanwhile: Callable[[], object]

    def authorise(self, credentials: Credentials) -> SecretStr:
        self.meanwhile()
        return SecretStr("late")


def test_a_worker_that_was_overtaken_leaves_the_prompt_alone(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    mpesa.script(callback="never")
    intent = open_shop.consented()

    def another_worker_pushes_and_the_customer_cancels() -> None:
        open_shop.clock.advance(seconds=31)  # longer than the first worker's lease
        assert open_shop.push(daraja)
        with unit_of_work(open_shop.databases, open_shop.vendor_id) as work:
            orders.cancel(work, order_id=intent.order_id, reason="x", now=open_shop.clock())

    assert open_shop.push(Slow(meanwhile=another_worker_pushes_and_the_customer_cancels))
    assert open_shop.states(intent.id) == ("processing", "accepted", "CANCELLED")
    assert len(mpesa.posts()) == 1


def test_a_gate_that_closed_while_a_worker_got_ready_holds_it_back(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    mpesa.script(callback="never")
    first, second = open_shop.consented(), open_shop.consented(total=215)
    assert open_shop.push(Slow(meanwhile=lambda: open_shop.push(daraja)))
    assert {open_shop.states(each.id)[1] for each in (first, second)} == {"accepted", "prepared"}
    assert open_shop.progress() == ["phone_busy"]
    assert len(mpesa.posts()) == 1


def test_a_decided_prompt_frees_the_phone(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    mpesa.script(outcome="cancelled")
    open_shop.consented()
    assert open_shop.push(daraja)
    mpesa.pushes(count=1, callbacks=1)
    assert open_shop.settle()
    mpesa.script(callback="never")
    second = open_shop.consented()
    assert open_shop.push(daraja)
    assert open_shop.states(second.id)[1] == "accepted"


def test_an_order_cancelled_before_the_push_is_not_pushed(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    intent = open_shop.consented()
    with unit_of_work(open_shop.databases, open_shop.vendor_id) as work:
        orders.cancel(work, order_id=intent.order_id, reason="changed my mind", now=open_shop.clock())
    assert open_shop.push(daraja)
    assert open_shop.states(intent.id) == ("cancelled", "rejected", "CANCELLED")
    assert mpesa.posts() == []


@pytest.mark.parametrize("secret", ["", "not json", '{"consumer_key": "a", "consumer_secret": "b"}', '{"passkey": ""}'])
@pytest.mark.case(54)
def test_unusable_secrets_fail_the_intent_and_nothing_is_sent(
    open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient, secret: str
) -> None:
    def open_secret(reference: str) -> str:
        if not secret:
            raise Refused("secret_missing", f"the variable of an {reference.partition(':')[0]}: reference is not set")
        return secret

    intent = open_shop.consented()
    terms: dict[str, Any] = {
        "vendor_id": open_shop.vendor_id,
        "now": open_shop.clock(),
        "callback_base_url": "http://127.0.0.1:9",
    }
    assert stk.push_next(open_shop.databases, daraja, open_secret=open_secret, **terms)
    assert open_shop.states(intent.id) == ("failed", "rejected", "CONFIRMED")
    assert open_shop.news() == [("failed", None)]
    assert mpesa.posts() == []
    assert mpesa.posts("/oauth/v1/generate") == []


def test_an_answer_after_the_sweep_still_brings_the_ids(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    class Slow(DarajaClient):
        def push(self, request: StkRequest, credentials: Credentials, token: SecretStr) -> Accepted | Rejected | Ambiguous:
            outcome = super().push(request, credentials, token)
            open_shop.clock.advance(minutes=3)
            assert open_shop.sweep() == 1
            return outcome

    mpesa.script(callback="never")
    intent = open_shop.consented()
    client = Slow(base_url=mpesa.url, tokens=AccessTokens(None))
    assert open_shop.push(client)
    client.close()
    assert open_shop.states(intent.id)[1] == "accepted"


def test_the_audit_trail_tells_which_message_allowed_what_and_holds_no_secret(
    open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient
) -> None:
    mpesa.script()
    intent = open_shop.consented()
    open_shop.push(daraja)
    mpesa.pushes(count=1, callbacks=1)
    open_shop.settle()
    open_shop.query(daraja)
    with unit_of_work(open_shop.databases, open_shop.vendor_id) as work:
        noted = trail.list_noted(work, intent.id)
    assert [each.event for each in noted] == [
        "consented",
        "attempt_dispatch",
        "intent_dispatch",
        "attempt_accept",
        "success_claimed",
        "callback_judged",
        "query_answered",
        "attempt_confirm",
        "intent_confirm",
    ]
    assert noted[0].data == {"pay_message_id": intent.pay_message_id}
    assert noted[1].data["PartyB"] == 174379
    assert "Password" not in noted[1].data
    assert "CallBackURL" not in noted[1].data


def test_the_callback_token_is_drawn_again_when_safaricom_would_refuse_it() -> None:
    tokens = {draw_token() for _ in range(500)}
    assert len(tokens) == 500
    assert all(len(each) == 32 and set(each) <= set("abcdefghijklmnopqrstuvwxyz234567") for each in tokens)
    assert not any(has_banned_word(each) for each in tokens)
    assert [has_banned_word(each) for each in ("axexecz", "abSQLcd", "m-PESA", "aquerya", "abc")] == [True] * 4 + [False]


def test_only_the_hash_of_the_callback_token_is_stored(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    mpesa.script(callback="never")
    open_shop.consented()
    open_shop.push(daraja)
    (push,) = mpesa.pushes(count=1)
    token = push["callback_url"].rpartition("/")[2]
    tables: list[str] = [row["relname"] for row in open_shop.rows("SELECT relname FROM pg_stat_user_tables")]
    dump = "".join(str(open_shop.rows(f"SELECT t::text FROM {name} t")) for name in tables if name != "alembic_version_ops")
    assert push["checkout_request_id"] in dump
    assert token not in dump


@contextmanager
def commits_of_dispatches_fail(databases: Databases) -> Iterator[None]:
    """Let every transaction that dispatches an attempt die at its commit, as with a worker or a server that is killed then."""
    with operating(databases, ops=True) as conn:
        conn.execute(
            """CREATE FUNCTION die_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
               BEGIN RAISE EXCEPTION 'killed at the commit'; END $$"""
        )
        conn.execute(
            """CREATE CONSTRAINT TRIGGER die_at_commit AFTER UPDATE OF status ON stk_attempts DEFERRABLE INITIALLY DEFERRED
               FOR EACH ROW WHEN (NEW.status = 'dispatched') EXECUTE FUNCTION die_at_commit()"""
        )
    try:
        yield
    finally:
        with operating(databases, ops=True) as conn:
            conn.execute("DROP FUNCTION die_at_commit() CASCADE")


def test_case_10_a_worker_killed_before_the_claim_leaves_it_to_the_next(
    open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient
) -> None:
    mpesa.script(callback="never")
    intent = open_shop.consented()
    with commits_of_dispatches_fail(open_shop.databases), pytest.raises(Broken, match="killed at the commit"):
        open_shop.push(daraja)
    assert open_shop.states(intent.id)[:2] == ("consented", "prepared")
    assert mpesa.posts() == []
    assert open_shop.rows("SELECT 1 FROM usage_records WHERE meter = 'stk_push'") == []
    open_shop.clock.advance(seconds=30)
    assert open_shop.push(daraja)
    assert not open_shop.push(daraja)
    assert open_shop.states(intent.id) == ("processing", "accepted", "CONFIRMED")
    assert len(mpesa.posts()) == 1


@pytest.mark.case(60)
@pytest.mark.parametrize(("minutes", "told"), [(-5, [-300]), (0, []), (5, [300])])
def test_case_60_a_clock_that_is_minutes_off_is_told_to_the_operator(
    open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient, minutes: int, told: list[int]
) -> None:
    mpesa.script(callback="never")
    wrong = replace(open_shop, clock=Clock(open_shop.clock() + timedelta(minutes=minutes)))
    wrong.consented()
    with capture_logs() as lines:
        assert wrong.push(daraja)
    assert [line["ahead_seconds"] for line in lines if line["event"] == "clock_skewed"] == told


def test_a_vendor_who_may_take_no_money_any_more_sends_no_prompt_for_the_pay_before(
    open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient
) -> None:
    intent = open_shop.consented()
    with operating(open_shop.databases) as conn:
        conn.execute("UPDATE vendor_capabilities SET enabled = false WHERE capability_key = 'payments.mpesa_stk'")
    open_shop.databases.cache.forget()
    assert open_shop.push(daraja)
    assert open_shop.states(intent.id) == ("failed", "rejected", "CONFIRMED")
    assert mpesa.posts() == []
    assert open_shop.opened == [], "not even the secret is opened"
