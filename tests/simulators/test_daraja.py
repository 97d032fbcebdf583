import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from zoneinfo import ZoneInfo

import httpx
import pytest

from soko.simulators.daraja import build_app
from soko.simulators.serving import running
from tests.simulators.conftest import Clock, Receiver
from tests.simulators.daraja import PHONE, PUSH, QUERY, Body, Daraja


@pytest.fixture(scope="module")
def base_url(session_clock: Clock) -> Iterator[str]:
    with running(build_app(clock=session_clock)) as url:
        yield url


@pytest.fixture
def daraja(http: httpx.Client, base_url: str, clock: Clock, receiver: Receiver, receiver_url: str) -> Daraja:
    assert receiver.posts == []
    http.delete(f"{base_url}/sim").raise_for_status()
    return Daraja(http, base_url, clock, f"{receiver_url}/hooks/pay/abcdefgh")


def error_of(answer: httpx.Response) -> tuple[int, str, str]:
    body = answer.json()
    assert set(body) == {"requestId", "errorCode", "errorMessage"}
    return answer.status_code, body["errorCode"], body["errorMessage"]


# tokens


def test_wrong_credentials_get_400_with_an_empty_body(daraja: Daraja) -> None:
    url = f"{daraja.base_url}/oauth/v1/generate?grant_type=client_credentials"
    for credentials in (("sim-key-1", "wrong"), ("nobody", "sim-secret-1")):
        answer = daraja.http.get(url, auth=credentials)
        assert (answer.status_code, answer.content) == (400, b"")
    assert error_of(daraja.http.get(url, headers={"Authorization": "Bearer x"}))[:2] == (400, "400.008.01")
    other_grant = daraja.http.get(url.replace("client_credentials", "password"), auth=("sim-key-1", "sim-secret-1"))
    assert error_of(other_grant)[:2] == (400, "400.008.02")


def test_a_new_token_kills_the_old_one_of_that_key_only(daraja: Daraja) -> None:
    till_token, old = daraja.new_token("sim-key-2", "sim-secret-2"), daraja.token
    new = daraja.new_token()
    assert len(new) == 28
    assert error_of(daraja.push()) == (404, "404.001.03", "Invalid Access Token")
    daraja.token = new
    assert daraja.push().status_code == 200
    daraja.token = till_token
    assert error_of(daraja.push(PhoneNumber=254712000001)) == (500, "500.001.1001", "Merchant does not exist")
    assert old != new


def test_a_token_ends_after_an_hour_or_when_all_are_killed(daraja: Daraja, clock: Clock) -> None:
    clock.ahead = timedelta(seconds=3601)
    assert error_of(daraja.push())[1] == "404.001.03"
    daraja.token = daraja.new_token()
    daraja.http.delete(f"{daraja.base_url}/sim/tokens")
    assert error_of(daraja.push())[1] == "404.001.03"


def test_a_missing_bearer_is_another_error_than_a_wrong_one(daraja: Daraja) -> None:
    assert error_of(daraja.http.post(daraja.base_url + PUSH, json=daraja.body()))[1] == "404.001.04"


def test_token_requests_fail_as_scripted_and_then_work_again(daraja: Daraja) -> None:
    url = f"{daraja.base_url}/oauth/v1/generate?grant_type=client_credentials"
    auth = ("sim-key-1", "sim-secret-1")
    daraja.http.put(f"{daraja.base_url}/sim/oauth", json={"answer": "html_503", "times": 1})
    down = daraja.http.get(url, auth=auth)
    assert (down.status_code, "Incapsula" in down.text) == (503, True)
    daraja.http.put(f"{daraja.base_url}/sim/oauth", json={"answer": "reset"})
    with pytest.raises(httpx.TransportError):
        daraja.http.get(url, auth=auth)
    assert daraja.http.get(url, auth=auth).status_code == 200


