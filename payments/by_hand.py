"""Money that M-Pesa reports of a shortcode: paid by hand, or by a prompt whose callback was lost. Each report is judged once.

A C2B confirmation, every value a string; names and phone are not stored:
  {"TransID": "RKTQDM7W6S", "TransTime": "20191122063845", "TransAmount": "10.00", "BusinessShortCode": "600638",
   "BillRefNumber": "S0042", "MSISDN": "2547 ***** 126", …}
A row of Pull Transactions: {"transactionId": "RKTQDM7W6S", "amount": "10.00", "billreference": "S0042", "trxDate": …, …}
Source: Daraja 3.0 portal, Customer to Business and Pull Transactions, read 2025-12-28.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import structlog

from payments import conclusions
from payments.callback import RECEIPT, to_whole, to_words
from payments.settle import TRY_AGAIN_AFTER, Verdict
from router import alerts, events
from router.databases import Databases
from router.errors import Broken
from router.events import EventType
from router.ids import ShortcodeId, VendorId
from router.json_values import JSON
from router.orders.status import OrderStatus
from router.payment_intents import money, reports, store
from router.payment_intents.money import NewMoney, Standing
from router.payment_intents.reports import Channel, Named, Report
from router.payment_intents.status import IntentStatus
from router.payment_intents.store import Result
from router.payment_intents.trail import note
from router.work import Work, unit_of_work

log = structlog.get_logger(__name__)

# Money without an account may be that of a prompt that is still open: its callback names the receipt within this.
PROMPT_EXPLAINS: Final = timedelta(minutes=3)
LOOK_AGAIN_AFTER: Final = timedelta(seconds=10)
_PERSON: Final = frozenset({"msisdn", "firstname", "middlename", "lastname"})
_TYPED_BETWEEN: Final = re.compile(r"[\s.\-_/#]+")


class ReportVerdict(StrEnum):
    """What a report turned out to be."""

    PAID = "paid"
    PAID_AGAIN = "paid_again"  # its intent was paid under another receipt
    RECEIPT_ADDED = "receipt_added"  # a query had confirmed the money before
    DUPLICATE = "duplicate"  # another channel was first
    UNMATCHED = "unmatched"
    WAITS = "waits"
    UNREADABLE = "unreadable"
    OTHER_SHORTCODE = "other_shortcode"


class Why(StrEnum):
    """Why money could not be matched to an order."""

    NO_ACCOUNT = "no_account"
    UNKNOWN_ACCOUNT = "unknown_account"
    AMOUNT_MISMATCH = "amount_mismatch"
    ORDER_NOT_CONFIRMED = "order_not_confirmed"
    OTHER_SHORTCODE = "other_shortcode"


class Check(StrEnum):
    """How M-Pesa is answered when it asks whether a payment by hand may go ahead."""

    ACCEPTED = "0"
    WRONG_ACCOUNT = "C2B00012"
    WRONG_AMOUNT = "C2B00013"
    WRONG_SHORTCODE = "C2B00015"


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a report says. `shortcode` is empty in a row of Pull Transactions; `account` as we write our references."""

    receipt: str
    amount: int
    shortcode: str
    account: str


def parse_report(body: str, channel: Channel) -> Told | None:
    """Read a report; None when it names no receipt or no whole amount."""
    row = _read(body)
    receipt_name, amount_name = ("TransID", "TransAmount") if channel is Channel.C2B else ("transactionId", "amount")
    receipt, amount = to_words(row.get(receipt_name)).strip(), to_whole(row.get(amount_name))
    if not RECEIPT.fullmatch(receipt) or amount is None or amount < 1:
        return None
    return Told(
        receipt=receipt,
        amount=amount,
        shortcode=to_words(row.get("BusinessShortCode")).strip() if channel is Channel.C2B else "",
        account=to_account(to_words(row.get("BillRefNumber" if channel is Channel.C2B else "billreference"))),
    )


def to_account(typed: str) -> str:
    """Write an account that somebody typed as we write our references: " s-0042 " is S0042."""
    return _TYPED_BETWEEN.sub("", typed).upper()[:20]


def without_person(body: str) -> str:
    """Take the payer's names and phone out of a report before it is stored: we need neither. What is no report stays as it is."""
    row = _read(body)
    return json.dumps({name: value for name, value in row.items() if name.lower() not in _PERSON}) if row else body


def check(work: Work, shortcode_id: ShortcodeId, body: str) -> Check:
    """Tell M-Pesa whether a payment may go ahead: it names an order that waits for just this amount. Nothing is written."""
    row = _read(body)
    amount = to_whole(row.get("TransAmount"))
    if to_words(row.get("BusinessShortCode")).strip() not in reports.numbers_of(work, shortcode_id):
        return Check.WRONG_SHORTCODE
    named = reports.find_named(work, to_account(to_words(row.get("BillRefNumber"))), lock=False)
    if named is None or named.status is not OrderStatus.CONFIRMED:
        return Check.WRONG_ACCOUNT
    return Check.ACCEPTED if amount == named.total else Check.WRONG_AMOUNT


