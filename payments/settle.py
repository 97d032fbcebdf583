"""Settle the callbacks that came in: judge each one once, and move what it proves in the same transaction.

A success that agrees in everything is a claim: M-Pesa's own answer to a query makes it money (`payments/reconcile.py`).
Anything odd is kept with its verdict and goes to a person. Nothing odd is ever paid, and nothing paid is ever undone.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import structlog

from payments import conclusions
from payments.callback import StkResult, names_another_phone, parse_callback
from payments.result_codes import Outcome, Why, meaning_of
from router.databases import Databases
from router.errors import Broken
from router.ids import VendorId
from router.json_values import JSON
from router.payment_intents import attempts, callbacks, money, store
from router.payment_intents.callbacks import Callback
from router.payment_intents.money import Standing
from router.payment_intents.status import AttemptEvent, AttemptStatus, IntentEvent, IntentStatus
from router.payment_intents.store import Intent, Result
from router.payment_intents.trail import note
from router.work import Work, unit_of_work

log = structlog.get_logger(__name__)

TRY_AGAIN_AFTER: Final = timedelta(minutes=10)
# A success that overtook the answer to its push waits for it a little: two sources of the ids prove more than one.
ANSWER_COMES: Final = timedelta(seconds=5)
LOOK_AGAIN_AFTER: Final = timedelta(seconds=1)


class Verdict(StrEnum):
    """What a callback turned out to be."""

    CLAIMED = "claimed"  # a success that agrees in everything: a query must confirm it
    EARLY = "early"  # a success before the answer to our push: looked at again when its ids are known
    FAILED = "failed"
    RECEIPT_ADDED = "receipt_added"  # a query had confirmed the money before
    DUPLICATE = "duplicate"
    PENDING = "pending"
    UNREADABLE = "unreadable"
    MISMATCH = "mismatch"  # it speaks of another prompt
    AMOUNT_MISMATCH = "amount_mismatch"
    RECEIPT_MALFORMED = "receipt_malformed"
    RECEIPT_TAKEN = "receipt_taken"  # it stands for another payment
    SECOND_RECEIPT = "second_receipt"  # paid or claimed already, under another receipt
    CONTRADICTION = "contradiction"  # one callback tells of money, another one of none
    UNKNOWN_RESULT = "unknown_result"
    IGNORED_AFTER_PAID = "ignored_after_paid"
    UNDER_REVIEW = "under_review"


DOUBTS: Final = frozenset(
    {
        Verdict.AMOUNT_MISMATCH,
        Verdict.RECEIPT_MALFORMED,
        Verdict.RECEIPT_TAKEN,
        Verdict.SECOND_RECEIPT,
        Verdict.CONTRADICTION,
        Verdict.UNKNOWN_RESULT,
    }
)
# Nothing moves, and an operator is told all the same: somebody forges, or M-Pesa is at odds with itself.
ALARMS: Final = frozenset({Verdict.MISMATCH, Verdict.IGNORED_AFTER_PAID})


def settle_next(databases: Databases, *, vendor_id: VendorId, now: datetime) -> bool:
    """Settle one stored callback; False when none is waiting. Safe from many workers, and after a crash anywhere.

    Broken: the database refused what we made of it. The callback is set aside first, so that it holds back no other.
    """
    taken: Callback | None = None
    try:
        with unit_of_work(databases, vendor_id) as work:
            taken = callbacks.next_callback(work, now=now)
            if taken is None:
                return False
            intent, verdict = _settle(work, taken, now=now)
            if verdict is Verdict.EARLY:
                callbacks.set_aside(work, taken.id, try_again_at=now + LOOK_AGAIN_AFTER)
            else:
                callbacks.judge_callback(work, taken, verdict=verdict, now=now)
    except Broken:
        if taken is not None:
            with unit_of_work(databases, vendor_id) as work:
                callbacks.set_aside(work, taken.id, try_again_at=now + TRY_AGAIN_AFTER)
        raise
    level = log.warning if verdict in ALARMS else log.info
    level("callback_settled", verdict=str(verdict), **intent.log_ids)
    return True


def judge(result: StkResult | None, intent: Intent, *, now: datetime, speaks_of_another: bool) -> Verdict:
    """Judge a callback against what is known of the intent. Pure; CLAIMED here still needs a receipt nobody else has."""
    if result is None:
        return Verdict.UNREADABLE
    if speaks_of_another or not _same_prompt(result, intent):
        return Verdict.MISMATCH
    match meaning_of(result.code).outcome:
        case Outcome.PENDING:
            return Verdict.PENDING
        case Outcome.REVIEW:
            return _judge_other(intent, Verdict.UNKNOWN_RESULT)
        case Outcome.PAID:
            return _judge_success(result, intent, now=now)
        case Outcome.CANCELLED | Outcome.TIMED_OUT | Outcome.NO_FUNDS | Outcome.WRONG_PIN | Outcome.FAILED:
            return _judge_other(intent, Verdict.FAILED)


def _judge_success(result: StkResult, intent: Intent, *, now: datetime) -> Verdict:
    if result.receipt is None:
        return Verdict.RECEIPT_MALFORMED
    if result.amount != intent.amount:
        return Verdict.AMOUNT_MISMATCH
    if intent.status is IntentStatus.PAID and intent.receipt is None:
        return Verdict.RECEIPT_ADDED
    if intent.status is IntentStatus.PAID:
        return Verdict.DUPLICATE if intent.receipt == result.receipt else Verdict.SECOND_RECEIPT
    if intent.attempt.claim is not None:
        return Verdict.DUPLICATE if intent.attempt.claim.receipt == result.receipt else Verdict.SECOND_RECEIPT
    sent_at = intent.attempt.dispatched_at
    if intent.attempt.status is AttemptStatus.DISPATCHED and sent_at is not None and now - sent_at < ANSWER_COMES:
        return Verdict.EARLY
    return Verdict.CLAIMED


def _judge_other(intent: Intent, verdict: Verdict) -> Verdict:
    """Judge what is no success: it counts only while nothing better is known."""
    if intent.attempt.claim is not None and intent.status is not IntentStatus.PAID:
        return Verdict.CONTRADICTION
    match intent.status:
        case IntentStatus.PROCESSING:
            return verdict
        case IntentStatus.NEEDS_REVIEW:
            return verdict if intent.reason == conclusions.NO_ANSWER else Verdict.UNDER_REVIEW
        case IntentStatus.PAID:
            return Verdict.IGNORED_AFTER_PAID
        case IntentStatus.CONSENTED | IntentStatus.FAILED | IntentStatus.EXPIRED | IntentStatus.CANCELLED:
            return Verdict.DUPLICATE


def _same_prompt(result: StkResult, intent: Intent) -> bool:
    known = intent.attempt
    if not result.checkout_request_id:
        return False
    return known.checkout_request_id in (None, result.checkout_request_id) and known.merchant_request_id in (
        None,
        result.merchant_request_id,
    )


def _settle(work: Work, callback: Callback, *, now: datetime) -> tuple[Intent, Verdict]:
    intent = store.lock(work, callback.intent_id)
    result = parse_callback(callback.body)
    verdict = judge(result, intent, now=now, speaks_of_another=result is not None and _speaks_of_another(work, intent, result))
    if result is not None:
        verdict = _apply(work, intent, result, verdict, now=now)
    if verdict is Verdict.EARLY:
        return intent, verdict
    told: dict[str, JSON] = {"callback": callback.id, "verdict": str(verdict), "result_code": result.code if result else None}
    note(work, intent.id, "callback_judged", told, now=now)
    if verdict in DOUBTS:
        why = meaning_of(result.code).why if result is not None and verdict is Verdict.UNKNOWN_RESULT else Why.UNKNOWN
        conclusions.doubt(work, intent, reason=verdict, why=why, now=now)
    return intent, verdict


def _apply(work: Work, intent: Intent, result: StkResult, verdict: Verdict, *, now: datetime) -> Verdict:
    if verdict is Verdict.SECOND_RECEIPT and result.receipt is not None and intent.attempt.claim is None:
        return _claim_again(work, intent, result, result.receipt, now=now)
    if verdict is Verdict.CLAIMED and result.receipt is not None:
        # Money that was reported without an account may be this prompt's own: it is taken over when the query confirms.
        if money.standing_of(work, result.receipt) is Standing.TAKEN:
            return Verdict.RECEIPT_TAKEN
        _fill_ids(work, intent, result)
        if names_another_phone(result.payer, intent.msisdn):
            note(work, intent.id, "payer_is_another_phone", {}, now=now)
        attempts.claim(work, intent, receipt=result.receipt, payer=result.payer, now=now)
        return verdict
    if verdict is Verdict.RECEIPT_ADDED and result.receipt is not None:
        added = money.add_receipt(
            work, intent, receipt=result.receipt, payer=result.payer, confirmed_by="callback+query", now=now
        )
        return Verdict.RECEIPT_ADDED if added else Verdict.RECEIPT_TAKEN
    if verdict is Verdict.FAILED:
        _fill_ids(work, intent, result)
        conclusions.not_paid(
            work,
            intent,
            why=meaning_of(result.code).why,
            intent_event=IntentEvent.REFUSE,
            attempt_event=AttemptEvent.REFUSE,
            result=Result(code=result.code, desc=result.desc, source="callback"),
            now=now,
        )
    return verdict


def _claim_again(work: Work, intent: Intent, result: StkResult, receipt: str, *, now: datetime) -> Verdict:
    """Let a query confirm the receipt of a prompt whose intent was paid otherwise: by hand, or by a person's word."""
    if money.standing_of(work, receipt) is Standing.TAKEN:
        return Verdict.DUPLICATE
    _fill_ids(work, intent, result)
    attempts.claim(work, intent, receipt=receipt, payer=result.payer, now=now)
    return Verdict.SECOND_RECEIPT


def _fill_ids(work: Work, intent: Intent, result: StkResult) -> None:
    """Write Daraja's ids where they are not known: when the push's own answer was lost, they can only come from here."""
    attempts.fill_ids(
        work, intent, checkout_request_id=result.checkout_request_id, merchant_request_id=result.merchant_request_id
    )


def _speaks_of_another(work: Work, intent: Intent, result: StkResult) -> bool:
    return callbacks.is_of_another(
        work, intent, checkout_request_id=result.checkout_request_id, merchant_request_id=result.merchant_request_id
    )
