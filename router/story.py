"""One order as its people lived it: the order, the money, the chat. For operators and for the demo."""

from dataclasses import dataclass
from typing import Final

from psycopg.rows import DictRow

from router.work import Work

ORDER: Final = """
    SELECT o.id, o.number, o.status, o.total, o.receipt, o.created_at, o.confirmed_at, o.paid_at,
           (SELECT json_agg(json_build_object('qty', l.qty, 'name', l.name, 'total', l.total) ORDER BY l.position)
              FROM order_lines l WHERE l.vendor_id = o.vendor_id AND l.order_id = o.id) AS lines
    FROM orders o JOIN customers c ON c.vendor_id = o.vendor_id AND c.id = o.customer_id
    WHERE o.vendor_id = %(vendor_id)s AND c.phone = ANY(%(phones)s)
    ORDER BY o.created_at DESC LIMIT 1
    """
PAYMENT: Final = """
    SELECT p.receipt, p.amount, p.confirmed_by, p.paid_at, s.party_b AS paid_to, s.kind AS paid_to_kind,
           a.status AS attempt_status, a.created_at AS asked_at, a.dispatched_at
    FROM payments p
    JOIN stk_attempts a ON a.vendor_id = p.vendor_id AND a.intent_id = p.intent_id
    JOIN vendor_shortcodes s ON s.vendor_id = p.vendor_id AND s.id = p.shortcode_id
    WHERE p.vendor_id = %(vendor_id)s AND p.order_id = %(order_id)s
    ORDER BY p.paid_at DESC LIMIT 1
    """
MESSAGES: Final = """
    SELECT m.at, m.direction, m.text, m.status
    FROM message_log m
    JOIN conversations v ON v.vendor_id = m.vendor_id AND v.id = m.conversation_id
    JOIN customers c ON c.vendor_id = v.vendor_id AND c.id = v.customer_id
    WHERE m.vendor_id = %(vendor_id)s AND c.phone = ANY(%(phones)s)
    ORDER BY m.turn, m.direction, m.n
    """


@dataclass(frozen=True, kw_only=True)
class Story:
    """The newest order of a customer, its payment and the whole chat; rows as the statements above shape them."""

    order: DictRow | None
    payment: DictRow | None
    messages: list[DictRow]


def tell(work: Work, *, phone: str) -> Story:
    """Read the story of this customer's newest order. `phone` is 12 digits."""
    about = {"vendor_id": work.vendor_id, "phones": work.databases.forms(phone)}
    order = work.conn.execute(ORDER, about).fetchone()
    payment = None if order is None else work.conn.execute(PAYMENT, {**about, "order_id": order["id"]}).fetchone()
    return Story(order=order, payment=payment, messages=work.conn.execute(MESSAGES, about).fetchall())
