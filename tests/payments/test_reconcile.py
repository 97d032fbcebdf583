from datetime import timedelta
from typing import Any

import pytest

from payments import reconcile
from payments.daraja import DarajaClient
from payments.requests import Busy, BusyReason
from router.payment_intents import attempts, store
from router.payment_intents.status import AttemptEvent
from router.payment_intents.store import Intent
from router.work import unit_of_work
from tests.payments.bodies import failure, success
from tests.payments.conftest import Mpesa
from tests.payments.shop import Shop
from tests.payments.test_settle import order_of, ordered_again, pushed, settle_all

QUERY = "/mpesa/stkpushquery/v1/query"


def silent(shop: Shop, mpesa: Mpesa, daraja: DarajaClient, **scenario: Any) -> Intent:
    """Push a prompt that ends on the phone and is never called back."""
    mpesa.script(callback="never", **scenario)
    intent = shop.consented()
    assert shop.push(daraja)
    mpesa.http.get(f"{mpesa.url}/sim/pushes", params={"count": 1, "timeout": 5})
    wait_for_decision(mpesa)
    return shop.intent(intent.id)


def wait_for_decision(mpesa: Mpesa) -> None:
    for _ in range(200):
        if mpesa.pushes()[0]["outcome"] != "pending":
            return
    raise AssertionError("the prompt did not end")


@pytest.mark.case(27)
def test_a_query_pays_without_a_callback_and_the_callback_brings_the_receipt(
    open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient
) -> None:
    intent = silent(open_shop, mpesa, daraja)
    assert not open_shop.query(daraja)
    open_shop.clock.advance(seconds=60)
    assert open_shop.query(daraja)
    assert not open_shop.query(daraja)
    assert open_shop.states(intent.id) == ("paid", "succeeded", "PAID")
    assert open_shop.news() == [("paid", None)]
    (payment,) = open_shop.rows("SELECT * FROM payments")
    assert (payment["receipt"], payment["confirmed_by"], payment["amount"]) == (None, "query", 430)
    open_shop.call_back(intent.id, success(intent, receipt="UKT1AAAAAA"))
    assert settle_all(open_shop) == ["receipt_added"]
    (payment,) = open_shop.rows("SELECT * FROM payments")
    assert (payment["receipt"], payment["confirmed_by"]) == ("UKT1AAAAAA", "callback+query")
    assert open_shop.news() == [("paid", None)]


