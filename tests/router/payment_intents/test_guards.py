"""Every rule about money, tried around the code: raw SQL that the database must refuse, with the rows unchanged."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from router.databases import Databases
from router.errors import Broken
from router.ids import VendorId
from router.json_values import Phone
from router.orders import store as orders
from router.payment_intents import attempts, store
from router.payment_intents.status import AttemptEvent, IntentEvent
from router.payment_intents.store import Intent
from router.work import unit_of_work
from tests.operator import operating
from tests.payments.bodies import success
from tests.payments.shop import Ordered, Shop
from tests.payments.test_settle import order_of

TABLES = (
    "vendor_shortcodes",
    "payment_intents",
    "stk_attempts",
    "payments",
    "callbacks",
    "payment_events",
    "orders",
    "money_reports",
)
OTHER = {"customer_id": UUID(int=7), "vendor_id": UUID(int=8), "shortcode_id": UUID(int=9), "order_id": UUID(int=10)}


def snapshot(shop: Shop) -> dict[str, list[dict[str, Any]]]:
    return {name: shop.rows(f"SELECT * FROM {name} ORDER BY 1, 2") for name in TABLES}


def refused(shop: Shop, statement: str, values: dict[str, Any], words: str) -> None:
    before = snapshot(shop)
    truncates = statement.startswith("TRUNCATE")  # the runtime's role may not even try
    with (
        pytest.raises(Broken, match=words),
        operating(shop.databases, ops=True) if truncates else shop.databases.ops(shop.vendor_id) as conn,
    ):
        assert conn.execute(statement.encode(), values).rowcount != 0, "the statement met no row: the test proves nothing"
    assert snapshot(shop) == before


@pytest.fixture
def ordered(shop: Shop) -> Ordered:
    return shop.order()


INSERT_INTENT = """
    INSERT INTO payment_intents (vendor_id, id, order_id, customer_id, shortcode_id, amount, msisdn, account_ref,
                                 pay_message_id, pay_is_pay, day, day_slot, created_at, status, late)
    VALUES (%(vendor_id)s, %(id)s, %(order_id)s, %(customer_id)s, %(shortcode_id)s, %(amount)s, %(msisdn)s, %(account_ref)s,
            %(pay_message_id)s, %(pay_is_pay)s, %(day)s, %(day_slot)s, %(now)s, %(status)s, %(late)s)
    """


def row_of(shop: Shop, ordered: Ordered, message_id: int) -> dict[str, Any]:
    """Build a row that the database would take, once its shortcode is there."""
    shortcode = shop.consented(phone="254712999999").shortcode
    return {
        "vendor_id": shop.vendor_id,
        "id": uuid4(),
        "order_id": ordered.order_id,
        "customer_id": ordered.customer_id,
        "shortcode_id": shortcode.id,
        "amount": ordered.total,
        "msisdn": ordered.phone,
        "account_ref": "S9999",
        "pay_message_id": message_id,
        "pay_is_pay": True,
        "day": shop.clock().date(),
        "day_slot": 1,
        "now": shop.clock(),
        "status": "consented",
        "late": False,
    }


def test_the_row_that_the_refused_ones_are_made_from_is_taken(shop: Shop, ordered: Ordered) -> None:
    row = row_of(shop, ordered, shop.say(ordered))
    with shop.databases.ops(shop.vendor_id) as conn:
        assert conn.execute(INSERT_INTENT, row).rowcount == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "processing"}, "starts as consented"),
        ({"status": "paid"}, "starts as consented"),
        ({"late": True}, "starts as consented"),
        ({"amount": 429}, "the order is for 430"),
        ({"amount": 431}, "the order is for 430"),
        ({"pay_is_pay": False}, "pay_is_pay"),
        ({"order_id": OTHER["order_id"]}, "only a CONFIRMED order"),
        ({"customer_id": OTHER["customer_id"]}, "foreign key"),
        ({"shortcode_id": OTHER["shortcode_id"]}, "foreign key"),
        ({"vendor_id": OTHER["vendor_id"]}, "only a CONFIRMED order"),
        ({"pay_message_id": 424242}, "older than the order"),
        ({"day_slot": 4}, "day_slot"),
        ({"day_slot": 0}, "day_slot"),
        ({"day": "2026-11-21"}, "day_is_of_nairobi"),
        ({"msisdn": "254212345678"}, "msisdn"),
        ({"msisdn": "0712345678"}, "msisdn"),
        ({"account_ref": "S-1"}, "account_ref"),
        ({"account_ref": "S123456789012"}, "account_ref"),
        ({"account_ref": "S0002"}, "account_ref"),
    ],
)
def test_an_intent_that_no_pay_allows_is_refused(shop: Shop, ordered: Ordered, changes: dict[str, Any], words: str) -> None:
    refused(shop, INSERT_INTENT, row_of(shop, ordered, shop.say(ordered)) | changes, words)


@pytest.mark.parametrize("text", ["pay now", "PAYE", "lipa", "2 unga"])
@pytest.mark.case(3)
def test_no_intent_without_the_word_pay(shop: Shop, ordered: Ordered, text: str) -> None:
    refused(shop, INSERT_INTENT, row_of(shop, ordered, shop.say(ordered, text)), "foreign key")


@pytest.mark.case(4)
def test_no_intent_by_the_pay_of_another_customer(shop: Shop, ordered: Ordered) -> None:
    other = shop.order(phone="254712000002")
    refused(shop, INSERT_INTENT, row_of(shop, ordered, shop.say(other)), "foreign key")


@pytest.mark.case(5)
def test_no_intent_by_a_pay_older_than_the_order(shop: Shop, ordered: Ordered) -> None:
    message_id = shop.say(ordered)
    shop.clock.advance(seconds=1)
    later = shop.order()
    refused(shop, INSERT_INTENT, row_of(shop, later, message_id), "older than the order")


@pytest.mark.case(7)
def test_no_intent_by_a_pay_that_was_used(shop: Shop) -> None:
    used = shop.consented()
    later = shop.order()
    refused(shop, INSERT_INTENT, row_of(shop, later, used.pay_message_id) | {"day_slot": 2}, "pay_message_id")


def test_no_intent_by_a_service_event_that_says_pay(shop: Shop, ordered: Ordered) -> None:
    (row,) = shop.rows(
        """INSERT INTO inbox (vendor_id, kind, source_id, customer_id, body, text, received_at)
           VALUES (%s, 'event', 'e', %s, '{}', 'PAY', %s) RETURNING id""",
        shop.vendor_id,
        ordered.customer_id,
        shop.clock(),
    )
    refused(shop, INSERT_INTENT, row_of(shop, ordered, row["id"]), "older than the order")


def test_no_second_live_intent_of_an_order(shop: Shop) -> None:
    first = shop.consented()
    ordered = order_of(first)
    row = row_of(shop, ordered, shop.say(ordered)) | {"day_slot": 2}
    refused(shop, INSERT_INTENT, row, "payment_intents_one_live")


def test_no_fourth_intent_of_a_customer_and_day(shop: Shop) -> None:
    for _ in range(3):
        last = shop.consented()
    later = shop.order()
    for slot in (1, 2, 3):
        row = row_of(shop, later, shop.say(later)) | {"day_slot": slot, "account_ref": f"S999{slot}"}
        refused(shop, INSERT_INTENT, row, "day_slot")
    assert last.id


def test_no_intent_for_an_order_that_is_no_longer_confirmed(shop: Shop, ordered: Ordered) -> None:
    row = row_of(shop, ordered, shop.say(ordered))
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        orders.cancel(work, order_id=ordered.order_id, reason="x", now=shop.clock())
    refused(shop, INSERT_INTENT, row, "only a CONFIRMED order")


def test_no_intent_for_an_order_under_review(shop: Shop) -> None:
    intent = on_the_phone(shop)
    shop.call_back(intent.id, success(intent, amount=1))
    assert shop.settle()
    ordered = order_of(intent)
    refused(shop, INSERT_INTENT, row_of(shop, ordered, shop.say(ordered)) | {"day_slot": 2}, "under review")


def on_the_phone(shop: Shop) -> Intent:
    """Make an intent whose prompt was accepted."""
    intent = shop.consented()
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        locked = store.lock(work, intent.id)
        attempts.dispatch(work, locked, token_sha256=b"t" * 32, terms={}, look_again_at=shop.clock(), now=shop.clock())
        attempts.fill_ids(work, locked, checkout_request_id="ws_CO_1", merchant_request_id="m-1")
        store.move_attempt(work, store.lock(work, intent.id), AttemptEvent.ACCEPT, now=shop.clock())
    return shop.intent(intent.id)


@pytest.fixture
def accepted(shop: Shop) -> Intent:
    return on_the_phone(shop)


@pytest.fixture
def paid(shop: Shop, accepted: Intent) -> Intent:
    shop.call_back(accepted.id, success(accepted))
    assert shop.settle()
    assert shop.confirm() == 1
    return shop.intent(accepted.id)


PREPARED_WRITES = [
    ("UPDATE payment_intents SET amount = 1", "terms of a payment intent are frozen"),
    ("UPDATE payment_intents SET msisdn = '254799999999'", "terms of a payment intent are frozen"),
    ("UPDATE payment_intents SET shortcode_id = gen_random_uuid()", "terms of a payment intent are frozen"),
    ("UPDATE payment_intents SET order_id = gen_random_uuid()", "terms of a payment intent are frozen"),
    ("UPDATE payment_intents SET pay_message_id = 1", "terms of a payment intent are frozen"),
    ("UPDATE payment_intents SET day_slot = 3", "terms of a payment intent are frozen"),
    ("UPDATE payment_intents SET vendor_id = gen_random_uuid()", "terms of a payment intent are frozen"),
    ("UPDATE payment_intents SET status = 'needs_review', reason = 'x'", "cannot move from consented to needs_review"),
    ("UPDATE payment_intents SET status = 'paid'", "paid_at_is_told"),
    ("UPDATE payment_intents SET status = 'failed'", "end_has_a_reason"),
    ("DELETE FROM payment_intents", "never deleted"),
    ("TRUNCATE payment_intents CASCADE", "append-only"),
    ("UPDATE stk_attempts SET amount = 1", "terms of an attempt are frozen"),
    ("UPDATE stk_attempts SET msisdn = '254799999999'", "terms of an attempt are frozen"),
    ("UPDATE stk_attempts SET status = 'dispatched'", "sent_is_stamped"),
    ("UPDATE stk_attempts SET status = 'accepted'", "cannot move from prepared to accepted"),
    ("UPDATE stk_attempts SET status = 'ambiguous'", "cannot move from prepared to ambiguous"),
    ("UPDATE stk_attempts SET status = 'succeeded'", "cannot move from prepared to succeeded"),
    ("UPDATE stk_attempts SET dispatched_at = now()", "stamped when it is dispatched"),
    ("UPDATE stk_attempts SET status = 'dispatched', dispatched_at = now()", "token_comes_with_dispatch"),
    ("UPDATE stk_attempts SET callback_token_sha256 = sha256('a')", "token_comes_with_dispatch"),
    ("DELETE FROM stk_attempts", "never deleted"),
    ("TRUNCATE stk_attempts", "append-only"),
    (
        "INSERT INTO stk_attempts SELECT vendor_id, intent_id, shortcode_id, amount, msisdn, pay_message_id, 'prepared',"
        " now(), now() FROM stk_attempts",
        "stk_attempts_pkey",
    ),
    (
        "INSERT INTO stk_attempts SELECT vendor_id, intent_id, shortcode_id, amount, msisdn, pay_message_id, 'rejected',"
        " now(), now() FROM stk_attempts",
        "starts as prepared",
    ),
    (
        "INSERT INTO stk_attempts SELECT vendor_id, gen_random_uuid(), shortcode_id, amount, msisdn, pay_message_id, 'prepared',"
        " now(), now() FROM stk_attempts",
        "foreign key",
    ),
    ("UPDATE vendor_shortcodes SET party_b = '600111', business_shortcode = '600111'", "where the money goes never changes"),
    ("UPDATE vendor_shortcodes SET kind = 'till'", "where the money goes never changes"),
    ("UPDATE vendor_shortcodes SET environment = 'production'", "where the money goes never changes"),
    ("DELETE FROM vendor_shortcodes", "never deleted"),
    ("UPDATE payment_events SET event = 'x'", "append-only"),
    ("DELETE FROM payment_events", "append-only"),
    ("TRUNCATE payment_events", "append-only"),
    (
        "INSERT INTO payments SELECT vendor_id, gen_random_uuid(), id, order_id, shortcode_id, amount + 1, 'NLJ7RT61SV', msisdn,"
        " 'c2b', now() FROM payment_intents",
        "foreign key",
    ),
    (
        "INSERT INTO payments SELECT vendor_id, gen_random_uuid(), id, order_id, shortcode_id, amount, NULL, msisdn, 'c2b',"
        " now() FROM payment_intents",
        "receipt_unless_by_query",
    ),
    (
        "INSERT INTO payments SELECT vendor_id, gen_random_uuid(), NULL, NULL, shortcode_id, amount, NULL, msisdn, 'query', now()"
        " FROM payment_intents",
        "receipt_unless_by_query",
    ),
    (
        "INSERT INTO payments SELECT vendor_id, gen_random_uuid(), id, order_id, shortcode_id, amount, 'short', msisdn,"
        " 'c2b', now() FROM payment_intents",
        "receipt",
    ),
    (
        "INSERT INTO payments SELECT vendor_id, gen_random_uuid(), NULL, order_id, gen_random_uuid(), 5, 'NLJ7RT61SV', msisdn,"
        " 'c2b', now() FROM payment_intents",
        "foreign key",
    ),
    (
        "UPDATE payment_intents SET status = 'paid', paid_at = now()",
        "only together with its row in payments",
    ),
]


@pytest.mark.parametrize(("statement", "words"), PREPARED_WRITES)
def test_a_consented_intent_is_guarded(shop: Shop, statement: str, words: str) -> None:
    shop.consented()
    refused(shop, statement, {}, words)


ACCEPTED_WRITES = [
    ("UPDATE stk_attempts SET status = 'prepared'", "cannot move from accepted to prepared"),
    ("UPDATE stk_attempts SET status = 'dispatched'", "cannot move from accepted to dispatched"),
    ("UPDATE stk_attempts SET status = 'rejected'", "cannot move from accepted to rejected"),
    ("UPDATE stk_attempts SET dispatched_at = now()", "written once"),
    ("UPDATE stk_attempts SET dispatched_at = NULL, callback_token_sha256 = NULL", "written once"),
    ("UPDATE stk_attempts SET callback_token_sha256 = sha256('a')", "written once"),
    ("UPDATE stk_attempts SET checkout_request_id = 'other'", "written once"),
    ("UPDATE stk_attempts SET checkout_request_id = NULL", "written once"),
    ("UPDATE stk_attempts SET merchant_request_id = 'other'", "written once"),
    ("UPDATE stk_attempts SET claimed_at = now()", "claim_has_its_receipt"),
    ("UPDATE stk_attempts SET claimed_at = now(), claimed_receipt = 'short'", "claimed_receipt"),
    ("UPDATE payment_intents SET status = 'consented'", "cannot move from processing to consented"),
    ("UPDATE payment_intents SET status = 'expired', reason = 'x'", "cannot move from processing to expired"),
    ("UPDATE payment_intents SET status = 'cancelled', reason = 'x'", "cannot move from processing to cancelled"),
]


@pytest.mark.parametrize(("statement", "words"), ACCEPTED_WRITES)
def test_a_prompt_on_the_phone_is_guarded(shop: Shop, accepted: Intent, statement: str, words: str) -> None:
    assert accepted.attempt.checkout_request_id
    refused(shop, statement, {}, words)


PAID_WRITES = [
    ("UPDATE payment_intents SET status = 'failed', reason = 'x', paid_at = NULL", "a paid intent never changes"),
    (
        "UPDATE payment_intents SET status = 'needs_review', reason = 'x', paid_at = NULL",
        "a paid intent never changes",
    ),
    ("UPDATE payment_intents SET paid_at = now()", "a paid intent never changes"),
    ("UPDATE payment_intents SET late = true", "a paid intent never changes"),
    ("UPDATE stk_attempts SET status = 'failed'", "cannot move from succeeded to failed"),
    ("UPDATE stk_attempts SET status = 'prepared'", "cannot move from succeeded to prepared"),
    ("UPDATE payments SET amount = 1", "never change"),
    ("UPDATE payments SET receipt = 'NLJ7RT61SW'", "never change"),
    ("UPDATE payments SET receipt = NULL", "never change"),
    ("UPDATE payments SET intent_id = NULL", "never change"),
    ("UPDATE payments SET paid_at = now()", "never change"),
    ("DELETE FROM payments", "never deleted"),
    ("TRUNCATE payments", "append-only"),
    (
        "INSERT INTO payments SELECT vendor_id, gen_random_uuid(), intent_id, order_id, shortcode_id, amount, 'NLJ7RT61SW',"
        " payer, 'c2b', now() FROM payments",
        "intent_id",
    ),
    (
        "INSERT INTO payments SELECT vendor_id, gen_random_uuid(), NULL, order_id, shortcode_id, 5, receipt, payer, 'c2b', now()"
        " FROM payments",
        "payments_receipt_key",
    ),
    ("UPDATE callbacks SET body = '{}', body_sha256 = sha256('{}')", "kept as it came"),
    (
        "INSERT INTO payments SELECT vendor_id, gen_random_uuid(), NULL, NULL, shortcode_id, 5, 'NLJ7RT61SX', payer, 'callback',"
        " now() FROM payments",
        "a callback alone proves no money",
    ),
    ("UPDATE payments SET confirmed_by = 'callback'", "a callback alone proves no money"),
    ("UPDATE stk_attempts SET claimed_receipt = 'NLJ7RT61SW'", "claimed is written once"),
    ("UPDATE stk_attempts SET claimed_at = NULL, claimed_receipt = NULL", "claimed is written once"),
    ("UPDATE callbacks SET seen_count = 0", "kept as it came|seen_count"),
    ("UPDATE callbacks SET verdict = 'failed'", "judged once"),
    ("UPDATE callbacks SET handled_at = NULL, verdict = NULL", "judged once"),
    (
        "INSERT INTO callbacks (vendor_id, intent_id, body, body_sha256) SELECT vendor_id, intent_id, body, body_sha256"
        " FROM callbacks",
        "callbacks_vendor_id_intent_id_body_sha256_key",
    ),
    (
        "INSERT INTO callbacks (vendor_id, intent_id, body, body_sha256) SELECT vendor_id, intent_id, '{}', body_sha256"
        " FROM callbacks",
        "body_and_hash_agree",
    ),
    (
        "INSERT INTO callbacks (vendor_id, intent_id, body, body_sha256) SELECT vendor_id, gen_random_uuid(), '{}', sha256('{}')"
        " FROM callbacks",
        "foreign key",
    ),
]


@pytest.mark.parametrize(("statement", "words"), PAID_WRITES)
@pytest.mark.case(62)
def test_money_that_arrived_is_guarded(shop: Shop, paid: Intent, statement: str, words: str) -> None:
    assert paid.receipt
    refused(shop, statement, {}, words)


def test_a_move_from_where_it_stands_no_more_is_broken(shop: Shop) -> None:
    stale = shop.consented()
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        attempts.dispatch(work, stale, token_sha256=b"t" * 32, terms={}, look_again_at=shop.clock(), now=shop.clock())
        with pytest.raises(Broken, match="without the lock"):
            store.move_intent(work, stale, IntentEvent.EXPIRE, reason="too_late", now=shop.clock())
        with pytest.raises(Broken, match="without the lock"):
            store.move_attempt(work, stale, AttemptEvent.REJECT, now=shop.clock())


def test_the_ids_of_one_prompt_never_name_another(shop: Shop, accepted: Intent) -> None:
    other = shop.consented(phone="254712000002")
    for column, value in (("checkout_request_id", "ws_CO_1"), ("merchant_request_id", "m-1")):
        statement = f"UPDATE stk_attempts SET {column} = %(value)s WHERE intent_id = %(id)s"
        refused(shop, statement, {"value": value, "id": other.id}, column)
    assert accepted.id != other.id


def test_a_plain_secret_is_refused_for_real_money(shop: Shop) -> None:
    statement = """
        INSERT INTO vendor_shortcodes (vendor_id, id, kind, business_shortcode, party_b, environment, secret_ref, created_at)
        VALUES (%(vendor_id)s, gen_random_uuid(), 'paybill', '600111', %(party_b)s, 'production', %(ref)s, now())
        """
    row = {"vendor_id": shop.vendor_id, "party_b": "600111"}
    refused(shop, statement, row | {"ref": "plain:{}"}, "plain_is_for_sandbox")
    refused(shop, statement, row | {"ref": "env:A", "party_b": "600112"}, "paybill_is_one_number")


@pytest.mark.case(52)
def test_another_vendors_shortcode_takes_no_money_of_this_one(shop: Shop, ordered: Ordered) -> None:
    with operating(shop.databases) as conn:
        (other,) = conn.execute("SELECT id FROM vendors WHERE id <> %s", (shop.vendor_id,)).fetchall()
    theirs = Shop(databases=shop.databases, vendor_id=VendorId(other["id"]), clock=shop.clock).consented(phone="254712000009")
    row = row_of(shop, ordered, shop.say(ordered)) | {"shortcode_id": theirs.shortcode.id}
    refused(shop, INSERT_INTENT, row, "foreign key")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slot": 4}, "slot"),
        ({"slot": 0}, "slot"),
        ({}, "pkey"),
        ({"slot": 2, "same": True}, "intent_id"),
        ({"slot": 2, "customer_phone": "0712345678"}, "customer_phone"),
    ],
)
def test_the_days_slots_are_guarded_in_the_platform_database(
    shop: Shop, databases: Databases, changes: dict[str, Any], words: str
) -> None:
    intent = shop.consented()
    row = {"customer_phone": Phone(intent.msisdn), "day": shop.clock().date(), "slot": 1, "vendor_id": shop.vendor_id} | changes
    row["intent_id"] = intent.id if row.pop("same", False) else uuid4()
    statement = """INSERT INTO daily_intent_slots (customer_phone, day, slot, vendor_id, intent_id)
                   VALUES (%(customer_phone)s, %(day)s, %(slot)s, %(vendor_id)s, %(intent_id)s)"""
    with pytest.raises(Broken, match=words), operating(databases) as conn:
        conn.execute(statement, row)
    with operating(databases) as conn:
        assert len(conn.execute("SELECT * FROM daily_intent_slots").fetchall()) == 1


def test_the_tables_move_only_with_their_guards(shop: Shop) -> None:
    """Nobody has switched a trigger off, and every table of money has one."""
    rows = shop.rows("SELECT tgrelid::regclass::text AS t, tgenabled FROM pg_trigger WHERE NOT tgisinternal")
    guarded = {row["t"] for row in rows}
    assert set(TABLES) <= guarded
    assert {row["tgenabled"] for row in rows} == {"O"}
