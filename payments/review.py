"""What a person decides about a payment that the machine may not: listed, read, and ended as paid or as failed, with a reason."""

import re
from datetime import datetime
from typing import Final

from payments import conclusions
from payments.result_codes import Why
from router.errors import Refused
from router.ids import IntentId
from router.payment_intents import attempts, store
from router.payment_intents.status import AttemptEvent, AttemptStatus, IntentEvent, IntentStatus
from router.payment_intents.store import Intent, Result
from router.payment_intents.trail import note
from router.work import Work

_RECEIPT: Final = re.compile(r"[A-Z0-9]{8,12}")


def decide_paid(work: Work, intent_id: IntentId, *, receipt: str, actor: str, reason: str, now: datetime) -> None:
    """End a review with money. `receipt` is what the vendor reads in M-Pesa's statement.

    Refused: not_under_review; receipt_malformed; receipt_taken, when the receipt stands for another payment.
    """
    intent = _lock_reviewed(work, intent_id)
    if not _RECEIPT.fullmatch(receipt):
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


def _lock_reviewed(work: Work, intent_id: IntentId) -> Intent:
    if store.get(work, intent_id) is None:
        raise Refused("not_under_review", f"there is no payment {intent_id} at this vendor")
    intent = store.lock(work, intent_id)
    if intent.status is not IntentStatus.NEEDS_REVIEW:
        raise Refused(
            "not_under_review", f"the payment {intent_id} is {intent.status}: only a payment under review is decided by hand"
        )
    return intent
