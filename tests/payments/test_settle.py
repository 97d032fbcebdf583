from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from payments.daraja import DarajaClient
from payments.requests import Prepared
from payments.result_codes import MEANINGS, Outcome
from router.errors import Broken
from router.ids import IntentId
from router.orders import store as orders
from router.payment_intents import attempts, store
from router.payment_intents.status import AttemptEvent
from router.payment_intents.store import Intent
from router.work import unit_of_work
from tests.operator import operating
from tests.payments.bodies import failure, success
from tests.payments.conftest import Mpesa
from tests.payments.shop import PHONE, Ordered, Shop


def pushed(shop: Shop, *, checkout: str | None = "ws_CO_1", phone: str = PHONE, total: int = 430) -> Intent:
    """Make an intent whose prompt is on the phone; without `checkout` its answer has not come yet."""
    intent = shop.consented(total=total, phone=phone)
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        locked = store.lock(work, intent.id)
        token = intent.id.bytes * 2
        assert attempts.dispatch(work, locked, token_sha256=token, terms={}, look_again_at=shop.clock(), now=shop.clock())
        if checkout is not None:
            attempts.fill_ids(work, locked, checkout_request_id=checkout, merchant_request_id=f"m-{checkout}")
            store.move_attempt(work, store.lock(work, intent.id), AttemptEvent.ACCEPT, now=shop.clock())
    return shop.intent(intent.id)


def verdicts(shop: Shop) -> list[str]:
    return [row["verdict"] for row in shop.rows("SELECT verdict FROM callbacks ORDER BY id")]


def settle_all(shop: Shop) -> list[str]:
    """Judge what came, and let M-Pesa confirm every success that is claimed."""
    while shop.settle():
        pass
    shop.confirm()
    return verdicts(shop)


@pytest.mark.case(24)
def test_a_success_that_agrees_in_everything_pays(shop: Shop) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, success(intent))
    assert settle_all(shop) == ["claimed"]
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")
    (payment,) = shop.rows("SELECT * FROM payments")
    assert (payment["receipt"], payment["amount"], payment["confirmed_by"]) == ("NLJ7RT61SV", 430, "callback+query")
    assert payment["order_id"] == intent.order_id
    assert shop.news() == [("paid", "NLJ7RT61SV")]
    (entry,) = shop.rows("SELECT * FROM inbox WHERE kind = 'event'")
    assert entry["source_id"] == f"payments.result:{intent.id}:paid"
    assert entry["conversation_id"] == intent.conversation_id
    assert entry["customer_id"] == intent.customer_id
    assert entry["body"]["key"] == str(intent.id)


@pytest.mark.security(16)
@pytest.mark.case(25)
def test_fifty_equal_callbacks_and_ten_workers_make_one_payment(shop: Shop) -> None:
    intent = pushed(shop)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: shop.call_back(intent.id, success(intent)), range(50)))
        list(pool.map(lambda _: shop.settle(), range(10)))
        list(pool.map(lambda _: shop.confirm(), range(10)))
    assert [row["seen_count"] for row in shop.rows("SELECT seen_count FROM callbacks")] == [50]
    assert len(shop.rows("SELECT id FROM payments")) == 1
    assert shop.news() == [("paid", "NLJ7RT61SV")]
    assert shop.events() == ["payment_confirmed"]
    assert shop.events("order_paid") == ["order_paid"]


@pytest.mark.case(25)
def test_ten_equal_callbacks_that_come_while_workers_settle_and_ask_make_one_payment(shop: Shop) -> None:
    intent = pushed(shop)
    acts: list[Callable[[], object]] = [lambda: shop.call_back(intent.id, success(intent)), shop.settle, shop.confirm] * 10
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(lambda act: act(), acts))
    assert settle_all(shop) == ["claimed"]
    assert shop.rows("SELECT seen_count FROM callbacks") == [{"seen_count": 10}]
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")
    assert len(shop.rows("SELECT id FROM payments")) == 1
    assert shop.news() == [("paid", "NLJ7RT61SV")]
    assert (shop.events(), shop.events("order_paid")) == (["payment_confirmed"], ["order_paid"])


def test_twenty_callbacks_that_differ_a_little_make_one_payment(shop: Shop) -> None:
    intent = pushed(shop)
    for number in range(20):
        shop.call_back(intent.id, success(intent) + " " * number)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: settle_all(shop), range(8)))
    assert sorted(verdicts(shop)) == ["claimed"] + ["duplicate"] * 19
    assert len(shop.rows("SELECT id FROM payments")) == 1
    assert shop.news() == [("paid", "NLJ7RT61SV")]


FINAL = {
    code: meaning
    for code, meaning in MEANINGS.items()
    if code != "0" and meaning.outcome not in (Outcome.PENDING, Outcome.REVIEW)
}


