"""The rows of payment intents and how they move: every statement repeats the guard of status.py, and the triggers repeat both.

Locks are always taken in one order, the order's row and then the intent with its attempt, so that a turn, a push and a
callback about the same order wait for each other and never deadlock.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import uuid5

from psycopg.rows import DictRow

from router.errors import Broken
from router.ids import ConversationId, CustomerId, IntentId, OrderId, ShortcodeId, VendorId
from router.json_values import JSON
from router.orders.status import OrderStatus
from router.payment_intents.shortcodes import Shortcode
from router.payment_intents.status import (
    LIVE,
    AttemptEvent,
    AttemptStatus,
    IntentEvent,
    IntentStatus,
    advance_attempt,
    advance_intent,
)
from router.payment_intents.trail import note, note_move
from router.work import Work


@dataclass(frozen=True, kw_only=True)
class Pay:
    """The message that may consent."""

    source_id: str
    customer_id: CustomerId | None
    is_pay: bool
    received_at: datetime


@dataclass(frozen=True, kw_only=True)
class Payable:
    """What a payment needs to know of an order. The row is locked."""

    number: str
    customer_id: CustomerId
    customer_phone: str | None
    status: OrderStatus
    total: int
    confirmed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class NewIntent:
    """The terms of an intent; frozen from here on."""

    id: IntentId
    order_id: OrderId
    customer_id: CustomerId
    shortcode_id: ShortcodeId
    amount: int
    msisdn: str
    account_ref: str
    pay_message_id: int
    day: date
    day_slot: int


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """The one prompt of an intent."""

    status: AttemptStatus
    due_at: datetime
    dispatched_at: datetime | None
    merchant_request_id: str | None
    checkout_request_id: str | None
    next_query_at: datetime | None
    last_query_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A payment intent with its attempt, its shortcode, and the receipt when it is paid and known."""

    id: IntentId
    order_id: OrderId
    customer_id: CustomerId
    conversation_id: ConversationId | None
    shortcode: Shortcode
    amount: int
    msisdn: str
    account_ref: str
    pay_message_id: int
    pay_received_at: datetime
    status: IntentStatus
    reason: str | None
    receipt: str | None
    attempt: Attempt

    @property
    def log_ids(self) -> dict[str, str]:
        """Name it on a log line: its own id, and the conversation's."""
        return {"intent_id": str(self.id), "conversation_id": str(self.conversation_id)}


@dataclass(frozen=True, kw_only=True)
class Result:
    """What M-Pesa said about the prompt, in its own words."""

    code: str
    desc: str
    source: str  # callback | query


def intent_id_of(vendor_id: VendorId, pay_source_id: str) -> IntentId:
    """Derive the id from the PAY: a turn that is rolled back and repeated asks for the same intent again."""
    return IntentId(uuid5(vendor_id, f"payment_intent:{pay_source_id}"))


_PAY: Final = """
    SELECT source_id, customer_id, is_pay, received_at FROM inbox WHERE vendor_id = %s AND id = %s AND kind = 'message'
    """
_LOCK_PAYABLE: Final = """
    SELECT o.number, o.customer_id, c.phone AS customer_phone, o.status, o.total, o.confirmed_at
      FROM orders o JOIN customers c ON c.vendor_id = o.vendor_id AND c.id = o.customer_id
     WHERE o.vendor_id = %s AND o.id = %s FOR NO KEY UPDATE OF o
    """
_INTENTS_OF_ORDER: Final = """
    SELECT id, status FROM payment_intents WHERE vendor_id = %s AND order_id = %s ORDER BY created_at, pay_message_id
    """
_ADD_INTENT: Final = """
    INSERT INTO payment_intents (vendor_id, id, order_id, customer_id, shortcode_id, amount, msisdn, account_ref,
                                 pay_message_id, day, day_slot, created_at)
    VALUES (%(vendor_id)s, %(id)s, %(order_id)s, %(customer_id)s, %(shortcode_id)s, %(amount)s, %(msisdn)s, %(account_ref)s,
            %(pay_message_id)s, %(day)s, %(day_slot)s, %(now)s)
    """
_ADD_ATTEMPT: Final = """
    INSERT INTO stk_attempts (vendor_id, intent_id, shortcode_id, amount, msisdn, pay_message_id, due_at, created_at)
    VALUES (%(vendor_id)s, %(id)s, %(shortcode_id)s, %(amount)s, %(msisdn)s, %(pay_message_id)s, %(now)s, %(now)s)
    """


