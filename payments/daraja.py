"""The HTTP client of Daraja, and what its answers mean. One request leaves for each call: nothing here repeats a push.

Answers are judged by their body, never by the HTTP status alone: Daraja sends error envelopes with 200, its firewall
sends HTML, and a bad token is a 404. What is not clearly "no prompt was sent" is Ambiguous.
Source: Daraja 3.0 portal (M-Pesa Express, M-Pesa Express Query, Authorization), read 2025-12-28.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import httpx
from pydantic import SecretStr

from payments.access_token import AccessToken, AccessTokens
from payments.credentials import Credentials
from payments.rates import Rates
from payments.result_codes import Outcome, meaning_of, parse_code
from payments.skew import warn_of_skew
from router.errors import Unavailable

NAIROBI: Final = ZoneInfo("Africa/Nairobi")
PUSH_PATH: Final = "/mpesa/stkpush/v1/processrequest"
QUERY_PATH: Final = "/mpesa/stkpushquery/v1/query"
TOKEN_PATH: Final = "/oauth/v1/generate"  # noqa: S105 - a path
_TOKEN_TRIES: Final = 2  # asking for a token twice is harmless; a push has no such number


class TransactionType(StrEnum):
    """How the shortcode takes money."""

    PAYBILL = "CustomerPayBillOnline"
    TILL = "CustomerBuyGoodsOnline"


@dataclass(frozen=True, kw_only=True)
class StkRequest:
    """One prompt. Amount in whole KES; `party_b` is who gets the money: the vendor's paybill, or the vendor's till."""

    business_shortcode: str
    transaction_type: TransactionType
    amount: int
    msisdn: str
    party_b: str
    callback_url: str
    account_ref: str  # 1..12 letters and digits, shown in the prompt
    description: str  # 1..13 characters; leaving it out was refused as "Invalid Remarks"
    at: datetime


@dataclass(frozen=True, kw_only=True)
class StkQuestion:
    """What became of one prompt."""

    business_shortcode: str
    checkout_request_id: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The prompt is queued at M-Pesa. Nothing is paid yet."""

    checkout_request_id: str
    merchant_request_id: str


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """No prompt was sent, for certain. `code` is Daraja's, or not_sent when the request never left."""

    code: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Ambiguous:
    """We do not know whether a prompt was sent. Never repeated, never told as a failure."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Answered:
    """M-Pesa's own result for a prompt."""

    result_code: str
    result_desc: str


@dataclass(frozen=True, kw_only=True)
class NoAnswer:
    """The query told us nothing about the payment."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class NotAsked:
    """The question did not get through: too many calls in this minute. It is asked again soon, and costs no try."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """The HTTP answer to something that is no push, unread. `date`: when it was given, as its header says."""

    status: int
    date: str | None
    body: bytes


class Endpoint(StrEnum):
    """What may be asked of Daraja besides a push and a query. Asking any of them twice moves no money."""

    C2B_REGISTER = "/mpesa/c2b/v2/registerurl"
    PULL_REGISTER = "/pulltransactions/v1/register"
    PULL_QUERY = "/pulltransactions/v1/query"


class Daraja(Protocol):
    """What the payment adapter needs from Daraja."""

    def authorise(self, credentials: Credentials) -> SecretStr:
        """Get an access token and a place in the rate for one push. Unavailable: there is none to be had now."""
        ...

    def push(self, request: StkRequest, credentials: Credentials, token: SecretStr) -> Accepted | Rejected | Ambiguous:
        """Send ONE prompt: one request, whatever comes back. Never raises."""
        ...

    def query(self, question: StkQuestion, credentials: Credentials) -> Answered | NoAnswer | NotAsked:
        """Ask what became of a prompt. Never raises."""
        ...

    def ask(self, endpoint: Endpoint, body: Mapping[str, str | int], credentials: Credentials) -> Told | NoAnswer | NotAsked:
        """Register an address, or fetch what was paid. Never raises."""
        ...


def timestamp(at: datetime) -> str:
    """Write a moment as Daraja reads it: YYYYMMDDHHmmss in East African time (a UTC one was refused as expired)."""
    return at.astimezone(NAIROBI).strftime("%Y%m%d%H%M%S")


def password(business_shortcode: str, credentials: Credentials, at: datetime) -> str:
    """Build the Password. It is an encoding, not a digest: whoever has it has the passkey."""
    plain = f"{business_shortcode}{credentials.passkey.get_secret_value()}{timestamp(at)}"
    return base64.b64encode(plain.encode()).decode()


def open_terms(request: StkRequest) -> dict[str, str | int]:
    """Give the part of a push's body that holds no secret. Numbers as numbers: strings for phones gave result 1037."""
    return {
        "BusinessShortCode": int(request.business_shortcode),
        "TransactionType": str(request.transaction_type),
        "Amount": request.amount,
        "PartyA": int(request.msisdn),
        "PartyB": int(request.party_b),
        "PhoneNumber": int(request.msisdn),
        "CallBackURL": request.callback_url,
        "AccountReference": request.account_ref,
        "TransactionDesc": request.description,
    }


