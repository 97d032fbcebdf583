"""Push one prompt: look, authorise, claim and commit, ONE POST, record. There is no way back to the POST.

A crash before the claim leaves the attempt prepared, and somebody else pushes it. A crash after the claim leaves it
dispatched: the sweep calls it ambiguous, the callback or a person resolves it, and nobody pushes it again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, assert_never

import structlog
from pydantic import SecretStr

from payments import conclusions
from payments.conclusions import Progress
from payments.credentials import Credentials, open_credentials
from payments.daraja import Accepted, Ambiguous, Daraja, Rejected, StkRequest, TransactionType, open_terms
from payments.reconcile import DISPATCHED_AT_MOST, LADDER, UNANSWERED_AT_MOST, look_again_at
from payments.result_codes import Why, why_rejected
from payments.tokens import draw_token
from router import capabilities, metering
from router.databases import Databases
from router.errors import Refused, Unavailable
from router.ids import IntentId, VendorId
from router.orders.status import OrderStatus
from router.payment_intents import attempts, store
from router.payment_intents.attempts import InTheWay
from router.payment_intents.status import AttemptEvent, AttemptStatus, IntentEvent, IntentStatus
from router.payment_intents.store import Intent
from router.payment_intents.trail import note
from router.work import Work, unit_of_work

log = structlog.get_logger(__name__)

ONE_PROMPT: Final = timedelta(seconds=90)  # a phone shows one prompt at a time; a second one ends with code 1001
SAME_AMOUNT: Final = timedelta(minutes=2)  # M-Pesa refuses the same amount from the same phone within this, with code 17
LEASE: Final = timedelta(seconds=30)
# The number stands in the attempt, sealed; the address holds the callback's token.
NOT_NOTED: Final = frozenset({"CallBackURL", "PartyA", "PhoneNumber"})
LOOK_AGAIN_AFTER: Final = timedelta(seconds=5)
NO_TOKEN_WAIT: Final = timedelta(seconds=10)
DESCRIPTION: Final = "Order payment"  # 13 characters, the most Daraja takes


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """Everything a push needs before the claim."""

    credentials: Credentials
    token: SecretStr


def push_next(
    databases: Databases,
    daraja: Daraja,
    *,
    vendor_id: VendorId,
    now: datetime,
    callback_base_url: str,
    open_secret: Callable[[str], str],
) -> bool:
    """Deal with one attempt that is due: push it, or end it, or let it wait. False when none was due."""
    with unit_of_work(databases, vendor_id) as work:
        found = attempts.next_prepared(work, now=now)
        if found is None:
            return False
        intent = store.lock(work, found)
        if not _is_due(intent, now) or not _may_go(work, intent, now=now):
            return True
        # While this worker gets ready, the others take other attempts.
        attempts.put_off(work, found, due_at=now + LEASE)
    ready = _get_ready(databases, daraja, intent, vendor_id=vendor_id, now=now, open_secret=open_secret)
    if ready is None:
        return True
    callback_token = draw_token()
    request = StkRequest(
        business_shortcode=intent.shortcode.business_shortcode,
        transaction_type=TransactionType[intent.shortcode.kind.upper()],
        amount=intent.amount,
        msisdn=intent.msisdn,
        party_b=intent.shortcode.party_b,  # the vendor's own row: nowhere else is there a number that money could go to
        callback_url=f"{callback_base_url}/hooks/pay/{vendor_id}/{callback_token}",
        account_ref=intent.account_ref,
        description=DESCRIPTION,
        at=now,
    )
    with unit_of_work(databases, vendor_id) as work:
        if not _claim(work, found, request, callback_token, now=now):
            return True
    outcome = daraja.push(request, ready.credentials, ready.token)
    with unit_of_work(databases, vendor_id) as work:
        _record(work, found, outcome, now=now)
    log.info("prompt_pushed", outcome=type(outcome).__name__, **intent.log_ids)
    return True


def _is_due(intent: Intent, now: datetime) -> bool:
    return intent.attempt.status is AttemptStatus.PREPARED and intent.attempt.due_at <= now


def _may_go(work: Work, intent: Intent, *, now: datetime) -> bool:
    """Check what needs no network; what may not go is ended or put off here, in this transaction."""
    order = store.lock_payable(work, intent.order_id)
    if order is None or order.status is not OrderStatus.CONFIRMED:
        conclusions.withdraw(work, intent, now=now)
        return False
    if now - intent.pay_received_at > conclusions.PAY_AT_MOST:
        conclusions.expire(work, intent, now=now)
        return False
    if not capabilities.has(work.databases, work.vendor_id, capabilities.MPESA_STK):
        _end_unsent(work, intent, error="capability_off", now=now)  # taken from the vendor since the PAY
        return False
    waits_for = _waits_for(work, intent, now=now)
    if waits_for is None:
        return True
    attempts.put_off(work, intent.id, due_at=now + LOOK_AGAIN_AFTER)
    conclusions.tell_progress(work, intent, waits_for, now=now)
    return False


def _waits_for(work: Work, intent: Intent, *, now: datetime) -> Progress | None:
    """Say what a prompt has to wait for, in the words the customer hears; None: it may go."""
    match attempts.find_in_the_way(work, intent, since=now - ONE_PROMPT, same_amount_since=now - SAME_AMOUNT):
        case InTheWay.PROMPT:
            return Progress.PHONE_BUSY
        case InTheWay.AMOUNT:
            return Progress.SAME_AMOUNT
        case None:
            return Progress.UNCLEAR if attempts.has_unconfirmed_success(work, intent.order_id) else None


def _get_ready(
    databases: Databases,
    daraja: Daraja,
    intent: Intent,
    *,
    vendor_id: VendorId,
    now: datetime,
    open_secret: Callable[[str], str],
) -> _Ready | None:
    """Open the vendor's secrets and get a token, before anything is claimed. None: it waits, or it was ended."""
    try:
        credentials = open_credentials(intent.shortcode.secret_ref, open_secret)
        return _Ready(credentials=credentials, token=daraja.authorise(credentials))
    except Refused as error:
        log.error("payment_secret_unusable", vendor_id=str(vendor_id), code=error.code, error=str(error), **intent.log_ids)
        with unit_of_work(databases, vendor_id) as work:
            _end_unsent(work, store.lock(work, intent.id), error=error.code, now=now)
    except Unavailable as error:
        log.warning("push_waits", error=str(error), **intent.log_ids)
        with unit_of_work(databases, vendor_id) as work:
            attempts.put_off(work, intent.id, due_at=now + NO_TOKEN_WAIT)
            note(work, intent.id, "push_waits", {"error": str(error)}, now=now)
            conclusions.tell_progress(work, intent, Progress.MPESA_BUSY, now=now)
    return None