# the checks of a push


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"BusinessShortCode": "17"}, "BusinessShortCode"),
        ({"BusinessShortCode": None}, "BusinessShortCode"),
        ({"TransactionType": "CustomerPaysOnline"}, "TransactionType"),
        ({"Amount": 0}, "Amount"),
        ({"Amount": -1}, "Amount"),
        ({"Amount": 1.5}, "Amount"),
        ({"Amount": "1.00"}, "Amount"),
        ({"Amount": True}, "Amount"),
        ({"Amount": 250_001}, "Amount"),
        ({"PartyA": "0712345678"}, "PartyA"),
        ({"PartyB": "shop"}, "PartyB"),
        ({"PhoneNumber": 254812345678}, "PhoneNumber"),
        ({"PhoneNumber": 2547123456789}, "PhoneNumber"),
        ({"AccountReference": "S0001-0000001"}, "AccountReference"),
        ({"AccountReference": "S 1"}, "AccountReference"),
        ({"AccountReference": ""}, "AccountReference"),
        ({"TransactionDesc": None}, "Remarks"),
        ({"TransactionDesc": ""}, "TransactionDesc"),
        ({"TransactionDesc": "fourteen chars"}, "TransactionDesc"),
        ({"CallBackURL": "shop.example/hook"}, "CallBackURL"),
        ({"CallBackURL": "http://shop.example/hook"}, "CallBackURL"),
        ({"CallBackURL": "https://shop.example/a b"}, "CallBackURL"),
        ({"CallBackURL": "https://shop.example/M-PESA/x"}, "CallBackURL"),
        ({"CallBackURL": "https://shop.example/xexecx"}, "CallBackURL"),
        ({"CallBackURL": "https://abc.ngrok.io/x"}, "CallBackURL"),
        ({"Timestamp": "2026"}, "Timestamp"),
        ({"Timestamp": "20261345000000"}, "Timestamp"),
    ],
)
def test_a_bad_field_is_refused_by_name(daraja: Daraja, changes: Body, field: str) -> None:
    assert error_of(daraja.push(**changes)) == (400, "400.002.02", f"Bad Request - Invalid {field}")
    assert daraja.pushes() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"Amount": 1},
        {"Amount": "250000"},
        {"PhoneNumber": "254112345678", "PartyA": "254112345678"},
        {"AccountReference": "ABCDEFGHIJ12"},
        {"TransactionDesc": "thirteen char"},
        {"CallBackURL": "https://shop.example/hooks/pay/abcdefgh"},
    ],
)
def test_the_edges_of_the_limits_are_accepted(daraja: Daraja, changes: Body) -> None:
    daraja.script({"callback": "never"}, phone=str(changes.get("PhoneNumber", PHONE)))
    assert daraja.push(**changes).json()["ResponseCode"] == "0"


def test_a_timestamp_in_utc_is_refused(daraja: Daraja, clock: Clock) -> None:
    utc = clock().strftime("%Y%m%d%H%M%S")
    password = base64.b64encode(f"174379sim-passkey-1{utc}".encode()).decode()
    assert error_of(daraja.push(Timestamp=utc, Password=password))[2] == "Bad Request - Invalid Timestamp"


def test_the_password_must_hold_shortcode_passkey_and_the_same_timestamp(daraja: Daraja) -> None:
    wrong = (500, "500.001.1001", "Wrong credentials")
    assert error_of(daraja.push(Password=base64.b64encode(b"174379other20260101000000").decode())) == wrong
    assert error_of(daraja.push(Password="not base64!")) == wrong
    assert error_of(daraja.push(**daraja.signed("174380"))) == (500, "500.001.1001", "Merchant does not exist")


def test_forms_broken_json_wrong_methods_and_paths_are_refused(daraja: Daraja) -> None:
    headers = {"Authorization": f"Bearer {daraja.token}"}
    url = daraja.base_url + PUSH
    assert error_of(daraja.http.post(url, data={"Amount": "1"}, headers=headers))[2] == "Bad Request - Invalid BusinessShortCode"
    broken = daraja.http.post(url, content=b"{", headers={**headers, "Content-Type": "application/json"})
    assert error_of(broken)[:2] == (400, "400.002.05")
    assert error_of(daraja.http.get(url, headers=headers))[:2] == (405, "405.001")
    assert error_of(daraja.http.post(daraja.base_url + "/mpesa/nothing", json={}))[:2] == (404, "404.001.01")


@pytest.mark.parametrize(("changes", "code"), [({"TransactionType": "CustomerBuyGoodsOnline"}, 2028), ({"PartyB": 600000}, 2002)])
def test_a_wrong_set_up_passes_the_push_and_fails_in_the_callback(
    daraja: Daraja, receiver: Receiver, changes: Body, code: int
) -> None:
    daraja.script({"delay_seconds": 0})
    assert daraja.push(**changes).status_code == 200
    assert callback_of(receiver)["ResultCode"] == code