@pytest.mark.case(34)
def test_each_final_code_ends_the_intent_with_its_outcome_and_words(shop: Shop) -> None:
    for number, (code, meaning) in enumerate(FINAL.items()):
        intent = pushed(shop, checkout=f"ws_CO_{number}", phone=f"2547123456{number:02}")
        shop.call_back(intent.id, failure(intent, int(code) if number % 2 and code.isdecimal() else code))
        assert shop.settle()
        assert verdicts(shop)[-1] == "failed", code
        assert shop.states(intent.id) == ("failed", "failed", "CONFIRMED")
        assert (shop.news()[-1], shop.why()) == ((meaning.outcome, None), meaning.why)
        assert shop.intent(intent.id).reason == meaning.why
    assert shop.events() == ["payment_failed"] * len(FINAL)


@pytest.mark.parametrize("code", [True, False, 0.0, None, "0.0", " 0", "00", [], {}, 26, 9999, "E3008", 424242, "E\x00X"])
@pytest.mark.case(35)
def test_a_code_we_may_not_interpret_is_never_paid_and_never_told_as_failed(shop: Shop, code: object) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, success(intent, code=code))
    assert settle_all(shop) == ["unknown_result"]
    assert shop.states(intent.id) == ("needs_review", "accepted", "CONFIRMED")
    assert (shop.news(), shop.progress()) == ([], ["review"])
    assert shop.events() == ["payment_needs_review"]


def test_a_result_that_is_still_pending_changes_nothing(shop: Shop) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, failure(intent, 4999))
    assert settle_all(shop) == ["pending"]
    assert shop.states(intent.id) == ("processing", "accepted", "CONFIRMED")


@pytest.mark.security(15)
@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"amount": 429}, "amount_mismatch"),
        ({"amount": 431}, "amount_mismatch"),
        ({"amount": 430.5}, "amount_mismatch"),
        ({"amount": "a lot"}, "amount_mismatch"),
        ({"amount": "1e999"}, "amount_mismatch"),
        ({"amount": True}, "amount_mismatch"),
        ({"receipt": "nlj7rt61sv"}, "receipt_malformed"),
        ({"receipt": ""}, "receipt_malformed"),
        ({"receipt": None}, "receipt_malformed"),
        ({"receipt": {"a": 1}}, "receipt_malformed"),
    ],
)
@pytest.mark.case(37)
def test_a_success_that_does_not_agree_goes_to_a_person(shop: Shop, changes: dict[str, Any], verdict: str) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, success(intent, **changes))
    assert settle_all(shop) == [verdict]
    assert shop.states(intent.id) == ("needs_review", "accepted", "CONFIRMED")
    assert shop.rows("SELECT id FROM payments") == []
    assert shop.news() == []
    shop.call_back(intent.id, failure(intent))
    assert settle_all(shop) == [verdict, "under_review"]
    assert shop.states(intent.id)[0] == "needs_review"


@pytest.mark.parametrize("amount", [430, 430.0, "430", "430.00"])
@pytest.mark.case(37)
def test_the_same_amount_written_otherwise_agrees(shop: Shop, amount: object) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, success(intent, amount=amount))
    assert settle_all(shop) == ["claimed"]


@pytest.mark.parametrize("phone", ["0712345***", "254712***678", 254712345678, "", None])
@pytest.mark.case(36)
def test_a_masked_or_missing_phone_does_not_matter(shop: Shop, phone: object) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, success(intent, phone=phone if phone is not None else "x"))
    assert settle_all(shop) == ["claimed"]
    assert shop.rows("SELECT 1 FROM payment_events WHERE event = 'payer_is_another_phone'") == []


def test_another_payer_is_noted_and_the_money_is_taken(shop: Shop) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, success(intent, phone=254799999999))
    assert settle_all(shop) == ["claimed"]
    assert len(shop.rows("SELECT 1 FROM payment_events WHERE event = 'payer_is_another_phone'")) == 1


@pytest.mark.security(15)
@pytest.mark.parametrize("ids", [{"checkout": "ws_CO_2"}, {"merchant": "m-other"}, {"checkout": ""}])
def test_a_callback_that_speaks_of_another_prompt_moves_nothing(shop: Shop, ids: dict[str, str]) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, success(intent, **ids))
    assert settle_all(shop) == ["mismatch"]
    assert shop.states(intent.id) == ("processing", "accepted", "CONFIRMED")


@pytest.mark.case(39)
def test_a_callback_with_the_id_of_another_intent_moves_nothing_even_before_the_answer(shop: Shop) -> None:
    other = pushed(shop, checkout="ws_CO_2", phone="254712000002")
    intent = pushed(shop, checkout=None)
    shop.call_back(intent.id, success(intent, checkout="ws_CO_2"))
    assert settle_all(shop) == ["mismatch"]
    assert shop.states(intent.id)[:2] == ("processing", "dispatched")
    assert shop.states(other.id)[:2] == ("processing", "accepted")


