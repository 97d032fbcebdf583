"""The simulated M-Pesa: gives tokens, takes pushes, lets prompts end, posts callbacks, answers queries."""

import base64
import binascii
import hmac
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, Literal

from fastapi import HTTPException, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from soko.simulators.daraja.callbacks import callback_body
from soko.simulators.daraja.checks import parse_push, parse_question
from soko.simulators.daraja.forging import Forgery, forge
from soko.simulators.daraja.money import ByHand, Money, Telling, Transaction, report_body
from soko.simulators.daraja.prompts import ASK, REJECT, CallbackPost, Prompt, Prompts, Tokens
from soko.simulators.daraja.refusals import error_answer, html_page, refusal, spike_arrest
from soko.simulators.daraja.results import PAID, UNREACHABLE, description_of
from soko.simulators.daraja.vendors import Vendor
from soko.simulators.phones import to_key
from soko.simulators.posting import Postman
from soko.simulators.recording import AnsweredError, RequestLog
from soko.simulators.serving import Dropped, Late
from soko.simulators.virtual import VirtualTime

SPIKE_SECONDS: Final = 12.0  # 5 a minute, burst 1
PENDING: Final = "4999"


class OauthScript(BaseModel):
    """How the next token requests are answered, `times` of them."""

    answer: Literal["ok", "empty_400", "html_503", "hang", "reset"]
    times: int = 1
    hang_seconds: float = 60.0


