"""Payments by hand over real HTTP: registered at M-Pesa, asked for beforehand, reported, and fetched when no report came."""

import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from payments import pull
from payments.daraja import DarajaClient
from payments.rates import Rates
from payments.reconcile import NOT_ASKED_WAIT
from payments.registering import Registering
from router.payment_intents.reports import Channel
from tests.payments.bodies import c2b
from tests.payments.conftest import Mpesa
from tests.payments.shop import Shop
from tests.payments.test_settle import pushed


@pytest.fixture
def registering(open_shop: Shop, daraja: DarajaClient) -> Registering:
    return Registering(
        databases=open_shop.databases,
        daraja=daraja,
        vendor_id=open_shop.vendor_id,
        callback_base_url=open_shop.callback_base_url,
        open_secret=open_shop.open_secret,
        now=open_shop.clock(),
    )


def wait_for(there: Callable[[], Any]) -> None:
    end = time.monotonic() + 5
    while not there():
        assert time.monotonic() < end
        time.sleep(0.01)


def fetch(shop: Shop, daraja: DarajaClient) -> int:
    done = 0
    while pull.pull_next(shop.databases, daraja, vendor_id=shop.vendor_id, now=shop.clock(), open_secret=shop.open_secret):
        done += 1
    return done


def orders(shop: Shop) -> list[str]:
    return [row["status"] for row in shop.rows("SELECT status FROM orders ORDER BY number")]


def test_a_registered_paybill_is_paid_by_hand_and_what_fits_no_order_is_refused_beforehand(
    open_shop: Shop, mpesa: Mpesa, registering: Registering
) -> None:
    assert registering.c2b(strict=False).good
    mpesa.http.put(f"{mpesa.url}/sim/validation", json={"on": True}).raise_for_status()
    open_shop.order()
    assert not mpesa.pay_by_hand("S0009")["paid"]
    assert not mpesa.pay_by_hand("S0001", amount=429)["paid"]
    receipt = mpesa.pay_by_hand("s0001", report="twice")["receipt"]
    wait_for(lambda: open_shop.rows("SELECT id FROM money_reports WHERE seen_count = 2"))
    open_shop.settle_reports()
    assert orders(open_shop) == ["PAID"]
    assert open_shop.news() == [("paid", receipt)]
    again = registering.c2b(strict=True)
    assert not again.good
    assert "delete the old addresses on M-Pesa's portal" in again.fix
    (told, repeated) = mpesa.posts("/mpesa/c2b/v2/registerurl")
    assert (told["body"]["ResponseType"], repeated["body"]["ResponseType"]) == ("Completed", "Cancelled")
    (kept,) = open_shop.rows("SELECT c2b_registered_at FROM vendor_shortcodes")
    assert kept["c2b_registered_at"] == open_shop.clock()
    assert len(open_shop.rows("SELECT token_sha256 FROM c2b_addresses")) == 2  # M-Pesa may hold any address it was told


def test_what_no_report_told_of_is_fetched_page_by_page(
    open_shop: Shop, mpesa: Mpesa, registering: Registering, daraja: DarajaClient
) -> None:
    assert registering.pull(phone="254700000009").good
    assert registering.pull(phone="254700000009").good  # 1001: it was on before
    assert fetch(open_shop, daraja) == 1
    assert fetch(open_shop, daraja) == 0
    for _ in range(45):
        mpesa.pay_by_hand("", amount=5)
    open_shop.order()
    mpesa.pay_by_hand("S0001")
    open_shop.clock.advance(minutes=10)
    assert fetch(open_shop, daraja) == 1
    assert [each["body"]["OffSetValue"] for each in mpesa.posts("/pulltransactions/v1/query")][1:] == ["0", "20", "40", "46"]
    assert open_shop.settle_reports() == 46
    assert orders(open_shop) == ["PAID"]
    assert len(open_shop.rows("SELECT id FROM payments WHERE order_id IS NULL")) == 45
    open_shop.clock.advance(minutes=10)
    assert fetch(open_shop, daraja) == 1  # the last hour is fetched once more, and known
    assert open_shop.settle_reports() == 0


