"""What only a person decides about money: that a payment under review came or did not, and which order unmatched money is for."""

from datetime import datetime

from payments import conclusions
from payments.callback import RECEIPT
from payments.result_codes import Why
from router.errors import Refused
from router.ids import IntentId
from router.orders.status import OrderStatus
from router.payment_intents import attempts, money, reports, store
from router.payment_intents.status import AttemptEvent, AttemptStatus, IntentEvent, IntentStatus
from router.payment_intents.store import Intent, Result
from router.payment_intents.trail import note
from router.work import Work


def decide_paid(work: Work, intent_id: IntentId, *, receipt: str, actor: str, reason: str, now: datetime) -> None:
    """End a review with money. `receipt` is what the vendor reads in M-Pesa's statement.

    Refused: not_under_review; receipt_malformed; receipt_taken, when the receipt stands for another payment.
    """
    intent = _lock_reviewed(work, intent_id)
    if not RECEIPT.fullmatch(receipt):
        raise Refused("receipt_malformed", f"{receipt!r} is no M-Pesa receipt: those have 8 to 12 capital letters and digits")
    note(work, intent_id, "decided_paid", {"actor": actor, "reason": reason, "receipt": receipt}, now=now)
    result = Result(code="operator", desc=reason, source="operator")
    if not conclusions.paid(work, intent, receipt=receipt, payer=None, confirmed_by="operator", result=result, now=now):
        raise Refused("receipt_taken", f"the receipt {receipt} already stands for another payment")


def decide_failed(work: Work, intent_id: IntentId, *, actor: str, reason: str, now: datetime) -> None:
    """End a review without money. A success that M-Pesa tells of later is honoured all the same.

    Refused: not_under_review
    """
    intent = _lock_reviewed(work, intent_id)
    note(work, intent_id, "decided_failed", {"actor": actor, "reason": reason}, now=now)
    ended = intent.attempt.status in (AttemptStatus.FAILED, AttemptStatus.REJECTED)
    conclusions.not_paid(
        work,
        intent,
        why=Why.NO_PAYMENT,
        intent_event=IntentEvent.REFUSE,
        attempt_event=None if ended else AttemptEvent.REFUSE,
        result=Result(code="operator", desc=reason, source="operator"),
        now=now,
    )
    attempts.ask_no_more(work, intent)


def assign(
    work: Work, receipt: str, order_number: str, *, actor: str, reason: str, accept_difference: bool, now: datetime
) -> None:
    """Give money that nobody could match to the order it is for. The order is paid by it, if it waits for that.

    `accept_difference`: also when the amounts differ. Refused: not_unmatched, unknown_order, order_not_confirmed, amount_differs
    """
    order = reports.find_named(work, order_number, lock=True)
    if order is None:
        raise Refused("unknown_order", f"this vendor has no order {order_number}")
    found = money.lock_unmatched(work, receipt)
    if found is None:
        raise Refused("not_unmatched", f"{receipt} is not among the unmatched money: see `soko payment unmatched`")
    if order.status is OrderStatus.DRAFT:
        raise Refused("order_not_confirmed", f"the order {order_number} is not confirmed: its customer may still change it")
    if found.amount != order.total and not accept_difference:
        fix = "--accept-difference takes it all the same"
        raise Refused("amount_differs", f"the order {order_number} is for KES {order.total}, not {found.amount}: {fix}")
    again = money.is_paid_for(work, order.order_id)
    money.assign(work, found, order.order_id, actor=actor, reason=reason)
    conclusions.pay_order(
        work,
        order,
        found.id,
        receipt=receipt,
        amount=found.amount,
        account=found.account,
        again=again,
        now=now,
        more={"assigned_by": actor, "assigned_because": reason},
    )
    for intent_id, status in store.list_intents(work, order.order_id):
        if status is IntentStatus.NEEDS_REVIEW:  # answered with this money: nobody has to decide it any more
            store.move_intent(work, store.lock(work, intent_id), IntentEvent.REFUSE, reason=conclusions.PAID_BY_HAND, now=now)


def _lock_reviewed(work: Work, intent_id: IntentId) -> Intent:
    if store.get(work, intent_id) is None:
        raise Refused("not_under_review", f"there is no payment {intent_id} at this vendor")
    intent = store.lock(work, intent_id)
    if intent.status is not IntentStatus.NEEDS_REVIEW:
        raise Refused(
            "not_under_review", f"the payment {intent_id} is {intent.status}: only a payment under review is decided by hand"
        )
    return intent