class Network:
    """One simulated M-Pesa with the shortcodes it was given."""

    def __init__(self, *, vendors: Sequence[Vendor], clock: Callable[[], datetime], spike_arrest_on: bool) -> None:
        self.vendors = {each.consumer_key: each for each in vendors}
        self.prompts = Prompts()
        self.tokens = Tokens(clock)
        self.requests = RequestLog(clock)
        self.money = Money()
        self._postman = Postman(virtual=clock if isinstance(clock, VirtualTime) else None)
        self._clock = clock
        self._lock = threading.Lock()
        self._oauth_script: OauthScript | None = None
        self._spike_arrest_on = spike_arrest_on
        self._last_query: dict[str, datetime] = {}
        self._queries: Counter[str] = Counter()

    def virtual(self) -> VirtualTime:
        """The clock, where it is a virtual one."""
        if not isinstance(self._clock, VirtualTime):
            raise HTTPException(409, "this simulator runs by the real clock: start it with --virtual-clock")
        return self._clock

    def stop(self) -> None:
        """Let everybody go who waits, post nothing more."""
        self.prompts.stop()
        self._postman.stop()

    def close(self) -> None:
        """Stop, and wait for what is under way."""
        self.stop()
        self._postman.close()

    def forget(self) -> None:
        """Begin anew: prompts that wait end unheard; tokens live on, because the app keeps its own."""
        self.prompts.forget()
        self.money.forget()
        self.requests.clear()
        with self._lock:
            self._oauth_script = None
            self._last_query.clear()
            self._queries.clear()

    def write_oauth_script(self, script: OauthScript) -> None:
        """Script the token requests that come next."""
        with self._lock:
            self._oauth_script = script

    # tokens

    def give_token(self, grant_type: str | None, authorization: str | None) -> Response:
        """Answer a token request. Wrong credentials get HTTP 400 with an empty body, as at Safaricom."""
        scripted = self._scripted_token_answer()
        if scripted is not None:
            return scripted
        if grant_type != "client_credentials":
            raise refusal("400.008.02")
        kind, _, credentials = (authorization or "").partition(" ")
        if kind.lower() != "basic":
            raise refusal("400.008.01")
        vendor = self._vendor_of(credentials)
        if vendor is None:
            raise AnsweredError(Response(status_code=400))
        return JSONResponse({"access_token": self.tokens.issue(vendor), "expires_in": "3599"})

    def _vendor_of(self, credentials: str) -> Vendor | None:
        try:
            key, _, secret = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        vendor = self.vendors.get(key)
        if vendor is None or not hmac.compare_digest(vendor.consumer_secret.encode(), secret.encode()):
            return None
        return vendor

    def _scripted_token_answer(self) -> Response | None:
        with self._lock:
            script = self._oauth_script
            if script is None or script.times == 0 or script.answer == "ok":
                return None
            script.times -= 1
        match script.answer:
            case "empty_400":
                return Response(status_code=400)
            case "html_503":
                return html_page(503)
            case "hang":
                return Dropped(after_seconds=script.hang_seconds)
            case "reset":
                return Dropped()

    def owner_of(self, authorization: str | None) -> Vendor:
        """Whose live token this is, or refuse."""
        kind, _, token = (authorization or "").partition(" ")
        if kind != "Bearer" or not token:
            raise refusal("404.001.04")
        key = self.tokens.consumer_key_of(token)
        if key is None:
            raise refusal("404.001.03")
        return self.vendors[key]

    # pushes

    def push(self, raw: bytes, *, content_type: str, authorization: str | None) -> Response:
        """Take one STK push, or refuse it."""
        owner = self.owner_of(authorization)
        push = parse_push(raw, content_type=content_type, owner=owner, now=self._clock())
        prompt = self.prompts.ask(push, self._clock())
        if prompt.scenario.reaches_the_phone:
            self._let_it_end(prompt)
        answer = _push_answer(prompt)
        wait_seconds = prompt.scenario.answer_after_seconds
        return Late(answer, after_seconds=wait_seconds) if wait_seconds else answer

    def _let_it_end(self, prompt: Prompt) -> None:
        scenario, reference = prompt.scenario, prompt.checkout_request_id
        if scenario.callback == "before_answer":
            code = PAID if scenario.outcome == ASK else scenario.result_code
            decided = self.prompts.decide(reference, code, self._clock())
            if decided is not None:
                self._book(decided)
                self._postman.at_once([partial(self._post_callback, decided)] * scenario.callbacks)
        elif scenario.outcome == ASK:
            self._postman.later(scenario.ask_seconds, partial(self.decide, reference, UNREACHABLE))
        else:
            self._postman.later(scenario.delay_seconds, partial(self.decide, reference, scenario.result_code))

    def decide(self, checkout_request_id: str, code: str) -> None:
        """End a prompt and post its callbacks. One that has ended stays as it is."""
        prompt = self.prompts.decide(checkout_request_id, code, self._clock())
        if prompt is None:
            return
        if prompt.scenario.paid_after_seconds is not None and prompt.result_code != PAID:
            self._postman.later(prompt.scenario.paid_after_seconds, partial(self._turn_paid, checkout_request_id))
        self._book(prompt)
        self._tell_all(prompt)

    def _turn_paid(self, checkout_request_id: str) -> None:
        prompt = self.prompts.turn_paid(checkout_request_id, self._clock())
        if prompt is not None:
            self._book(prompt)
            self._tell_all(prompt)

    def _tell_all(self, prompt: Prompt) -> None:
        if prompt.scenario.callback == "never":
            return
        wait_seconds = prompt.scenario.late_seconds if prompt.scenario.callback == "late" else 0.0
        for _ in range(prompt.scenario.callbacks):
            self._postman.later(wait_seconds, partial(self._tell, prompt))
        if prompt.scenario.changed_duplicate:
            self._postman.later(wait_seconds, partial(self._tell, prompt, changed=True))

    def decide_by_hand(self, phone: str, code: str) -> Prompt:
        """A person answers the prompt on their phone."""
        prompt = self.prompts.waiting_for_a_person(phone)
        if prompt is None:
            raise HTTPException(409, f"{phone} shows no prompt that waits for a person; script it with outcome 'ask' first.")
        self.decide(prompt.checkout_request_id, code)
        return self.prompts.find(prompt.checkout_request_id) or prompt

    def _tell(self, prompt: Prompt, *, changed: bool = False) -> None:
        if self.prompts.find(prompt.checkout_request_id) is not None:
            self._post_callback(prompt, changed=changed)

    def _post_callback(self, prompt: Prompt, *, changed: bool = False) -> int | None:
        headers = {"Content-Type": "application/json;charset=UTF-8", "Businessshortcode": prompt.push.vendor.short_code}
        status = self._postman.post(prompt.push.callback_url, callback_body(prompt, changed=changed), headers)
        self.prompts.note_callback(prompt.checkout_request_id, CallbackPost(at=self._clock(), http_status=status))
        return status

    def forge(self, kind: Forgery, checkout_request_id: str) -> int | None:
        """Post what a stranger would; gives the app's answer."""
        prompt = self.prompts.find(checkout_request_id)
        if prompt is None:
            raise HTTPException(404, f"there is no prompt {checkout_request_id}")
        everybody = self.prompts.wait_for(phone=None, count=0, callbacks=0, timeout_seconds=0)
        other = next((each for each in everybody if each.checkout_request_id != checkout_request_id), None)
        url, body = forge(kind, prompt, other, self._clock())
        return self._postman.post(url, body, {"Content-Type": "application/json"})

    # money

    def pay_by_hand(self, paid: ByHand) -> Transaction | None:
        """Somebody pays in the M-Pesa menu; None when the shop refuses it beforehand."""
        vendor = next((each for each in self.vendors.values() if each.party_b == paid.paybill), None)
        if vendor is None:
            raise HTTPException(404, f"no shortcode {paid.paybill} takes money here")
        now = self._clock()
        money = Transaction(
            receipt=paid.receipt or self.prompts.next_receipt(now),
            vendor=vendor,
            amount=paid.amount,
            account=paid.account,
            phone=to_key(paid.phone),
            at=now,
            by_hand=True,
            listed=paid.listed,
        )
        if not self._is_let_through(money):
            return None
        self._report(money, paid.report, paid.report_seconds)
        return money

    def _is_let_through(self, money: Transaction) -> bool:
        """Ask the shop, where Safaricom was told to ask. Who does not answer is taken at the word of the registration."""
        registered = self.money.registration_of(money.vendor)
        if registered is None or not self.money.validation_on:
            return True
        told = self._postman.ask(registered.validation_url, report_body(money), {"Content-Type": "application/json"})
        return registered.accepts_unheard if told is None else str(told.get("ResultCode")) == "0"

    def _book(self, prompt: Prompt) -> None:
        if prompt.receipt is None:
            return
        money = Transaction(
            receipt=prompt.receipt,
            vendor=prompt.push.vendor,
            amount=prompt.push.amount,
            account=prompt.push.account_reference,
            phone=prompt.push.phone,
            at=self._clock(),
            by_hand=False,
            listed=prompt.scenario.listed,
        )
        self._report(money, prompt.scenario.report, prompt.scenario.report_seconds)

    def _report(self, money: Transaction, telling: Telling, after_seconds: float) -> None:
        registered = self.money.add(money)
        if registered is None:
            return
        post = partial(self._postman.post, registered.confirmation_url, report_body(money), {"Content-Type": "application/json"})
        for _ in range({"never": 0, "normal": 1, "twice": 2}[telling]):
            self._postman.later(after_seconds, post)

    # queries

    def answer_query(self, raw: bytes, *, content_type: str, authorization: str | None) -> Response:
        """Say what became of a prompt."""
        owner = self.owner_of(authorization)
        if self._too_fast(owner):
            return spike_arrest()
        question = parse_question(raw, content_type=content_type, owner=owner, now=self._clock())
        prompt = self.prompts.find(question.checkout_request_id)
        if prompt is None or prompt.push.vendor != owner:
            raise refusal("500.001.1001", "The transaction does not Exist")
        match prompt.scenario.query:
            case "normal":
                return _query_answer(prompt, prompt.result_code or PENDING)
            case "phases":
                return self._answer_in_phases(prompt)
            case "pending":
                return _query_answer(prompt, PENDING)
            case "spike_arrest":
                return spike_arrest()
            case "busy":
                raise refusal("500.001.1001", "The transaction is being processed")
            case "missing":
                raise refusal("500.001.1001", "The transaction does not Exist")
            case "html_503":
                return html_page(503)
            case "hang":
                return Dropped(after_seconds=prompt.scenario.hang_seconds)
            case code:
                return _query_answer(prompt, code)

    def _answer_in_phases(self, prompt: Prompt) -> Response:
        with self._lock:
            self._queries[prompt.checkout_request_id] += 1
            times = self._queries[prompt.checkout_request_id]
        if times == 2:
            raise refusal("500.001.1001", "The transaction is being processed")
        return _query_answer(prompt, PENDING if times == 1 else prompt.result_code or PENDING)

    def _too_fast(self, owner: Vendor) -> bool:
        now = self._clock()
        with self._lock:
            last = self._last_query.get(owner.consumer_key)
            if self._spike_arrest_on and last is not None and (now - last).total_seconds() < SPIKE_SECONDS:
                return True
            self._last_query[owner.consumer_key] = now
            return False


