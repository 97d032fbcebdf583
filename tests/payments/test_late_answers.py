"""What M-Pesa says late, never, twice or against itself, whole: rows, money, events, and what the customer reads."""

import time
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from payments.daraja import DarajaClient
from router.orders import store as orders
from router.orders.store import Order
from router.payment_intents import statement
from router.payment_intents.reports import Channel
from router.payment_intents.store import Intent
from router.work import unit_of_work
from tests.payments.bodies import c2b, failure, pulled, success
from tests.payments.conftest import Mpesa
from tests.payments.shop import Answers, Shop
from tests.payments.talk import CUSTOMER, PAY, Talk
from tests.payments.test_push_faults import CHECKING, STILL, is_paid_by_its_callback, money, standing

RECEIPT = "NLJ7RT61SV"
CANCELLED = "You cancelled the M-Pesa request. No money was taken."
UNREACHED = "M-Pesa could not reach your phone. Switch it on; with an old SIM dial *234# to update it. No money was taken."
PAID = "✅ Paid KES 430, M-Pesa ref {}. Mama Duka is packing S0001. Asante!"


@pytest.fixture
def talk(open_shop: Shop) -> Talk:
    """Give a customer who has confirmed an order."""
    talk = Talk(open_shop)
    talk.order()
    return talk


def prompted(talk: Talk, mpesa: Mpesa, daraja: DarajaClient, **scenario: Any) -> Intent:
    """Let the customer reply PAY, and M-Pesa show its prompt."""
    mpesa.script(CUSTOMER, **scenario)
    assert "Enter your M-Pesa PIN" in talk.say(PAY)[-1]
    assert talk.push(daraja) == []
    return talk.intents()[-1]


def wait_until(mpesa: Mpesa, result_code: str) -> None:
    end = time.monotonic() + 10
    while mpesa.pushes()[-1]["result_code"] != result_code:
        assert time.monotonic() < end
        time.sleep(0.02)


def order_of(talk: Talk) -> Order:
    with unit_of_work(talk.databases, talk.vendor_id) as work:
        order = orders.get(work, talk.intents()[-1].order_id)
    assert order is not None
    return order


def statement_of(talk: Talk) -> list[statement.Line]:
    with unit_of_work(talk.databases, talk.vendor_id) as work:
        return statement.list_day(work, talk.now.date())


@pytest.mark.case(24)
def test_a_success_pays_once_and_tells_once(talk: Talk, mpesa: Mpesa, daraja: DarajaClient) -> None:
    prompted(talk, mpesa, daraja)
    is_paid_by_its_callback(talk, mpesa, daraja)
    assert talk.shop.events() == ["payment_confirmed"]
    assert order_of(talk).receipt == money(talk)[0]


@pytest.mark.parametrize(("channel", "report"), [(Channel.C2B, c2b), (Channel.PULL, pulled)])
@pytest.mark.case(27)
def test_a_query_pays_without_a_callback_and_a_report_brings_the_receipt(
    talk: Talk, mpesa: Mpesa, daraja: DarajaClient, channel: Channel, report: Any
) -> None:
    intent = prompted(talk, mpesa, daraja, callback="never")
    wait_until(mpesa, "0")
    talk.now += timedelta(seconds=60)
    assert talk.work(daraja) == [PAID.format("to follow")]
    assert standing(talk) == ("paid", "succeeded", "PAID")
    assert (money(talk), order_of(talk).receipt) == ([None], None)
    talk.shop.report(report(intent.account_ref, receipt=RECEIPT), channel)
    assert talk.shop.settle_reports() == 1
    assert (money(talk), order_of(talk).receipt) == ([RECEIPT], RECEIPT)
    assert [line.receipt for line in statement_of(talk)] == [RECEIPT] * 2
    assert talk.shop.rows("SELECT verdict FROM money_reports") == [{"verdict": "receipt_added"}]
    assert talk.work(daraja) == []
    assert talk.shop.events() == ["payment_confirmed"]
    assert talk.shop.events("order_paid") == ["order_paid"]


@pytest.mark.case(28)
def test_a_prompt_that_m_pesa_never_decides_stays_with_a_person_and_is_never_told_as_failed(
    talk: Talk, mpesa: Mpesa, daraja: DarajaClient
) -> None:
    prompted(talk, mpesa, daraja, callback="never", query="pending")
    told = []
    for minutes in [0.25] * 64 + [60] * 30:
        talk.now += timedelta(minutes=minutes)
        talk.shop.sweep()
        told += talk.work(daraja)
    assert told == [STILL, CHECKING, "Someone from Mama Duka will write to you here."]
    assert standing(talk) == ("needs_review", "unresolved", "CONFIRMED")
    assert (talk.shop.events(), money(talk)) == (["payment_needs_review"], [])
    assert talk.shop.rows("SELECT next_query_at FROM stk_attempts") == [{"next_query_at": None}]
    assert len(mpesa.posts()) == 1


