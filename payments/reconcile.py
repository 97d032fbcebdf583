"""Ask M-Pesa about prompts without a result, and give up what waited too long. Asking is safe to repeat; pushing is not."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, assert_never

import structlog

from payments import conclusions
from payments.conclusions import Progress
from payments.credentials import open_credentials
from payments.daraja import Answered, Daraja, NoAnswer, NotAsked, StkQuestion
from payments.result_codes import Outcome, meaning_of
from payments.settle import Verdict
from router.databases import Databases
from router.errors import Refused, Unavailable
from router.ids import VendorId
from router.payment_intents import attempts, store
from router.payment_intents.status import AttemptEvent, AttemptStatus, IntentEvent, IntentStatus
from router.payment_intents.store import Intent, Result
from router.payment_intents.trail import note
from router.work import Work, unit_of_work

log = structlog.get_logger(__name__)

# When to ask, counted from the dispatch; asking sooner is answered "no such request", or counts against the query limit.
LADDER: Final = (
    timedelta(seconds=60),
    timedelta(seconds=90),
    timedelta(minutes=3),
    timedelta(minutes=6),
    timedelta(minutes=15),
    timedelta(minutes=60),
    timedelta(hours=6),
    timedelta(hours=24),
)
# When to ask about a success that a callback told of, counted from the callback; after the last one a person looks.
CLAIM_LADDER: Final = (
    timedelta(),
    timedelta(seconds=5),
    timedelta(seconds=20),
    timedelta(seconds=60),
    timedelta(minutes=3),
    timedelta(minutes=10),
)
NOT_ASKED_WAIT: Final = timedelta(seconds=15)  # a question that the rate refused goes out then, and costs no step of a ladder
DISPATCHED_AT_MOST: Final = timedelta(minutes=2)  # longer than a push can take: its worker is dead
UNANSWERED_AT_MOST: Final = timedelta(minutes=15)


def query_next(
    databases: Databases, daraja: Daraja, *, vendor_id: VendorId, now: datetime, open_secret: Callable[[str], str]
) -> bool:
    """Send one status query that is due, and conclude what it proves. False when none was due."""
    with unit_of_work(databases, vendor_id) as work:
        found = attempts.next_query(work, now=now)
        if found is None:
            return False
        intent = store.lock(work, found)
        if not _is_due(intent, now):
            return True
        attempts.stamp_query(work, intent, look_again_at=_ask_again_at(intent, now), now=now)
    answer = _ask(daraja, intent, now=now, open_secret=open_secret)
    with unit_of_work(databases, vendor_id) as work:
        _conclude(work, intent, answer, now=now)
    log.info("prompt_queried", answer=str(answer), **intent.log_ids)
    return True


def sweep(work: Work, now: datetime) -> int:
    """Move what stands too long: PAYs nobody acted on, pushes whose worker died, prompts nobody answers. Counts them."""
    stuck = attempts.list_stuck(
        work,
        pay_before=now - conclusions.PAY_AT_MOST,
        dispatched_before=now - DISPATCHED_AT_MOST,
        unanswered_before=now - UNANSWERED_AT_MOST,
    )
    return sum(_move_on(work, store.lock(work, intent_id), now=now) for intent_id in stuck)


def next_step(dispatched_at: datetime | None, now: datetime) -> datetime | None:
    """Give the ladder's next moment after `now`; None after its last."""
    if dispatched_at is None:
        return None
    return next((dispatched_at + step for step in LADDER if dispatched_at + step > now), None)


def look_again_at(intent: Intent, otherwise: datetime) -> datetime:
    """Give the moment of the next look: an answer to our push never puts off the query that confirms a claimed success."""
    due = intent.attempt.next_query_at
    return due if intent.attempt.claim is not None and due is not None else otherwise


