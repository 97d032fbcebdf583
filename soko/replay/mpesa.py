"""M-Pesa as a transcript scripts it: stands where the HTTP client would, and keeps what it was asked."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from pydantic import SecretStr

from conversation.authoring.transcripts import Outcome, PushAnswer, QueryAnswer
from payments.credentials import Credentials
from payments.daraja import Accepted, Ambiguous, Answered, Endpoint, NoAnswer, Rejected, StkQuestion, StkRequest
from router.errors import Unavailable

BUSY_FOR: Final = timedelta(minutes=6)  # longer than a PAY is acted on
NAIROBI: Final = ZoneInfo("Africa/Nairobi")
# One of Daraja's codes for each, as payments/result_codes.py reads them; a test compares both.
RESULTS: Final[dict[Outcome, tuple[int, str]]] = {
    "paid": (0, "The service request is processed successfully."),
    "no_funds": (1, "The balance is insufficient for the transaction."),
    "cancelled": (1032, "Request cancelled by user"),
    "timed_out": (1037, "DS timeout user cannot be reached"),
    "wrong_pin": (2001, "The initiator information is invalid."),
    "failed": (1025, "An error occurred while sending a push request"),
    "expired": (1019, "Transaction has expired"),
    "amount": (3, "The amount is above the most of one transaction."),
    "mpesa_limit": (4, "Declined due to limit rule: would exceed daily transfer limit."),
    "shop_full": (8, "Declined due to limit rule: would exceed the maximum balance."),
    "too_soon": (17, "Rule limited."),
    "other_prompt": (1001, "Unable to lock subscriber, a transaction is already in process for the current subscriber"),
    "shop_set_up": (2028, "The request is not permitted according to product assignment."),
    "pin_locked": (8006, "The security credential is locked."),
    "busy": (26, "System busy. Try again in few minutes."),
    "unknown": (9999, "Error while sending the request."),
}


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One push that reached M-Pesa, whatever M-Pesa answered."""

    number: int
    request: StkRequest

    @property
    def checkout_request_id(self) -> str:
        """Daraja's name for it."""
        return f"ws_CO_replay_{self.number}"

    @property
    def merchant_request_id(self) -> str:
        """Daraja's other name for it."""
        return f"replay-{self.number}"


