"""What happened, counted again from the rows themselves: usage must be equal to it, every day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, LiteralString

from router.metering import Meter
from router.usage.days import start_of
from router.work import Work

COUNTED: Final = """
    SELECT meter, sum(quantity)::bigint AS quantity FROM usage_records WHERE vendor_id = %s AND day = %s GROUP BY meter
    """
HAPPENED: Final[Mapping[Meter, LiteralString]] = {
    Meter.MESSAGE_IN: """
        SELECT count(*) AS n FROM inbox
        WHERE vendor_id = %(vendor_id)s AND kind = 'message' AND received_at >= %(start)s AND received_at < %(end)s""",
    Meter.CONVERSATION: """
        SELECT count(DISTINCT conversation_id) AS n FROM inbox
        WHERE vendor_id = %(vendor_id)s AND kind = 'message' AND received_at >= %(start)s AND received_at < %(end)s""",
    Meter.MESSAGE_OUT: """
        SELECT count(*) AS n FROM outbox WHERE vendor_id = %(vendor_id)s AND created_at >= %(start)s AND created_at < %(end)s""",
    Meter.ORDER_CONFIRMED: """
        SELECT count(*) AS n FROM orders
        WHERE vendor_id = %(vendor_id)s AND confirmed_at >= %(start)s AND confirmed_at < %(end)s""",
    Meter.ORDER_PAID: """
        SELECT count(*) AS n FROM orders WHERE vendor_id = %(vendor_id)s AND paid_at >= %(start)s AND paid_at < %(end)s""",
    Meter.STK_PUSH: """
        SELECT count(*) AS n FROM stk_attempts
        WHERE vendor_id = %(vendor_id)s AND dispatched_at >= %(start)s AND dispatched_at < %(end)s""",
    Meter.PAYMENT: """
        SELECT count(*) AS n FROM payments
        WHERE vendor_id = %(vendor_id)s AND paid_at >= %(start)s AND paid_at < %(end)s""",
}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A meter of a day that does not say what happened."""

    meter: str
    counted: int
    happened: int


def compare(work: Work, day: date) -> list[Difference]:
    """List the meters of one Nairobi day that are not equal to what happened; storage is measured, so nothing is equal to it."""
    values = {"vendor_id": work.vendor_id, "start": start_of(day), "end": start_of(day + timedelta(days=1))}
    counted = {row["meter"]: row["quantity"] for row in work.conn.execute(COUNTED, (work.vendor_id, day))}
    happened: dict[str, int] = {meter.value: 0 for meter in Meter if meter is not Meter.STORAGE}
    for meter, statement in HAPPENED.items():
        row = work.conn.execute(statement, values).fetchone()
        happened[meter.value] = 0 if row is None else row["n"]
    return [
        Difference(meter=meter, counted=counted.get(meter, 0), happened=happened.get(meter, 0))
        for meter in sorted({*counted, *happened} - {Meter.STORAGE.value})
        if counted.get(meter, 0) != happened.get(meter, 0)
    ]