def get_pay(work: Work, pay_message_id: int) -> Pay | None:
    """Read the message that may consent."""
    row = work.conn.execute(_PAY, (work.vendor_id, pay_message_id)).fetchone()
    return None if row is None else Pay(**row)


def lock_payable(work: Work, order_id: OrderId) -> Payable | None:
    """Lock an order, and read what a payment needs to know of it."""
    row = work.conn.execute(_LOCK_PAYABLE, (work.vendor_id, order_id)).fetchone()
    return None if row is None else Payable(**(row | {"status": OrderStatus(row["status"])}))


def list_intents(work: Work, order_id: OrderId) -> list[tuple[IntentId, IntentStatus]]:
    """List all intents of an order, oldest first."""
    rows = work.conn.execute(_INTENTS_OF_ORDER, (work.vendor_id, order_id))
    return [(row["id"], IntentStatus(row["status"])) for row in rows]


def create(work: Work, new: NewIntent, *, now: datetime) -> None:
    """Write an intent, consented, with its attempt, prepared: both or neither."""
    row: dict[str, object] = {
        "vendor_id": work.vendor_id,
        "id": new.id,
        "order_id": new.order_id,
        "customer_id": new.customer_id,
        "shortcode_id": new.shortcode_id,
        "amount": new.amount,
        "msisdn": new.msisdn,
        "account_ref": new.account_ref,
        "pay_message_id": new.pay_message_id,
        "day": new.day,
        "day_slot": new.day_slot,
        "now": now,
    }
    work.conn.execute(_ADD_INTENT, row)
    work.conn.execute(_ADD_ATTEMPT, row)
    note_move(work, new.id, "consented", None, IntentStatus.CONSENTED, {"pay_message_id": new.pay_message_id}, now=now)


_GET: Final = """
    SELECT i.id, i.order_id, i.customer_id, coalesce(m.conversation_id, c.id) AS conversation_id, i.amount, i.msisdn,
           i.account_ref, i.pay_message_id, m.received_at AS pay_received_at, i.status, i.reason, p.receipt,
           s.id AS shortcode_id, s.kind, s.business_shortcode, s.party_b, s.environment, s.secret_ref,
           a.status AS attempt_status, a.due_at, a.dispatched_at, a.merchant_request_id, a.checkout_request_id,
           a.next_query_at, a.last_query_at
      FROM payment_intents i
      JOIN stk_attempts a ON a.vendor_id = i.vendor_id AND a.intent_id = i.id
      JOIN vendor_shortcodes s ON s.vendor_id = i.vendor_id AND s.id = i.shortcode_id
      JOIN inbox m ON m.vendor_id = i.vendor_id AND m.id = i.pay_message_id
      LEFT JOIN conversations c ON c.vendor_id = i.vendor_id AND c.customer_id = i.customer_id
      LEFT JOIN payments p ON p.vendor_id = i.vendor_id AND p.intent_id = i.id
     WHERE i.vendor_id = %s AND i.id = %s
    """
# Postgres re-reads only the rows it locks after waiting for them, so the locks come in a statement of their own.
_LOCK_ORDER: Final = """
    SELECT o.id FROM orders o JOIN payment_intents i ON i.vendor_id = o.vendor_id AND i.order_id = o.id
     WHERE i.vendor_id = %s AND i.id = %s FOR NO KEY UPDATE OF o
    """
_LOCK_INTENT: Final = "SELECT id FROM payment_intents WHERE vendor_id = %s AND id = %s FOR NO KEY UPDATE"
_LOCK_ATTEMPT: Final = "SELECT intent_id FROM stk_attempts WHERE vendor_id = %s AND intent_id = %s FOR NO KEY UPDATE"


def get(work: Work, intent_id: IntentId) -> Intent | None:
    """Read an intent."""
    row = work.conn.execute(_GET, (work.vendor_id, intent_id)).fetchone()
    return None if row is None else _to_intent(row)


def lock(work: Work, intent_id: IntentId) -> Intent:
    """Lock the order, the intent and the attempt, in this order, and read them. Broken: there is no such intent."""
    key = (work.vendor_id, intent_id)
    for statement in (_LOCK_ORDER, _LOCK_INTENT, _LOCK_ATTEMPT):
        work.conn.execute(statement, key)
    intent = get(work, intent_id)
    if intent is None:
        raise Broken(f"there is no payment intent {intent_id}")
    return intent


