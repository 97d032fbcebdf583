"""The door to payments: prepare the one prompt a customer's PAY allows, and ask what became of it. Rows only, no network."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from payments.conclusions import Progress
from payments.result_codes import Outcome, Why, outcome_of
from router import capabilities
from router.errors import Refused as RefusedByRule
from router.ids import CustomerId, IntentId, OrderId
from router.orders.status import OrderStatus
from router.payment_intents import attempts, shortcodes, slots, store
from router.payment_intents.shortcodes import Shortcode
from router.payment_intents.status import LIVE, IntentStatus
from router.payment_intents.store import NewIntent, Pay, Payable
from router.work import Work

NAIROBI: Final = ZoneInfo("Africa/Nairobi")
LEAST_AMOUNT: Final = 1
MOST_AMOUNT: Final = 250_000  # KES a transaction; Daraja 3.0 portal, read 2025-12-28
ASK_AGAIN_AFTER: Final = timedelta(seconds=12)  # Daraja's sandbox answers five queries a minute
WHYS: Final = tuple(str(why) for why in Why)
PROGRESS: Final = tuple(str(progress) for progress in Progress)
_MSISDN: Final = re.compile(r"254[17][0-9]{8}")
_KENYAN: Final = re.compile(r"254[0-9]{9}")


class RefusedReason(StrEnum):
    """Why no prompt may be prepared."""

    DAILY_LIMIT = "daily_limit"
    CAPABILITY_OFF = "capability_off"
    NO_SHORTCODE = "no_shortcode"
    ORDER_NOT_CONFIRMED = "order_not_confirmed"
    AMOUNT_CHANGED = "amount_changed"
    AMOUNT_NOT_ALLOWED = "amount_not_allowed"
    PHONE_NOT_ALLOWED = "phone_not_allowed"
    NOT_A_PAY = "not_a_pay"


class BusyReason(StrEnum):
    """What the order is waiting for."""

    LIVE_PAYMENT = "live_payment"
    UNDER_REVIEW = "under_review"


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """The intent and its attempt are written; the worker pushes after the commit."""

    intent_id: IntentId


@dataclass(frozen=True, kw_only=True)
class Busy:
    """The order has a payment that is not decided yet."""

    reason: BusyReason


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A rule said no; `why` is for the log and the operator."""

    reason: RefusedReason
    why: str


@dataclass(frozen=True, kw_only=True)
class Paid:
    """The money is there; the receipt may follow."""

    receipt: str | None


@dataclass(frozen=True, kw_only=True)
class Pending:
    """Nobody knows yet."""


@dataclass(frozen=True, kw_only=True)
class NotPaid:
    """It ended without money. `why`: the words for it."""

    reason: Outcome
    why: Why


def prepare(
    work: Work,
    *,
    order_id: OrderId,
    customer_id: CustomerId,
    amount: int,
    msisdn: str,
    pay_message_id: int,
    now: datetime,
) -> Prepared | Busy | Refused:
    """Turn a customer's PAY into an intent with its one attempt, in the PAY's own turn.

    `pay_message_id` is the inbox id of that PAY. The same PAY prepares the same intent, however often its turn is repeated.
    """
    refused = _check_request(work, amount=amount, msisdn=msisdn, now=now)
    if refused is not None:
        return refused
    order = store.lock_payable(work, order_id)
    pay = store.get_pay(work, pay_message_id)
    if pay is None or not pay.is_pay or pay.customer_id != customer_id:
        return Refused(reason=RefusedReason.NOT_A_PAY, why="the message is not this customer's PAY")
    intent_id = store.intent_id_of(work.vendor_id, pay.source_id)
    known = store.get(work, intent_id)
    if known is not None and known.order_id == order_id:
        return Prepared(intent_id=intent_id)
    if known is not None:
        return Refused(reason=RefusedReason.NOT_A_PAY, why="this PAY was used for another order")
    if order is None or order.customer_id != customer_id:
        return Refused(reason=RefusedReason.ORDER_NOT_CONFIRMED, why="this customer has no such order")
    return _check_order(work, order_id, order, pay, amount=amount) or _create(
        work, order_id, order, intent_id=intent_id, msisdn=msisdn, pay_message_id=pay_message_id, now=now
    )


def ask(work: Work, *, intent_id: IntentId, now: datetime) -> Paid | Pending | NotPaid:
    """Tell what we know now. Pending also makes a status query due: the worker sends it. Broken: there is no such intent."""
    intent = store.lock(work, intent_id)
    match intent.status:
        case IntentStatus.PAID:
            return Paid(receipt=intent.receipt)
        case IntentStatus.FAILED:
            return NotPaid(reason=outcome_of(intent.reason), why=Why(intent.reason or Why.FAILED))
        case IntentStatus.EXPIRED | IntentStatus.CANCELLED:
            return NotPaid(reason=Outcome.FAILED, why=Why.TOO_LATE)
        case IntentStatus.CONSENTED | IntentStatus.PROCESSING | IntentStatus.NEEDS_REVIEW:
            attempts.ask_now(work, intent, not_since=now - ASK_AGAIN_AFTER, now=now)
            return Pending()


