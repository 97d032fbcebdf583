"""The SQL of orders. Each change repeats the guard of the table in status.py."""

from typing import Final

LINES: Final = """
    coalesce((SELECT json_agg(json_build_object('position', l.position, 'item_id', l.item_id, 'name', l.name, 'unit', l.unit,
        'qty', l.qty, 'price', l.price, 'total', l.total) ORDER BY l.position)
      FROM order_lines l WHERE l.vendor_id = o.vendor_id AND l.order_id = o.id), '[]') AS lines
    """
# A paid order never changes, and a query pays without a receipt: one that came later stands at the money that paid the order.
RECEIPT: Final = """
    coalesce(o.receipt, (SELECT p.receipt FROM payments p WHERE p.vendor_id = o.vendor_id AND p.order_id = o.id
      AND p.paid_at = o.paid_at LIMIT 1)) AS receipt
    """
COLUMNS: Final = f"""
    o.id, o.number, o.customer_id, o.status, o.source, o.total, o.created_at, o.confirmed_at, o.paid_at, {RECEIPT}, {LINES}
    """
GET: Final = f"SELECT {COLUMNS} FROM orders o WHERE o.vendor_id = %(vendor_id)s AND o.id = %(id)s"  # noqa: S608 — constant columns
# A lock and the reading of lines are two statements (sent together): a lock that had to wait sees the new order row, but
# lines read by the same statement would be those from before the wait.
LOCK: Final = "SELECT FROM orders WHERE vendor_id = %(vendor_id)s AND id = %(id)s FOR UPDATE"
# The order asked for, and any other open one of the same chat: there may be only one.
OPEN: Final = """
    vendor_id = %(vendor_id)s AND (id = %(id)s
      OR (customer_id = %(customer_id)s AND source = 'chat' AND status IN ('DRAFT', 'CONFIRMED')))
    """
LOCK_OPEN: Final = f"SELECT FROM orders WHERE {OPEN} ORDER BY id FOR UPDATE"
LIST_OPEN: Final = f"SELECT {COLUMNS} FROM orders o WHERE {OPEN}"  # noqa: S608 — constant columns and condition
GET_BY_KEY: Final = f"""
    SELECT {COLUMNS}, o.request_sha256 FROM orders o WHERE o.vendor_id = %s AND o.idempotency_key = %s
    """  # noqa: S608 — constant columns
CREATE: Final = """
    WITH number AS (
      INSERT INTO order_numbers (vendor_id, last) VALUES (%(vendor_id)s, 1)
      ON CONFLICT (vendor_id) DO UPDATE SET last = order_numbers.last + 1 RETURNING last
    )
    INSERT INTO orders (vendor_id, id, number, customer_id, source, created_at, updated_at, idempotency_key, request_sha256)
    SELECT %(vendor_id)s, %(id)s, 'S' || lpad(last::text, greatest(4, length(last::text)), '0'), %(customer_id)s, %(source)s,
      %(now)s, %(now)s, %(idempotency_key)s, %(request_sha256)s FROM number
    ON CONFLICT (vendor_id, idempotency_key) DO NOTHING RETURNING number
    """
DELETE_LINES: Final = """
    DELETE FROM order_lines WHERE vendor_id = %(vendor_id)s AND order_id = %(id)s AND NOT position = ANY(%(positions)s)
    """
WRITE_LINES: Final = """
    INSERT INTO order_lines (vendor_id, order_id, position, item_id, name, unit, qty, price, total)
    SELECT %(vendor_id)s, %(id)s, l.position, l.item_id, l.name, l.unit, l.qty, l.price, l.total
    FROM jsonb_to_recordset(%(lines)s::jsonb)
      AS l(position integer, item_id uuid, name text, unit text, qty integer, price integer, total bigint)
    ON CONFLICT (vendor_id, order_id, position)
      DO UPDATE SET name = excluded.name, unit = excluded.unit, qty = excluded.qty, price = excluded.price, total = excluded.total
    """
WRITE_TOTAL: Final = """
    UPDATE orders SET total = %(total)s, updated_at = %(now)s WHERE vendor_id = %(vendor_id)s AND id = %(id)s AND status = 'DRAFT'
    """
CONFIRM: Final = """
    UPDATE orders SET status = 'CONFIRMED', confirmed_at = %(now)s, updated_at = %(now)s
    WHERE vendor_id = %(vendor_id)s AND id = %(id)s AND status = 'DRAFT'
    """
CANCEL: Final = """
    UPDATE orders SET status = 'CANCELLED', cancelled_at = %(now)s, cancel_reason = %(reason)s, updated_at = %(now)s
    WHERE vendor_id = %(vendor_id)s AND id = %(id)s AND status IN ('DRAFT', 'CONFIRMED')
    """
PAY: Final = """
    UPDATE orders SET status = 'PAID', paid_at = %(now)s, receipt = %(receipt)s, updated_at = %(now)s
    WHERE vendor_id = %(vendor_id)s AND id = %(id)s AND status = 'CONFIRMED' RETURNING number, total
    """
# A prompt that is open, or a payment that waits for a person, may still turn out to be paid.
OVERDUE: Final = """
    SELECT o.id FROM orders o
    WHERE o.vendor_id = %(vendor_id)s AND o.status = 'CONFIRMED' AND o.confirmed_at <= %(before)s AND NOT EXISTS (
      SELECT FROM payment_intents i WHERE i.vendor_id = o.vendor_id AND i.order_id = o.id
        AND i.status IN ('consented', 'processing', 'needs_review'))
    ORDER BY o.confirmed_at, o.id LIMIT %(limit)s
    """
