"""What the simulated M-Pesa remembers: prompts on phones, scenarios, tokens, money by shortcode."""

import itertools
import re
import secrets
import string
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from soko.simulators.daraja.checks import Push
from soko.simulators.daraja.money import Telling
from soko.simulators.daraja.refusals import refusal
from soko.simulators.daraja.results import (
    OUTCOMES,
    PAID,
    description_of,
    first_serial,
    new_checkout_request_id,
    new_merchant_request_id,
    new_receipt,
)
from soko.simulators.daraja.vendors import Vendor

ASK: Final = "ask"
ANSWERS: Final = {  # how the push is answered -> whether the phone gets a prompt
    "accept": True,
    "hang": True,
    "reset": True,
    "http_500_after_accept": True,
    "html_503": False,
    "html_200": False,
    "empty_200": False,
    "envelope_200": False,
    "spike_arrest": False,
}
REJECT: Final = re.compile(r"reject:([0-9]{3}(?:\.[0-9]+)+)(?::(.+))?")
QUERIES: Final = frozenset({"normal", "phases", "pending", "busy", "spike_arrest", "missing", "html_503", "hang"})
CODE: Final = re.compile(r"[0-9]{1,5}|[A-Z]+[A-Z0-9_]*")
TOKEN_LIFE: Final = timedelta(seconds=3599)
CODED_PHONE: Final = re.compile(r"254[17][0-9]{2}99([0-9]{4})")  # 254700991032 ends every prompt with 1032, unless it is scripted


class Scenario(BaseModel):
    """What one push meets. Units: seconds, whole KES.

    outcome  paid, cancelled, no_funds, wrong_pin, timed_out, unreachable, ask (a person decides), or any result code
    callback never; late (`late_seconds` after the decision); before_answer (decided and told before the push is answered)
    answer   accept, hang, reset, http_500_after_accept (those four reach the phone), html_503, html_200, empty_200,
             envelope_200 (an error with HTTP 200), spike_arrest, reject:CODE or reject:CODE:TEXT. `prompt` overrides whether it
             reaches the phone.
    query    normal, phases (4999, then an error, then the result), pending (4999 for ever), busy, spike_arrest, missing,
             html_503, hang, or a result code that contradicts the callback
    paid_after_seconds  a prompt that failed turns out to be paid after all
    changed_duplicate   one more callback, with another amount, or of another failure
    garbled  in place of a callback: huge, deep, invalid
    report   how M-Pesa reports the money where C2B is registered: normal, never, twice, `report_seconds` after the payment;
             listed: Pull Transactions shows it
    """

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)

    outcome: str = "paid"
    delay_seconds: float = Field(default=0.5, ge=0)
    ask_seconds: float = 60.0
    callback: Literal["normal", "never", "late", "before_answer"] = "normal"
    callbacks: int = Field(default=1, ge=0, le=100)
    late_seconds: float = 2.0
    answer: str = "accept"
    answer_after_seconds: float = 0.0
    hang_seconds: float = 60.0
    prompt: bool | None = None
    query: str = "normal"
    wrong_amount: int | None = None
    masked_phone: bool = False
    no_phone: bool = False
    with_balance: bool = False
    code_as_text: bool = False
    receipt: str | None = None
    other_checkout: bool = False
    amount_as_text: bool = False
    changed_duplicate: bool = False
    garbled: Literal["huge", "deep", "invalid"] | None = None
    paid_after_seconds: float | None = None
    report: Telling = "normal"
    report_seconds: float = Field(default=0, ge=0)
    listed: bool = True

    @model_validator(mode="after")
    def _known_words(self) -> Self:
        if self.outcome not in OUTCOMES and self.outcome != ASK and not CODE.fullmatch(self.outcome):
            raise ValueError(f"outcome is {', '.join(OUTCOMES)}, {ASK} or a result code, not {self.outcome!r}")
        if self.answer not in ANSWERS and not REJECT.fullmatch(self.answer):
            raise ValueError(f"answer is {', '.join(ANSWERS)} or reject:CODE[:TEXT], not {self.answer!r}")
        if self.query not in QUERIES and not CODE.fullmatch(self.query):
            raise ValueError(f"query is {', '.join(sorted(QUERIES))} or a result code, not {self.query!r}")
        return self

    @property
    def reaches_the_phone(self) -> bool:
        """Whether a prompt appears."""
        return ANSWERS.get(self.answer, False) if self.prompt is None else self.prompt

    @property
    def result_code(self) -> str:
        """The code the prompt ends with when nobody else decides."""
        return OUTCOMES.get(self.outcome, self.outcome)


@dataclass(frozen=True, kw_only=True)
class CallbackPost:
    """One callback that was posted, and the app's answer; None is no answer."""

    at: datetime
    http_status: int | None


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """One prompt on a phone. `result_code` and what follows it are None until it is decided."""

    serial: int
    push: Push
    scenario: Scenario
    merchant_request_id: str
    checkout_request_id: str
    asked_at: datetime
    decided_at: datetime | None = None
    result_code: str | None = None
    result_text: str | None = None
    receipt: str | None = None
    callbacks: tuple[CallbackPost, ...] = ()


@dataclass(kw_only=True)
class _Memory:
    prompts: dict[str, Prompt] = field(default_factory=dict)
    scenarios: dict[str, Scenario] = field(default_factory=dict)
    queues: dict[str, list[Scenario]] = field(default_factory=dict)
    busy_phones: set[str] = field(default_factory=set)


