"""Which message allows a prompt: real turns, a real push, and how many prompts reached M-Pesa."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from conversation.whatsapp.inbound import Incoming, Text, split
from payments.daraja import DarajaClient
from tests.conversation.test_turn import envelope
from tests.payments.conftest import Mpesa
from tests.payments.shop import Shop
from tests.payments.talk import CUSTOMER, PAY, Talk

STICKER: dict[str, Any] = {"type": "sticker", "sticker": {"id": "1", "mime_type": "image/webp", "sha256": "x", "animated": False}}


@pytest.fixture
def talk(open_shop: Shop, mpesa: Mpesa) -> Talk:
    mpesa.script(CUSTOMER, callback="never")
    return Talk(open_shop)


def incoming(talk: Talk, wamid: str, text: str = "PAY", **changes: Any) -> list[Incoming]:
    """Read a message as the webhook does."""
    body = json.loads(json.dumps(envelope(wamid, Text(text=text))))
    message = body["entry"][0]["changes"][0]["value"]["messages"][0]
    message |= {"from": CUSTOMER, "timestamp": str(int(talk.now.timestamp()))} | changes
    return [update for update in split(json.dumps(body).encode()) if isinstance(update, Incoming)]


@pytest.mark.case(1)
def test_pay_twice_is_one_prompt_and_the_second_pay_is_told_how_it_stands(talk: Talk, mpesa: Mpesa, daraja: DarajaClient) -> None:
    talk.order()
    assert "Enter your M-Pesa PIN" in talk.say(PAY)[-1]
    assert talk.say(PAY) == ["Still waiting for M-Pesa, one moment..."]
    talk.work(daraja)
    assert talk.say(PAY) == ["Still waiting for M-Pesa, one moment..."]
    talk.work(daraja)
    (intent,) = talk.intents()
    assert talk.shop.states(intent.id) == ("processing", "accepted", "CONFIRMED")
    assert len(mpesa.posts()) == 1


@pytest.mark.case(1)
def test_two_pays_at_once_are_one_prompt(talk: Talk, mpesa: Mpesa, daraja: DarajaClient) -> None:
    talk.order()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: talk.turns.accept(incoming(talk, f"wamid.pay.{number}")), range(8)))
    told = [row["text"] for row in talk.rows("SELECT message ->> 'text' AS text FROM outbox ORDER BY id")][-8:]
    assert sorted("Still waiting" in each for each in told) == [False] + [True] * 7
    talk.work(daraja)
    assert len(talk.intents()) == len(mpesa.posts()) == 1


@pytest.mark.case(2)
def test_a_pay_that_whatsapp_delivers_again_is_one_prompt_and_one_answer(talk: Talk, mpesa: Mpesa, daraja: DarajaClient) -> None:
    mpesa.script(CUSTOMER, outcome="cancelled")
    talk.order()
    said = len(talk.rows("SELECT id FROM outbox"))
    pay = incoming(talk, "wamid.pay")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: talk.turns.accept(pay), range(20)))
    assert len(talk.rows("SELECT id FROM inbox WHERE source_id = 'wamid.pay'")) == 1
    assert len(talk.rows("SELECT id FROM outbox")) == said + 1
    talk.push(daraja)
    mpesa.pushes(count=1, callbacks=1)
    assert "You cancelled the M-Pesa request" in talk.work(daraja)[0]
    talk.turns.accept(pay)  # once more, now that a new PAY would be taken
    assert talk.work(daraja) == []
    assert [intent.status for intent in talk.intents()] == ["failed"]
    assert len(mpesa.posts()) == 1


@pytest.mark.case(3)
def test_what_is_not_the_word_pay_sends_no_prompt(talk: Talk, mpesa: Mpesa, daraja: DarajaClient) -> None:
    talk.order()
    assert [talk.say(Text(text=text)) for text in ("pay now", "PAYE")] == [["Reply *PAY* when you are ready."]] * 2
    said = len(talk.rows("SELECT id FROM outbox"))
    talk.turns.accept(incoming(talk, "wamid.sticker", **STICKER))
    assert len(talk.rows("SELECT id FROM inbox WHERE source_id = 'wamid.sticker' AND turn IS NOT NULL")) == 1
    assert len(talk.rows("SELECT id FROM outbox")) > said
    assert talk.work(daraja) == []
    assert (talk.intents(), mpesa.posts()) == ([], [])


@pytest.mark.case(5)
def test_a_pay_before_the_order_is_confirmed_sends_no_prompt(talk: Talk, mpesa: Mpesa, daraja: DarajaClient) -> None:
    talk.say(Text(text="2 unga"))
    assert talk.say(PAY) == ["Tap a button, or type what to add or remove."]
    talk.tap("Confirm")
    assert talk.work(daraja) == []
    assert (talk.intents(), mpesa.posts()) == ([], [])


@pytest.mark.case(6)
def test_a_pay_after_the_order_expired_sends_no_prompt_and_is_answered(talk: Talk, mpesa: Mpesa, daraja: DarajaClient) -> None:
    talk.order()
    talk.now += timedelta(hours=12, minutes=1)
    assert "We put your basket back on the shelf" in talk.work(daraja)[-1]
    assert "Karibu" in talk.say(PAY)[0]
    assert talk.work(daraja) == []
    assert [row["status"] for row in talk.rows("SELECT status FROM orders")] == ["CANCELLED"]
    assert (talk.intents(), mpesa.posts()) == ([], [])


@pytest.mark.case(6)
def test_a_pay_that_no_worker_took_in_time_sends_no_prompt_and_the_customer_is_told(
    talk: Talk, mpesa: Mpesa, daraja: DarajaClient
) -> None:
    talk.order()
    talk.say(PAY)
    talk.now += timedelta(minutes=5, seconds=1)
    told = talk.work(daraja)
    assert "We could not send the M-Pesa request in time. No money was taken." in told
    assert "Reply *PAY*" in told[-1]
    (intent,) = talk.intents()
    assert talk.shop.states(intent.id) == ("expired", "rejected", "CONFIRMED")
    assert talk.shop.events() == ["payment_failed"]
    assert mpesa.posts() == []


@pytest.mark.case(5, 6)
@pytest.mark.parametrize(
    ("written", "told"),
    [
        (timedelta(hours=3), "Someone from Mama Duka will write to you here."),  # before the order was confirmed
        (timedelta(minutes=6), "Reply *PAY*"),
    ],
)
def test_a_pay_that_whatsapp_delivers_late_sends_no_prompt(
    talk: Talk, mpesa: Mpesa, daraja: DarajaClient, written: timedelta, told: str
) -> None:
    talk.order()
    talk.now += timedelta(minutes=10)
    late = incoming(talk, "wamid.late", timestamp=str(int((talk.now - written).timestamp())))
    talk.turns.accept(late)
    said = [row["text"] for row in talk.rows("SELECT message ->> 'text' AS text FROM outbox ORDER BY id")][-1:]
    said += talk.work(daraja)
    assert mpesa.posts() == []
    assert told in said[-1]


def test_a_pay_that_comes_within_the_minute_counts_from_when_it_came(talk: Talk, mpesa: Mpesa, daraja: DarajaClient) -> None:
    talk.order()
    talk.turns.accept(incoming(talk, "wamid.pay", timestamp=str(int((talk.now - timedelta(seconds=59)).timestamp()))))
    talk.work(daraja)
    assert len(mpesa.posts()) == 1