def _ask_again_at(intent: Intent, now: datetime) -> datetime | None:
    attempt = intent.attempt
    if attempt.claim is not None:
        claimed_at = attempt.claim.at
        confirming = next((claimed_at + step for step in CLAIM_LADDER if claimed_at + step > now), None)
        return confirming or next_step(attempt.dispatched_at, now)
    return next_step(attempt.dispatched_at, now)


def _is_due(intent: Intent, now: datetime) -> bool:
    attempt = intent.attempt
    asked = attempt.status in (AttemptStatus.ACCEPTED, AttemptStatus.UNRESOLVED, AttemptStatus.FAILED)
    claims = attempt.claim is not None and (
        attempt.status is not AttemptStatus.SUCCEEDED or conclusions.claims_other_money(intent, intent.receipt)
    )
    return (asked or claims) and attempt.next_query_at is not None and attempt.next_query_at <= now


def _ask(daraja: Daraja, intent: Intent, *, now: datetime, open_secret: Callable[[str], str]) -> Answered | NoAnswer | NotAsked:
    try:
        credentials = open_credentials(intent.shortcode.secret_ref, open_secret)
    except (Refused, Unavailable) as error:
        return NoAnswer(reason=str(error))
    question = StkQuestion(
        business_shortcode=intent.shortcode.business_shortcode,
        checkout_request_id=intent.attempt.checkout_request_id or "",
        at=now,
    )
    return daraja.query(question, credentials)


def _conclude(work: Work, asked: Intent, answer: Answered | NoAnswer | NotAsked, *, now: datetime) -> None:
    intent = store.lock(work, asked.id)
    match answer:
        case NotAsked():
            if intent.attempt.status is asked.attempt.status:
                attempts.take_query_back(work, asked, due_at=now + NOT_ASKED_WAIT)
        case NoAnswer(reason=reason):
            note(work, intent.id, "query_unanswered", {"reason": reason}, now=now)
            _give_up_claim(work, intent, now=now)
        case Answered(result_code=code, result_desc=desc):
            note(work, intent.id, "query_answered", {"result_code": code, "result_desc": desc}, now=now)
            if intent.status is IntentStatus.FAILED and meaning_of(code).outcome is not Outcome.PENDING:
                attempts.ask_no_more(work, intent)  # what ended without money is confirmed once, and then left alone
            if intent.status is IntentStatus.PAID:
                _take_second(work, intent, code, now=now)
            elif _is_open(intent) or _proves_late(intent, code):
                _end(work, intent, Result(code=code, desc=desc, source="query"), now=now)
        case _:
            assert_never(answer)


def _is_open(intent: Intent) -> bool:
    """Tell whether a query's answer may end the intent: what a callback has decided, or a person must, is not for a query."""
    match intent.status:
        case IntentStatus.PROCESSING:
            return True
        case IntentStatus.NEEDS_REVIEW:
            return intent.reason in (conclusions.NO_ANSWER, conclusions.NOT_CONFIRMED)
        case IntentStatus.FAILED:
            return intent.attempt.claim is not None
        case IntentStatus.CONSENTED | IntentStatus.PAID | IntentStatus.EXPIRED | IntentStatus.CANCELLED:
            return False


def _proves_late(intent: Intent, code: str) -> bool:
    """Tell whether M-Pesa itself says that money moved where we had given up, or where a callback that agrees told of it."""
    if meaning_of(code).outcome is not Outcome.PAID:
        return False
    claimed = intent.attempt.claim is not None and intent.reason != Verdict.SECOND_RECEIPT
    return intent.status is IntentStatus.FAILED or (intent.status is IntentStatus.NEEDS_REVIEW and claimed)


def _give_up_claim(work: Work, intent: Intent, *, now: datetime) -> None:
    claim = intent.attempt.claim
    if claim is not None and now - claim.at >= CLAIM_LADDER[-1] and _is_open(intent):
        conclusions.doubt(work, intent, reason=conclusions.NOT_CONFIRMED, now=now)


