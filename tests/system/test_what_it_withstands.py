"""Deliveries repeated, batched, forged and at once; workers killed; Redis flushed; callbacks early and twenty times over."""

import hashlib
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
from rq import Queue
from rq.serializers import JSONSerializer

from router.wakeups import Job, QueueName
from tests.operator import operating
from tests.system.shop import Shop


def test_one_order_goes_from_hello_to_receipt(working_shop: Shop) -> None:
    shop = working_shop
    shop.order_up_to_pay()
    shop.say(text="PAY")
    shop.until(lambda: any("Paid" in reply["text"] for reply in shop.replies()), "the receipt")
    story = shop.story()
    assert story.order is not None
    assert story.payment is not None
    assert story.order["status"] == "PAID"
    assert story.payment["amount"] == story.order["total"]
    assert story.payment["receipt"] in shop.replies()[-1]["text"]
    assert len(shop.pushes()) == 1


@pytest.mark.security(12)
def test_the_same_webhook_a_hundred_times_at_once_has_one_effect(working_shop: Shop) -> None:
    shop = working_shop
    shop.ask(text="Habari")
    before = len(shop.replies())
    answer = shop.say(text="2 unga", duplicates=100)
    assert set(answer["statuses"]) == {200}
    shop.until(lambda: len(shop.replies()) == before + 1, "one reply")
    assert shop.count("SELECT count(*) FROM inbox WHERE text = '2 unga'") == 1
    assert shop.count("SELECT sum(qty) FROM order_lines") == 2
    time.sleep(0.5)
    assert len(shop.replies()) == before + 1


def test_two_messages_of_one_customer_at_once_are_both_answered_and_none_is_lost(working_shop: Shop) -> None:
    shop = working_shop
    shop.ask(text="Habari")
    before = len(shop.replies())
    body = [
        {"phone_number_id": "100000000000001", "from": shop.phone, "name": "Mteja", "text": text}
        for text in ("2 unga", "1 sukari")
    ]
    held = [shop.http.post(f"{shop.whatsapp_url}/sim/say", json={**each, "hold": True}).json()["body"] for each in body]
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda raw: shop.http.post(f"{shop.whatsapp_url}/sim/deliver", json={"body": raw}).json(), held))
    assert [answer["status"] for answer in answers] == [200, 200]
    shop.until(lambda: len(shop.replies()) == before + 2, "two replies")
    lines = {line["name"].split()[0]: line["qty"] for line in (shop.story().order or {})["lines"]}
    assert lines == {"Unga": 2, "Sukari": 1}
    assert shop.count("SELECT max(turn) FROM conversations") == 3
    assert "Sukari" in shop.replies()[-1]["text"]  # the later turn's basket, sent last
    assert "Unga" in shop.replies()[-1]["text"]


def test_a_batch_of_messages_is_answered_one_by_one(working_shop: Shop) -> None:
    shop = working_shop
    said = [{"phone_number_id": "100000000000001", "from": shop.phone, "text": text} for text in ("Habari", "2 unga", "1 sukari")]
    shop.http.post(f"{shop.whatsapp_url}/sim/say", json={"batch": said}).raise_for_status()
    shop.until(
        lambda: shop.count("SELECT count(*) FROM inbox WHERE kind = 'message' AND handled_at IS NOT NULL") == 3, "three turns"
    )
    assert shop.count("SELECT sum(qty) FROM order_lines") == 3


@pytest.mark.security(11)
def test_a_tampered_signature_is_refused_and_leaves_no_row(shop: Shop) -> None:
    raw = shop.say(text="Habari", hold=True)["body"]
    answer = shop.http.post(f"{shop.whatsapp_url}/sim/deliver", json={"body": raw, "tamper": True}).json()
    assert answer["status"] == 403
    for header in (None, "sha256=", "sha256=" + "0" * 64, hmac.new(b"dev-app-secret", raw.encode(), hashlib.sha256).hexdigest()):
        headers = {} if header is None else {"X-Hub-Signature-256": header}
        assert shop.http.post(f"{shop.web_url}/webhooks/whatsapp", content=raw, headers=headers).status_code == 403
    assert shop.count("SELECT (SELECT count(*) FROM inbox) + (SELECT count(*) FROM customers)") == 0


@pytest.mark.case(12)
def test_the_worker_killed_while_m_pesa_answers_costs_no_second_prompt(shop: Shop) -> None:
    shop.start_worker()
    shop.order_up_to_pay()
    shop.mpesa(outcome="paid", delay_seconds=1.5, answer="hang", hang_seconds=60)
    shop.say(text="PAY")
    shop.until(lambda: shop.push_requests() == 1, "the push")
    shop.kill_worker()  # the prompt is on the phone, its answer is lost
    shop.start_worker()
    shop.until(lambda: shop.status() == "PAID", "the payment")
    shop.until(lambda: any("Paid" in reply["text"] for reply in shop.replies()), "the receipt", seconds=60)
    assert shop.push_requests() == 1


