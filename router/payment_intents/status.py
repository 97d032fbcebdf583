"""The two lives of a payment: what we want (the intent) and what we did (its one attempt). Everything that may change is here.

The triggers in migrations/ops/versions/0002_payments.py repeat both tables, and a test compares them pair by pair.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from router.errors import Broken


class IntentStatus(StrEnum):
    """Where a payment intent stands. It is born consented: by the customer's PAY, and by nothing else."""

    CONSENTED = "consented"
    PROCESSING = "processing"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    NEEDS_REVIEW = "needs_review"


class IntentEvent(StrEnum):
    """What can happen to a payment intent."""

    DISPATCH = "dispatch"
    CONFIRM = "confirm"
    REFUSE = "refuse"
    EXPIRE = "expire"
    WITHDRAW = "withdraw"
    DOUBT = "doubt"


class AttemptStatus(StrEnum):
    """Where the one prompt of an intent stands. Nothing leads back to prepared or dispatched."""

    PREPARED = "prepared"
    DISPATCHED = "dispatched"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    AMBIGUOUS = "ambiguous"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNRESOLVED = "unresolved"


class AttemptEvent(StrEnum):
    """What can happen to an attempt."""

    DISPATCH = "dispatch"
    ACCEPT = "accept"
    REJECT = "reject"
    LOSE = "lose"
    CONFIRM = "confirm"
    REFUSE = "refuse"
    GIVE_UP = "give_up"


_I, _D = IntentStatus, IntentEvent
NEXT_INTENT: Final[Mapping[tuple[IntentStatus, IntentEvent], IntentStatus]] = {
    (_I.CONSENTED, _D.DISPATCH): _I.PROCESSING,  # in the commit that stamps the attempt, before the one POST
    (_I.CONSENTED, _D.REFUSE): _I.FAILED,  # the vendor's secrets cannot be opened: nothing was sent
    (_I.CONSENTED, _D.EXPIRE): _I.EXPIRED,  # the PAY is too old to act on
    (_I.CONSENTED, _D.WITHDRAW): _I.CANCELLED,  # the order was cancelled or paid before the prompt left
    (_I.CONSENTED, _D.CONFIRM): _I.PAID,  # paid by hand before the prompt left
    (_I.PROCESSING, _D.CONFIRM): _I.PAID,
    (_I.PROCESSING, _D.REFUSE): _I.FAILED,
    (_I.PROCESSING, _D.DOUBT): _I.NEEDS_REVIEW,
    (_I.NEEDS_REVIEW, _D.CONFIRM): _I.PAID,
    (_I.NEEDS_REVIEW, _D.REFUSE): _I.FAILED,
    (_I.FAILED, _D.CONFIRM): _I.PAID,  # a late success: the money did move
    (_I.FAILED, _D.DOUBT): _I.NEEDS_REVIEW,
    (_I.EXPIRED, _D.CONFIRM): _I.PAID,
    (_I.CANCELLED, _D.CONFIRM): _I.PAID,
}

_A, _E = AttemptStatus, AttemptEvent
NEXT_ATTEMPT: Final[Mapping[tuple[AttemptStatus, AttemptEvent], AttemptStatus]] = {
    (_A.PREPARED, _E.DISPATCH): _A.DISPATCHED,  # committed before we call: a crash can never cause a second prompt
    (_A.PREPARED, _E.REJECT): _A.REJECTED,
    (_A.DISPATCHED, _E.ACCEPT): _A.ACCEPTED,
    (_A.DISPATCHED, _E.REJECT): _A.REJECTED,
    (_A.DISPATCHED, _E.LOSE): _A.AMBIGUOUS,  # silence is not a refusal: ask, never push again
    (_A.DISPATCHED, _E.CONFIRM): _A.SUCCEEDED,  # a callback can be here before the answer to our POST
    (_A.DISPATCHED, _E.REFUSE): _A.FAILED,
    (_A.ACCEPTED, _E.CONFIRM): _A.SUCCEEDED,
    (_A.ACCEPTED, _E.REFUSE): _A.FAILED,
    (_A.ACCEPTED, _E.GIVE_UP): _A.UNRESOLVED,
    (_A.AMBIGUOUS, _E.ACCEPT): _A.ACCEPTED,  # the answer came after the sweep had given it up
    (_A.AMBIGUOUS, _E.CONFIRM): _A.SUCCEEDED,
    (_A.AMBIGUOUS, _E.REFUSE): _A.FAILED,
    (_A.AMBIGUOUS, _E.GIVE_UP): _A.UNRESOLVED,
    (_A.UNRESOLVED, _E.CONFIRM): _A.SUCCEEDED,
    (_A.UNRESOLVED, _E.REFUSE): _A.FAILED,
    (_A.FAILED, _E.CONFIRM): _A.SUCCEEDED,
    (_A.REJECTED, _E.CONFIRM): _A.SUCCEEDED,
}

LIVE: Final = frozenset({IntentStatus.CONSENTED, IntentStatus.PROCESSING})


def advance_intent(status: IntentStatus, event: IntentEvent) -> IntentStatus:
    """Give the status after an event. Broken: the table has no such move."""
    found = NEXT_INTENT.get((status, event))
    if found is None:
        raise Broken(f"a payment intent that is {status} cannot take {event}: see router/payment_intents/status.py")
    return found


def advance_attempt(status: AttemptStatus, event: AttemptEvent) -> AttemptStatus:
    """Give the status after an event. Broken: the table has no such move."""
    found = NEXT_ATTEMPT.get((status, event))
    if found is None:
        raise Broken(f"an attempt that is {status} cannot take {event}: see router/payment_intents/status.py")
    return found
