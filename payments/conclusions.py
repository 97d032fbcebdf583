"""How a payment intent ends, written down in one transaction: rows, domain event, usage, and news for the conversation.

Whoever learns the end (the push, a callback, a query, the sweep) concludes here, with the intent locked.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from payments.result_codes import Outcome, Why, outcome_of
from router import events, inbox, metering
from router.events import EventType
from router.inbox import EntryKind, NewEntry
from router.json_values import JSON
from router.orders import store as orders
from router.payment_intents import money, store
from router.payment_intents.status import AttemptEvent, AttemptStatus, IntentEvent, IntentStatus
from router.payment_intents.store import Intent, Result
from router.payment_intents.trail import note
from router.work import Work

PAY_AT_MOST: Final = timedelta(minutes=5)  # an older PAY is not acted on: the customer has put the phone away
NO_ANSWER: Final = "no_answer"  # the one review that a plain answer of M-Pesa ends
NOT_CONFIRMED: Final = "not_confirmed"  # a callback told of money, and no query has confirmed it
CONTRADICTED: Final = "contradicted"  # a callback told of money, and a query of none
CHECK_AFTER: Final = timedelta(seconds=60)  # a prompt that ended without money is asked about once more
_ORDER_CLOSED: Final = "order_closed"


class Progress(StrEnum):
    """How a prompt stands whose end nobody knows: what the customer hears meanwhile."""

    PHONE_BUSY = "phone_busy"  # it waits: the phone shows another prompt
    SAME_AMOUNT = "same_amount"  # it waits: M-Pesa refuses the same amount within two minutes
    MPESA_BUSY = "mpesa_busy"  # it waits: M-Pesa takes no more calls now, or gives no token
    UNCLEAR = "unclear"  # M-Pesa did not say whether the prompt went out, or whether an earlier one of the order was paid
    REVIEW = "review"  # a person looks at it


def paid(
    work: Work, intent: Intent, *, receipt: str | None, payer: str | None, confirmed_by: str, result: Result, now: datetime
) -> bool:
    """Write the money down, and pay the order with it. False, and nothing moved: the receipt stands for another payment.

    Money for an order that is no longer CONFIRMED is money all the same: it is kept, and told as paid late. Money for an order
    that another payment has paid is told as paid twice as well: the vendor gives it back.
    """
    if not money.take_money(work, intent, receipt=receipt, payer=payer, confirmed_by=confirmed_by, now=now):
        return False
    store.move_attempt(work, intent, AttemptEvent.CONFIRM, result=result, now=now)
    store.move_intent(work, intent, IntentEvent.CONFIRM, reason=intent.reason, now=now)
    earlier = [status for other, status in store.list_intents(work, intent.order_id) if other != intent.id]
    closes_order = orders.pay(work, order_id=intent.order_id, receipt=receipt, now=now)
    if closes_order:
        _withdraw_others(work, intent, now=now)
    events.append(
        work,
        type=EventType.PAYMENT_CONFIRMED if closes_order else EventType.PAYMENT_PAID_LATE,
        subject=str(intent.id),
        data=_told(intent) | {"receipt": receipt},
        now=now,
    )
    if IntentStatus.PAID in earlier:
        data = _told(intent) | {"receipt": receipt}
        events.append(work, type=EventType.PAYMENT_DUPLICATE_PAID, subject=str(intent.id), data=data, now=now)
    metering.record(work, meter="payment", key=str(intent.id), now=now)
    _tell_end(work, intent, Outcome.PAID, why=Why.PAID, receipt=receipt, now=now)
    return True


def not_paid(
    work: Work,
    intent: Intent,
    *,
    why: Why,
    intent_event: IntentEvent,
    attempt_event: AttemptEvent | None,
    now: datetime,
    result: Result | None = None,
    error: str | None = None,
) -> None:
    """End an intent without money. A late success may still turn it into a paid one.

    `attempt_event` is None where the prompt itself has ended before.
    """
    outcome = outcome_of(why)
    check_at = now + CHECK_AFTER if attempt_event is AttemptEvent.REFUSE else None
    if attempt_event is not None:
        store.move_attempt(work, intent, attempt_event, result=result, error=error, look_again_at=check_at, now=now)
    store.move_intent(work, intent, intent_event, reason=str(why), now=now)
    data = _told(intent) | {"outcome": str(outcome), "why": str(why), "error": error}
    events.append(work, type=EventType.PAYMENT_FAILED, subject=str(intent.id), data=data, now=now)
    _tell_end(work, intent, outcome, why=why, receipt=None, now=now)


def expire(work: Work, intent: Intent, *, now: datetime) -> None:
    """End an intent whose PAY is too old to act on. Nothing was sent."""
    not_paid(
        work,
        intent,
        why=Why.TOO_LATE,
        intent_event=IntentEvent.EXPIRE,
        attempt_event=AttemptEvent.REJECT,
        error="not_sent",
        now=now,
    )


def withdraw(work: Work, intent: Intent, *, now: datetime) -> None:
    """End an intent whose order was closed before the prompt left. The conversation closed the order, so it knows."""
    store.move_attempt(work, intent, AttemptEvent.REJECT, error=_ORDER_CLOSED, now=now)
    store.move_intent(work, intent, IntentEvent.WITHDRAW, reason=_ORDER_CLOSED, now=now)


def doubt(work: Work, intent: Intent, *, reason: str, now: datetime, why: Why = Why.UNKNOWN) -> None:
    """Hand an intent to a person. The customer is told to wait, and not that the payment failed, because nobody knows."""
    match intent.status:
        case IntentStatus.PROCESSING | IntentStatus.FAILED:
            store.move_intent(work, intent, IntentEvent.DOUBT, reason=reason, now=now)
            data = _told(intent) | {"reason": reason}
            events.append(work, type=EventType.PAYMENT_NEEDS_REVIEW, subject=str(intent.id), data=data, now=now)
            tell_progress(work, intent, Progress.REVIEW, why=why, now=now)
        case IntentStatus.NEEDS_REVIEW:
            store.change_doubt(work, intent, reason=reason, now=now)
        case _:
            note(work, intent.id, "doubt", {"reason": reason, "status": str(intent.status)}, now=now)


def _withdraw_others(work: Work, intent: Intent, *, now: datetime) -> None:
    for other_id, status in store.list_intents(work, intent.order_id):
        if other_id != intent.id and status is IntentStatus.CONSENTED:
            other = store.lock(work, other_id)
            if other.attempt.status is AttemptStatus.PREPARED:
                withdraw(work, other, now=now)


def _told(intent: Intent) -> dict[str, JSON]:
    return {"order_id": str(intent.order_id), "amount": intent.amount, "account_ref": intent.account_ref}


def tell_progress(work: Work, intent: Intent, progress: Progress, *, now: datetime, why: Why = Why.UNKNOWN) -> None:
    """Let the conversation hear how a prompt stands whose end nobody knows yet; each kind once a payment."""
    _tell(work, intent, "payments.progress", str(progress), {"why": str(why)}, now=now)


def _tell_end(work: Work, intent: Intent, outcome: Outcome, *, why: Why, receipt: str | None, now: datetime) -> None:
    # The end of a review is news, also where it is the end that was told before the review began.
    again = ":reviewed" if intent.status is IntentStatus.NEEDS_REVIEW else ""
    _tell(work, intent, "payments.result", str(outcome), {"receipt": receipt, "why": str(why)}, again=again, now=now)


def _tell(
    work: Work, intent: Intent, name: str, outcome: str, carries: Mapping[str, JSON], *, now: datetime, again: str = ""
) -> None:
    inbox.accept(
        work,
        NewEntry(
            kind=EntryKind.EVENT,
            source_id=f"{name}:{intent.id}:{outcome}{again}",
            body={"name": name, "key": str(intent.id), "outcome": outcome, "carries": carries},
            text=None,
            received_at=now,
            customer_id=intent.customer_id,
            conversation_id=intent.conversation_id,
        ),
    )