def stk_body(request: StkRequest, credentials: Credentials) -> dict[str, str | int]:
    """Build the body of POST /mpesa/stkpush/v1/processrequest: the terms, the Password, and the Timestamp inside it."""
    return open_terms(request) | {
        "Password": password(request.business_shortcode, credentials, request.at),
        "Timestamp": timestamp(request.at),
    }


def query_body(question: StkQuestion, credentials: Credentials) -> dict[str, str | int]:
    """Build the body of POST /mpesa/stkpushquery/v1/query."""
    return {
        "BusinessShortCode": int(question.business_shortcode),
        "Password": password(question.business_shortcode, credentials, question.at),
        "Timestamp": timestamp(question.at),
        "CheckoutRequestID": question.checkout_request_id,
    }


def read_json(body: bytes) -> Mapping[str, object] | None:
    """Read a JSON object; None for HTML, an empty body, a list, bytes that are no text, or absurd nesting."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


_NO_PROMPT_CODES: Final = frozenset(
    {
        "400.002.02", "400.002.05",  # invalid payload
        "400.003.01", "404.001.03", "404.001.04",  # token
        "404.001.01", "404.003.01", "405.001",  # wrong path or method
        "500.003.03",  # quota violation
    }
)  # fmt: skip
_NO_PROMPT_TEXTS: Final = {  # these codes are shared by several faults, so the text decides
    "500.001.1001": ("merchant does not exist", "wrong credentials", "unable to lock subscriber"),
    "500.003.02": ("spike arrest",),
}
_BAD_TOKEN_CODES: Final = frozenset({"400.003.01", "401.002.01", "401.003.01", "404.001.03", "404.001.04"})


def _text(body: Mapping[str, object], name: str) -> str:
    value = body.get(name)
    return value.replace("\x00", "?")[:200] if isinstance(value, str) else ""


def _fault(body: Mapping[str, object]) -> str:
    """Read the gateway's own error form: {"fault": {"faultstring": "Spike arrest violation…", "detail": {…}}}."""
    fault = body.get("fault")
    return _text(fault, "faultstring") if isinstance(fault, dict) else ""


def _is_spike_arrest(status: int, body: Mapping[str, object]) -> bool:
    return status == httpx.codes.TOO_MANY_REQUESTS or "spike arrest" in _text(body, "errorMessage").lower()


def _is_zero(code: object) -> bool:
    return parse_code(code) == "0"