def _end_unsent(work: Work, intent: Intent, *, error: str, now: datetime) -> None:
    if intent.attempt.status is AttemptStatus.PREPARED:
        conclusions.not_paid(
            work,
            intent,
            why=Why.SHOP_SET_UP,
            intent_event=IntentEvent.REFUSE,
            attempt_event=AttemptEvent.REJECT,
            error=error,
            now=now,
        )


def _claim(work: Work, intent_id: IntentId, request: StkRequest, callback_token: str, *, now: datetime) -> bool:
    """Stamp the attempt as sent. Only after this has been committed may the POST leave, and only once.

    The token's hash is committed with it, so that a callback which overtakes the answer is known.
    """
    intent = store.lock(work, intent_id)
    if intent.attempt.status is not AttemptStatus.PREPARED or not _may_go(work, intent, now=now):
        return False
    claimed = attempts.dispatch(
        work,
        intent,
        token_sha256=sha256(callback_token.encode()).digest(),
        terms={name: value for name, value in open_terms(request).items() if name not in NOT_NOTED},
        look_again_at=now + DISPATCHED_AT_MOST,
        now=now,
    )
    if claimed:
        metering.record(work, meter="stk_push", key=str(intent_id), now=now)
    return claimed


def _record(work: Work, intent_id: IntentId, outcome: Accepted | Rejected | Ambiguous, *, now: datetime) -> None:
    """Write the answer down. A callback may have been quicker: then only the ids are news."""
    intent = store.lock(work, intent_id)
    undecided = intent.attempt.status in (AttemptStatus.DISPATCHED, AttemptStatus.AMBIGUOUS)
    match outcome:
        case Accepted():
            attempts.fill_ids(
                work,
                intent,
                checkout_request_id=outcome.checkout_request_id,
                merchant_request_id=outcome.merchant_request_id,
            )
            if undecided:
                store.move_attempt(
                    work, intent, AttemptEvent.ACCEPT, look_again_at=look_again_at(intent, now + LADDER[0]), now=now
                )
        case Rejected() if intent.attempt.status is AttemptStatus.DISPATCHED and intent.status is IntentStatus.PROCESSING:
            conclusions.not_paid(
                work,
                intent,
                why=why_rejected(outcome.code, outcome.text),
                intent_event=IntentEvent.REFUSE,
                attempt_event=AttemptEvent.REJECT,
                error=f"{outcome.code} {outcome.text}".strip(),
                now=now,
            )
        case Ambiguous() if intent.attempt.status is AttemptStatus.DISPATCHED:
            store.move_attempt(
                work,
                intent,
                AttemptEvent.LOSE,
                error=outcome.reason,
                look_again_at=look_again_at(intent, now + UNANSWERED_AT_MOST),
                now=now,
            )
            conclusions.tell_progress(work, intent, Progress.UNCLEAR, now=now)
        case Rejected() | Ambiguous():
            note(work, intent_id, "answer_after_the_end", {"answer": str(outcome)}, now=now)
        case _:
            assert_never(outcome)
