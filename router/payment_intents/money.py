"""Money received: one row for each M-Pesa receipt, and at most one for each intent."""

from datetime import datetime
from typing import Final
from uuid import uuid5

from router.payment_intents.store import Intent
from router.payment_intents.trail import note
from router.work import Work

_ADD_PAYMENT: Final = """
    INSERT INTO payments (vendor_id, id, intent_id, order_id, shortcode_id, amount, receipt, payer, confirmed_by, paid_at)
    VALUES (%(vendor_id)s, %(id)s, %(intent_id)s, %(order_id)s, %(shortcode_id)s, %(amount)s, %(receipt)s, %(payer)s,
            %(confirmed_by)s, %(now)s)
    ON CONFLICT (receipt) DO NOTHING
    """
_ADD_RECEIPT: Final = """
    UPDATE payments SET receipt = %(receipt)s, payer = coalesce(payer, %(payer)s), confirmed_by = 'callback+query'
     WHERE vendor_id = %(vendor_id)s AND intent_id = %(intent_id)s AND receipt IS NULL
       AND NOT is_receipt_known(%(receipt)s)
    """


def has_receipt(work: Work, receipt: str) -> bool:
    """Tell whether a receipt stands for a payment already, whichever channel told of it."""
    row = work.conn.execute("SELECT is_receipt_known(%s) AS known", (receipt,)).fetchone()
    return row is not None and bool(row["known"])


def take_money(work: Work, intent: Intent, *, receipt: str | None, payer: str | None, confirmed_by: str, now: datetime) -> bool:
    """Write the money down, once for each receipt. False: this receipt already stands for another payment."""
    added = work.conn.execute(
        _ADD_PAYMENT,
        {
            "vendor_id": work.vendor_id,
            "id": uuid5(intent.id, "payment"),
            "intent_id": intent.id,
            "order_id": intent.order_id,
            "shortcode_id": intent.shortcode.id,
            "amount": intent.amount,
            "receipt": receipt,
            "payer": payer,
            "confirmed_by": confirmed_by,
            "now": now,
        },
    )
    return added.rowcount == 1


def add_receipt(work: Work, intent: Intent, *, receipt: str, payer: str | None, now: datetime) -> bool:
    """Add the receipt to a payment that a query had confirmed. False: the receipt stands for another payment."""
    row = {"vendor_id": work.vendor_id, "intent_id": intent.id, "receipt": receipt, "payer": payer}
    if work.conn.execute(_ADD_RECEIPT, row).rowcount != 1:
        return False
    note(work, intent.id, "receipt_added", {"receipt": receipt}, now=now)
    return True