def test_a_till_is_paid_through_its_store_number(daraja: Daraja, receiver: Receiver) -> None:
    daraja.token = daraja.new_token("sim-key-2", "sim-secret-2")
    daraja.script([{"delay_seconds": 0}, {"delay_seconds": 0}])
    till = {**daraja.signed("600980", "sim-passkey-2"), "TransactionType": "CustomerBuyGoodsOnline"}
    assert daraja.push(**till, PartyB=5001234).status_code == 200
    assert callback_of(receiver)["ResultCode"] == 0
    assert daraja.push(**till, PartyB=600980).status_code == 200
    assert callback_of(receiver, place=1)["ResultCode"] == "SFC_IC0003"
    ledger = daraja.http.get(f"{daraja.base_url}/sim/ledger").json()
    assert {account: each["total"] for account, each in ledger.items()} == {"5001234": 150}


# what happens on the phone


def callback_of(receiver: Receiver, place: int = 0) -> Body:
    callback: Body = json.loads(receiver.wait_for(place + 1)[place].body)["Body"]["stkCallback"]
    return callback


def items_of(callback: Body) -> Body:
    return {item["Name"]: item.get("Value") for item in callback["CallbackMetadata"]["Item"]}


def test_an_accepted_push_is_paid_after_a_while_and_told(daraja: Daraja, receiver: Receiver) -> None:
    daraja.script({"delay_seconds": 0.15})
    accepted = daraja.push().json()
    assert (accepted["ResponseCode"], accepted["CheckoutRequestID"][:6]) == ("0", "ws_CO_")
    assert accepted["CheckoutRequestID"].endswith(PHONE[-9:])
    assert receiver.posts == []
    callback = callback_of(receiver)
    assert callback["CheckoutRequestID"] == accepted["CheckoutRequestID"]
    assert callback["MerchantRequestID"] == accepted["MerchantRequestID"]
    assert callback["ResultCode"] == 0
    items = items_of(callback)
    assert (items["Amount"], items["PhoneNumber"]) == (150, int(PHONE))
    [push] = daraja.pushes(callbacks=1)
    assert (push["outcome"], push["receipt"], push["account_reference"]) == ("paid", items["MpesaReceiptNumber"], "S0001")
    assert [each["http_status"] for each in push["callbacks"]] == [200]
    assert receiver.posts[0].headers["content-type"] == "application/json;charset=UTF-8"
    assert receiver.posts[0].path == "/hooks/pay/abcdefgh"


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        ("cancelled", 1032),
        ("no_funds", 1),
        ("wrong_pin", 2001),
        ("timed_out", 1019),
        ("unreachable", 1037),
        (8006, 8006),
        ("E3008", "E3008"),
    ],
)
def test_a_failure_is_told_without_metadata_and_moves_no_money(
    daraja: Daraja, receiver: Receiver, outcome: str | int, code: int | str
) -> None:
    daraja.script({"outcome": outcome, "delay_seconds": 0})
    reference = daraja.push().json()["CheckoutRequestID"]
    callback = callback_of(receiver)
    assert (callback["ResultCode"], "CallbackMetadata" in callback) == (code, False)
    assert daraja.query(reference).json()["ResultCode"] == str(code)
    assert daraja.http.get(f"{daraja.base_url}/sim/ledger").json() == {}


def test_an_unknown_word_in_a_scenario_is_refused(daraja: Daraja) -> None:
    for wrong in ({"outcome": "canceled"}, {"answer": "maybe"}, {"query": "later"}, {"colour": "red"}):
        assert daraja.script(wrong).status_code == 422


def test_a_query_says_4999_until_the_prompt_has_ended(daraja: Daraja) -> None:
    daraja.script({"outcome": "ask"})
    reference = daraja.push().json()["CheckoutRequestID"]
    pending = daraja.query(reference).json()
    assert (pending["ResponseCode"], pending["ResultCode"]) == ("0", "4999")
    daraja.http.post(f"{daraja.base_url}/sim/phones/{PHONE}/pin").raise_for_status()
    ended = daraja.query(reference).json()
    assert (ended["ResultCode"], ended["CheckoutRequestID"]) == ("0", reference)
    assert not {"Amount", "MpesaReceiptNumber", "PhoneNumber"} & set(ended)


