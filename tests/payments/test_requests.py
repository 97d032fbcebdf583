import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from payments import requests
from payments.requests import Busy, BusyReason, NotPaid, Paid, Pending, Prepared, Refused, RefusedReason
from payments.result_codes import Outcome, Why
from router.databases import Databases
from router.ids import IntentId, OrderId, VendorId
from router.orders import store as orders
from router.payment_intents import attempts, slots, store
from router.payment_intents.status import AttemptEvent, IntentEvent
from router.work import unit_of_work
from tests.operator import operating
from tests.payments.bodies import failure, success
from tests.payments.shop import PHONE, Clock, Ordered, Shop
from tests.payments.test_settle import pushed


def reason_of(answer: Prepared | Busy | Refused) -> RefusedReason:
    assert isinstance(answer, Refused), answer
    return answer.reason


def test_a_pay_prepares_an_intent_and_its_attempt(shop: Shop, vendor_id: VendorId) -> None:
    ordered = shop.order(total=540)
    message_id = shop.say(ordered, " Pay! ")
    prepared = shop.prepare(ordered, message_id)
    assert isinstance(prepared, Prepared)
    intent = shop.intent(prepared.intent_id)
    assert (intent.amount, intent.msisdn, intent.account_ref, intent.pay_message_id) == (540, PHONE, "S0001", message_id)
    assert (intent.shortcode.kind, intent.shortcode.party_b) == ("paybill", "174379")
    assert shop.states(intent.id) == ("consented", "prepared", "CONFIRMED")
    (slot,) = platform_rows(shop, "SELECT * FROM daily_intent_slots")
    assert (slot["customer_phone"], slot["slot"], slot["vendor_id"], slot["intent_id"]) == (PHONE, 1, vendor_id, intent.id)


def platform_rows(shop: Shop, statement: str, *values: object) -> list[dict[str, Any]]:
    with operating(shop.databases) as conn:
        return conn.execute(statement.encode(), values).fetchall()


@pytest.mark.parametrize("text", ["pay now", "PAYE", "", "lipa", "yes", "P A Y", "PAY 500"])
@pytest.mark.case(3)
def test_only_the_word_pay_is_a_pay(shop: Shop, text: str) -> None:
    ordered = shop.order()
    assert reason_of(shop.prepare(ordered, shop.say(ordered, text))) is RefusedReason.NOT_A_PAY


@pytest.mark.case(4)
def test_a_pay_of_another_customer_is_no_pay(shop: Shop) -> None:
    ordered, other = shop.order(), shop.order(phone="254712000002")
    assert reason_of(shop.prepare(ordered, shop.say(other))) is RefusedReason.NOT_A_PAY
    assert reason_of(shop.prepare(ordered, shop.say(other), customer_id=other.customer_id)) is RefusedReason.ORDER_NOT_CONFIRMED
    assert reason_of(shop.prepare(ordered, 424242)) is RefusedReason.NOT_A_PAY


@pytest.mark.case(5)
def test_a_pay_older_than_the_confirmation_is_no_pay(shop: Shop) -> None:
    first = shop.order()
    early = shop.say(first)
    shop.clock.advance(seconds=1)
    second = shop.order()
    assert reason_of(shop.prepare(second, early)) is RefusedReason.NOT_A_PAY


def test_only_a_confirmed_order_of_this_customer_is_paid_for(shop: Shop) -> None:
    mine, theirs, gone = shop.order(), shop.order(phone="254712000002"), shop.order()
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        orders.cancel(work, order_id=gone.order_id, reason="x", now=shop.clock())
    for order in (theirs, gone):
        assert reason_of(shop.prepare(mine, shop.say(mine), order_id=order.order_id)) is RefusedReason.ORDER_NOT_CONFIRMED


@pytest.mark.case(7)
def test_one_pay_pays_for_one_order_and_its_repeated_turn_gets_the_same_intent(shop: Shop) -> None:
    ordered, other = shop.order(), shop.order()
    message_id = shop.say(ordered)
    first = shop.prepare(ordered, message_id)
    assert shop.prepare(ordered, message_id) == first
    assert reason_of(shop.prepare(other, message_id)) is RefusedReason.NOT_A_PAY
    assert len(shop.rows("SELECT id FROM payment_intents")) == 1


@pytest.mark.case(1)
def test_an_order_has_one_live_payment(shop: Shop) -> None:
    ordered = shop.order()
    assert isinstance(shop.prepare(ordered, shop.say(ordered)), Prepared)
    assert shop.prepare(ordered, shop.say(ordered)) == Busy(reason=BusyReason.LIVE_PAYMENT)


