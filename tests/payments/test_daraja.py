import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from payments.access_token import AccessTokens
from payments.credentials import Credentials, open_credentials
from payments.daraja import (
    Accepted,
    Ambiguous,
    Answered,
    DarajaClient,
    NoAnswer,
    Rejected,
    StkQuestion,
    StkRequest,
    TransactionType,
    judge_push,
    judge_query,
    read_token,
    stk_body,
    timestamp,
)
from router.errors import Refused, Unavailable
from tests.payments.conftest import Mpesa

CREDENTIALS = Credentials(
    consumer_key=SecretStr("sim-key-1"), consumer_secret=SecretStr("sim-secret-1"), passkey=SecretStr("sim-passkey-1")
)
TOKEN = SecretStr("a-token")
CHECKOUT = "ws_CO_1007202409152617172396192"
ACCEPTED = {
    "MerchantRequestID": "2654-4b64-97ff-b827b542881d3130",
    "CheckoutRequestID": CHECKOUT,
    "ResponseCode": "0",
    "ResponseDescription": "Success. Request accepted for processing",
    "CustomerMessage": "Success. Request accepted for processing",
}
INCAPSULA = b"<html><body>Request unsuccessful. Incapsula incident ID: 1-2</body></html>"
SPIKE = {"fault": {"faultstring": "Spike arrest violation. Allowed rate : …", "detail": {"errorcode": "policies.ratelimit"}}}


def request(at: datetime, **changes: Any) -> StkRequest:
    terms: dict[str, Any] = {
        "business_shortcode": "174379",
        "transaction_type": TransactionType.PAYBILL,
        "amount": 150,
        "msisdn": "254712345678",
        "party_b": "174379",
        "callback_url": "http://127.0.0.1:9/hooks/pay/v/abc",
        "account_ref": "S0001",
        "description": "Order payment",
        "at": at,
    }
    return StkRequest(**(terms | changes))


def error(code: str, text: str) -> bytes:
    return json.dumps({"requestId": "1c5b-1", "errorCode": code, "errorMessage": text}).encode()


# bodies


def test_the_body_of_a_push_is_this_byte_for_byte() -> None:
    body = stk_body(request(datetime(2026, 1, 31, 6, 30, tzinfo=UTC)), CREDENTIALS)
    assert json.dumps(body) == (
        '{"BusinessShortCode": 174379, "TransactionType": "CustomerPayBillOnline", "Amount": 150, "PartyA": 254712345678,'
        ' "PartyB": 174379, "PhoneNumber": 254712345678, "CallBackURL": "http://127.0.0.1:9/hooks/pay/v/abc",'
        ' "AccountReference": "S0001", "TransactionDesc": "Order payment",'
        ' "Password": "MTc0Mzc5c2ltLXBhc3NrZXktMTIwMjYwMTMxMDkzMDAw", "Timestamp": "20260131093000"}'
    )
    assert base64.b64decode(str(body["Password"])) == b"174379sim-passkey-120260131093000"


def test_a_till_is_asked_by_its_store_number_and_paid_at_its_till() -> None:
    till = request(
        datetime(2026, 1, 31, tzinfo=UTC), business_shortcode="600980", party_b="5001234", transaction_type=TransactionType.TILL
    )
    body = stk_body(till, CREDENTIALS)
    assert (body["BusinessShortCode"], body["PartyB"], body["TransactionType"]) == (600980, 5001234, "CustomerBuyGoodsOnline")


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-8)), timezone(timedelta(hours=5, minutes=30))])
@pytest.mark.case(60)
def test_daraja_reads_nairobi_time_wherever_we_run(zone: timezone) -> None:
    assert timestamp(datetime(2026, 12, 31, 21, 0, 5, tzinfo=UTC).astimezone(zone)) == "20270101000005"