def test_the_worker_killed_before_the_push_pushes_once_after_its_restart(shop: Shop) -> None:
    shop.start_worker()
    shop.order_up_to_pay()
    shop.kill_worker()
    shop.say(text="PAY")
    assert shop.push_requests() == 0
    shop.start_worker()
    shop.until(lambda: shop.status() == "PAID", "the payment")
    shop.until(lambda: any("Paid" in reply["text"] for reply in shop.replies()), "the receipt", seconds=60)
    assert shop.push_requests() == 1


@pytest.mark.case(9)
def test_a_push_job_that_is_queued_again_and_again_makes_one_prompt(shop: Shop, redis_url: str) -> None:
    shop.start_worker()
    shop.order_up_to_pay()
    shop.kill_worker()
    shop.mpesa(outcome="paid", delay_seconds=1.5)
    shop.say(text="PAY")
    with redis.Redis.from_url(redis_url) as client:
        queue = Queue(QueueName.PUSHES, connection=client, serializer=JSONSerializer)
        for _ in range(10):
            queue.enqueue_call(str(Job.PUSH), args=(str(shop.vendor_id),))
        shop.start_worker()
        shop.until(lambda: shop.push_requests() == 1, "the push")
        for _ in range(10):
            queue.enqueue_call(str(Job.PUSH), args=(str(shop.vendor_id),))
        shop.until(lambda: any("Paid" in reply["text"] for reply in shop.replies()), "the receipt", seconds=60)
        shop.until(lambda: not len(queue), "the end of all jobs")
    assert shop.push_requests() == 1


def test_redis_flushed_in_the_middle_loses_nothing(working_shop: Shop, redis_url: str) -> None:
    shop = working_shop
    client = redis.Redis.from_url(redis_url)
    shop.ask(text="Habari")
    client.flushdb()
    shop.ask(text="2 unga na 1 sukari")
    client.flushdb()
    shop.ask(tap="Confirm")
    shop.mpesa(outcome="paid", delay_seconds=0.3)
    shop.say(text="PAY")
    for _ in range(20):  # while the push, the callback and the receipt are on their way
        client.flushdb()
        time.sleep(0.1)
    shop.until(lambda: any("Paid" in reply["text"] for reply in shop.replies()), "the receipt")
    assert shop.status() == "PAID"
    assert shop.push_requests() == 1
    client.close()


@pytest.mark.case(25, 26)
def test_the_callback_twenty_times_and_before_the_answer_is_one_payment(working_shop: Shop) -> None:
    shop = working_shop
    shop.order_up_to_pay()
    shop.mpesa(outcome="paid", callback="before_answer", callbacks=20)
    shop.say(text="PAY")
    shop.until(lambda: any("Paid" in reply["text"] for reply in shop.replies()), "the receipt")
    shop.until(lambda: shop.count("SELECT coalesce(sum(seen_count), 0) FROM callbacks") == 20, "twenty callbacks")
    time.sleep(0.5)
    assert shop.count("SELECT count(*) FROM payments") == 1
    assert shop.count("SELECT count(*) FROM domain_events WHERE type = 'order_paid'") == 1
    assert sum("Paid" in reply["text"] for reply in shop.replies()) == 1
    assert shop.push_requests() == 1


def test_a_database_that_is_away_answers_503_and_the_redelivery_is_taken(shop: Shop) -> None:
    raw = shop.say(text="Habari", hold=True)["body"]
    signature = "sha256=" + hmac.new(b"dev-app-secret", raw.encode(), hashlib.sha256).hexdigest()
    with operating(shop.databases) as conn:
        conn.execute("LOCK TABLE vendor_channels")  # a lookup that does not come back, as with a server that hangs
        answer = shop.http.post(f"{shop.web_url}/webhooks/whatsapp", content=raw, headers={"X-Hub-Signature-256": signature})
    assert answer.status_code == 503
    assert shop.count("SELECT count(*) FROM inbox") == 0
    answer = shop.http.post(f"{shop.web_url}/webhooks/whatsapp", content=raw, headers={"X-Hub-Signature-256": signature})
    assert answer.status_code == 200
    assert shop.count("SELECT count(*) FROM inbox") == 1
    assert json.loads(raw)["object"] == "whatsapp_business_account"