def test_an_outage_is_fetched_window_by_window_and_a_refusal_moves_no_window(
    open_shop: Shop, mpesa: Mpesa, registering: Registering, daraja: DarajaClient
) -> None:
    assert registering.pull(phone="254700000009").good
    open_shop.clock.advance(minutes=1)
    mpesa.pay_by_hand("", amount=5)
    open_shop.clock.advance(hours=40)
    refusing = DarajaClient(base_url=mpesa.url, tokens=daraja._tokens, rates=Rates(None, per_minute=1))
    for times in (1, 0):
        assert fetch(open_shop, refusing) == times
    assert open_shop.rows("SELECT id FROM money_reports") == []
    for times in (1, 4):  # the token has run out meanwhile: it is purged, and the same window is asked for again
        open_shop.clock.advance(seconds=30)
        assert fetch(open_shop, daraja) == times
    (row,) = open_shop.rows("SELECT pulled_until, channel FROM vendor_shortcodes s, money_reports r")
    assert (row["pulled_until"], row["channel"]) == (open_shop.clock(), Channel.PULL)
    refusing.close()


def test_a_query_that_the_rate_refuses_uses_up_no_step(shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    intent = pushed(shop)
    refusing = DarajaClient(base_url=mpesa.url, tokens=daraja._tokens, rates=Rates(None, per_minute=1))
    shop.ask(intent.id)
    for _ in range(20):  # far more than the ladder has steps
        assert shop.query(refusing)
        assert not shop.query(refusing)
        shop.clock.advance(seconds=NOT_ASKED_WAIT.total_seconds())
    (row,) = shop.rows("SELECT queries, last_query_at, next_query_at FROM stk_attempts")
    assert (row["queries"], row["last_query_at"], row["next_query_at"]) == (0, None, shop.clock())
    assert mpesa.posts("/mpesa/stkpushquery/v1/query") == []
    assert shop.confirm() == 1
    assert shop.states(intent.id)[0] == "paid"
    refusing.close()


def test_daraja_itself_may_say_that_we_ask_too_often(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    mpesa.script(outcome="ask", query="spike_arrest")
    intent = open_shop.consented()
    assert open_shop.push(daraja)
    open_shop.clock.advance(seconds=61)
    assert open_shop.query(daraja)
    (row,) = open_shop.rows("SELECT queries, next_query_at FROM stk_attempts")
    assert (row["queries"], row["next_query_at"]) == (0, open_shop.clock() + NOT_ASKED_WAIT)
    assert open_shop.states(intent.id)[0] == "processing"


@pytest.mark.parametrize("kind", ["no_token", "bad_token", "foreign_token", "guessed_checkout", "success"])
def test_what_a_stranger_posts_moves_no_money(open_shop: Shop, mpesa: Mpesa, daraja: DarajaClient, kind: str) -> None:
    mpesa.script(outcome="ask")
    mpesa.script("254712000002", outcome="ask")
    for phone in ("254712345678", "254712000002"):
        intent = open_shop.consented(phone=phone)
        assert open_shop.push(daraja)
    checkout = open_shop.intent(intent.id).attempt.checkout_request_id
    told = mpesa.http.post(f"{mpesa.url}/sim/pushes/{checkout}/forge/{kind}").json()
    assert told["http_status"] == {"no_token": 404, "bad_token": 404}.get(kind, 200)
    while open_shop.settle():
        pass
    while open_shop.query(daraja):
        pass
    assert open_shop.rows("SELECT id FROM payments") == []
    assert orders(open_shop) == ["CONFIRMED", "CONFIRMED"]


def test_a_phone_has_a_page(mpesa: Mpesa) -> None:
    page = httpx.get(f"{mpesa.url}/phone", trust_env=False)
    assert page.headers["content-type"].startswith("text/html")
    for path in ("/pin", "/cancel", "/pay", "/pushes?phone="):
        assert path in page.text


def test_a_report_that_came_by_post_is_fetched_and_known(
    open_shop: Shop, mpesa: Mpesa, registering: Registering, daraja: DarajaClient
) -> None:
    assert registering.pull(phone="254700000009").good
    open_shop.order()
    receipt = mpesa.pay_by_hand("S0001")["receipt"]
    open_shop.report(c2b("S0001", receipt=receipt))
    fetch(open_shop, daraja)
    open_shop.settle_reports()
    assert [row["verdict"] for row in open_shop.rows("SELECT verdict FROM money_reports ORDER BY id")] == ["paid", "duplicate"]
