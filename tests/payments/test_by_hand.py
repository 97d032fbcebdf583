"""Money paid by hand, as M-Pesa reports it: cases 56 to 59, and every channel telling of one receipt."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from payments import review
from payments.by_hand import Check, check, parse_report, to_account
from payments.requests import Refused as NotPrepared
from payments.settle import TRY_AGAIN_AFTER
from router.errors import Refused
from router.orders import store as orders
from router.payment_intents import money, reports
from router.payment_intents.reports import Channel
from router.usage import days, effects
from router.work import unit_of_work
from tests.payments.bodies import c2b, pulled, success
from tests.payments.shop import Answers, Shop
from tests.payments.test_settle import pushed
from tests.router.payment_intents.test_guards import refused

R1, R2, R3 = "RKTQDM7W61", "RKTQDM7W62", "RKTQDM7W63"


def verdicts(shop: Shop) -> list[str]:
    return [row["verdict"] for row in shop.rows("SELECT verdict FROM money_reports ORDER BY id")]


def money_of(shop: Shop) -> list[tuple[str | None, int, bool, str]]:
    rows = shop.rows("SELECT receipt, amount, order_id IS NOT NULL AS matched, confirmed_by FROM payments ORDER BY receipt")
    return [(row["receipt"], row["amount"], row["matched"], row["confirmed_by"]) for row in rows]


def test_an_order_without_a_pay_is_paid_by_hand_and_its_conversation_hears_of_it(shop: Shop) -> None:
    shop.order()
    shop.report(c2b(" s-0001 ", receipt=R1))
    assert shop.settle_reports() == 1
    assert verdicts(shop) == ["paid"]
    assert [row["status"] for row in shop.rows("SELECT status FROM orders")] == ["PAID"]
    assert shop.news() == [("paid", R1)]
    assert shop.events() == ["payment_confirmed"]
    assert shop.events("order_paid") == ["order_paid"]
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        assert effects.compare(work, days.day_of(shop.clock())) == []


@pytest.mark.case(57)
def test_case_57_paid_by_hand_before_the_prompt_leaves_nothing_is_sent_and_a_later_pay_is_refused(shop: Shop) -> None:
    ordered = shop.order()
    prepared = shop.prepare(ordered, shop.say(ordered))
    shop.report(c2b("S0001", receipt=R1))
    shop.settle_reports()
    (row,) = shop.rows("SELECT id FROM payment_intents")
    assert shop.states(row["id"]) == ("paid", "rejected", "PAID"), prepared
    assert not shop.push(Answers())  # whose push would fail the test
    again = shop.prepare(ordered, shop.say(ordered))
    assert isinstance(again, NotPrepared)
    assert "the order is PAID" in again.why


@pytest.mark.parametrize("first", ["c2b", "callback", "query"])
@pytest.mark.case(56)
def test_case_56_one_receipt_told_by_every_channel_is_one_payment(shop: Shop, first: str) -> None:
    intent = pushed(shop)
    tell = {
        "c2b": lambda: shop.report(c2b("S0001", receipt=R1)),
        "callback": lambda: shop.call_back(intent.id, success(intent, receipt=R1)),
        "query": lambda: shop.ask(intent.id),
    }
    for name in sorted(tell, key=lambda name: name != first):
        tell[name]()
        while shop.settle():
            pass
        shop.settle_reports()
        shop.confirm()
    shop.report(pulled("S0001", receipt=R1), Channel.PULL)
    shop.settle_reports()
    assert [(receipt, matched) for receipt, _, matched, _ in money_of(shop)] == [(R1, True)]
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")
    assert shop.events().count("payment_confirmed") == 1
    assert "payment_duplicate_paid" not in shop.events()
    assert verdicts(shop)[-1] == "duplicate"


@pytest.mark.case(58)
def test_case_58_money_that_names_no_order_is_listed_told_and_assigned_by_a_person(shop: Shop) -> None:
    shop.order()
    shop.report(c2b("S0OO1", receipt=R1))
    shop.report(c2b("", receipt=R2, amount="10.00"))
    assert shop.settle_reports() == 2
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        listed = {each.receipt: each.because for each in money.list_unmatched(work)}
    assert listed == {R1: "unknown_account", R2: "no_account"}
    assert shop.events() == ["payment_unmatched"] * 2
    assert shop.news() == []
    for receipt, order, code in ((R1, "S0009", "unknown_order"), (R3, "S0001", "not_unmatched"), (R2, "S0001", "amount_differs")):
        with pytest.raises(Refused) as refused:
            assign(shop, receipt, order)
        assert refused.value.code == code
    assign(shop, R1, "S0001")
    assert shop.news() == [("paid", R1)]
    assert [row["status"] for row in shop.rows("SELECT status FROM orders")] == ["PAID"]
    with pytest.raises(Refused):
        assign(shop, R1, "S0001")
    assign(shop, R2, "S0001", accept_difference=True)  # a second payment of that order, then
    assert shop.events()[-2:] == ["payment_paid_late", "payment_duplicate_paid"]


def assign(shop: Shop, receipt: str, order: str, *, accept_difference: bool = False) -> None:
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        review.assign(work, receipt, order, actor="W", reason="asked her", accept_difference=accept_difference, now=shop.clock())


@pytest.mark.parametrize("amount", ["400.00", "431"])
@pytest.mark.case(59)
def test_case_59_too_little_or_too_much_by_hand_goes_to_a_person(shop: Shop, amount: str) -> None:
    intent = pushed(shop)
    shop.report(c2b("S0001", receipt=R1, amount=amount))
    shop.settle_reports()
    assert shop.states(intent.id) == ("needs_review", "accepted", "CONFIRMED")
    assert shop.intent(intent.id).reason == "amount_mismatch"
    assert [(receipt, matched) for receipt, _, matched, _ in money_of(shop)] == [(R1, False)]


def test_a_second_payment_of_an_intent_by_any_way_is_kept_and_told_as_paid_twice(shop: Shop) -> None:
    intent = pushed(shop)
    shop.report(c2b("S0001", receipt=R1))  # by hand, while the prompt is on the phone
    shop.settle_reports()
    shop.call_back(intent.id, success(intent, receipt=R2))  # and the prompt is paid as well
    shop.settle()
    assert [receipt for receipt, *_ in money_of(shop)] == [R1]  # a callback alone proves nothing
    assert shop.confirm() == 1
    shop.report(c2b("S0001", receipt=R3))
    shop.settle_reports()
    assert [(receipt, matched) for receipt, _, matched, _ in money_of(shop)] == [(R1, True), (R2, True), (R3, True)]
    assert shop.events().count("payment_duplicate_paid") == 2
    assert shop.confirm() == 0


def test_a_callback_that_invents_a_second_receipt_adds_no_money(shop: Shop) -> None:
    intent = pushed(shop)
    shop.report(c2b("S0001", receipt=R1))
    shop.settle_reports()
    shop.call_back(intent.id, success(intent, receipt=R2))
    shop.settle()
    shop.confirm("1032")
    assert [receipt for receipt, *_ in money_of(shop)] == [R1]


def test_money_for_an_order_that_ended_is_kept_and_told_as_late(shop: Shop) -> None:
    ordered = shop.order()
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        orders.cancel(work, order_id=ordered.order_id, reason="customer", now=shop.clock())
    shop.report(c2b("S0001", receipt=R1))
    shop.settle_reports()
    assert (shop.events(), shop.news()) == (["payment_paid_late"], [("paid", R1)])
    assert [row["status"] for row in shop.rows("SELECT status FROM orders")] == ["CANCELLED"]


def test_a_tills_money_without_an_account_waits_for_its_prompt_to_explain_it(shop: Shop) -> None:
    intent = pushed(shop)
    shop.report(c2b("", receipt=R1))
    shop.settle_reports()
    assert money_of(shop) == []
    shop.call_back(intent.id, success(intent, receipt=R1))
    shop.settle()
    shop.clock.advance(seconds=11)
    shop.settle_reports()  # the callback claims this receipt, and M-Pesa itself reports it
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")
    assert [(receipt, matched) for receipt, _, matched, _ in money_of(shop)] == [(R1, True)]


def test_money_that_was_unmatched_is_taken_over_by_the_prompt_that_brings_its_receipt(shop: Shop) -> None:
    intent = pushed(shop)
    shop.report(c2b("", receipt=R1))
    shop.clock.advance(minutes=4)
    shop.settle_reports()
    assert [(receipt, matched) for receipt, _, matched, _ in money_of(shop)] == [(R1, False)]
    shop.call_back(intent.id, success(intent, receipt=R1))
    shop.settle()
    shop.confirm()
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")
    assert [(receipt, matched) for receipt, _, matched, _ in money_of(shop)] == [(R1, True)]
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        differing = effects.compare(work, days.day_of(shop.clock()))
    assert [each.meter for each in differing] == ["stk_push"]  # of which this test counts none


def test_many_workers_and_two_channels_settle_one_receipt_once(shop: Shop) -> None:
    shop.order()
    for body, channel in ((c2b("S0001", receipt=R1), Channel.C2B), (pulled("S0001", receipt=R1), Channel.PULL)):
        for extra in range(5):
            shop.report(body.replace("}", f', "n": {extra}}}'), channel)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: shop.settle_reports(), range(4)))
    assert sorted(verdicts(shop)) == ["duplicate"] * 9 + ["paid"]
    assert shop.events() == ["payment_confirmed"]
    assert shop.news() == [("paid", R1)]


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("[]", "unreadable"),
        ("{}", "unreadable"),
        (c2b("S0001", receipt="short"), "unreadable"),
        (c2b("S0001", amount="4.50"), "unreadable"),
        (c2b("S0001", amount="0"), "unreadable"),
        (c2b("S0001", shortcode="600000"), "other_shortcode"),
    ],
)
def test_a_report_that_is_none_moves_nothing(shop: Shop, body: str, verdict: str) -> None:
    shop.order()
    shop.report(body)
    shop.settle_reports()
    assert (verdicts(shop), money_of(shop)) == ([verdict], [])


def test_what_people_type_is_read_as_our_reference() -> None:
    assert [to_account(typed) for typed in ("S0042", " s0042", "s 00-42", "S.0042/", "#S0042b")] == ["S0042"] * 4 + ["S0042B"]
    told = parse_report(json.dumps({"transactionId": R1, "amount": 10, "billreference": "s0042"}), Channel.PULL)
    assert told is not None
    assert (told.amount, told.account) == (10, "S0042")


def test_m_pesa_is_told_whether_a_payment_may_go_ahead(shop: Shop) -> None:
    shop.order()
    shortcode = shop.shortcode_id()
    asked = {
        Check.ACCEPTED: c2b("s0001"),
        Check.WRONG_ACCOUNT: c2b("S0002"),
        Check.WRONG_AMOUNT: c2b("S0001", amount="5"),
        Check.WRONG_SHORTCODE: c2b("S0001", shortcode="600000"),
    }
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        assert {answer: check(work, shortcode, body) for answer, body in asked.items()} == {answer: answer for answer in asked}
    shop.report(c2b("S0001", receipt=R1))
    shop.settle_reports()
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        assert check(work, shortcode, c2b("S0001")) is Check.WRONG_ACCOUNT  # paid: nobody pays it twice


GUARDED = [
    ("UPDATE money_reports SET body = '{}', body_sha256 = sha256('{}')", "kept as it came"),
    ("UPDATE money_reports SET verdict = 'unmatched'", "judged once"),
    ("DELETE FROM money_reports", "never deleted"),
    ("TRUNCATE money_reports", "append-only"),
    ("UPDATE payments SET order_id = NULL", "never change"),
    ("UPDATE payments SET unmatched_because = 'no_account'", "never change"),
    (
        "INSERT INTO payments SELECT vendor_id, gen_random_uuid(), NULL, NULL, shortcode_id, 5, 'NLJ7RT61SX', payer, 'c2b', now()"
        " FROM payments",
        "unmatched_says_why",
    ),
]


@pytest.mark.parametrize(("statement", "words"), GUARDED)
def test_reports_and_their_money_are_guarded(shop: Shop, statement: str, words: str) -> None:
    shop.order()
    shop.report(c2b("S0001", receipt=R1))
    shop.settle_reports()
    refused(shop, statement, {}, words)


def test_a_report_the_database_refuses_holds_back_no_other(shop: Shop) -> None:
    shop.order()
    shop.report(c2b("S0001", receipt=R1))
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        taken = reports.next_report(work, now=shop.clock())
        assert taken is not None
        reports.set_aside(work, taken, try_again_at=shop.clock() + TRY_AGAIN_AFTER)
    assert shop.settle_reports() == 0
    shop.clock.advance(minutes=10)
    assert shop.settle_reports() == 1


def test_money_that_a_person_assigns_ends_the_review_of_its_order_without_a_word_of_no_money(shop: Shop) -> None:
    intent = pushed(shop)
    shop.report(c2b("S0001", receipt=R1, amount="400.00"))
    shop.settle_reports()
    assert shop.states(intent.id)[0] == "needs_review"
    assign(shop, R1, "S0001", accept_difference=True)
    assert shop.states(intent.id)[0] == "failed"
    assert shop.states(intent.id)[2] == "PAID"
    assert shop.news() == [("paid", R1)]
    shop.call_back(intent.id, success(intent, receipt=R2))  # and when the prompt was paid as well, that is found
    shop.settle()
    shop.confirm()
    assert shop.events()[-2:] == ["payment_paid_late", "payment_duplicate_paid"]