def test_a_query_about_nothing_we_know_says_so(daraja: Daraja) -> None:
    assert error_of(daraja.query("ws_CO_22112026120000123712345678")) == (500, "500.001.1001", "The transaction does not Exist")
    daraja.script({"callback": "never", "delay_seconds": 0})
    reference = daraja.push().json()["CheckoutRequestID"]
    daraja.token = daraja.new_token("sim-key-2", "sim-secret-2")
    other = {**daraja.signed("600980", "sim-passkey-2"), "CheckoutRequestID": reference}
    assert error_of(daraja.post(QUERY, other))[2] == "The transaction does not Exist"


@pytest.mark.parametrize(
    ("query", "status", "said"), [("busy", 500, "being processed"), ("missing", 500, "not Exist"), ("html_503", 503, "Incapsula")]
)
def test_a_query_can_be_scripted_to_give_no_answer(daraja: Daraja, query: str, status: int, said: str) -> None:
    daraja.script({"query": query, "callback": "never", "delay_seconds": 0})
    answer = daraja.query(daraja.push().json()["CheckoutRequestID"])
    assert (answer.status_code, said in answer.text) == (status, True)


def test_a_query_can_contradict_the_callback(daraja: Daraja, receiver: Receiver) -> None:
    daraja.script({"query": 1032, "delay_seconds": 0})
    reference = daraja.push().json()["CheckoutRequestID"]
    assert callback_of(receiver)["ResultCode"] == 0
    assert daraja.query(reference).json()["ResultCode"] == "1032"


def test_queries_meet_the_spike_arrest_when_it_is_on(http: httpx.Client, clock: Clock) -> None:
    with running(build_app(clock=clock, spike_arrest=True)) as url:
        daraja = Daraja(http, url, clock, "https://shop.example/hooks/pay/abcdefgh")
        assert daraja.query("ws_CO_1").status_code == 500
        limited = daraja.query("ws_CO_1")
        assert limited.status_code == 429
        assert limited.json()["fault"]["detail"]["errorcode"] == "policies.ratelimit.SpikeArrestViolation"
        clock.ahead = timedelta(seconds=13)
        assert daraja.query("ws_CO_1").status_code == 500


def test_a_phone_shows_one_prompt_at_a_time(daraja: Daraja) -> None:
    daraja.script({"outcome": "ask"})
    assert daraja.push().status_code == 200
    assert error_of(daraja.push())[1:] == (
        "500.001.1001",
        "Unable to lock subscriber, a transaction is already in process for the current subscriber",
    )
    daraja.http.post(f"{daraja.base_url}/sim/phones/{PHONE}/cancel").raise_for_status()
    assert daraja.push().status_code == 200
    assert [each["outcome"] for each in daraja.pushes()] == ["cancelled", "pending"]


def test_a_person_decides_and_only_once(daraja: Daraja, receiver: Receiver) -> None:
    daraja.script({"outcome": "ask"})
    url = f"{daraja.base_url}/sim/phones/0712345678"
    assert daraja.http.post(f"{url}/pin").status_code == 409
    daraja.push()
    assert daraja.http.post(f"{url}/pin", json={"wrong": True}).json()["outcome"] == "wrong_pin"
    assert daraja.http.post(f"{url}/pin").status_code == 409
    assert callback_of(receiver)["ResultCode"] == 2001


def test_a_prompt_that_was_answered_does_not_end_again_when_its_time_is_up(daraja: Daraja, receiver: Receiver) -> None:
    daraja.script({"outcome": "ask", "ask_seconds": 0.3})
    daraja.push()
    daraja.http.post(f"{daraja.base_url}/sim/phones/{PHONE}/pin").raise_for_status()
    with pytest.raises(AssertionError, match="1 of 2 posts"):
        receiver.wait_for(2, timeout_seconds=0.5)
    assert [each["outcome"] for each in daraja.pushes()] == ["paid"]


def test_a_prompt_nobody_answers_ends_unreachable(daraja: Daraja, receiver: Receiver) -> None:
    daraja.script({"outcome": "ask", "ask_seconds": 0.05})
    daraja.push()
    assert callback_of(receiver)["ResultCode"] == 1037