def test_a_receipt_of_another_payment_is_not_added(shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    other = pushed(shop, phone="254712000002", checkout="ws_CO_9")
    shop.call_back(other.id, success(other))
    settle_all(shop)
    intent = silent(shop, mpesa, daraja)
    shop.clock.advance(seconds=60)
    assert shop.query(daraja)
    shop.call_back(intent.id, success(intent))
    assert settle_all(shop) == ["claimed", "receipt_taken"]
    assert [row["receipt"] for row in shop.rows("SELECT receipt FROM payments ORDER BY receipt")] == ["NLJ7RT61SV", None]


@pytest.mark.parametrize(
    ("outcome", "told"), [("cancelled", "cancelled"), ("no_funds", "no_funds"), ("wrong_pin", "wrong_pin"), ("1001", "failed")]
)
def test_a_query_can_end_it_without_money(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient, outcome: str, told: str) -> None:
    intent = silent(open_shop, mpesa, daraja, outcome=outcome)
    open_shop.clock.advance(seconds=60)
    assert open_shop.query(daraja)
    assert open_shop.states(intent.id) == ("failed", "failed", "CONFIRMED")
    assert open_shop.news() == [(told, None)]


@pytest.mark.parametrize("query", ["pending", "busy", "missing", "html_503", "hang"])
@pytest.mark.case(28)
def test_no_answer_is_asked_again_along_the_ladder_and_then_reviewed_never_failed(
    open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient, query: str
) -> None:
    intent = silent(open_shop, mpesa, daraja, query=query, hang_seconds=5)
    asked = []
    begun = open_shop.clock()
    for _ in range(16 * 4):
        open_shop.clock.advance(seconds=15)
        open_shop.sweep()
        while open_shop.query(daraja):
            asked.append((open_shop.clock() - begun).total_seconds())
    assert asked == [60, 90, 180, 360, 900]
    assert open_shop.states(intent.id) == ("needs_review", "unresolved", "CONFIRMED")
    assert open_shop.news() == []
    assert open_shop.events() == ["payment_needs_review"]


def test_queries_go_on_after_the_review_began_and_can_still_pay(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    intent = silent(open_shop, mpesa, daraja)
    open_shop.clock.advance(minutes=15)
    assert open_shop.sweep() == 1
    assert open_shop.states(intent.id)[:2] == ("needs_review", "unresolved")
    assert open_shop.query(daraja)
    assert open_shop.states(intent.id) == ("paid", "succeeded", "PAID")


def test_a_failure_ends_a_review_that_only_waited_for_an_answer(shop: Shop) -> None:
    intent = pushed(shop)
    shop.clock.advance(minutes=15)
    assert shop.sweep() == 1
    shop.call_back(intent.id, failure(intent))
    assert settle_all(shop) == ["failed"]
    assert shop.states(intent.id) == ("failed", "failed", "CONFIRMED")
    assert shop.news() == [("cancelled", None)]


def test_a_query_never_ends_what_a_person_must_look_at(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    intent = silent(open_shop, mpesa, daraja, query="1032")
    open_shop.call_back(intent.id, success(intent, amount=1))
    assert settle_all(open_shop) == ["amount_mismatch"]
    open_shop.clock.advance(seconds=60)
    assert open_shop.query(daraja)
    assert open_shop.states(intent.id)[0] == "needs_review"


def test_a_query_that_contradicts_a_paid_callback_is_not_even_sent(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    intent = silent(open_shop, mpesa, daraja, query="1032")
    open_shop.call_back(intent.id, success(intent))
    assert settle_all(open_shop) == ["claimed"]
    open_shop.clock.advance(hours=30)
    assert not open_shop.query(daraja)
    assert mpesa.posts(QUERY) == []
    assert open_shop.states(intent.id) == ("paid", "succeeded", "PAID")


def test_an_unknown_result_of_a_query_goes_to_a_person(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    intent = silent(open_shop, mpesa, daraja, query="4242")
    open_shop.clock.advance(seconds=60)
    assert open_shop.query(daraja)
    assert open_shop.states(intent.id)[:2] == ("needs_review", "accepted")
    assert open_shop.news() == []


def test_a_query_without_usable_secrets_is_no_answer(shop: Shop) -> None:
    intent = pushed(shop)
    with shop.databases.ops(shop.vendor_id) as conn:
        conn.execute("UPDATE vendor_shortcodes SET secret_ref = 'env:NOWHERE'")
        conn.execute("UPDATE stk_attempts SET next_query_at = %s", (shop.clock(),))
    client = DarajaClient.__new__(DarajaClient)  # never called: the secret is opened first
    assert shop.query(client)
    assert shop.states(intent.id)[:2] == ("processing", "accepted")


def test_a_crash_during_a_query_costs_one_step_of_the_ladder(shop: Shop) -> None:
    intent = pushed(shop)
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        attempts.ask_now(work, intent, not_since=shop.clock(), now=shop.clock())
        attempts.stamp_query(work, intent, look_again_at=reconcile.next_step(shop.clock(), shop.clock()), now=shop.clock())
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        assert attempts.next_query(work, now=shop.clock()) is None
        assert attempts.next_query(work, now=shop.clock() + timedelta(seconds=60)) == intent.id


def test_the_sweep_expires_a_pay_that_no_worker_took(shop: Shop) -> None:
    intent = shop.consented()
    shop.clock.advance(minutes=5)
    assert shop.sweep() == 0
    shop.clock.advance(seconds=1)
    assert shop.sweep() == 1
    assert shop.sweep() == 0
    assert shop.states(intent.id) == ("expired", "rejected", "CONFIRMED")
    assert shop.news() == [("failed", None)]


def test_the_sweep_leaves_alone_what_is_under_way(shop: Shop) -> None:
    intents = [pushed(shop, checkout=None, phone="254712000001"), pushed(shop, phone="254712000002")]
    shop.clock.advance(seconds=119)
    assert shop.sweep() == 0
    assert [shop.states(each.id)[1] for each in intents] == ["dispatched", "accepted"]


def test_what_waits_is_found_by_the_worker_and_what_ended_is_not(shop: Shop) -> None:
    """`next_query_at` is how the worker finds work: it is set while there is some, and empty at the end."""
    intent = pushed(shop, checkout=None)

    def due_in() -> float | None:
        (row,) = shop.rows("SELECT next_query_at FROM stk_attempts")
        return None if row["next_query_at"] is None else (row["next_query_at"] - intent.attempt.dispatched_at).total_seconds()

    assert due_in() == 0
    shop.clock.advance(minutes=2)
    shop.sweep()
    assert due_in() == 900
    shop.clock.advance(minutes=13)
    shop.sweep()
    assert due_in() is None
    shop.call_back(intent.id, success(intent))
    settle_all(shop)
    assert due_in() is None


def test_the_ladder_ends_after_a_day() -> None:
    begun = pushed_at = timedelta()
    assert begun == pushed_at
    assert reconcile.LADDER[0] == timedelta(seconds=60)
    assert list(reconcile.LADDER) == sorted(reconcile.LADDER)
    assert reconcile.LADDER[-1] == timedelta(hours=24)


# ---------------------------------------------------------------- a success is believed when a query confirms it


def claimed(shop: Shop) -> Intent:
    """Make an intent whose success a callback told of; no query was sent yet."""
    intent = pushed(shop)
    shop.call_back(intent.id, success(intent))
    assert shop.settle()
    return intent


def test_case_40_a_success_that_only_a_callback_tells_of_is_not_believed(shop: Shop) -> None:
    intent = claimed(shop)
    assert shop.states(intent.id) == ("processing", "accepted", "CONFIRMED")
    assert shop.rows("SELECT id FROM payments") == []
    assert shop.news() == []
    assert shop.confirm("1032") == 1
    assert shop.states(intent.id) == ("needs_review", "accepted", "CONFIRMED")
    assert shop.intent(intent.id).reason == "contradicted"
    assert shop.news() == []
    shop.clock.advance(hours=30)
    assert shop.confirm("0") == 0  # a person decides


def test_a_success_without_an_answer_is_asked_about_for_ten_minutes_and_then_reviewed(shop: Shop) -> None:
    intent = claimed(shop)
    begun, asked = shop.clock(), []
    for _ in range(125):
        for _ in range(shop.confirm(None)):
            asked.append((shop.clock() - begun).total_seconds())
        shop.sweep()
        if shop.clock() - begun < timedelta(minutes=10):
            assert shop.states(intent.id)[0] == "processing"
        shop.clock.advance(seconds=5)
    assert asked == [0, 5, 20, 60, 180, 600]
    assert shop.states(intent.id) == ("needs_review", "accepted", "CONFIRMED")
    assert shop.intent(intent.id).reason == "not_confirmed"
    assert shop.events() == ["payment_needs_review"]
    assert shop.news() == []


def test_an_answer_that_comes_during_the_review_still_pays_with_the_receipt_of_the_callback(shop: Shop) -> None:
    intent = claimed(shop)
    shop.clock.advance(minutes=10)
    assert shop.confirm(None) == 1
    shop.clock.advance(minutes=5)
    assert shop.confirm() == 1
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")
    (payment,) = shop.rows("SELECT receipt, confirmed_by FROM payments")
    assert (payment["receipt"], payment["confirmed_by"]) == ("NLJ7RT61SV", "callback+query")


def test_case_30_a_query_that_failed_and_then_a_success_is_asked_again(shop: Shop) -> None:
    intent = pushed(shop)
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        attempts.ask_now(work, intent, not_since=shop.clock(), now=shop.clock())
    assert shop.confirm("1037") == 1
    assert shop.states(intent.id)[0] == "failed"
    shop.call_back(intent.id, success(intent))
    assert shop.settle()
    assert shop.states(intent.id)[0] == "failed"
    assert shop.confirm("1037") == 1
    assert shop.states(intent.id)[0] == "needs_review"


def test_case_42_a_failure_that_was_forged_is_repaired_by_the_one_query_that_follows_it(shop: Shop) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, failure(intent))
    assert shop.settle()
    assert shop.confirm() == 0
    shop.clock.advance(seconds=60)
    assert shop.confirm() == 1
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")
    assert shop.events() == ["payment_failed", "payment_confirmed"]


@pytest.mark.case(42)
def test_a_question_without_an_answer_does_not_use_up_the_confirmation_of_a_failure(shop: Shop) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, failure(intent))
    assert shop.settle()
    shop.clock.advance(seconds=60)
    assert shop.confirm(None) == 1
    assert shop.states(intent.id)[0] == "failed"
    shop.clock.advance(minutes=3)
    assert shop.confirm() == 1
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")


def test_a_failure_is_asked_about_once_and_no_more(shop: Shop) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, failure(intent))
    assert shop.settle()
    shop.clock.advance(seconds=60)
    assert shop.confirm("1032") == 1
    shop.clock.advance(hours=30)
    assert shop.confirm() == 0
    assert shop.states(intent.id) == ("failed", "failed", "CONFIRMED")
    assert shop.news() == [("cancelled", None)]


def test_while_money_is_claimed_for_an_order_a_new_pay_prepares_nothing(shop: Shop) -> None:
    first = pushed(shop)
    shop.call_back(first.id, failure(first))
    assert shop.settle()
    shop.call_back(first.id, success(first))
    assert shop.settle()
    assert shop.states(first.id)[0] == "failed"
    ordered = order_of(first)
    assert shop.prepare(ordered, shop.say(ordered)) == Busy(reason=BusyReason.UNDER_REVIEW)


def test_while_money_is_claimed_for_an_order_no_other_prompt_of_it_is_prepared_or_sent(shop: Shop) -> None:
    first = pushed(shop)
    shop.call_back(first.id, failure(first))
    assert shop.settle()
    second_id = ordered_again(shop, first)
    shop.call_back(first.id, success(first))
    assert shop.settle()
    unused = DarajaClient.__new__(DarajaClient)  # never called: the push waits before anything else
    assert shop.push(unused)
    assert shop.states(second_id)[:2] == ("consented", "prepared")
    assert shop.confirm() == 1
    assert shop.states(second_id)[:2] == ("cancelled", "rejected")


def test_a_failure_beside_a_claimed_success_goes_to_a_person_and_the_query_decides(shop: Shop) -> None:
    intent = claimed(shop)
    shop.call_back(intent.id, failure(intent))
    assert shop.settle()
    assert shop.intent(intent.id).reason == "contradiction"
    assert shop.confirm() == 1
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")


def test_case_26_a_success_that_overtakes_the_answer_waits_for_it_and_is_paid(shop: Shop) -> None:
    intent = pushed(shop, checkout=None)
    shop.call_back(intent.id, success(intent, checkout="ws_CO_7", merchant="m7"))
    assert shop.settle()
    assert not shop.settle()
    assert shop.states(intent.id)[:2] == ("processing", "dispatched")
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        attempts.fill_ids(work, intent, checkout_request_id="ws_CO_7", merchant_request_id="m7")
        store.move_attempt(work, store.lock(work, intent.id), AttemptEvent.ACCEPT, now=shop.clock())
    shop.clock.advance(seconds=2)
    assert settle_all(shop) == ["claimed"]
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")


def test_a_success_whose_push_stays_unanswered_is_asked_about_after_five_seconds(shop: Shop) -> None:
    intent = pushed(shop, checkout=None)
    shop.call_back(intent.id, success(intent, checkout="ws_CO_7", merchant="m7"))
    shop.clock.advance(seconds=4)
    assert shop.settle()
    assert shop.confirm() == 0
    shop.clock.advance(seconds=1)
    assert settle_all(shop) == ["claimed"]
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")
    assert shop.intent(intent.id).attempt.checkout_request_id == "ws_CO_7"


def test_the_push_that_is_given_up_does_not_put_off_the_query_of_a_claimed_success(shop: Shop) -> None:
    intent = pushed(shop, checkout=None)
    shop.call_back(intent.id, success(intent))
    shop.clock.advance(seconds=119)
    assert shop.settle()
    assert shop.confirm(None) == 1
    shop.clock.advance(seconds=5)
    assert shop.sweep() == 1
    assert shop.states(intent.id)[:2] == ("processing", "ambiguous")
    assert shop.confirm() == 1
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")


def test_case_12_a_worker_killed_after_the_post_is_paid_by_the_callback_and_its_query(shop: Shop) -> None:
    intent = pushed(shop, checkout=None)
    shop.call_back(intent.id, success(intent))
    assert shop.settle()
    shop.clock.advance(minutes=2)
    assert shop.sweep() == 1
    assert settle_all(shop) == ["claimed"]
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")
