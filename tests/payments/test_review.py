import pytest

from payments import review
from payments.requests import Busy
from router.errors import Refused
from router.payment_intents import store, trail
from router.payment_intents.store import Intent
from router.work import unit_of_work
from tests.payments.bodies import failure, success
from tests.payments.shop import Ordered, Shop
from tests.payments.test_settle import ordered_again, pushed, settle_all

WHO = {"actor": "Wanjiru", "reason": "read in the portal"}


def reviewed(shop: Shop) -> Intent:
    """Make a payment under review: the callback told of another amount."""
    intent = pushed(shop)
    shop.call_back(intent.id, success(intent, amount=1))
    assert settle_all(shop)[-1] == "amount_mismatch"
    return intent


def decide_paid(shop: Shop, intent: Intent, receipt: str = "NLJ7RT61SV") -> None:
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        review.decide_paid(work, intent.id, receipt=receipt, now=shop.clock(), **WHO)


def decide_failed(shop: Shop, intent: Intent) -> None:
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        review.decide_failed(work, intent.id, now=shop.clock(), **WHO)


def test_what_waits_for_a_person_is_listed_until_it_is_decided(shop: Shop) -> None:
    intent = reviewed(shop)
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        assert [each.id for each in store.list_under_review(work)] == [intent.id]
    decide_paid(shop, intent)
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        assert store.list_under_review(work) == []


def test_a_person_decides_that_the_money_came(shop: Shop) -> None:
    intent = reviewed(shop)
    decide_paid(shop, intent)
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")
    (payment,) = shop.rows("SELECT receipt, confirmed_by FROM payments")
    assert (payment["receipt"], payment["confirmed_by"]) == ("NLJ7RT61SV", "operator")
    assert shop.news() == [("paid", "NLJ7RT61SV")]
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        (noted,) = [each for each in trail.list_noted(work, intent.id) if each.event == "decided_paid"]
    assert noted.data == {"actor": "Wanjiru", "reason": "read in the portal", "receipt": "NLJ7RT61SV"}


def test_a_person_decides_that_no_money_came_and_a_late_success_is_honoured_all_the_same(shop: Shop) -> None:
    intent = reviewed(shop)
    decide_failed(shop, intent)
    assert shop.states(intent.id) == ("failed", "failed", "CONFIRMED")
    assert (shop.news(), shop.why()) == ([("failed", None)], "no_payment")
    shop.clock.advance(hours=1)
    assert shop.confirm() == 0  # nobody asks on; a callback still counts
    shop.call_back(intent.id, success(intent))
    settle_all(shop)
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")


def test_a_contradiction_decided_as_failed_lets_the_customer_pay_again(shop: Shop) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, success(intent))
    assert shop.settle()
    assert shop.confirm("1032") == 1
    assert intent.conversation_id is not None
    ordered = Ordered(
        order_id=intent.order_id,
        customer_id=intent.customer_id,
        conversation_id=intent.conversation_id,
        phone=intent.msisdn,
        total=intent.amount,
    )
    assert isinstance(shop.prepare(ordered, shop.say(ordered)), Busy)
    decide_failed(shop, intent)
    assert ordered_again(shop, intent)


def test_a_review_of_a_prompt_that_had_ended_is_decided_as_failed(shop: Shop) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, failure(intent))
    shop.call_back(intent.id, success(intent, amount=1))
    assert settle_all(shop) == ["failed", "amount_mismatch"]
    assert shop.states(intent.id)[:2] == ("needs_review", "failed")
    decide_failed(shop, intent)
    assert shop.states(intent.id) == ("failed", "failed", "CONFIRMED")


def test_only_a_payment_under_review_is_decided_by_hand(shop: Shop) -> None:
    intent = pushed(shop)
    with pytest.raises(Refused, match="only a payment under review"):
        decide_paid(shop, intent)
    with pytest.raises(Refused, match="only a payment under review"):
        decide_failed(shop, intent)
    shop.call_back(intent.id, success(intent))
    settle_all(shop)
    with pytest.raises(Refused, match="is paid"):
        decide_failed(shop, intent)
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")


def test_a_receipt_counts_once_also_by_hand(shop: Shop) -> None:
    other = pushed(shop, checkout="ws_CO_2", phone="254712000002")
    shop.call_back(other.id, success(other))
    settle_all(shop)
    intent = reviewed(shop)
    with pytest.raises(Refused, match="already stands for another payment"):
        decide_paid(shop, intent)
    with pytest.raises(Refused, match="no M-Pesa receipt"):
        decide_paid(shop, intent, receipt="short")
    assert shop.states(intent.id)[0] == "needs_review"
    assert shop.rows("SELECT 1 FROM payment_events WHERE event = 'decided_paid'") == []


def test_the_end_of_a_review_is_told_also_when_it_is_the_end_that_was_told_before(shop: Shop) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, failure(intent, 1025))
    shop.settle()
    shop.call_back(intent.id, success(intent, amount=1))
    assert settle_all(shop)[-1] == "amount_mismatch"
    decide_failed(shop, intent)
    assert (shop.news(), shop.progress()) == ([("failed", None), ("failed", None)], ["review"])


def test_a_failure_never_ends_what_a_person_must_look_at(shop: Shop) -> None:
    intent = reviewed(shop)
    shop.call_back(intent.id, failure(intent))
    assert settle_all(shop)[-1] == "under_review"
    assert shop.states(intent.id)[0] == "needs_review"
