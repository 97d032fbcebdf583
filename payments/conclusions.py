"""How a payment intent ends, written down in one transaction: rows, domain event, usage, and news for the conversation.

Whoever learns the end (the push, a callback, a query, the sweep) concludes here, with the intent locked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

import structlog

from payments.result_codes import Outcome, Why, outcome_of
from router import alerts, events, inbox
from router.events import EventType
from router.ids import ConversationId, CustomerId, OrderId
from router.inbox import EntryKind, NewEntry
from router.json_values import JSON
from router.orders import store as orders
from router.payment_intents import money, store
from router.payment_intents.money import NewMoney
from router.payment_intents.reports import Named
from router.payment_intents.status import AttemptEvent, AttemptStatus, IntentEvent, IntentStatus
from router.payment_intents.store import Intent, Result
from router.payment_intents.trail import note
from router.work import Work

log = structlog.get_logger(__name__)

PAY_AT_MOST: Final = timedelta(minutes=5)  # an older PAY is not acted on: the customer has put the phone away
NO_ANSWER: Final = "no_answer"  # the one review that a plain answer of M-Pesa ends
NOT_CONFIRMED: Final = "not_confirmed"  # a callback told of money, and no query has confirmed it
CONTRADICTED: Final = "contradicted"  # a callback told of money, and a query of none
CHECK_AFTER: Final = timedelta(seconds=60)  # a prompt that ended without money is asked about once more
PAID_BY_HAND: Final = "paid_by_hand"
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
    again = money.is_paid_for(work, intent.order_id)
    if not money.take_money(work, intent, receipt=receipt, payer=payer, confirmed_by=confirmed_by, now=now):
        return False
    if intent.attempt.status is AttemptStatus.PREPARED:
        store.move_attempt(work, intent, AttemptEvent.REJECT, error=PAID_BY_HAND, now=now)
    elif intent.attempt.dispatched_at is not None:
        look_again_at = intent.attempt.next_query_at if claims_other_money(intent, receipt) else None
        store.move_attempt(work, intent, AttemptEvent.CONFIRM, result=result, look_again_at=look_again_at, now=now)
    store.move_intent(work, intent, IntentEvent.CONFIRM, reason=intent.reason, now=now)
    data = _told(intent) | {"receipt": receipt}
    close_order(work, intent.order_id, str(intent.id), data, receipt=receipt, again=again, now=now)
    _tell_end(work, intent, Outcome.PAID, why=Why.PAID, receipt=receipt, now=now)
    return True


def paid_again(work: Work, intent: Intent, *, receipt: str, confirmed_by: str, now: datetime) -> bool:
    """Write down a second receipt of a paid intent: no shilling is lost, and the vendor gives it back. False: it is known."""
    second = money.NewMoney(
        shortcode_id=intent.shortcode.id,
        receipt=receipt,
        amount=intent.amount,
        account=intent.account_ref,
        order_id=intent.order_id,
        confirmed_by=confirmed_by,
    )
    if not money.add_money(work, second, now=now):
        return False
    note(work, intent.id, "paid_again", {"receipt": receipt, "confirmed_by": confirmed_by}, now=now)
    data = _told(intent) | {"receipt": receipt}
    events.append(work, type=EventType.PAYMENT_DUPLICATE_PAID, subject=str(intent.id), data=data, now=now)
    return True


def paid_by_hand(work: Work, order: Named, told: NewMoney, *, now: datetime) -> bool:
    """Pay an order with money that no intent of ours asked for. False: its receipt is known."""
    again = money.is_paid_for(work, order.order_id)
    if not money.add_money(work, told, now=now):
        return False
    pay_order(work, order, told.id, receipt=told.receipt, amount=told.amount, account=told.account, again=again, now=now)
    return True


def pay_order(
    work: Work,
    order: Named,
    payment_id: UUID,
    *,
    receipt: str,
    amount: int,
    account: str | None,
    again: bool,
    now: datetime,
    more: Mapping[str, JSON] | None = None,
) -> None:
    """Let written down money pay a locked order, and let its conversation hear of it."""
    data: dict[str, JSON] = {"order_id": str(order.order_id), "amount": amount, "account_ref": account, "receipt": receipt}
    close_order(work, order.order_id, str(payment_id), data | dict(more or {}), receipt=receipt, again=again, now=now)
    whom = _Concerned(key=str(payment_id), customer_id=order.customer_id, conversation_id=order.conversation_id)
    _tell(work, whom, "payments.result", str(Outcome.PAID), {"receipt": receipt, "why": str(Why.PAID)}, now=now)


def close_order(
    work: Work,
    order_id: OrderId,
    subject: str,
    data: Mapping[str, JSON],
    *,
    receipt: str | None,
    again: bool,
    now: datetime,
) -> None:
    """Pay the order if it still waits for that, and tell what came of it; `again`: other money was there before."""
    closes = orders.pay(work, order_id=order_id, receipt=receipt, now=now)
    if closes:
        _withdraw_others(work, order_id, now=now)
    kind = EventType.PAYMENT_CONFIRMED if closes else EventType.PAYMENT_PAID_LATE
    events.append(work, type=kind, subject=subject, data=data, now=now)
    if again:
        events.append(work, type=EventType.PAYMENT_DUPLICATE_PAID, subject=subject, data=data, now=now)


def claims_other_money(intent: Intent, receipt: str | None) -> bool:
    """Tell whether a callback told of another receipt than this one: then the prompt was paid beside it, perhaps."""
    claim = intent.attempt.claim
    return claim is not None and receipt is not None and claim.receipt != receipt


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
    if why is Why.SHOP_SET_UP:
        refused = result.desc if result is not None else error or str(why)
        log.warning("shop_set_up_refused", vendor_id=str(work.vendor_id), why=refused, **intent.log_ids)
        alerts.payments_stopped(work, number=intent.account_ref, why=refused, now=now)


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


def _withdraw_others(work: Work, order_id: OrderId, *, now: datetime) -> None:
    for other_id, status in store.list_intents(work, order_id):
        if status is IntentStatus.CONSENTED:
            other = store.lock(work, other_id)
            if other.attempt.status is AttemptStatus.PREPARED:
                withdraw(work, other, now=now)


def _told(intent: Intent) -> dict[str, JSON]:
    return {"order_id": str(intent.order_id), "amount": intent.amount, "account_ref": intent.account_ref}


@dataclass(frozen=True, kw_only=True)
class _Concerned:
    """Whom news concerns. `key` is the intent's id, or the payment's where there is no intent."""

    key: str
    customer_id: CustomerId
    conversation_id: ConversationId | None


def tell_progress(work: Work, intent: Intent, progress: Progress, *, now: datetime, why: Why = Why.UNKNOWN) -> None:
    """Let the conversation hear how a prompt stands whose end nobody knows yet; each kind once a payment."""
    _tell(work, _concerned(intent), "payments.progress", str(progress), {"why": str(why)}, now=now)


def _tell_end(work: Work, intent: Intent, outcome: Outcome, *, why: Why, receipt: str | None, now: datetime) -> None:
    # The end of a review is news, also where it is the end that was told before the review began.
    again = ":reviewed" if intent.status is IntentStatus.NEEDS_REVIEW else ""
    carries: dict[str, JSON] = {"receipt": receipt, "why": str(why)}
    _tell(work, _concerned(intent), "payments.result", str(outcome), carries, again=again, now=now)


def _concerned(intent: Intent) -> _Concerned:
    return _Concerned(key=str(intent.id), customer_id=intent.customer_id, conversation_id=intent.conversation_id)


def _tell(
    work: Work, whom: _Concerned, name: str, outcome: str, carries: Mapping[str, JSON], *, now: datetime, again: str = ""
) -> None:
    inbox.accept(
        work,
        NewEntry(
            kind=EntryKind.EVENT,
            source_id=f"{name}:{whom.key}:{outcome}{again}",
            body={"name": name, "key": whom.key, "outcome": outcome, "carries": carries},
            text=None,
            received_at=now,
            customer_id=whom.customer_id,
            conversation_id=whom.conversation_id,
        ),
    )