def _check_request(work: Work, *, amount: int, msisdn: str, now: datetime) -> Refused | None:
    try:
        capabilities.require_room(work, capabilities.MPESA_STK, now=now)
    except RefusedByRule as refused:
        return Refused(reason=RefusedReason.CAPABILITY_OFF, why=str(refused))
    if not LEAST_AMOUNT <= amount <= MOST_AMOUNT:
        return Refused(reason=RefusedReason.AMOUNT_NOT_ALLOWED, why=f"M-Pesa moves KES {LEAST_AMOUNT} to {MOST_AMOUNT} at once")
    if not _MSISDN.fullmatch(msisdn):
        return Refused(reason=RefusedReason.PHONE_NOT_ALLOWED, why="M-Pesa prompts go to Kenyan mobile numbers: 2547… or 2541…")
    return None


def _check_order(work: Work, order_id: OrderId, order: Payable, pay: Pay, *, amount: int) -> Busy | Refused | None:
    if order.status is not OrderStatus.CONFIRMED or order.confirmed_at is None:
        return Refused(reason=RefusedReason.ORDER_NOT_CONFIRMED, why=f"the order is {order.status}")
    if order.total != amount:
        return Refused(reason=RefusedReason.AMOUNT_CHANGED, why=f"the order is for KES {order.total}, not {amount}")
    if pay.received_at < order.confirmed_at:
        return Refused(reason=RefusedReason.NOT_A_PAY, why="the PAY is older than the order's confirmation")
    statuses = {status for _, status in store.list_intents(work, order_id)}
    if statuses & LIVE:
        return Busy(reason=BusyReason.LIVE_PAYMENT)
    if statuses & {IntentStatus.NEEDS_REVIEW, IntentStatus.PAID} or attempts.has_unconfirmed_success(work, order_id):
        return Busy(reason=BusyReason.UNDER_REVIEW)
    return None


def _create(
    work: Work,
    order_id: OrderId,
    order: Payable,
    *,
    intent_id: IntentId,
    msisdn: str,
    pay_message_id: int,
    now: datetime,
) -> Prepared | Refused:
    shortcode = _shortcode(work, now=now)
    if isinstance(shortcode, Refused):
        return shortcode
    day = now.astimezone(NAIROBI).date()
    slot = slots.claim_slot(
        work.databases,
        vendor_id=work.vendor_id,
        intent_id=intent_id,
        # A customer is the phone that writes. One known without a Kenyan number is the phone that pays.
        customer_phone=order.customer_phone if order.customer_phone and _KENYAN.fullmatch(order.customer_phone) else msisdn,
        day=day,
        taken=slots.list_slots(work, order.customer_id, day),
        now=now,
    )
    if slot is None:
        return Refused(reason=RefusedReason.DAILY_LIMIT, why=f"{slots.SLOTS_A_DAY} payments were already begun on {day}")
    new = NewIntent(
        id=intent_id,
        order_id=order_id,
        customer_id=order.customer_id,
        shortcode_id=shortcode.id,
        amount=order.total,
        msisdn=msisdn,
        account_ref=account_ref(order.number, len(store.list_intents(work, order_id))),
        pay_message_id=pay_message_id,
        day=day,
        day_slot=slot,
    )
    store.create(work, new, now=now)
    return Prepared(intent_id=intent_id)


def _shortcode(work: Work, *, now: datetime) -> Shortcode | Refused:
    """Give the vendor's one active shortcode, copied beside the intents. It is never guessed and never changed in place."""
    active = shortcodes.list_shortcodes(work)
    if len(active) != 1:
        why = f"the vendor has {len(active)} active shortcodes, and money needs exactly one: see vendor_shortcodes.active"
        return Refused(reason=RefusedReason.NO_SHORTCODE, why=why)
    copy = shortcodes.keep_shortcode(work, active[0], now=now)
    if copy != active[0]:
        why = f"the shortcode {copy.id} was edited after it took payments: deactivate that row and add a new one"
        return Refused(reason=RefusedReason.NO_SHORTCODE, why=why)
    return copy


def account_ref(order_number: str, earlier_intents: int) -> str:
    """Name an intent for M-Pesa, from the order's number: S0042, then S0042B, S0042C… At most 12 letters and digits.

    One for each intent, so that money which names it is never attributed to another try of the same order.
    """
    letters = ""
    rest = earlier_intents
    while rest:
        rest, letter = divmod(rest, 26)
        letters = chr(ord("A") + letter) + letters
    return f"{order_number}{letters}"
