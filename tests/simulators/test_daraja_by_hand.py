"""The simulated M-Pesa in a person's hands: its clock, its phone page, money paid by hand, and what strangers post."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi import FastAPI

from soko.simulators.daraja import build_app
from soko.simulators.serving import running
from soko.simulators.virtual import VirtualTime
from tests.simulators.conftest import Receiver
from tests.simulators.daraja import PHONE, Body, Daraja

CALL = re.compile(r"call\('([A-Z]+)', ['`]([^'`]+)['`]")
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return build_app(clock=VirtualTime(NOW))


@pytest.fixture(scope="module")
def base_url(app: FastAPI) -> Iterator[str]:
    with running(app) as url:
        yield url


@pytest.fixture
def daraja(http: httpx.Client, app: FastAPI, base_url: str, receiver: Receiver, receiver_url: str) -> Daraja:
    assert receiver.posts == []
    for path in ("/sim", "/sim/registrations"):
        http.delete(base_url + path).raise_for_status()
    return Daraja(http, base_url, app.state.simulator.virtual(), f"{receiver_url}/hooks/pay/abcdefgh")


def sim(daraja: Daraja, method: str, path: str, body: object = None) -> Body:
    answer = daraja.http.request(method, f"{daraja.base_url}/sim{path}", json=body)
    told: Body = answer.raise_for_status().json()
    return told


def codes(receiver: Receiver) -> list[int]:
    return [json.loads(each.body)["Body"]["stkCallback"]["ResultCode"] for each in receiver.posts]


# the clock


def test_time_stands_until_it_is_moved(daraja: Daraja, receiver: Receiver) -> None:
    daraja.script({"outcome": "cancelled", "delay_seconds": 20, "paid_after_seconds": 45})
    daraja.push()
    before = daraja.clock()
    assert sim(daraja, "POST", "/clock/advance", {"seconds": 19})["done"] == 0
    assert receiver.posts == []
    told = sim(daraja, "POST", "/clock/advance", {"seconds": 2})
    assert datetime.fromisoformat(told["now"]) == daraja.clock() == before + timedelta(seconds=21)
    assert codes(receiver) == [1032]
    sim(daraja, "POST", "/clock/advance", {"seconds": 45})
    assert codes(receiver) == [1032, 0]


def test_what_waits_can_be_done_at_once(daraja: Daraja, receiver: Receiver) -> None:
    daraja.script({"delay_seconds": 5, "callback": "late", "late_seconds": 3600, "changed_duplicate": True})
    daraja.push()
    before = daraja.clock()
    assert sim(daraja, "POST", "/clock/flush")["done"] == 3
    assert (codes(receiver), daraja.clock()) == ([0, 0], before)
    assert receiver.posts[0].body != receiver.posts[1].body


def test_time_runs_forward_and_by_itself_where_it_is_not_virtual(daraja: Daraja, http: httpx.Client) -> None:
    assert http.post(f"{daraja.base_url}/sim/clock/advance", json={"seconds": -1}).status_code == 422
    with running(build_app()) as real:
        answer = http.post(f"{real}/sim/clock/advance", json={"seconds": 1})
    assert (answer.status_code, "--virtual-clock" in answer.json()["detail"]) == (409, True)


# the phone


def test_the_page_of_the_phone_calls_what_is_there(daraja: Daraja, app: FastAPI) -> None:
    page = daraja.http.get(f"{daraja.base_url}/phone")
    assert page.headers["content-type"].startswith("text/html")
    calls = {(method, path.partition("?")[0].replace("${phone()}", PHONE)) for method, path in CALL.findall(page.text)}
    assert calls == {
        ("PUT", f"/phones/{PHONE}"),
        ("GET", "/pushes"),
        ("POST", f"/phones/{PHONE}/pin"),
        ("POST", f"/phones/{PHONE}/cancel"),
        ("POST", "/pay"),
    }
    for method, path in calls:  # a wrong method is 405, a wrong path 404 or Daraja's own refusal
        answer = daraja.http.request(method, f"{daraja.base_url}/sim{path}", json={})
        assert answer.status_code in (200, 409, 422), (method, path)


@pytest.mark.parametrize(
    ("path", "body", "code", "outcome"),
    [
        ("pin", {"wrong": False}, 0, "paid"),
        ("pin", {"wrong": True}, 2001, "wrong_pin"),
        ("cancel", None, 1032, "cancelled"),
    ],
)
def test_a_person_answers_on_the_phone(
    daraja: Daraja, receiver: Receiver, path: str, body: Body | None, code: int, outcome: str
) -> None:
    sim(daraja, "PUT", f"/phones/{PHONE}", {"outcome": "ask"})
    daraja.push()
    assert [each["outcome"] for each in daraja.pushes(phone=PHONE)] == ["pending"]
    told = sim(daraja, "POST", f"/phones/{PHONE}/{path}", body)
    assert (told["outcome"], told["receipt"] is not None) == (outcome, code == 0)
    sim(daraja, "POST", "/clock/flush")
    assert codes(receiver) == [code]
    again = daraja.http.post(f"{daraja.base_url}/sim/phones/{PHONE}/{path}")
    assert again.status_code == 409
    assert "shows no prompt" in again.json()["detail"]


@pytest.mark.parametrize(("phone", "code"), [("254700991032", 1032), ("254700990001", 1), ("254700990000", 0)])
def test_a_phone_may_name_its_result(daraja: Daraja, receiver: Receiver, phone: str, code: int) -> None:
    daraja.push(PartyA=int(phone), PhoneNumber=int(phone))
    sim(daraja, "POST", "/clock/advance", {"seconds": 1})
    assert codes(receiver) == [code]


# money by hand, and what strangers post


def test_a_payment_by_hand_is_booked_and_reported(daraja: Daraja, receiver: Receiver) -> None:
    stem = daraja.callback_url.rpartition("/hooks")[0]
    addresses = {"ConfirmationURL": f"{stem}/c/paid", "ValidationURL": f"{stem}/c/check"}
    daraja.post("/mpesa/c2b/v2/registerurl", {"ShortCode": "174379", "ResponseType": "Completed", **addresses}).raise_for_status()
    paid = {"phone": PHONE, "paybill": "174379", "account": "s-0001", "amount": 150, "report": "twice", "report_seconds": 30}
    receipt = sim(daraja, "POST", "/pay", paid)["receipt"]
    assert sim(daraja, "GET", "/ledger")["174379"]["payments"][0]["receipt"] == receipt
    assert sim(daraja, "POST", "/clock/advance", {"seconds": 29})["done"] == 0
    sim(daraja, "POST", "/clock/advance", {"seconds": 1})
    told = [json.loads(each.body) for each in receiver.posts]
    assert [(each["TransID"], each["BillRefNumber"], each["TransAmount"]) for each in told] == [(receipt, "s-0001", "150.00")] * 2
    assert daraja.http.post(f"{daraja.base_url}/sim/pay", json=paid | {"paybill": "999999"}).status_code == 404


def test_odd_bodies_take_the_place_of_callbacks(daraja: Daraja, receiver: Receiver) -> None:
    daraja.script([{"garbled": "invalid"}, {"garbled": "deep"}, {"other_checkout": True, "amount_as_text": True}])
    for _ in range(3):
        daraja.push()
        sim(daraja, "POST", "/clock/flush")
    invalid, deep, other = (each.body for each in receiver.posts)
    assert (invalid, deep[:3]) == (b'{"Body": ', b"[[[")
    callback = json.loads(other)["Body"]["stkCallback"]
    assert callback["CheckoutRequestID"] != daraja.pushes()[-1]["checkout_request_id"]
    assert {"Name": "Amount", "Value": "150"} in callback["CallbackMetadata"]["Item"]


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("no_token", "/hooks/pay"),
        ("bad_token", "/hooks/pay/" + "a" * 32),
        ("guessed_checkout", "/hooks/pay/abcdefgh"),
        ("success", "/hooks/pay/abcdefgh"),
    ],
)
def test_a_stranger_posts_a_success_that_moved_no_money(daraja: Daraja, receiver: Receiver, kind: str, path: str) -> None:
    daraja.script({"outcome": "cancelled", "callback": "never"})
    reference = daraja.push().json()["CheckoutRequestID"]
    sim(daraja, "POST", "/clock/flush")
    assert sim(daraja, "POST", f"/pushes/{reference}/forge/{kind}") == {"http_status": 200}
    (post,) = receiver.posts
    told = json.loads(post.body)["Body"]["stkCallback"]
    assert (post.path, told["ResultCode"], told["CheckoutRequestID"] == reference) == (path, 0, kind != "guessed_checkout")
    assert sim(daraja, "GET", "/ledger") == {}