# judging a push


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, ACCEPTED),
        (200, ACCEPTED | {"ResponseCode": 0}),
        (200, ACCEPTED | {"CustomerMessage": None, "More": {"a": 1}}),
        (201, ACCEPTED),
    ],
)
def test_an_accepted_push_is_told_by_its_body(status: int, body: dict[str, object]) -> None:
    assert judge_push(status, json.dumps(body).encode()) == Accepted(
        checkout_request_id=CHECKOUT, merchant_request_id="2654-4b64-97ff-b827b542881d3130"
    )


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, error("400.002.02", "Bad Request - Invalid BusinessShortCode"), "400.002.02"),
        (400, error("400.002.05", "Invalid Request Payload"), "400.002.05"),
        (200, error("400.002.02", "Bad Request - Invalid Amount"), "400.002.02"),
        (400, error("400.003.01", "Invalid Access Token"), "400.003.01"),
        (401, error("401.002.01", "Error Occurred - Invalid Access Token"), "401.002.01"),
        (401, error("401.003.01", "Error Occurred"), "401.003.01"),
        (404, error("404.001.01", "Resource not found"), "404.001.01"),
        (404, error("404.001.03", "Invalid Access Token"), "404.001.03"),
        (404, error("404.001.04", "Invalid Authentication Header"), "404.001.04"),
        (404, error("404.003.01", "Resource not found"), "404.003.01"),
        (405, error("405.001", "Method Not Allowed"), "405.001"),
        (500, error("500.003.03", "Quota Violation"), "500.003.03"),
        (500, error("500.003.02", "Error Occurred: Spike Arrest Violation"), "500.003.02"),
        (500, error("500.001.1001", "Merchant does not exist"), "500.001.1001"),
        (500, error("500.001.1001", "WRONG CREDENTIALS"), "500.001.1001"),
        (500, error("500.001.1001", "Unable to lock subscriber, a transaction is already in process"), "500.001.1001"),
        (429, json.dumps(SPIKE).encode(), "429"),
        (401, json.dumps({"fault": {"faultstring": "Invalid API call as no apiproduct match found"}}).encode(), "401"),
    ],
)
def test_daraja_can_prove_that_no_prompt_was_sent(status: int, body: bytes, code: str) -> None:
    outcome = judge_push(status, body)
    assert isinstance(outcome, Rejected)
    assert outcome.code == code


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, INCAPSULA),
        (503, INCAPSULA),
        (500, b""),
        (502, b"Bad Gateway"),
        (200, b"[]"),
        (200, b"null"),
        (200, b"\xff\xfe"),
        (200, b"[" * 100_000),
        (200, b"{}"),
        (200, json.dumps(ACCEPTED | {"ResponseCode": "1"}).encode()),
        (200, json.dumps(ACCEPTED | {"ResponseCode": False}).encode()),
        (200, json.dumps(ACCEPTED | {"ResponseCode": 0.0}).encode()),
        (200, json.dumps(ACCEPTED | {"CheckoutRequestID": ""}).encode()),
        (200, json.dumps(ACCEPTED | {"CheckoutRequestID": 7}).encode()),
        (400, json.dumps({"errorCode": "400.002.02", "CheckoutRequestID": CHECKOUT}).encode()),
        (500, error("500.001.1001", "Something else")),
        (500, error("500.003.1001", "Internal Server Error")),
        (500, error("500.002.1001", "Internal Server Error")),
        (500, error("500.003.02", "System is busy. Please try again in few minutes.")),
        (429, b"Too many"),
        (429, b"{}"),
        (401, b""),
        (401, json.dumps({"fault": {"faultstring": "other"}}).encode()),
        (302, b""),
        (200, json.dumps({"fault": "Spike arrest"}).encode()),
        (200, json.dumps({"errorCode": 400, "errorMessage": ["x"]}).encode()),
    ],
)
def test_everything_else_is_ambiguous(status: int, body: bytes) -> None:
    assert isinstance(judge_push(status, body), Ambiguous)


# judging a query


def answer(**changes: object) -> bytes:
    told = ACCEPTED | {"ResultCode": "0", "ResultDesc": "The service request is processed successfully."}
    return json.dumps(told | changes).encode()


@pytest.mark.parametrize(("code", "read"), [("0", "0"), (0, "0"), ("1032", "1032"), (1037, "1037"), ("SFC_IC0003", "SFC_IC0003")])
def test_a_query_answers_by_its_result_code(code: object, read: str) -> None:
    outcome = judge_query(200, answer(ResultCode=code), CHECKOUT)
    assert isinstance(outcome, Answered)
    assert outcome.result_code == read


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, answer(ResultCode="4999")),
        (200, answer(ResultCode=4999)),
        (200, answer(ResponseCode="1")),
        (200, answer(CheckoutRequestID="ws_CO_other")),
        (200, json.dumps({"ResponseCode": "0", "ResultCode": "0"}).encode()),
        (200, json.dumps(ACCEPTED).encode()),
        (200, error("500.001.1001", "The transaction is being processed")),
        (500, error("500.001.1001", "The transaction does not Exist")),
        (500, answer()),
        (429, json.dumps(SPIKE).encode()),
        (200, INCAPSULA),
        (503, INCAPSULA),
        (200, b""),
        (200, b"[1]"),
    ],
)
def test_everything_else_is_no_answer_and_never_a_failure(status: int, body: bytes) -> None:
    assert isinstance(judge_query(status, body, CHECKOUT), NoAnswer)


# tokens