def judge_push(status: int, body: bytes) -> Accepted | Rejected | Ambiguous:
    """Judge the answer to a push. Rejected only where Daraja's own words prove that no prompt went out."""
    answer = read_json(body)
    if answer is None:
        return Ambiguous(reason=f"HTTP {status} without JSON")
    checkout, merchant = _text(answer, "CheckoutRequestID"), _text(answer, "MerchantRequestID")
    if _is_zero(answer.get("ResponseCode")) and checkout:
        return Accepted(checkout_request_id=checkout, merchant_request_id=merchant)
    code, text, fault = _text(answer, "errorCode"), _text(answer, "errorMessage"), _fault(answer)
    if checkout:
        return Ambiguous(reason=f"HTTP {status} with a CheckoutRequestID and no ResponseCode 0")
    if code in _NO_PROMPT_CODES or code.startswith("401."):
        return Rejected(code=code, text=text)
    if any(words in text.lower() for words in _NO_PROMPT_TEXTS.get(code, ())):
        return Rejected(code=code, text=text)
    if status == httpx.codes.TOO_MANY_REQUESTS and "spike arrest" in fault.lower():
        return Rejected(code="429", text=fault)
    if status == httpx.codes.UNAUTHORIZED and "apiproduct" in (fault + text).lower():
        return Rejected(code="401", text=fault or text)
    return Ambiguous(reason=f"HTTP {status} {code} {text or fault}".strip())


def judge_query(status: int, body: bytes, checkout_request_id: str) -> Answered | NoAnswer:
    """Judge the answer to a query. Only a ResultCode for our own prompt is an answer; no error ever means "failed"."""
    answer = read_json(body)
    if answer is None or status != httpx.codes.OK or "errorCode" in answer:
        told = f"{_text(answer, 'errorCode')} {_text(answer, 'errorMessage') or _fault(answer)}" if answer else "without JSON"
        return NoAnswer(reason=f"HTTP {status} {told}".strip())
    if not _is_zero(answer.get("ResponseCode")) or "ResultCode" not in answer:
        return NoAnswer(reason="the query itself was not understood")
    if answer.get("CheckoutRequestID") != checkout_request_id:
        return NoAnswer(reason="the answer is about another prompt")
    code = parse_code(answer["ResultCode"])
    if meaning_of(code).outcome is Outcome.PENDING:
        return NoAnswer(reason="still under processing")
    return Answered(result_code=code, result_desc=_text(answer, "ResultDesc"))


def read_token(status: int, body: bytes) -> AccessToken | None:
    """Read {"access_token": "…", "expires_in": 3599}; expires_in comes as a number or as text. None: no token in it."""
    answer = read_json(body)
    token, lifetime = (answer.get("access_token"), answer.get("expires_in")) if answer else (None, None)
    if status != httpx.codes.OK or not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token:
        return None
    seconds = int(lifetime) if isinstance(lifetime, int | str) and str(lifetime).isdecimal() else 3599
    return AccessToken(value=SecretStr(token), expires_in_seconds=seconds)


def _bearer(token: SecretStr) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.get_secret_value()}"}