def _end(work: Work, intent: Intent, result: Result, *, now: datetime) -> None:
    meaning, claim = meaning_of(result.code), intent.attempt.claim
    match meaning.outcome:
        case Outcome.PAID:
            _take_money(work, intent, result, now=now)
        case Outcome.CANCELLED | Outcome.TIMED_OUT | Outcome.NO_FUNDS | Outcome.WRONG_PIN | Outcome.FAILED if claim is not None:
            conclusions.doubt(work, intent, reason=conclusions.CONTRADICTED, now=now)
            attempts.ask_no_more(work, intent)
        case Outcome.CANCELLED | Outcome.TIMED_OUT | Outcome.NO_FUNDS | Outcome.WRONG_PIN | Outcome.FAILED:
            conclusions.not_paid(
                work,
                intent,
                why=meaning.why,
                intent_event=IntentEvent.REFUSE,
                attempt_event=AttemptEvent.REFUSE,
                result=result,
                now=now,
            )
        case Outcome.REVIEW:
            conclusions.doubt(work, intent, reason=f"unknown result {result.code}", why=meaning.why, now=now)
        case Outcome.PENDING:
            pass
        case _:
            assert_never(meaning.outcome)


def _take_money(work: Work, intent: Intent, result: Result, *, now: datetime) -> None:
    """Believe M-Pesa's own word about our own CheckoutRequestID: our prompt, our amount.

    A query tells no receipt: it comes from the callback that claimed the money, or from one that follows.
    """
    claim = intent.attempt.claim
    done = conclusions.paid(
        work,
        intent,
        receipt=claim.receipt if claim else None,
        payer=claim.payer if claim else None,
        confirmed_by="callback+query" if claim else "query",
        result=result,
        now=now,
    )
    if not done:
        conclusions.doubt(work, intent, reason=Verdict.RECEIPT_TAKEN, now=now)
        attempts.ask_no_more(work, intent)


def _take_second(work: Work, intent: Intent, code: str, *, now: datetime) -> None:
    """Conclude about the prompt of an intent that was paid otherwise: was its own money moved as well?"""
    outcome, claim = meaning_of(code).outcome, intent.attempt.claim
    if outcome is Outcome.PENDING:
        return
    attempts.ask_no_more(work, intent)
    if outcome is Outcome.PAID and claim is not None and conclusions.claims_other_money(intent, intent.receipt):
        conclusions.paid_again(work, intent, receipt=claim.receipt, confirmed_by="callback+query", now=now)


def _move_on(work: Work, intent: Intent, *, now: datetime) -> bool:
    attempt = intent.attempt
    if attempt.status is AttemptStatus.PREPARED and now - intent.pay_received_at > conclusions.PAY_AT_MOST:
        conclusions.expire(work, intent, now=now)
        return True
    if attempt.dispatched_at is None:
        return False
    waited = now - attempt.dispatched_at
    if attempt.status is AttemptStatus.DISPATCHED and waited >= DISPATCHED_AT_MOST:
        store.move_attempt(
            work,
            intent,
            AttemptEvent.LOSE,
            error="the push was cut off",
            look_again_at=look_again_at(intent, attempt.dispatched_at + UNANSWERED_AT_MOST),
            now=now,
        )
        conclusions.tell_progress(work, intent, Progress.UNCLEAR, now=now)
        return True
    if attempt.status in (AttemptStatus.ACCEPTED, AttemptStatus.AMBIGUOUS) and waited >= UNANSWERED_AT_MOST:
        store.move_attempt(work, intent, AttemptEvent.GIVE_UP, look_again_at=_goes_on(intent, now), now=now)
        conclusions.doubt(work, intent, reason=conclusions.NO_ANSWER, now=now)
        return True
    return False


def _goes_on(intent: Intent, now: datetime) -> datetime | None:
    """Queries go on after we gave up, where there is an id to ask about."""
    if intent.attempt.checkout_request_id is None:
        return None
    return intent.attempt.next_query_at or next_step(intent.attempt.dispatched_at, now)