@pytest.mark.parametrize(
    ("given", "seconds"), [(3599, 3599), ("3599", 3599), (None, 3599), ("soon", 3599), (60, 60), (True, 3599)]
)
def test_a_token_is_read_with_its_lifetime_as_number_or_text(given: object, seconds: int) -> None:
    token = read_token(200, json.dumps({"access_token": "abc", "expires_in": given}).encode())
    assert token is not None
    assert (token.value.get_secret_value(), token.expires_in_seconds) == ("abc", seconds)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, b""),
        (401, b""),
        (200, b""),
        (200, INCAPSULA),
        (200, b'{"access_token": ""}'),
        (200, b'{"access_token": null}'),
        (200, b'{"access_token": "a\\nb"}'),
        (200, '{"access_token": "é"}'.encode()),
        (500, b'{"access_token": "abc"}'),
    ],
)
def test_what_is_no_token_is_none(status: int, body: bytes) -> None:
    assert read_token(status, body) is None


def test_wrong_credentials_are_told_without_showing_them(mpesa: Mpesa, daraja: DarajaClient) -> None:
    wrong = CREDENTIALS.model_copy(update={"consumer_secret": SecretStr("canary-secret")})
    with pytest.raises(Unavailable, match="HTTP 400") as caught:
        daraja.authorise(wrong)
    assert mpesa.url
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


# the wire


@contextmanager
def server(reply: bytes | None) -> Iterator[tuple[str, list[bytes]]]:
    """Take requests on loopback and answer these bytes to each, or (None) close without a word."""
    taken: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    conn, _ = listener.accept()
                except OSError:
                    return
                with conn:
                    taken.append(conn.recv(65536))
                    if reply is not None:
                        conn.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", taken
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize(
    "reply",
    [
        None,
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
        b"HTTP/1.1 307 Again\r\nLocation: /mpesa/stkpush/v1/processrequest\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_one_push_is_one_request_whatever_comes_back(reply: bytes | None, now: datetime) -> None:
    with server(reply) as (url, taken):
        client = DarajaClient(base_url=url, tokens=AccessTokens(None))
        assert isinstance(client.push(request(now), CREDENTIALS, TOKEN), Ambiguous)
        client.close()
    assert len(taken) == 1


def test_a_read_that_times_out_is_ambiguous(now: datetime) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        client = DarajaClient(base_url=url, tokens=AccessTokens(None), read_seconds=0.1)
        assert client.push(request(now), CREDENTIALS, TOKEN) == Ambiguous(reason="ReadTimeout")
        client.close()


def test_a_connection_that_was_never_made_is_rejected_as_not_sent(now: datetime) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client = DarajaClient(base_url=f"http://127.0.0.1:{closed.getsockname()[1]}", tokens=AccessTokens(None))
        assert client.push(request(now), CREDENTIALS, TOKEN) == Rejected(code="not_sent", text="ConnectError")
        client.close()


def test_a_query_that_cannot_be_sent_is_no_answer(now: datetime) -> None:
    client = DarajaClient(base_url="http://127.0.0.1:9", tokens=AccessTokens(None))
    question = StkQuestion(business_shortcode="174379", checkout_request_id=CHECKOUT, at=now)
    assert isinstance(client.query(question, CREDENTIALS), NoAnswer)
    client.close()


def test_the_client_keeps_to_its_limits() -> None:
    """A repeat, a redirect or a proxy could send a second prompt, or show the first to somebody."""
    client = DarajaClient(base_url="http://127.0.0.1:9", tokens=AccessTokens(None))
    http = client._http
    transport = http._transport
    assert isinstance(transport, httpx.HTTPTransport)
    assert transport._pool._retries == 0  # httpx shows it nowhere else
    assert http.follow_redirects is False
    assert http.timeout == httpx.Timeout(connect=5, read=30, write=10, pool=5)
    assert http._mounts == {}
    client.close()


# secrets


def test_credentials_never_show_in_a_repr_or_an_error() -> None:
    marked = '{"consumer_key": "canary-1", "consumer_secret": "canary-2", "passkey": "canary-3"}'
    credentials = open_credentials("env:A", lambda _: marked)
    assert credentials.passkey.get_secret_value() == "canary-3"
    assert "canary" not in f"{credentials!r} {credentials}"
    for bad in (
        marked[:-1],
        marked.replace("passkey", "pass"),
        marked.replace('"canary-3"', "7"),
        marked.replace("canary-3", ""),
    ):
        with pytest.raises(Refused, match="env: reference must be a JSON object") as caught:
            open_credentials("env:A", lambda _, bad=bad: bad)  # type: ignore[misc]
        assert caught.value.code == "secret_malformed"
        assert "canary" not in f"{caught.value} {caught.value.__context__}"