def _to_intent(row: DictRow) -> Intent:
    return Intent(
        id=row["id"],
        order_id=row["order_id"],
        customer_id=row["customer_id"],
        conversation_id=row["conversation_id"],
        shortcode=Shortcode(
            id=row["shortcode_id"],
            kind=row["kind"],
            business_shortcode=row["business_shortcode"],
            party_b=row["party_b"],
            environment=row["environment"],
            secret_ref=row["secret_ref"],
        ),
        amount=row["amount"],
        msisdn=row["msisdn"],
        account_ref=row["account_ref"],
        pay_message_id=row["pay_message_id"],
        pay_received_at=row["pay_received_at"],
        status=IntentStatus(row["status"]),
        reason=row["reason"],
        receipt=row["receipt"],
        attempt=Attempt(
            status=AttemptStatus(row["attempt_status"]),
            due_at=row["due_at"],
            dispatched_at=row["dispatched_at"],
            merchant_request_id=row["merchant_request_id"],
            checkout_request_id=row["checkout_request_id"],
            next_query_at=row["next_query_at"],
            last_query_at=row["last_query_at"],
        ),
    )


_MOVE_INTENT: Final = """
    UPDATE payment_intents
       SET status = %(next)s, reason = %(reason)s,
           late = %(late)s, paid_at = CASE WHEN %(next)s = 'paid' THEN %(now)s::timestamptz END
     WHERE vendor_id = %(vendor_id)s AND id = %(intent_id)s AND status = %(before)s
    """
_MOVE_ATTEMPT: Final = """
    UPDATE stk_attempts
       SET status = %(next)s, error = coalesce(%(error)s, error), result_code = coalesce(%(code)s, result_code),
           result_desc = coalesce(%(desc)s, result_desc), result_source = coalesce(%(source)s, result_source),
           next_query_at = %(look_again_at)s
     WHERE vendor_id = %(vendor_id)s AND intent_id = %(intent_id)s AND status = %(before)s
    """
_DOUBT_AGAIN: Final = """
    UPDATE payment_intents SET reason = %s WHERE vendor_id = %s AND id = %s AND status = 'needs_review'
    """


def move_intent(work: Work, intent: Intent, event: IntentEvent, *, reason: str | None, now: datetime) -> IntentStatus:
    """Move a locked intent by its table. Broken: no such move, or somebody moved it without the lock."""
    after = advance_intent(intent.status, event)
    moved = work.conn.execute(
        _MOVE_INTENT,
        {
            "vendor_id": work.vendor_id,
            "intent_id": intent.id,
            "before": intent.status,
            "next": after,
            "reason": reason,
            "late": after is IntentStatus.PAID and intent.status not in LIVE,
            "now": now,
        },
    )
    if moved.rowcount != 1:
        raise Broken(f"the payment intent {intent.id} was moved by somebody without the lock")
    note_move(work, intent.id, f"intent_{event}", intent.status, after, {"reason": reason}, now=now)
    return after


def move_attempt(
    work: Work,
    intent: Intent,
    event: AttemptEvent,
    *,
    now: datetime,
    result: Result | None = None,
    error: str | None = None,
    look_again_at: datetime | None = None,
) -> None:
    """Move the attempt of a locked intent by its table. Broken: no such move, or somebody moved it without the lock."""
    after = advance_attempt(intent.attempt.status, event)
    moved = work.conn.execute(
        _MOVE_ATTEMPT,
        {
            "vendor_id": work.vendor_id,
            "intent_id": intent.id,
            "before": intent.attempt.status,
            "next": after,
            "error": error,
            "code": result.code if result else None,
            "desc": result.desc if result else None,
            "source": result.source if result else None,
            "look_again_at": look_again_at,
        },
    )
    if moved.rowcount != 1:
        raise Broken(f"the attempt of {intent.id} was moved by somebody without the lock")
    told: dict[str, JSON] = (
        {"error": error, "result_code": result.code, "result_desc": result.desc} if result else {"error": error}
    )
    note_move(work, intent.id, f"attempt_{event}", intent.attempt.status, after, told, now=now)


def change_doubt(work: Work, intent: Intent, *, reason: str, now: datetime) -> None:
    """Give an intent that is under review another reason: later news can make a review more serious."""
    work.conn.execute(_DOUBT_AGAIN, (reason, work.vendor_id, intent.id))
    note(work, intent.id, "review_reason", {"reason": reason}, now=now)