def test_an_order_under_review_takes_no_new_payment(shop: Shop) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, success(intent, amount=1))
    shop.settle()
    ordered = shop.order()
    answer = shop.prepare(
        ordered, shop.say(ordered), order_id=intent.order_id, amount=intent.amount, customer_id=intent.customer_id
    )
    assert answer == Busy(reason=BusyReason.UNDER_REVIEW)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount": 429}, RefusedReason.AMOUNT_CHANGED),
        ({"amount": 0}, RefusedReason.AMOUNT_NOT_ALLOWED),
        ({"amount": -1}, RefusedReason.AMOUNT_NOT_ALLOWED),
        ({"amount": 250_001}, RefusedReason.AMOUNT_NOT_ALLOWED),
        ({"msisdn": "256712345678"}, RefusedReason.PHONE_NOT_ALLOWED),
        ({"msisdn": "254212345678"}, RefusedReason.PHONE_NOT_ALLOWED),
        ({"msisdn": "0712345678"}, RefusedReason.PHONE_NOT_ALLOWED),
        ({"msisdn": "254712345678\n"}, RefusedReason.PHONE_NOT_ALLOWED),
        ({"msisdn": ""}, RefusedReason.PHONE_NOT_ALLOWED),
        ({"order_id": OrderId(uuid4())}, RefusedReason.ORDER_NOT_CONFIRMED),
    ],
)
@pytest.mark.case(49, 50)
def test_terms_that_are_not_allowed_are_refused_and_cost_no_slot(
    shop: Shop, changes: dict[str, Any], reason: RefusedReason
) -> None:
    ordered = shop.order()
    assert reason_of(shop.prepare(ordered, shop.say(ordered), **changes)) is reason
    assert platform_rows(shop, "SELECT * FROM daily_intent_slots") == []
    assert shop.rows("SELECT id FROM payment_intents") == []


def test_a_line_number_of_the_newer_kind_is_allowed(shop: Shop) -> None:
    ordered = shop.order()
    assert isinstance(shop.prepare(ordered, shop.say(ordered), msisdn="254110000001"), Prepared)


def test_without_the_capability_nothing_is_prepared(shop: Shop) -> None:
    with operating(shop.databases) as conn:
        conn.execute("UPDATE vendor_capabilities SET enabled = false WHERE capability_key = 'payments.mpesa_stk'")
    ordered = shop.order()
    assert reason_of(shop.prepare(ordered, shop.say(ordered))) is RefusedReason.CAPABILITY_OFF


# the shortcode


def test_without_exactly_one_active_shortcode_money_has_no_place_to_go(shop: Shop) -> None:
    ordered = shop.order()
    with operating(shop.databases) as conn:
        conn.execute(
            """INSERT INTO vendor_shortcodes (vendor_id, kind, business_shortcode, party_b, environment, secret_ref)
               VALUES (%s, 'paybill', '600111', '600111', 'sandbox', 'env:A')""",
            (shop.vendor_id,),
        )
    answer = shop.prepare(ordered, shop.say(ordered))
    assert reason_of(answer) is RefusedReason.NO_SHORTCODE
    with operating(shop.databases) as conn:
        conn.execute("UPDATE vendor_shortcodes SET active = false WHERE vendor_id = %s", (shop.vendor_id,))
    assert reason_of(shop.prepare(ordered, shop.say(ordered))) is RefusedReason.NO_SHORTCODE


@pytest.mark.case(51)
def test_a_shortcode_edited_in_place_is_refused_with_a_reason(shop: Shop) -> None:
    shop.consented()
    with operating(shop.databases) as conn:
        conn.execute(
            "UPDATE vendor_shortcodes SET business_shortcode = '999999', party_b = '999999' WHERE vendor_id = %s",
            (shop.vendor_id,),
        )
    ordered = shop.order()
    answer = shop.prepare(ordered, shop.say(ordered))
    assert reason_of(answer) is RefusedReason.NO_SHORTCODE
    assert isinstance(answer, Refused)
    assert "add a new one" in answer.why
    (copy,) = shop.rows("SELECT party_b FROM vendor_shortcodes")
    assert copy["party_b"] == "174379"


