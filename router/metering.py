"""Counting what is used: one record a cause, in the transaction of its effect, so that no retry counts twice."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from router.work import Work

RECORD: Final = """
    INSERT INTO usage_records (vendor_id, meter, category, key, quantity, at) VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT DO NOTHING
    """


class Meter(StrEnum):
    """What is counted; inbox and outbox write the first three in their own statements. STORAGE is in kilobytes, once a day."""

    MESSAGE_IN = "message_in"
    MESSAGE_OUT = "message_out"
    CONVERSATION = "conversation"
    ORDER_CONFIRMED = "order_confirmed"
    ORDER_PAID = "order_paid"
    STK_PUSH = "stk_push"
    PAYMENT = "payment"
    STORAGE = "storage"


def record(work: Work, *, meter: str, key: str, category: str = "", quantity: int = 1, now: datetime) -> None:
    """Count once for ever: `key` names the cause (a message id, an order id)."""
    work.conn.execute(RECORD, (work.vendor_id, meter, category, key, quantity, now))