def _push_answer(prompt: Prompt) -> Response:
    scenario = prompt.scenario
    rejected = REJECT.fullmatch(scenario.answer)
    if rejected:
        return error_answer(rejected[1], rejected[2])
    match scenario.answer:
        case "hang":
            return Dropped(after_seconds=scenario.hang_seconds)
        case "reset":
            return Dropped()
        case "http_500_after_accept":
            return error_answer("500.003.1001")
        case "html_503":
            return html_page(503)
        case "html_200":
            return html_page(200)
        case "envelope_200":
            answer = error_answer("500.003.1001")
            answer.status_code = 200
            return answer
        case "empty_200":
            return Response(status_code=200)
        case "spike_arrest":
            return spike_arrest()
        case _:
            return _accepted(prompt)


def _accepted(prompt: Prompt) -> Response:
    text = "Success. Request accepted for processing"
    return JSONResponse(
        {
            "MerchantRequestID": prompt.merchant_request_id,
            "CheckoutRequestID": prompt.checkout_request_id,
            "ResponseCode": "0",
            "ResponseDescription": text,
            "CustomerMessage": text,
        }
    )


def _query_answer(prompt: Prompt, code: str) -> Response:
    """`ResponseCode` "0" only says that the question was understood; `ResultCode`, a string here, speaks of the payment."""
    return JSONResponse(
        {
            "ResponseCode": "0",
            "ResponseDescription": "The service request has been accepted successsfully",
            "MerchantRequestID": prompt.merchant_request_id,
            "CheckoutRequestID": prompt.checkout_request_id,
            "ResultCode": code,
            "ResultDesc": "The transaction is still under processing" if code == PENDING else description_of(code),
        }
    )