class DarajaClient:
    """Daraja over HTTPS. The base URL is injected: the sandbox, production, or a simulator."""

    def __init__(
        self,
        *,
        base_url: str,
        tokens: AccessTokens,
        rates: Rates | None = None,
        push_path: str = PUSH_PATH,
        query_path: str = QUERY_PATH,
        pull_method: str = "POST",
        read_seconds: float = 30,
    ) -> None:
        self._push_path, self._query_path, self._pull_method = push_path, query_path, pull_method
        self._tokens, self._rates, self._host = tokens, rates, urlsplit(base_url).netloc
        self._http = httpx.Client(
            base_url=base_url,
            transport=httpx.HTTPTransport(retries=0),
            follow_redirects=False,
            timeout=httpx.Timeout(connect=5, read=read_seconds, write=10, pool=5),
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def authorise(self, credentials: Credentials) -> SecretStr:
        """Get an access token and a place in the rate for one push.

        Unavailable: the minute is full, or Daraja gave no token; the message holds no part of the credentials.
        """
        token = self._token(credentials)
        if self._rates is not None and not self._rates.take_push(self._host, credentials):
            raise Unavailable("no place among the calls of this shortcode for now: the prompt waits its turn")
        return token

    def _token(self, credentials: Credentials) -> SecretStr:
        return self._tokens.get(self._host, credentials, lambda: self._fetch_token(credentials))

    def push(self, request: StkRequest, credentials: Credentials, token: SecretStr) -> Accepted | Rejected | Ambiguous:
        """Send ONE prompt: one request, whatever comes back."""
        try:
            answer = self._post(self._push_path, stk_body(request, credentials), token)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Rejected(code="not_sent", text=type(error).__name__)  # no connection, so nothing was sent
        except httpx.HTTPError as error:
            return Ambiguous(reason=type(error).__name__)
        warn_of_skew(answer.headers.get("date"), request.at)
        self._heed(answer, credentials, token)
        return judge_push(answer.status_code, answer.content)

    def query(self, question: StkQuestion, credentials: Credentials) -> Answered | NoAnswer | NotAsked:
        """Ask what became of a prompt."""
        told = self._ask("POST", self._query_path, query_body(question, credentials), credentials)
        if not isinstance(told, Told):
            return told
        warn_of_skew(told.date, question.at)
        return judge_query(told.status, told.body, question.checkout_request_id)

    def ask(self, endpoint: Endpoint, body: Mapping[str, str | int], credentials: Credentials) -> Told | NoAnswer | NotAsked:
        """Register an address, or fetch what was paid. The portal says GET of the Pull query, with a body: a setting."""
        return self._ask(self._pull_method if endpoint is Endpoint.PULL_QUERY else "POST", endpoint, body, credentials)

    def _ask(self, method: str, path: str, body: Mapping[str, str | int], credentials: Credentials) -> Told | NoAnswer | NotAsked:
        if self._rates is not None and not self._rates.take_query(self._host, credentials):
            return NotAsked(reason="M-Pesa takes no more calls of this shortcode for now")
        try:
            token = self._token(credentials)
            answer = self._http.request(method, path, json=body, headers=_bearer(token))
        except Unavailable as error:
            return NoAnswer(reason=str(error))
        except httpx.HTTPError as error:
            return NoAnswer(reason=type(error).__name__)
        self._heed(answer, credentials, token)
        read = read_json(answer.content)
        if read is not None and _is_spike_arrest(answer.status_code, read):
            return NotAsked(reason=f"HTTP {answer.status_code}: M-Pesa says that we call too often")
        return Told(status=answer.status_code, date=answer.headers.get("date"), body=answer.content)

    def _post(self, path: str, body: Mapping[str, str | int], token: SecretStr) -> httpx.Response:
        return self._http.post(path, json=body, headers=_bearer(token))

    def _heed(self, answer: httpx.Response, credentials: Credentials, token: SecretStr) -> None:
        """Purge a token that was refused, and rest when we call too often."""
        body = read_json(answer.content)
        if body is not None and _text(body, "errorCode") in _BAD_TOKEN_CODES:
            self._tokens.purge(self._host, credentials, token)
        if self._rates is not None and body is not None and _is_spike_arrest(answer.status_code, body):
            self._rates.rest(self._host, credentials)

    def _fetch_token(self, credentials: Credentials) -> AccessToken:
        reason = ""
        login = (credentials.consumer_key.get_secret_value(), credentials.consumer_secret.get_secret_value())
        for _ in range(_TOKEN_TRIES):
            try:
                answer = self._http.get(TOKEN_PATH, params={"grant_type": "client_credentials"}, auth=login)
            except httpx.HTTPError as error:
                reason = type(error).__name__
                continue
            token = read_token(answer.status_code, answer.content)
            if token is not None:
                return token
            reason = f"HTTP {answer.status_code}"
        raise Unavailable(f"Daraja gave no access token ({reason}): check the consumer key and secret of this shortcode, or wait")
