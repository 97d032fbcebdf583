"""Domain events: past-tense facts, written in the transaction that made them true."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from router.json_values import JSON, to_jsonb
from router.work import Work

APPEND: Final = "INSERT INTO domain_events (vendor_id, type, subject, data, at) VALUES (%s, %s, %s, %s, %s)"


class EventType(StrEnum):
    """Every fact there is; `subject` is the id of the order, the intent, the payment, the conversation or the customer."""

    ORDER_PLACED = "order_placed"
    ORDER_CONFIRMED = "order_confirmed"
    ORDER_PAID = "order_paid"
    ORDER_CANCELLED = "order_cancelled"
    PAYMENT_CONFIRMED = "payment_confirmed"
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_PAID_LATE = "payment_paid_late"
    PAYMENT_DUPLICATE_PAID = "payment_duplicate_paid"
    PAYMENT_NEEDS_REVIEW = "payment_needs_review"
    PAYMENT_UNMATCHED = "payment_unmatched"
    HANDOFF_REQUESTED = "handoff_requested"
    METRIC_EMITTED = "metric_emitted"
    CUSTOMER_ERASED = "customer_erased"


def append(work: Work, *, type: EventType, subject: str, data: Mapping[str, JSON], now: datetime) -> None:  # noqa: A002
    """Write a fact down. The table is append-only."""
    work.conn.execute(APPEND, (work.vendor_id, EventType(type), subject, to_jsonb(data), now))