@dataclass(kw_only=True)
class ScriptedMpesa:
    """Answers pushes and queries in the order a transcript lists them. What is not listed is noted in `unscripted`.

    A query about a prompt whose result was told already is answered with that result, unless the transcript lists another
    one: M-Pesa may contradict itself, but what was told is not pending any more.
    """

    pushes: Sequence[PushAnswer]
    queries: Sequence[QueryAnswer]
    clock: Callable[[], datetime]
    prompts: list[Prompt] = field(default_factory=list)
    asked: int = 0
    unscripted: list[str] = field(default_factory=list)
    told: dict[str, Outcome] = field(default_factory=dict)  # by checkout_request_id
    busy_since: datetime | None = None
    busy: int = 0  # of the answers to pushes, those that said so and are over
    receipt: str | None = None  # told by a scripted query, for the callback that may follow

    def authorise(self, credentials: Credentials) -> SecretStr:
        """Give a token and a place for one push. Unavailable: the transcript says that M-Pesa is busy."""
        del credentials
        if self._listed < len(self.pushes) and self.pushes[self._listed].answer == "busy":
            now = self.clock()
            self.busy_since = self.busy_since or now
            if now - self.busy_since < BUSY_FOR:
                raise Unavailable("M-Pesa is busy, says the transcript")
            self.busy_since, self.busy = None, self.busy + 1
        return SecretStr("replay")

    def push(self, request: StkRequest, credentials: Credentials, token: SecretStr) -> Accepted | Rejected | Ambiguous:
        """Take one prompt."""
        del credentials, token
        prompt = Prompt(number=len(self.prompts) + 1, request=request)
        self.prompts.append(prompt)
        if self._listed > len(self.pushes):
            self.unscripted.append(f"push {prompt.number} (KES {request.amount}), and mpesa.push lists {len(self.pushes)}")
            return Rejected(code="not_sent", text="not in the transcript")
        match self.pushes[self._listed - 1].answer:
            case "accepted":
                return Accepted(checkout_request_id=prompt.checkout_request_id, merchant_request_id=prompt.merchant_request_id)
            case "rejected":
                return Rejected(code="500.001.1001", text="Unable to lock subscriber, a transaction is already in process")
            case "unknown" | "busy":  # a busy M-Pesa gave no token for this push
                return Ambiguous(reason="ReadTimeout")

    def ask(self, endpoint: Endpoint, body: Mapping[str, str | int], credentials: Credentials) -> NoAnswer:
        """Nobody registers anything in a transcript."""
        del body, credentials
        return NoAnswer(reason=f"{endpoint} is not in the transcript")

    def query(self, question: StkQuestion, credentials: Credentials) -> Answered | NoAnswer:
        """Say what became of a prompt."""
        del credentials
        known = self.told.get(question.checkout_request_id)
        if known is not None and (self.asked >= len(self.queries) or self.queries[self.asked].answer == "pending"):
            code, text = RESULTS[known]
            return Answered(result_code=str(code), result_desc=text)
        self.asked += 1
        if self.asked > len(self.queries):
            self.unscripted.append(f"query {self.asked}, and mpesa.query lists {len(self.queries)}")
            return NoAnswer(reason="not in the transcript")
        answer = self.queries[self.asked - 1]
        if answer.answer == "pending":
            return NoAnswer(reason="still under processing")
        self.receipt = answer.receipt or self.receipt
        self.told[question.checkout_request_id] = answer.answer
        code, text = RESULTS[answer.answer]
        return Answered(result_code=str(code), result_desc=text)

    @property
    def _listed(self) -> int:
        """How many of the listed answers to pushes are over."""
        return len(self.prompts) + self.busy

    @property
    def used(self) -> int:
        """How many of the listed answers to pushes were given, or are being given by a busy M-Pesa."""
        return self._listed + (self.busy_since is not None)

    def left_over(self) -> tuple[int, str] | None:
        """Name the line and kind of the first answer that nobody asked for."""
        if self.used < len(self.pushes):
            return self.pushes[self._listed].line, f"mpesa.push lists {len(self.pushes)}, and {len(self.prompts)} were made"
        if self.asked < len(self.queries):
            return self.queries[self.asked].line, f"mpesa.query lists {len(self.queries)}, and {self.asked} were made"
        return None

    def callback(self, prompt: Prompt, outcome: Outcome, *, receipt: str | None, at: datetime) -> str:
        """Write what M-Pesa posts about a prompt, byte for byte.

        Source: Daraja 3.0 portal, M-Pesa Express callback, read 2025-12-28.
        """
        self.told[prompt.checkout_request_id] = outcome
        code, text = RESULTS[outcome]
        told: dict[str, object] = {
            "MerchantRequestID": prompt.merchant_request_id,
            "CheckoutRequestID": prompt.checkout_request_id,
            "ResultCode": code,
            "ResultDesc": text,
        }
        if outcome == "paid":
            told["CallbackMetadata"] = {
                "Item": [
                    {"Name": "Amount", "Value": float(prompt.request.amount)},
                    {"Name": "MpesaReceiptNumber", "Value": receipt or self.receipt or f"SBC{prompt.number:04}XYZ"},
                    {"Name": "Balance"},
                    {"Name": "TransactionDate", "Value": int(at.astimezone(NAIROBI).strftime("%Y%m%d%H%M%S"))},
                    {"Name": "PhoneNumber", "Value": int(prompt.request.msisdn)},
                ]
            }
        return json.dumps({"Body": {"stkCallback": told}})
