"""A vendor's day on paper: orders, the money that came with its receipts, and the money that names no order."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from router.orders.statements import RECEIPT
from router.work import Work

NAIROBI: Final = ZoneInfo("Africa/Nairobi")
COLUMNS: Final = ("line", "at", "order", "status", "amount", "receipt", "confirmed_by", "account", "note")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would work out what a customer typed as the account
_LINES: Final = f"""
    WITH told AS (
      SELECT 'order' AS line, o.confirmed_at AS at, o.number AS "order", o.status, o.total AS amount, {RECEIPT},
             NULL AS confirmed_by, NULL AS account, o.cancel_reason AS note
        FROM orders o WHERE o.vendor_id = %(vendor_id)s AND o.confirmed_at IS NOT NULL
      UNION ALL
      SELECT CASE WHEN p.order_id IS NULL THEN 'unmatched' ELSE 'payment' END, p.paid_at, o.number, o.status, p.amount, p.receipt,
             p.confirmed_by, coalesce(i.account_ref, p.account),
             coalesce(p.unmatched_because, CASE WHEN i.late THEN 'late' END)
        FROM payments p
        LEFT JOIN orders o ON o.vendor_id = p.vendor_id AND o.id = p.order_id
        LEFT JOIN payment_intents i ON i.vendor_id = p.vendor_id AND i.id = p.intent_id
       WHERE p.vendor_id = %(vendor_id)s
      UNION ALL
      SELECT 'review', i.created_at, o.number, o.status, i.amount, NULL, NULL, i.account_ref, i.reason
        FROM payment_intents i JOIN orders o ON o.vendor_id = i.vendor_id AND o.id = i.order_id
       WHERE i.vendor_id = %(vendor_id)s AND i.status = 'needs_review'
    )
    SELECT * FROM told
     WHERE at >= %(day)s::date::timestamp AT TIME ZONE 'Africa/Nairobi'
       AND at < (%(day)s::date + 1)::timestamp AT TIME ZONE 'Africa/Nairobi'
     ORDER BY at, line, "order", receipt
    """  # noqa: S608 — a constant column


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line. `line`: an order that was confirmed, a payment, money that names no order, a payment that a person looks at."""

    line: str
    at: datetime
    order: str | None
    status: str | None
    amount: int
    receipt: str | None
    confirmed_by: str | None
    account: str | None
    note: str | None


def yesterday(now: datetime) -> date:
    """Give the last whole day of Nairobi."""
    return now.astimezone(NAIROBI).date() - timedelta(days=1)


def list_day(work: Work, day: date) -> list[Line]:
    """List what happened on a day of Nairobi, in order."""
    rows = work.conn.execute(_LINES, {"vendor_id": work.vendor_id, "day": day})
    return [Line(**row) for row in rows]


def to_csv(lines: Iterable[Line]) -> str:
    """Write them down, times in Nairobi, amounts in whole shillings."""
    written = io.StringIO()
    sheet = csv.writer(written, lineterminator="\n")
    sheet.writerow(COLUMNS)
    for line in lines:
        told = vars(line) | {"at": line.at.astimezone(NAIROBI).isoformat(timespec="seconds")}
        sheet.writerow([_cell(told[name]) for name in COLUMNS])
    return written.getvalue()


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