def test_successive_pushes_meet_successive_scenarios_and_then_the_default(daraja: Daraja) -> None:
    daraja.script([{"outcome": "cancelled", "delay_seconds": 0}, {"answer": "reject:500.003.02"}])
    daraja.push()
    assert daraja.pushes(callbacks=1)[0]["outcome"] == "cancelled"
    assert error_of(daraja.push())[:2] == (500, "500.003.02")
    assert daraja.push().status_code == 200
    assert len(daraja.pushes()) == 2


# callbacks


def test_callbacks_repeat_with_the_same_bytes(daraja: Daraja, receiver: Receiver) -> None:
    daraja.script({"callbacks": 20, "delay_seconds": 0})
    daraja.push()
    posts = receiver.wait_for(20)
    assert len(posts) == 20
    assert len({post.body for post in posts}) == 1


def test_a_callback_can_arrive_before_the_push_is_answered(daraja: Daraja, receiver: Receiver) -> None:
    daraja.script({"callback": "before_answer", "callbacks": 2})
    reference = daraja.push().json()["CheckoutRequestID"]
    assert len(receiver.posts) == 2
    assert callback_of(receiver)["CheckoutRequestID"] == reference


def test_a_callback_can_be_late_or_never_come(daraja: Daraja, receiver: Receiver) -> None:
    daraja.script([{"callback": "never", "delay_seconds": 0}, {"callback": "late", "delay_seconds": 0, "late_seconds": 0.5}])
    first = daraja.push().json()["CheckoutRequestID"]
    ended(daraja, first)
    second = daraja.push().json()["CheckoutRequestID"]
    ended(daraja, second)
    assert receiver.posts == []
    assert callback_of(receiver)["CheckoutRequestID"] == second


def ended(daraja: Daraja, reference: str) -> str:
    for _ in range(200):
        code = daraja.query(reference).json()["ResultCode"]
        if code != "4999":
            return str(code)
    raise AssertionError(f"{reference} has not ended")


def test_a_callback_is_posted_once_even_when_it_is_refused(daraja: Daraja, receiver: Receiver) -> None:
    receiver.answers[:] = [500]
    daraja.script({"delay_seconds": 0})
    daraja.push()
    [push] = daraja.pushes(callbacks=1)
    assert [each["http_status"] for each in push["callbacks"]] == [500]
    assert len(receiver.posts) == 1


def test_the_odd_callbacks_seen_in_the_wild_can_be_scripted(daraja: Daraja, receiver: Receiver) -> None:
    daraja.script(
        [
            {"delay_seconds": 0, "masked_phone": True, "with_balance": True, "code_as_text": True, "receipt": "UKM0000001"},
            {"delay_seconds": 0, "wrong_amount": 149, "no_phone": True},
        ]
    )
    daraja.push()
    masked = callback_of(receiver)
    assert (masked["ResultCode"], items_of(masked)["PhoneNumber"]) == ("0", "0712345***")
    assert masked["CallbackMetadata"]["Item"][-1] == {"Name": "Balance"}
    assert items_of(masked)["MpesaReceiptNumber"] == "UKM0000001"
    daraja.push()
    wrong = items_of(callback_of(receiver, place=1))
    assert (wrong["Amount"], "PhoneNumber" in wrong) == (149, False)


def test_receipts_are_unique_and_items_come_in_varying_order(daraja: Daraja, receiver: Receiver, clock: Clock) -> None:
    daraja.script({"delay_seconds": 0})
    orders = set()
    for place in range(4):
        daraja.push()
        orders.add(tuple(item["Name"] for item in callback_of(receiver, place)["CallbackMetadata"]["Item"]))
        daraja.pushes(callbacks=place + 1)
    receipts = [each["receipt"] for each in daraja.pushes()]
    assert len(set(receipts)) == 4
    assert len(orders) == 4
    day = clock().astimezone(ZoneInfo("Africa/Nairobi"))
    for receipt in receipts:
        assert len(receipt) == 10
        assert receipt.isalnum()
        assert receipt.upper() == receipt
        assert ord(receipt[0]) - ord("A") + 2006 == day.year
        assert ord(receipt[1]) - ord("A") + 1 == day.month
        assert int(receipt[2], 36) == day.day


# answers of a bad day