@pytest.mark.parametrize("body", ["[]", "1", "null", "{}", '{"Body": 1}', '{"Body": {"stkCallback": {}}}', '{"Body": []}'])
def test_a_body_that_is_no_callback_is_kept_and_moves_nothing(shop: Shop, body: str) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, body)
    assert settle_all(shop) == ["unreadable"]
    assert shop.states(intent.id) == ("processing", "accepted", "CONFIRMED")


@pytest.mark.case(41)
def test_a_receipt_that_stands_for_another_payment_goes_to_a_person(shop: Shop) -> None:
    first = pushed(shop)
    second = pushed(shop, checkout="ws_CO_2", phone="254712000002")
    shop.call_back(first.id, success(first))
    assert settle_all(shop) == ["claimed"]
    shop.call_back(second.id, success(second))
    assert settle_all(shop) == ["claimed", "receipt_taken"]
    assert shop.states(second.id) == ("needs_review", "accepted", "CONFIRMED")
    assert len(shop.rows("SELECT id FROM payments")) == 1


def test_one_receipt_claimed_for_two_payments_pays_the_first_one_only(shop: Shop) -> None:
    first = pushed(shop)
    second = pushed(shop, checkout="ws_CO_2", phone="254712000002")
    shop.call_back(first.id, success(first))
    shop.call_back(second.id, success(second))
    assert settle_all(shop) == ["claimed", "claimed"]
    statuses = sorted(shop.states(each.id)[0] for each in (first, second))
    assert statuses == ["needs_review", "paid"]
    assert [row["reason"] for row in shop.rows("SELECT reason FROM payment_intents WHERE status = 'needs_review'")] == [
        "receipt_taken"
    ]
    assert len(shop.rows("SELECT id FROM payments")) == 1


@pytest.mark.case(29)
def test_a_late_success_after_a_failure_is_honoured(shop: Shop) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, failure(intent))
    shop.call_back(intent.id, success(intent))
    assert settle_all(shop) == ["failed", "claimed"]
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")
    assert shop.news() == [("cancelled", None), ("paid", "NLJ7RT61SV")]
    assert [row["late"] for row in shop.rows("SELECT late FROM payment_intents")] == [True]


@pytest.mark.case(31)
def test_a_failure_after_a_success_is_ignored(shop: Shop) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, success(intent))
    assert settle_all(shop) == ["claimed"]
    shop.call_back(intent.id, failure(intent))
    shop.call_back(intent.id, failure(intent, 4242))
    assert settle_all(shop) == ["claimed", "ignored_after_paid", "ignored_after_paid"]
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")
    assert shop.news() == [("paid", "NLJ7RT61SV")]


def test_a_second_receipt_for_a_paid_intent_is_kept_for_a_person(shop: Shop) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, success(intent))
    assert settle_all(shop) == ["claimed"]
    shop.call_back(intent.id, success(intent, receipt="NLJ7RT61SW"))
    assert settle_all(shop) == ["claimed", "second_receipt"]
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")
    assert len(shop.rows("SELECT id FROM payments")) == 1


def test_money_for_a_cancelled_order_is_recorded_as_paid_late(shop: Shop) -> None:
    intent = pushed(shop)
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        orders.cancel(work, order_id=intent.order_id, reason="changed my mind", now=shop.clock())
    shop.call_back(intent.id, success(intent))
    assert settle_all(shop) == ["claimed"]
    assert shop.states(intent.id) == ("paid", "succeeded", "CANCELLED")
    assert len(shop.rows("SELECT id FROM payments")) == 1
    assert shop.events() == ["payment_paid_late"]


@pytest.mark.case(32)
def test_a_late_success_withdraws_a_newer_intent_that_was_not_sent(shop: Shop) -> None:
    first = pushed(shop)
    shop.call_back(first.id, failure(first))
    assert shop.settle()
    second_id = ordered_again(shop, first)
    shop.call_back(first.id, success(first))
    settle_all(shop)
    assert shop.states(first.id) == ("paid", "succeeded", "PAID")
    assert shop.states(second_id)[:2] == ("cancelled", "rejected")


def order_of(intent: Intent) -> Ordered:
    assert intent.conversation_id is not None
    return Ordered(
        order_id=intent.order_id,
        customer_id=intent.customer_id,
        conversation_id=intent.conversation_id,
        phone=intent.msisdn,
        total=intent.amount,
    )


def ordered_again(shop: Shop, first: Intent) -> IntentId:
    """Let the customer of an ended intent reply PAY again."""
    ordered = order_of(first)
    prepared = shop.prepare(ordered, shop.say(ordered))
    assert isinstance(prepared, Prepared)
    return prepared.intent_id


