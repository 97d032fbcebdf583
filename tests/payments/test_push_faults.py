"""What can go wrong with a prompt on its way, whole: rows, money, events, and what the customer reads until the end of it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import sleep

import pytest
from pydantic import SecretStr

from payments.access_token import AccessTokens
from payments.credentials import Credentials, open_credentials
from payments.daraja import Daraja, DarajaClient
from router.payment_intents import attempts
from router.payment_intents.store import Intent
from router.wakeups import connect
from router.work import unit_of_work
from tests.payments.conftest import Mpesa
from tests.payments.dying import Crash, MortalClient, Plan
from tests.payments.shop import Shop, open_plain
from tests.payments.talk import CUSTOMER, PAY, Talk

OAUTH = "/oauth/v1/generate"
UNCLEAR = "We are confirming with M-Pesa. If your phone shows the request, enter your PIN. Please don't pay again."
STILL = "Still no word from M-Pesa. We keep asking; please don't pay again."
CHECKING = "We are checking with M-Pesa. Please don't pay again yet."
BUSY = "M-Pesa is busy. Our request comes to your phone as soon as it can."
NOT_SENT = "We could not send the M-Pesa request. No money was taken."
SHOP_SET_UP = "The shop's M-Pesa set-up has a problem. They are told. No money was taken."
OTHER_PROMPT = "Another M-Pesa request is open on your phone. Finish it, wait a minute, then pay again. No money was taken."
TOO_LATE = "We could not send the M-Pesa request in time. No money was taken."


@pytest.fixture
def talk(open_shop: Shop) -> Talk:
    """Give a customer who has just replied PAY."""
    talk = Talk(open_shop)
    talk.order()
    assert "Enter your M-Pesa PIN" in talk.say(PAY)[-1]
    return talk


def the_intent(talk: Talk) -> Intent:
    (intent,) = talk.intents()
    return intent


def standing(talk: Talk) -> tuple[str, str, str]:
    """Give the statuses of the newest intent, of its attempt and of its order."""
    return talk.shop.states(talk.intents()[-1].id)


def money(talk: Talk) -> list[str | None]:
    return [row["receipt"] for row in talk.shop.rows("SELECT receipt FROM payments")]


def is_paid_by_its_callback(talk: Talk, mpesa: Mpesa, daraja: Daraja, *, prompts: int = 1) -> None:
    """See the money come, once, and everything that it moves."""
    receipt = mpesa.pushes(count=1, callbacks=1)[-1]["receipt"]
    (told,) = talk.work(daraja)
    assert told.startswith(f"✅ Paid KES 430, M-Pesa ref {receipt}.")
    assert standing(talk) == ("paid", "succeeded", "PAID")
    assert money(talk) == [receipt]
    assert talk.shop.events()[-1] == "payment_confirmed"
    assert talk.shop.events("order_paid") == ["order_paid"]
    assert talk.work(daraja) == []
    assert len(mpesa.posts()) == prompts


def stays_with_a_person(talk: Talk, mpesa: Mpesa, daraja: Daraja, *, prompts: int) -> None:
    """See nobody told that it failed, no second prompt, and a person asked to look."""
    told = []
    for _ in range(15):
        talk.now += timedelta(minutes=1)
        talk.shop.sweep()
        told += talk.work(daraja)
    assert [each for each in told if each != UNCLEAR] == [STILL, CHECKING]
    assert standing(talk) == ("needs_review", "unresolved", "CONFIRMED")
    assert the_intent(talk).reason == "no_answer"
    assert talk.shop.events() == ["payment_needs_review"]
    assert talk.say(PAY) == ["Still waiting for M-Pesa, one moment..."]
    talk.now += timedelta(hours=30)
    talk.work(daraja)
    assert (money(talk), talk.shop.news()) == ([], [])
    assert len(talk.intents()) == 1
    assert len(mpesa.posts()) == prompts


@pytest.mark.case(8, 9)
def test_twenty_workers_that_are_ready_at_once_make_one_post(open_shop: Shop, mpesa: Mpesa) -> None:
    """Their leases ran out while they got ready, as with jobs that were queued again by hand."""
    mpesa.script(callback="never")
    intent, together, ready = open_shop.consented(), threading.Barrier(20), set[int]()

    class Unhurried(DarajaClient):
        def authorise(self, credentials: Credentials) -> SecretStr:
            token = super().authorise(credentials)
            with unit_of_work(open_shop.databases, open_shop.vendor_id) as work:
                attempts.put_off(work, intent.id, due_at=open_shop.clock())
            ready.add(threading.get_ident())
            together.wait(timeout=20)
            return token

    client = Unhurried(base_url=mpesa.url, tokens=AccessTokens(None))

    def worker(_: int) -> None:
        while threading.get_ident() not in ready:
            open_shop.push(client)
            sleep(0.01)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(worker, range(20)))
    client.close()
    assert len(mpesa.posts()) == 1
    assert open_shop.states(intent.id)[:2] == ("processing", "accepted")
    assert len(open_shop.rows("SELECT 1 FROM usage_records WHERE meter = 'stk_push'")) == 1


@pytest.mark.case(11)
def test_a_worker_killed_before_the_post_leaves_a_prompt_that_nobody_sends(
    talk: Talk, mpesa: Mpesa, daraja: DarajaClient
) -> None:
    with pytest.raises(Crash):
        talk.push(MortalClient(inner=daraja, plan=Plan(dies_at="before the push")))
    assert standing(talk) == ("processing", "dispatched", "CONFIRMED")
    stays_with_a_person(talk, mpesa, daraja, prompts=0)


@pytest.mark.case(12)
def test_a_worker_killed_after_the_post_is_told_as_being_confirmed_and_paid_by_the_callback(
    talk: Talk, mpesa: Mpesa, daraja: DarajaClient
) -> None:
    mpesa.script(CUSTOMER)
    with pytest.raises(Crash):
        talk.push(MortalClient(inner=daraja, plan=Plan(dies_at="after the push")))
    talk.now += timedelta(minutes=2)
    assert talk.shop.sweep() == 1
    assert standing(talk) == ("processing", "ambiguous", "CONFIRMED")
    assert talk.hear() == [UNCLEAR, STILL]
    is_paid_by_its_callback(talk, mpesa, daraja)


@pytest.mark.parametrize("answer", ["hang", "reset", "http_500_after_accept"])
@pytest.mark.case(13, 16)
def test_a_push_without_a_clear_answer_is_told_as_being_confirmed_and_paid_by_its_callback(
    talk: Talk, mpesa: Mpesa, daraja: DarajaClient, answer: str
) -> None:
    mpesa.script(CUSTOMER, answer=answer)
    assert talk.push(daraja) == [UNCLEAR]
    assert standing(talk) == ("processing", "ambiguous", "CONFIRMED")
    assert talk.say(PAY) == ["Still waiting for M-Pesa, one moment..."]
    is_paid_by_its_callback(talk, mpesa, daraja)


@pytest.mark.parametrize("answer", ["hang", "reset", "html_503", "html_200", "empty_200", "envelope_200"])
@pytest.mark.case(14, 17)
def test_a_push_that_was_neither_taken_nor_refused_goes_to_a_person(
    talk: Talk, mpesa: Mpesa, daraja: DarajaClient, answer: str
) -> None:
    mpesa.script(CUSTOMER, answer=answer, prompt=False)
    assert talk.push(daraja) == [UNCLEAR]
    assert standing(talk) == ("processing", "ambiguous", "CONFIRMED")
    stays_with_a_person(talk, mpesa, daraja, prompts=1)


@pytest.mark.case(15)
def test_a_push_that_found_no_connection_was_not_sent_and_a_new_pay_is_paid(
    talk: Talk, mpesa: Mpesa, daraja: DarajaClient
) -> None:
    class Unreachable(DarajaClient):
        def authorise(self, credentials: Credentials) -> SecretStr:
            return daraja.authorise(credentials)

    client = Unreachable(base_url="http://127.0.0.1:9", tokens=AccessTokens(None))
    assert NOT_SENT in talk.push(client)[0]
    client.close()
    assert talk.shop.rows("SELECT status, error FROM stk_attempts") == [{"status": "rejected", "error": "not_sent ConnectError"}]
    ends_and_a_new_pay_is_paid(talk, mpesa, daraja, prompts=1)


@pytest.mark.parametrize(
    ("answer", "told", "tokens"),
    [
        ("reject:404.001.03:Invalid Access Token", NOT_SENT, 2),
        ("reject:500.001.1001:Wrong credentials", SHOP_SET_UP, 1),
        (
            "reject:500.001.1001:Unable to lock subscriber, a transaction is already in process for the current subscriber",
            OTHER_PROMPT,
            1,
        ),
        ("spike_arrest", NOT_SENT, 1),
    ],
)
@pytest.mark.case(18, 19, 20, 21)
def test_a_push_that_is_refused_is_told_in_words_and_a_new_pay_is_paid(
    talk: Talk, mpesa: Mpesa, daraja: DarajaClient, answer: str, told: str, tokens: int
) -> None:
    mpesa.http.delete(f"{mpesa.url}/sim/tokens").raise_for_status()
    mpesa.script(CUSTOMER, answer=answer)
    assert talk.push(daraja)[0] == told
    assert len(mpesa.posts()) == 1
    (event,) = talk.shop.rows("SELECT data FROM domain_events WHERE type = 'payment_failed'")
    words = "Spike arrest violation" if answer == "spike_arrest" else answer.rpartition(":")[2]
    assert words in event["data"]["error"]  # what the vendor is told
    ends_and_a_new_pay_is_paid(talk, mpesa, daraja, prompts=2)
    assert len(mpesa.posts(OAUTH)) == tokens


def ends_and_a_new_pay_is_paid(talk: Talk, mpesa: Mpesa, daraja: Daraja, *, prompts: int) -> None:
    assert standing(talk) == ("failed", "rejected", "CONFIRMED")
    assert talk.shop.events() == ["payment_failed"]
    assert money(talk) == []
    mpesa.script(CUSTOMER)
    assert "Enter your M-Pesa PIN" in talk.say(PAY)[-1]
    assert talk.push(daraja) == []
    is_paid_by_its_callback(talk, mpesa, daraja, prompts=prompts)
    assert [intent.status for intent in talk.intents()] == ["failed", "paid"]


@pytest.mark.parametrize("answer", ["empty_400", "html_503", "hang"])
@pytest.mark.case(22)
def test_without_a_token_a_prompt_waits_until_its_pay_is_too_old(
    talk: Talk, mpesa: Mpesa, daraja: DarajaClient, answer: str
) -> None:
    mpesa.http.delete(f"{mpesa.url}/sim/tokens").raise_for_status()
    mpesa.http.put(f"{mpesa.url}/sim/oauth", json={"answer": answer, "times": 100}).raise_for_status()
    told = talk.work(daraja)
    for _ in range(4):
        assert standing(talk) == ("consented", "prepared", "CONFIRMED")
        talk.now += timedelta(minutes=1)
        told += talk.work(daraja)
    assert told == [BUSY, STILL]
    talk.now += timedelta(seconds=61)
    assert talk.work(daraja)[0] == TOO_LATE
    assert standing(talk) == ("expired", "rejected", "CONFIRMED")
    assert talk.shop.events() == ["payment_failed"]
    assert mpesa.posts() == []


@pytest.mark.case(23)
def test_workers_that_need_a_token_at_once_call_oauth_once(open_shop: Shop, mpesa: Mpesa, redis_url: str) -> None:
    mpesa.script(callback="never")
    mpesa.http.delete(f"{mpesa.url}/sim/tokens").raise_for_status()
    workers = [DarajaClient(base_url=mpesa.url, tokens=AccessTokens(connect(redis_url))) for _ in range(8)]
    together = threading.Barrier(8)
    credentials = open_credentials(open_shop.consented().shortcode.secret_ref, open_plain)

    def authorise(worker: DarajaClient) -> str:
        together.wait(timeout=5)
        return worker.authorise(credentials).get_secret_value()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(authorise, workers))) == 1
    assert len(mpesa.posts(OAUTH)) == 1
    mpesa.http.delete(f"{mpesa.url}/sim/tokens").raise_for_status()  # and all of them hold the one that has died
    for number, worker in enumerate(workers):
        open_shop.consented(phone=f"25471200000{number}")
        assert open_shop.push(worker)
        worker.close()
    assert len(mpesa.posts(OAUTH)) == 2
    statuses = [row["status"] for row in open_shop.rows("SELECT status FROM stk_attempts ORDER BY status")]
    assert statuses == ["accepted"] * 7 + ["prepared", "rejected"]