@pytest.mark.parametrize(
    ("answer", "status", "said", "prompts"),
    [
        ("http_500_after_accept", 500, "Internal Server Error", 1),
        ("html_503", 503, "Incapsula incident ID", 0),
        ("html_200", 200, "Incapsula incident ID", 0),
        ("empty_200", 200, "", 0),
        ("envelope_200", 200, "errorCode", 0),
        ("spike_arrest", 429, "SpikeArrestViolation", 0),
        ("reject:400.002.02:Bad Request - Invalid PartyB", 400, "Invalid PartyB", 0),
        ("reject:404.001.03", 404, "Invalid Access Token", 0),
        ("reject:500.001.1001", 500, "Unable to lock subscriber", 0),
        ("reject:500.001.1001:Merchant does not exist", 500, "Merchant does not exist", 0),
        ("reject:500.001.1001:Wrong credentials", 500, "Wrong credentials", 0),
        ("reject:500.001.1001:Anything else", 500, "Anything else", 0),
    ],
)
def test_a_push_is_answered_as_scripted(daraja: Daraja, answer: str, status: int, said: str, prompts: int) -> None:
    daraja.script({"answer": answer})
    got = daraja.push()
    assert (got.status_code, said in got.text, len(daraja.pushes())) == (status, True, prompts)


@pytest.mark.parametrize("scenario", [{"answer": "hang"}, {"answer": "reset"}])
def test_an_answer_can_be_lost_while_the_prompt_is_paid(daraja: Daraja, receiver: Receiver, scenario: Body) -> None:
    daraja.script({**scenario, "delay_seconds": 0})
    with pytest.raises(httpx.ReadTimeout if scenario["answer"] == "hang" else httpx.TransportError):
        daraja.post(PUSH, daraja.body(), timeout=0.3)
    assert callback_of(receiver)["ResultCode"] == 0
    assert [each["status"] for each in requests_of(daraja, PUSH)] == [None]


def test_a_push_can_hang_without_reaching_the_phone(daraja: Daraja) -> None:
    daraja.script({"answer": "hang", "prompt": False})
    with pytest.raises(httpx.ReadTimeout):
        daraja.post(PUSH, daraja.body(), timeout=0.2)
    assert daraja.pushes() == []


def test_an_answer_can_be_slow(daraja: Daraja) -> None:
    daraja.script({"answer_after_seconds": 0.2, "callback": "before_answer"})
    answer = daraja.push()
    assert answer.elapsed >= timedelta(seconds=0.2)
    assert answer.json()["ResponseCode"] == "0"


# the log


def requests_of(daraja: Daraja, path: str) -> list[Body]:
    calls: list[Body] = daraja.http.get(f"{daraja.base_url}/sim/requests").json()
    return [each for each in calls if each["path"] == path]


def test_every_call_is_recorded_without_its_secrets(daraja: Daraja) -> None:
    daraja.push(Amount=0)
    daraja.push()
    refused, accepted = requests_of(daraja, PUSH)
    assert (refused["status"], accepted["status"]) == (400, 200)
    assert accepted["body"]["AccountReference"] == "S0001"
    text = daraja.http.get(f"{daraja.base_url}/sim/requests").text
    for secret in (daraja.token, "Password", "Basic", "Bearer", "sim-passkey-1", daraja.body()["Password"]):
        assert secret not in text


def test_a_reset_forgets_prompts_scripts_and_log_and_posts_nothing_more(daraja: Daraja, receiver: Receiver) -> None:
    daraja.script({"outcome": "cancelled", "delay_seconds": 0.4})
    daraja.push()
    daraja.http.delete(f"{daraja.base_url}/sim")
    assert daraja.http.get(f"{daraja.base_url}/sim/requests").json() == []
    daraja.push(AccountReference="S0002")
    [push] = daraja.pushes(callbacks=1)
    assert (push["account_reference"], push["outcome"]) == ("S0002", "paid")
    assert len(receiver.posts) == 1


def test_a_long_poll_does_not_hold_up_the_stop(http: httpx.Client) -> None:
    with ThreadPoolExecutor() as threads:
        began = time.monotonic()
        with running(build_app()) as url:
            waiting = threads.submit(http.get, f"{url}/sim/pushes", params={"count": 1, "timeout": 60}, timeout=60)
            while not waiting.running():
                time.sleep(0.01)
        with suppress(httpx.TransportError):
            assert waiting.result(timeout=5).json() == []
        assert time.monotonic() - began < 5