def test_a_secret_that_moved_keeps_the_shortcode(shop: Shop) -> None:
    first = shop.consented()
    with operating(shop.databases) as conn:
        conn.execute("UPDATE vendor_shortcodes SET secret_ref = 'env:DARAJA_1' WHERE vendor_id = %s", (shop.vendor_id,))
    second = shop.consented()
    assert second.shortcode.id == first.shortcode.id
    assert shop.intent(first.id).shortcode.secret_ref == "env:DARAJA_1"


# three a day


def test_the_fourth_intent_of_the_day_is_refused(shop: Shop) -> None:
    for _ in range(3):
        shop.consented()
    ordered = shop.order()
    assert reason_of(shop.prepare(ordered, shop.say(ordered))) is RefusedReason.DAILY_LIMIT
    assert isinstance(shop.prepare(shop.order(phone="254712000002"), 0), Refused)
    shop.consented(phone="254712000002")


@pytest.mark.case(47)
def test_thirty_pays_at_once_with_two_vendors_make_three_intents(
    database_urls: dict[str, str], vendor_id: VendorId, clock: Clock
) -> None:
    databases = Databases(platform_url=database_urls["platform"], ops_url=database_urls["ops"], resolve_secret=str, pool_size=20)
    with operating(databases) as conn:
        (other,) = conn.execute("SELECT id FROM vendors WHERE id <> %s", (vendor_id,)).fetchall()
    shops = [Shop(databases=databases, vendor_id=each, clock=clock) for each in (vendor_id, VendorId(other["id"]))]
    waiting = []
    for number in range(30):
        shop = shops[number % 2]
        ordered = shop.order()
        waiting.append((shop, ordered, shop.say(ordered)))
    together = threading.Barrier(10)

    def prepare(of: int) -> list[Prepared | Busy | Refused]:
        together.wait(timeout=10)
        return [shop.prepare(ordered, message_id) for shop, ordered, message_id in waiting[of::10]]

    with ThreadPoolExecutor(10) as pool:
        answers = [answer for some in pool.map(prepare, range(10)) for answer in some]
    assert len(answers) == 30
    assert [type(answer) for answer in answers].count(Prepared) == 3
    assert {reason_of(answer) for answer in answers if not isinstance(answer, Prepared)} == {RefusedReason.DAILY_LIMIT}
    assert sum(len(shop.rows("SELECT id FROM payment_intents")) for shop in shops) == 3
    databases.close()


@pytest.mark.case(48)
def test_the_day_ends_at_midnight_in_nairobi(shop: Shop) -> None:
    shop.clock.now = datetime(2026, 11, 20, 20, 59, 59, tzinfo=UTC)  # 23:59:59 EAT
    for _ in range(3):
        shop.consented()
    ordered = shop.order()
    assert reason_of(shop.prepare(ordered, shop.say(ordered))) is RefusedReason.DAILY_LIMIT
    shop.clock.now = datetime(2026, 11, 20, 21, 0, 1, tzinfo=UTC)  # 00:00:01 EAT
    shop.consented()
    days = [row["day"].isoformat() for row in shop.rows("SELECT day FROM payment_intents ORDER BY created_at")]
    assert days == ["2026-11-20"] * 3 + ["2026-11-21"]


@pytest.mark.case(48)
def test_midnight_in_london_changes_nothing(shop: Shop) -> None:
    shop.clock.now = datetime(2026, 11, 20, 23, 59, 59, tzinfo=UTC)
    for _ in range(3):
        shop.consented()
    shop.clock.advance(seconds=2)
    ordered = shop.order()
    assert reason_of(shop.prepare(ordered, shop.say(ordered))) is RefusedReason.DAILY_LIMIT


class Lost(Exception):
    """The turn is lost before its commit."""


def lose_a_turn(shop: Shop, ordered: Ordered) -> None:
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        row = work.conn.execute(
            """INSERT INTO inbox (vendor_id, kind, source_id, customer_id, body, text, received_at)
               VALUES (%s, 'message', 'wamid.repeated', %s, '{}', 'PAY', %s) RETURNING id""",
            (shop.vendor_id, ordered.customer_id, shop.clock()),
        ).fetchone()
        assert row is not None
        answer = requests.prepare(
            work,
            order_id=ordered.order_id,
            customer_id=ordered.customer_id,
            amount=ordered.total,
            msisdn=PHONE,
            pay_message_id=row["id"],
            now=shop.clock(),
        )
        assert isinstance(answer, Prepared)
        raise Lost