@pytest.mark.case(33)
def test_both_intents_of_an_order_can_turn_out_paid_and_no_shilling_is_lost(shop: Shop) -> None:
    first = pushed(shop)
    shop.call_back(first.id, failure(first))
    assert shop.settle()
    second_id = ordered_again(shop, first)
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        locked = store.lock(work, second_id)
        attempts.dispatch(work, locked, token_sha256=b"2" * 32, terms={}, look_again_at=shop.clock(), now=shop.clock())
        attempts.fill_ids(work, locked, checkout_request_id="ws_CO_2", merchant_request_id="m2")
        store.move_attempt(work, store.lock(work, second_id), AttemptEvent.ACCEPT, now=shop.clock())
    second = shop.intent(second_id)
    shop.call_back(first.id, success(first))
    shop.call_back(second.id, success(second, receipt="NLJ7RT61SW", checkout="ws_CO_2", merchant="m2"))
    assert settle_all(shop) == ["failed", "claimed", "claimed"]
    assert shop.states(first.id) == ("paid", "succeeded", "PAID")
    assert shop.states(second.id) == ("paid", "succeeded", "PAID")
    assert len(shop.rows("SELECT id FROM payments")) == 2
    assert shop.events() == ["payment_failed", "payment_confirmed", "payment_paid_late", "payment_duplicate_paid"]
    assert shop.events("order_paid") == ["order_paid"]


def test_two_workers_that_settle_two_intents_of_one_order_do_not_block_each_other(shop: Shop) -> None:
    first = pushed(shop)
    shop.call_back(first.id, failure(first))
    assert shop.settle()
    second_id = ordered_again(shop, first)
    shop.call_back(first.id, success(first))
    with ThreadPoolExecutor(4) as pool:
        settling = [pool.submit(settle_all, shop) for _ in range(4)]
        assert [each.result(timeout=10) for each in settling]
    assert shop.states(second_id)[0] == "cancelled"


def test_a_callback_we_break_on_is_set_aside_and_holds_back_no_other(shop: Shop) -> None:
    """The database refuses: a guard that somebody adds tomorrow."""
    broken, sound = pushed(shop), pushed(shop, checkout="ws_CO_2", phone="254712000002", total=215)
    with operating(shop.databases, ops=True) as conn:
        conn.execute("ALTER TABLE stk_attempts ADD CONSTRAINT no_430 CHECK (amount <> 430 OR claimed_at IS NULL)")
    try:
        shop.call_back(broken.id, success(broken))
        shop.call_back(sound.id, success(sound, receipt="NLJ7RT61SW"))
        with pytest.raises(Broken):
            shop.settle()
        assert shop.settle()
        assert not shop.settle()
        shop.confirm()
        assert shop.states(broken.id)[0] == "processing"
        assert shop.states(sound.id)[0] == "paid"
    finally:
        with operating(shop.databases, ops=True) as conn:
            conn.execute("ALTER TABLE stk_attempts DROP CONSTRAINT no_430")
    shop.clock.advance(minutes=10)
    settle_all(shop)
    assert shop.states(broken.id)[0] == "paid"


@pytest.mark.parametrize(
    ("outcome", "told"),
    [("cancelled", "cancelled"), ("no_funds", "no_funds"), ("wrong_pin", "wrong_pin"), ("unreachable", "timed_out")],
)
def test_what_the_customer_does_on_the_phone_reaches_the_conversation(
    open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient, outcome: str, told: str
) -> None:
    mpesa.script(outcome=outcome, callbacks=3)
    open_shop.consented()
    open_shop.push(daraja)
    mpesa.pushes(count=1, callbacks=3)
    settle_all(open_shop)
    assert open_shop.news() == [(told, None)]


@pytest.mark.parametrize(
    "scenario", [{"masked_phone": True}, {"no_phone": True}, {"with_balance": True}, {"code_as_text": True}, {"callbacks": 20}]
)
def test_every_shape_of_success_is_paid_once(
    open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient, scenario: dict[str, Any]
) -> None:
    mpesa.script(**scenario)
    intent = open_shop.consented()
    open_shop.push(daraja)
    mpesa.pushes(count=1, callbacks=scenario.get("callbacks", 1))
    settle_all(open_shop)
    assert open_shop.states(intent.id) == ("paid", "succeeded", "PAID")
    assert len(open_shop.rows("SELECT id FROM payments")) == 1


def test_the_simulators_wrong_amount_needs_review(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    mpesa.script(wrong_amount=1)
    intent = open_shop.consented()
    open_shop.push(daraja)
    mpesa.pushes(count=1, callbacks=1)
    assert settle_all(open_shop) == ["amount_mismatch"]
    assert open_shop.states(intent.id) == ("needs_review", "accepted", "CONFIRMED")
