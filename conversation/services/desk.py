"""What a service call works with, and what it answers."""

from dataclasses import dataclass, field
from datetime import datetime

from conversation.engine.values import JSON
from router.customers import Customer
from router.ids import ConversationId, OrderId
from router.wakeups import Job
from router.work import Work


@dataclass(frozen=True, kw_only=True)
class Desk:
    """One turn's desk: its transaction, its time, and whose conversation it is.

    order_id        the conversation's order, reserved before its row exists
    pay_message_id  inbox id of the message this turn answers; None for timers and events
    """

    work: Work
    now: datetime
    customer: Customer
    conversation_id: ConversationId
    order_id: OrderId
    pay_message_id: int | None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a call ended. `order_id` is set when the conversation has a new order; `wakes` are jobs for after the commit."""

    outcome: str
    value: JSON = None
    order_id: OrderId | None = None
    wakes: frozenset[Job] = field(default_factory=frozenset)
