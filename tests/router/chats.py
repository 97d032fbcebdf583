"""A conversation to hang rows on, in tests of what belongs to one."""

from datetime import datetime

from router import conversations, customers
from router.conversations import Conversation
from router.ids import OrderId
from router.work import Work


def open_chat(work: Work, now: datetime, phone: str = "254700000001") -> Conversation:
    """Return the conversation of this phone's owner, locked."""
    customer = customers.recognise(work, phone=phone, bsuid=None, name=None, now=now)
    return conversations.lock(work, customer_id=customer.id, phone_number_id="100000000000001", now=now)


def give_money(work: Work, order_id: OrderId, now: datetime) -> None:
    """Put a payment under an order, so that it may be PAID."""
    values = {"vendor_id": work.vendor_id, "order_id": order_id, "receipt": order_id.hex[:12].upper(), "now": now}
    work.conn.execute(
        "INSERT INTO vendor_shortcodes"
        " (vendor_id, id, kind, business_shortcode, party_b, environment, secret_ref, created_at)"
        " VALUES (%(vendor_id)s, %(vendor_id)s, 'paybill', '174379', '174379', 'sandbox', 'env:X', %(now)s)"
        " ON CONFLICT DO NOTHING",
        values,
    )
    work.conn.execute(
        "INSERT INTO payments (vendor_id, id, order_id, shortcode_id, amount, receipt, confirmed_by, paid_at)"
        " VALUES (%(vendor_id)s, gen_random_uuid(), %(order_id)s, %(vendor_id)s, 430, %(receipt)s, 'c2b', %(now)s)",
        values,
    )
