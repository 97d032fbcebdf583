"""Asking the customer's phone for money, and asking M-Pesa what became of it."""

from typing import Final, assert_never
from uuid import UUID

from conversation.engine.catalogue import CallSpec, ConsentSpec, EventSpec, Outcome
from conversation.engine.types import STRING, Fields, OneOf, OrNone
from conversation.services.declare import Id, Money, Phone, Shape, fields_of, service
from conversation.services.desk import Answer, Desk
from conversation.services.shapes import PushSent
from payments import requests
from router.ids import IntentId, OrderId
from router.wakeups import Job


class PushArgs(Shape):
    """The terms. `amount` in whole shillings."""

    order: Id
    amount: Money
    phone: Phone


class QueryArgs(Shape):
    """Which attempt; None when the order has none."""

    attempt: Id | None


class InUse(Shape):
    """Whether a prompt is open, or a payment of the order is looked at by a person."""

    under_review: bool


def push(desk: Desk, args: PushArgs) -> Answer:
    """Prepare the one prompt that this PAY allows. Rows only; the worker sends it after the commit."""
    if desk.pay_message_id is None:
        return Answer(outcome="refused")
    prepared = requests.prepare(
        desk.work,
        order_id=OrderId(UUID(args.order)),
        customer_id=desk.customer.id,
        amount=args.amount,
        msisdn="".join(char for char in args.phone if char.isdigit()),
        pay_message_id=desk.pay_message_id,
        now=desk.now,
    )
    match prepared:
        case requests.Prepared(intent_id=intent_id):
            value = PushSent(attempt=str(intent_id)).model_dump()
            return Answer(outcome="sent", value=value, wakes=frozenset({Job.PUSH}))
        case requests.Busy(reason=reason):
            under_review = reason is requests.BusyReason.UNDER_REVIEW
            return Answer(outcome="busy", value=InUse(under_review=under_review).model_dump())
        case requests.Refused(reason=requests.RefusedReason.DAILY_LIMIT):
            return Answer(outcome="daily_limit")
        case requests.Refused():
            return Answer(outcome="refused")
        case _:
            assert_never(prepared)


def query(desk: Desk, args: QueryArgs) -> Answer:
    """Tell what is known now. While it is pending, a status query is made due and payments.result brings its answer."""
    if args.attempt is None:
        return Answer(outcome="not_paid", value={"reason": "failed", "why": "failed"})
    known = requests.ask(desk.work, intent_id=IntentId(UUID(args.attempt)), now=desk.now)
    match known:
        case requests.Paid():
            return Answer(outcome="paid")
        case requests.Pending():
            return Answer(outcome="pending", wakes=frozenset({Job.QUERY}))
        case requests.NotPaid(reason=outcome, why=why):
            return Answer(outcome="not_paid", value={"reason": str(outcome), "why": str(why)})
        case _:
            assert_never(known)


PAY: Final = ConsentSpec(
    name="pay",
    means="The customer agrees to be charged this order's total by M-Pesa, now",
    words=("PAY",),
    must_show=("order.total", "customer.phone"),
    unlocks=("payments.stk_push",),
)

WHY: Final = OneOf(values=requests.WHYS)
ENDING: Final = Fields(name="ending", fields={"reason": STRING, "why": WHY})

RESULT: Final = EventSpec(
    name="payments.result",
    key="attempt",
    carries=Fields(name="payments.result", fields={"receipt": OrNone(type=STRING), "why": WHY}),
    outcomes={"paid": "PAID", "cancelled": None, "timed_out": None, "no_funds": None, "wrong_pin": None, "failed": None},
    when_nobody_waits="late_payment",
)

PROGRESS: Final = EventSpec(
    name="payments.progress",
    key="attempt",
    carries=Fields(name="payments.progress", fields={"why": WHY}),
    outcomes=dict.fromkeys(requests.PROGRESS),
    when_nobody_waits="payment_progress",
    last_word=False,
)

_UNPAID: Final = tuple(outcome for outcome in RESULT.outcomes if outcome != "paid")

SERVICES: Final = (
    service(
        CallSpec(
            name="payments.stk_push",
            about="Send the M-Pesa prompt that the customer's PAY allows: once, for this order's total, to this customer's phone",
            takes=fields_of(PushArgs, "args").fields,
            returns=fields_of(PushSent, "push"),
            moves_money=True,
            consent="pay",
            must_equal={"order": "order.id", "amount": "order.total", "phone": "customer.phone"},
            outcomes={
                "sent": Outcome(name="sent", continues=True, orders=("CONFIRMED",)),
                "busy": Outcome(name="busy", orders=("CONFIRMED",), carries=fields_of(InUse, "in_use")),
                "refused": Outcome(name="refused"),
                "daily_limit": Outcome(name="daily_limit"),
                "unknown": Outcome(name="unknown", orders=("CONFIRMED",), then="payments.query"),
            },
        ),
        PushArgs,
        push,
    ),
    service(
        CallSpec(
            name="payments.query",
            about="What is known of an attempt now; pending: the answer comes as payments.result",
            takes=fields_of(QueryArgs, "args").fields,
            returns=None,
            asks_about="payments.result",
            outcomes={
                "paid": Outcome(name="paid", continues=True, orders=("CONFIRMED", "PAID"), becomes="PAID", settles=("paid",)),
                "pending": Outcome(name="pending", orders=("CONFIRMED",)),
                "not_paid": Outcome(name="not_paid", carries=ENDING, settles=_UNPAID),
            },
        ),
        QueryArgs,
        query,
    ),
)