class Prompts:
    """Prompts and scenarios behind one lock."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._memory = _Memory()
        self._serials = itertools.count(first_serial())
        self._stopped = False

    def write_scenario(self, phone: str, scenario: Scenario) -> None:
        """Every push to this phone meets the scenario."""
        with self._changed:
            self._memory.scenarios[phone] = scenario
            self._memory.queues.pop(phone, None)

    def write_queue(self, phone: str, scenarios: list[Scenario]) -> None:
        """The next pushes to this phone meet these in turn; after them the default."""
        with self._changed:
            self._memory.queues[phone] = list(scenarios)
            self._memory.scenarios.pop(phone, None)

    def ask(self, push: Push, now: datetime) -> Prompt:
        """Take the phone's next scenario and, if it says so, put a prompt on the phone. A phone shows one prompt at a time."""
        with self._changed:
            if push.phone in self._memory.busy_phones:
                raise refusal("500.001.1001")
            serial = next(self._serials)
            prompt = Prompt(
                serial=serial,
                push=push,
                scenario=self._take_scenario(push),
                merchant_request_id=new_merchant_request_id(),
                checkout_request_id=new_checkout_request_id(serial, push.phone, now),
                asked_at=now,
            )
            if prompt.scenario.reaches_the_phone:
                self._memory.busy_phones.add(push.phone)
                self._put(prompt)
            return prompt

    def _take_scenario(self, push: Push) -> Scenario:
        queue = self._memory.queues.get(push.phone)
        scenario = queue.pop(0) if queue else self._memory.scenarios.get(push.phone, _scenario_of(push.phone))
        return scenario if push.setup_fault is None else scenario.model_copy(update={"outcome": push.setup_fault})

    def decide(self, checkout_request_id: str, code: str, now: datetime) -> Prompt | None:
        """End a prompt, once; None when it has ended already or a reset took it away."""
        with self._changed:
            known = self._memory.prompts.get(checkout_request_id)
            if known is None or known.decided_at is not None:
                return None
            receipt = (known.scenario.receipt or new_receipt(known.serial, now)) if code == PAID else None
            decided = replace(known, decided_at=now, result_code=code, result_text=description_of(code), receipt=receipt)
            self._memory.busy_phones.discard(known.push.phone)
            self._put(decided)
            return decided

    def turn_paid(self, checkout_request_id: str, now: datetime) -> Prompt | None:
        """Let a prompt that failed be paid after all; None when it has not failed, or is gone."""
        with self._changed:
            known = self._memory.prompts.get(checkout_request_id)
            if known is None or known.result_code in (None, PAID):
                return None
            text, receipt = description_of(PAID), new_receipt(known.serial, now)
            paid = replace(known, decided_at=now, result_code=PAID, result_text=text, receipt=receipt)
            self._put(paid)
            return paid

    def next_receipt(self, now: datetime) -> str:
        """A receipt for money that no prompt asked for."""
        return new_receipt(next(self._serials), now)

    def note_callback(self, checkout_request_id: str, post: CallbackPost) -> None:
        """Write down that a callback was posted."""
        with self._changed:
            known = self._memory.prompts.get(checkout_request_id)
            if known is not None:
                self._put(replace(known, callbacks=(*known.callbacks, post)))

    def _put(self, prompt: Prompt) -> None:
        self._memory.prompts[prompt.checkout_request_id] = prompt
        self._changed.notify_all()

    def find(self, checkout_request_id: str) -> Prompt | None:
        """The prompt with this id."""
        with self._changed:
            return self._memory.prompts.get(checkout_request_id)

    def waiting_for_a_person(self, phone: str) -> Prompt | None:
        """The prompt on this phone that nobody has decided."""
        with self._changed:
            return next((each for each in self._of(phone) if each.decided_at is None and each.scenario.outcome == ASK), None)

    def wait_for(self, *, phone: str | None, count: int, callbacks: int, timeout_seconds: float) -> list[Prompt]:
        """Wait until `count` prompts were shown and `callbacks` callbacks answered; give what there is then."""

        def enough() -> bool:
            found = self._of(phone)
            return self._stopped or (len(found) >= count and sum(len(each.callbacks) for each in found) >= callbacks)

        with self._changed:
            deadline = time.monotonic() + timeout_seconds
            while not enough() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return self._of(phone)

    def _of(self, phone: str | None) -> list[Prompt]:
        return [each for each in self._memory.prompts.values() if phone is None or each.push.phone == phone]

    def forget(self) -> None:
        """Begin anew: no prompts, no scenarios."""
        with self._changed:
            self._memory = _Memory()
            self._changed.notify_all()

    def stop(self) -> None:
        """Let everybody go who waits."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


def _scenario_of(phone: str) -> Scenario:
    """What a phone meets that nobody scripted: the result code in its number, or a payment."""
    coded = CODED_PHONE.fullmatch(phone)
    return Scenario(outcome=str(int(coded[1]))) if coded else Scenario()


class Tokens:
    """Access tokens: one lives for each Daraja app, a new one ends the old."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._live: dict[str, tuple[str, datetime]] = {}  # consumer key -> token, when it ends

    def issue(self, vendor: Vendor) -> str:
        """A new token of 28 letters and digits."""
        token = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(28))
        with self._lock:
            self._live[vendor.consumer_key] = (token, self._clock() + TOKEN_LIFE)
        return token

    def consumer_key_of(self, token: str) -> str | None:
        """Whose live token this is."""
        with self._lock:
            return next((key for key, (live, end) in self._live.items() if live == token and self._clock() < end), None)

    def kill(self) -> None:
        """End every token, as a restart at Safaricom would."""
        with self._lock:
            self._live.clear()
