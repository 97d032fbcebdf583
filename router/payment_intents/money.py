"""Money received: one row for each M-Pesa receipt, whichever channel told of it, and at most one for each intent."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID, uuid5

from router import metering
from router.ids import OrderId, ShortcodeId
from router.payment_intents.store import Intent
from router.payment_intents.trail import note
from router.work import Work


class Standing(StrEnum):
    """What a receipt stands for."""

    NEW = "new"
    UNMATCHED = "unmatched"  # money that we have written down, of nobody knows which order
    TAKEN = "taken"  # another payment


@dataclass(frozen=True, kw_only=True)
class NewMoney:
    """One receipt that no prompt of ours explains. `account` is what the customer typed; `order_id` None: it names no order."""

    shortcode_id: ShortcodeId
    receipt: str
    amount: int
    account: str
    order_id: OrderId | None
    confirmed_by: str
    unmatched_because: str | None = None

    @property
    def id(self) -> UUID:
        """The same money is the same row, however often it is told."""
        return uuid5(self.shortcode_id, self.receipt)


@dataclass(frozen=True, kw_only=True)
class Unmatched:
    """Money of which nobody knows what it is for."""

    id: UUID
    receipt: str
    amount: int
    account: str | None
    because: str
    confirmed_by: str
    paid_at: datetime


_ADD: Final = """
    INSERT INTO payments (vendor_id, id, intent_id, order_id, shortcode_id, amount, receipt, payer, confirmed_by, paid_at,
                          account, unmatched_because)
    VALUES (%(vendor_id)s, %(id)s, %(intent_id)s, %(order_id)s, %(shortcode_id)s, %(amount)s, %(receipt)s, %(payer)s,
            %(confirmed_by)s, %(now)s, %(account)s, %(unmatched_because)s)
    ON CONFLICT (receipt) DO NOTHING
    """
# Told first by a channel that knew no order; the terms must be the intent's own.
_ADOPT: Final = """
    UPDATE payments SET intent_id = %(intent_id)s, order_id = %(order_id)s, confirmed_by = %(confirmed_by)s,
           payer = coalesce(payer, %(payer)s)
     WHERE vendor_id = %(vendor_id)s AND receipt = %(receipt)s AND order_id IS NULL
       AND shortcode_id = %(shortcode_id)s AND amount = %(amount)s
    """
_ADD_RECEIPT: Final = """
    UPDATE payments SET receipt = %(receipt)s, payer = coalesce(payer, %(payer)s), confirmed_by = %(confirmed_by)s
     WHERE vendor_id = %(vendor_id)s AND intent_id = %(intent_id)s AND receipt IS NULL
       AND NOT is_receipt_known(%(receipt)s)
    """
_STANDING: Final = """
    SELECT CASE WHEN NOT is_receipt_known(%(receipt)s) THEN 'new'
                WHEN EXISTS (SELECT FROM payments WHERE vendor_id = %(vendor_id)s AND receipt = %(receipt)s AND order_id IS NULL)
                THEN 'unmatched' ELSE 'taken' END AS standing
    """
_UNMATCHED: Final = """
    SELECT id, receipt, amount, account, unmatched_because AS because, confirmed_by, paid_at FROM payments
     WHERE vendor_id = %s AND order_id IS NULL ORDER BY paid_at, id
    """
_GET: Final = """
    SELECT p.id, p.receipt, p.amount, p.account, p.confirmed_by, p.paid_at, o.number AS order_number, p.unmatched_because,
           p.assigned_by, p.assigned_because
      FROM payments p LEFT JOIN orders o ON o.vendor_id = p.vendor_id AND o.id = p.order_id
     WHERE p.vendor_id = %s AND p.id = %s
    """
_LOCK_UNMATCHED: Final = """
    SELECT id, receipt, amount, account, unmatched_because AS because, confirmed_by, paid_at FROM payments
     WHERE vendor_id = %s AND receipt = %s AND order_id IS NULL FOR UPDATE
    """
_ASSIGN: Final = """
    UPDATE payments SET order_id = %(order_id)s, assigned_by = %(actor)s, assigned_because = %(reason)s
     WHERE vendor_id = %(vendor_id)s AND id = %(id)s AND order_id IS NULL
    """
_PAYMENTS_OF_ORDER: Final = "SELECT count(*) AS n FROM payments WHERE vendor_id = %s AND order_id = %s"


def standing_of(work: Work, receipt: str) -> Standing:
    """Tell what a receipt stands for, whichever channel told of it, and whichever vendor has it."""
    row = work.conn.execute(_STANDING, {"vendor_id": work.vendor_id, "receipt": receipt}).fetchone()
    return Standing.NEW if row is None else Standing(row["standing"])


def take_money(work: Work, intent: Intent, *, receipt: str | None, payer: str | None, confirmed_by: str, now: datetime) -> bool:
    """Write the money of an intent down, once for each receipt. False: this receipt already stands for another payment.

    Money that was written down before anybody knew its order becomes this intent's.
    """
    row = {
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
        "account": None,
        "unmatched_because": None,
    }
    if work.conn.execute(_ADD, row).rowcount == 1:
        metering.record(work, meter="payment", key=str(intent.id), now=now)
        return True
    return work.conn.execute(_ADOPT, row).rowcount == 1


def add_money(work: Work, money: NewMoney, *, now: datetime) -> bool:
    """Write money down that belongs to no prompt. False: its receipt is known."""
    row = vars(money) | {"vendor_id": work.vendor_id, "id": money.id, "intent_id": None, "payer": None, "now": now}
    if work.conn.execute(_ADD, row).rowcount != 1:
        return False
    metering.record(work, meter="payment", key=str(money.id), now=now)
    return True


def add_receipt(work: Work, intent: Intent, *, receipt: str, payer: str | None, confirmed_by: str, now: datetime) -> bool:
    """Add the receipt to a payment that a query had confirmed. False: the receipt stands for another payment."""
    row = {"vendor_id": work.vendor_id, "intent_id": intent.id, "receipt": receipt, "payer": payer, "confirmed_by": confirmed_by}
    if work.conn.execute(_ADD_RECEIPT, row).rowcount != 1:
        return False
    note(work, intent.id, "receipt_added", {"receipt": receipt}, now=now)
    return True


def is_paid_for(work: Work, order_id: OrderId) -> bool:
    """Tell whether any money is written down for an order."""
    row = work.conn.execute(_PAYMENTS_OF_ORDER, (work.vendor_id, order_id)).fetchone()
    return row is not None and row["n"] > 0


def get(work: Work, payment_id: UUID) -> Mapping[str, object] | None:
    """Read what is known of one payment; None when there is none."""
    return work.conn.execute(_GET, (work.vendor_id, payment_id)).fetchone()


def list_unmatched(work: Work) -> list[Unmatched]:
    """List the money that nobody knows the order of, oldest first."""
    return [Unmatched(**row) for row in work.conn.execute(_UNMATCHED, (work.vendor_id,))]


def lock_unmatched(work: Work, receipt: str) -> Unmatched | None:
    """Lock unmatched money; None when there is none with this receipt."""
    row = work.conn.execute(_LOCK_UNMATCHED, (work.vendor_id, receipt)).fetchone()
    return None if row is None else Unmatched(**row)


def assign(work: Work, money: Unmatched, order_id: OrderId, *, actor: str, reason: str) -> None:
    """Give locked money the order that a person says it is for."""
    row = {"vendor_id": work.vendor_id, "id": money.id, "order_id": order_id, "actor": actor, "reason": reason}
    work.conn.execute(_ASSIGN, row)