def test_a_turn_that_is_rolled_back_and_repeated_takes_the_same_slot(shop: Shop) -> None:
    ordered = shop.order()
    for _ in range(5):
        with pytest.raises(Lost):
            lose_a_turn(shop, ordered)
    assert len(platform_rows(shop, "SELECT * FROM daily_intent_slots")) == 1
    assert shop.rows("SELECT id FROM payment_intents") == []
    assert isinstance(shop.prepare(ordered, shop.say(ordered, source_id="wamid.repeated")), Prepared)
    assert len(platform_rows(shop, "SELECT * FROM daily_intent_slots")) == 1


def test_a_claim_that_is_repeated_keeps_its_row(shop: Shop) -> None:
    claim: dict[str, Any] = {"vendor_id": shop.vendor_id, "intent_id": IntentId(uuid4()), "customer_phone": PHONE}
    first, day = shop.clock(), shop.clock().date()
    assert slots.claim_slot(shop.databases, day=day, now=first, **claim) == 1
    assert slots.claim_slot(shop.databases, day=day, now=shop.clock.advance(seconds=5), **claim) == 1
    assert [row["created_at"] for row in platform_rows(shop, "SELECT created_at FROM daily_intent_slots")] == [first]


def test_a_slot_claimed_before_midnight_by_a_lost_turn_is_claimed_anew(shop: Shop) -> None:
    intent_id = IntentId(uuid4())
    days = (datetime(2026, 11, 20, tzinfo=UTC).date(), datetime(2026, 11, 21, tzinfo=UTC).date())
    claim: dict[str, Any] = {"vendor_id": shop.vendor_id, "intent_id": intent_id, "customer_phone": PHONE, "now": shop.clock()}
    assert [slots.claim_slot(shop.databases, day=day, **claim) for day in days] == [1, 1]
    assert [row["day"] for row in platform_rows(shop, "SELECT day FROM daily_intent_slots")] == [days[1]]


def test_a_foreign_customer_is_counted_by_the_phone_that_pays(shop: Shop) -> None:
    for number in range(4):
        ordered = shop.order(phone=f"25671234567{number}")
        answer = shop.prepare(ordered, shop.say(ordered), msisdn=PHONE)
        assert isinstance(answer, Prepared) is (number < 3), answer


# asking


def test_asking_tells_what_is_known(shop: Shop) -> None:
    intent = pushed(shop)

    def ask() -> Paid | Pending | NotPaid:
        with unit_of_work(shop.databases, shop.vendor_id) as work:
            return requests.ask(work, intent_id=intent.id, now=shop.clock())

    assert ask() == Pending()
    shop.call_back(intent.id, failure(intent, 1))
    shop.settle()
    assert ask() == NotPaid(reason=Outcome.NO_FUNDS, why=Why.NO_FUNDS)
    shop.call_back(intent.id, success(intent))
    shop.settle()
    assert shop.confirm() == 1
    assert ask() == Paid(receipt="NLJ7RT61SV")


def test_asking_makes_a_query_due_but_not_more_often_than_daraja_allows(shop: Shop) -> None:
    intent = pushed(shop)

    def due() -> bool:
        with unit_of_work(shop.databases, shop.vendor_id) as work:
            requests.ask(work, intent_id=intent.id, now=shop.clock())
            return attempts.next_query(work, now=shop.clock()) == intent.id

    assert due()
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        attempts.stamp_query(work, store.lock(work, intent.id), look_again_at=None, now=shop.clock())
    shop.clock.advance(seconds=11)
    assert not due()
    shop.clock.advance(seconds=2)
    assert due()


def test_asking_about_an_expired_or_withdrawn_intent_tells_that_it_was_not_paid(shop: Shop) -> None:
    for event in (IntentEvent.EXPIRE, IntentEvent.WITHDRAW):
        intent = shop.consented()
        with unit_of_work(shop.databases, shop.vendor_id) as work:
            locked = store.lock(work, intent.id)
            store.move_attempt(work, locked, AttemptEvent.REJECT, now=shop.clock())
            store.move_intent(work, locked, event, reason="x", now=shop.clock())
            assert requests.ask(work, intent_id=intent.id, now=shop.clock()) == NotPaid(reason=Outcome.FAILED, why=Why.TOO_LATE)


def test_account_references_are_short_and_never_repeat() -> None:
    names = [requests.account_ref("S0042", number) for number in range(2000)]
    assert names[:4] == ["S0042", "S0042B", "S0042C", "S0042D"]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 12 for name in names)