def settle_next_report(databases: Databases, *, vendor_id: VendorId, now: datetime) -> bool:
    """Settle one stored report; False when none is waiting. Safe from many workers, and after a crash anywhere.

    Broken: the database refused what we made of it. The report is set aside first, so that it holds back no other.
    """
    taken: Report | None = None
    try:
        with unit_of_work(databases, vendor_id) as work:
            taken = reports.next_report(work, now=now)
            if taken is None:
                return False
            verdict = _settle(work, taken, now=now)
            if verdict is ReportVerdict.WAITS:
                reports.set_aside(work, taken, try_again_at=now + LOOK_AGAIN_AFTER)
            else:
                reports.judge(work, taken, verdict=verdict, now=now)
    except Broken:
        if taken is not None:
            with unit_of_work(databases, vendor_id) as work:
                reports.set_aside(work, taken, try_again_at=now + TRY_AGAIN_AFTER)
        raise
    level = log.error if verdict in (ReportVerdict.UNREADABLE, ReportVerdict.OTHER_SHORTCODE) else log.info
    level("money_report_settled", verdict=str(verdict), channel=str(taken.channel), report=taken.id, vendor_id=str(vendor_id))
    return True


def _settle(work: Work, report: Report, *, now: datetime) -> ReportVerdict:
    told = parse_report(report.body, report.channel)
    if told is None:
        return ReportVerdict.UNREADABLE
    if told.shortcode and told.shortcode not in report.numbers:
        return ReportVerdict.OTHER_SHORTCODE
    named = reports.find_named(work, told.account, lock=True) if told.account else None
    if named is None:
        claimed = reports.account_of_claim(work, report.shortcode_id, receipt=told.receipt, amount=told.amount)
        named = reports.find_named(work, claimed, lock=True) if claimed else None
    if money.standing_of(work, told.receipt) is not Standing.NEW:
        return ReportVerdict.DUPLICATE
    return _keep(work, report, told, now=now) if named is None else _pay(work, report, told, named, now=now)


def _keep(work: Work, report: Report, told: Told, *, now: datetime) -> ReportVerdict:
    """Write money down that names no order, unless an open prompt may still explain it."""
    since = report.received_at - PROMPT_EXPLAINS
    waits = now - report.received_at < PROMPT_EXPLAINS
    if waits and reports.has_open_prompt(work, report.shortcode_id, amount=told.amount, since=since):
        return ReportVerdict.WAITS
    return _unmatched(work, report, told, Why.UNKNOWN_ACCOUNT if told.account else Why.NO_ACCOUNT, now=now)


def _pay(work: Work, report: Report, told: Told, named: Named, *, now: datetime) -> ReportVerdict:
    intent = store.lock(work, named.intent_id) if named.intent_id is not None else None
    if intent is not None:
        noted: dict[str, JSON] = {
            "report": report.id,
            "channel": str(report.channel),
            "receipt": told.receipt,
            "amount": told.amount,
        }
        note(work, intent.id, "money_reported", noted, now=now)
    if told.amount != named.total:
        if intent is not None and named.status is OrderStatus.CONFIRMED:
            conclusions.doubt(work, intent, reason=Verdict.AMOUNT_MISMATCH, now=now)
        return _unmatched(work, report, told, Why.AMOUNT_MISMATCH, now=now)
    if named.status is OrderStatus.DRAFT:
        return _unmatched(work, report, told, Why.ORDER_NOT_CONFIRMED, now=now)
    if intent is None:
        paid = conclusions.paid_by_hand(work, named, _to_money(report, told, named), now=now)
        return ReportVerdict.PAID if paid else ReportVerdict.DUPLICATE
    if intent.shortcode.id != report.shortcode_id:
        return _unmatched(work, report, told, Why.OTHER_SHORTCODE, now=now)
    if intent.status is IntentStatus.PAID and intent.receipt is None:
        added = money.add_receipt(work, intent, receipt=told.receipt, payer=None, confirmed_by=report.channel, now=now)
        return ReportVerdict.RECEIPT_ADDED if added else ReportVerdict.DUPLICATE
    if intent.status is IntentStatus.PAID:
        again = conclusions.paid_again(work, intent, receipt=told.receipt, confirmed_by=report.channel, now=now)
        return ReportVerdict.PAID_AGAIN if again else ReportVerdict.DUPLICATE
    result = Result(code="0", desc="reported by M-Pesa", source=report.channel)
    paid = conclusions.paid(work, intent, receipt=told.receipt, payer=None, confirmed_by=report.channel, result=result, now=now)
    return ReportVerdict.PAID if paid else ReportVerdict.DUPLICATE


def _unmatched(work: Work, report: Report, told: Told, why: Why, *, now: datetime) -> ReportVerdict:
    kept = _to_money(report, told, None, why)
    if not money.add_money(work, kept, now=now):
        return ReportVerdict.DUPLICATE
    data: dict[str, JSON] = {"receipt": told.receipt, "amount": told.amount, "account": told.account, "reason": str(why)}
    events.append(work, type=EventType.PAYMENT_UNMATCHED, subject=str(kept.id), data=data, now=now)
    alerts.money_unmatched(work, kept.id, amount=told.amount, receipt=told.receipt, now=now)
    return ReportVerdict.UNMATCHED


def _to_money(report: Report, told: Told, named: Named | None, why: Why | None = None) -> NewMoney:
    return NewMoney(
        shortcode_id=report.shortcode_id,
        receipt=told.receipt,
        amount=told.amount,
        account=told.account,
        order_id=named.order_id if named else None,
        confirmed_by=report.channel,
        unmatched_because=why,
    )


def _read(body: str) -> Mapping[str, object]:
    try:
        row = json.loads(body, parse_float=str)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}