@pytest.mark.case(29)
def test_a_success_after_a_failure_is_paid_late_and_told(talk: Talk, mpesa: Mpesa, daraja: DarajaClient) -> None:
    prompted(talk, mpesa, daraja, outcome="cancelled", paid_after_seconds=0.5)
    mpesa.pushes(count=1, callbacks=1)
    assert talk.work(daraja)[0] == CANCELLED
    assert standing(talk) == ("failed", "failed", "CONFIRMED")
    receipt = mpesa.pushes(count=1, callbacks=2)[-1]["receipt"]
    assert talk.work(daraja) == [PAID.format(receipt)]
    assert standing(talk) == ("paid", "succeeded", "PAID")
    assert talk.shop.rows("SELECT late FROM payment_intents") == [{"late": True}]
    assert (money(talk), order_of(talk).receipt) == ([receipt], receipt)
    assert talk.shop.events() == ["payment_failed", "payment_confirmed"]
    assert talk.shop.events("order_paid") == ["order_paid"]
    assert len(mpesa.posts()) == 1


@pytest.mark.parametrize("really", ["paid", "not paid"])
@pytest.mark.case(30)
def test_a_success_after_a_query_that_failed_is_asked_about_again(
    talk: Talk, mpesa: Mpesa, daraja: DarajaClient, really: str
) -> None:
    intent = prompted(talk, mpesa, daraja, outcome="unreachable", callback="never")
    wait_until(mpesa, "1037")
    talk.now += timedelta(seconds=60)
    assert talk.work(daraja)[0] == UNREACHED
    assert standing(talk) == ("failed", "failed", "CONFIRMED")
    talk.shop.call_back(intent.id, success(intent))
    assert talk.shop.settle()
    assert standing(talk) == ("failed", "failed", "CONFIRMED")  # a callback alone proves nothing
    assert talk.shop.query(Answers(code="0" if really == "paid" else "1037"))
    if really == "paid":
        assert talk.work(daraja) == [PAID.format(RECEIPT)]
        assert standing(talk) == ("paid", "succeeded", "PAID")
        assert talk.shop.rows("SELECT late FROM payment_intents") == [{"late": True}]
        assert (money(talk), talk.shop.events()) == ([RECEIPT], ["payment_failed", "payment_confirmed"])
    else:
        assert talk.work(daraja) == [CHECKING]
        assert standing(talk) == ("needs_review", "failed", "CONFIRMED")
        assert (money(talk), talk.shop.events()) == ([], ["payment_failed", "payment_needs_review"])


@pytest.mark.case(31)
def test_a_failure_after_a_success_changes_nothing_and_is_told_to_the_operator(
    talk: Talk, mpesa: Mpesa, daraja: DarajaClient
) -> None:
    prompted(talk, mpesa, daraja)
    is_paid_by_its_callback(talk, mpesa, daraja)
    (paid,) = talk.intents()
    for code in (1032, 4242):
        talk.shop.call_back(paid.id, failure(paid, code))
    with capture_logs() as lines:
        assert talk.work(daraja) == []
    told = [(line["log_level"], line["verdict"], line["intent_id"]) for line in lines if line["event"] == "callback_settled"]
    assert told == [("warning", "ignored_after_paid", str(paid.id))] * 2
    assert standing(talk) == ("paid", "succeeded", "PAID")
    assert (len(money(talk)), talk.shop.events()) == (1, ["payment_confirmed"])


@pytest.mark.case(32)
def test_a_late_success_withdraws_the_second_prompt_that_has_not_left(talk: Talk, mpesa: Mpesa, daraja: DarajaClient) -> None:
    prompted(talk, mpesa, daraja, outcome="cancelled", paid_after_seconds=0.5)
    mpesa.pushes(count=1, callbacks=1)
    assert talk.work(daraja)[0] == CANCELLED
    talk.say(PAY)
    first, second = talk.intents()
    receipt = mpesa.pushes(count=1, callbacks=2)[-1]["receipt"]
    while talk.shop.settle() or talk.shop.query(daraja):
        pass
    assert talk.hear() == [PAID.format(receipt)]
    assert [talk.shop.states(each.id)[:2] for each in (first, second)] == [("paid", "succeeded"), ("cancelled", "rejected")]
    assert standing(talk)[2] == "PAID"
    assert (money(talk), talk.shop.events()) == ([receipt], ["payment_failed", "payment_confirmed"])
    talk.now += timedelta(minutes=5)
    talk.shop.sweep()
    assert talk.work(daraja) == []  # and nobody is told that the second one failed
    assert len(mpesa.posts()) == 1
