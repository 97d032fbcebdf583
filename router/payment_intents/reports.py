"""What M-Pesa reports of money paid to a shortcode: stored once each, judged once each; and the addresses it reports to."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Final

from router.ids import ConversationId, CustomerId, IntentId, OrderId, ShortcodeId
from router.orders.status import OrderStatus
from router.work import Work


class Channel(StrEnum):
    """How a report came: posted to us by M-Pesa, or fetched from it."""

    C2B = "c2b"
    PULL = "pull"


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report that nobody has judged yet. Its row is locked. `numbers` are those of its shortcode."""

    id: int
    shortcode_id: ShortcodeId
    numbers: tuple[str, str]
    channel: Channel
    body: str
    received_at: datetime


@dataclass(frozen=True, kw_only=True)
class Named:
    """What an account that somebody typed stands for."""

    order_id: OrderId
    intent_id: IntentId | None
    status: OrderStatus
    total: int
    customer_id: CustomerId
    conversation_id: ConversationId | None


_ADD_ADDRESS: Final = "INSERT INTO c2b_addresses (vendor_id, token_sha256, shortcode_id, made_at) VALUES (%s, %s, %s, %s)"
_SHORTCODE_OF_ADDRESS: Final = "SELECT shortcode_id FROM c2b_addresses WHERE vendor_id = %s AND token_sha256 = %s"
_NUMBERS: Final = "SELECT business_shortcode, party_b FROM vendor_shortcodes WHERE vendor_id = %s AND id = %s"
_KEEP: Final = """
    INSERT INTO money_reports (vendor_id, shortcode_id, channel, body, body_sha256, peer, received_at)
    VALUES (%(vendor_id)s, %(shortcode_id)s, %(channel)s, %(body)s, %(body_sha256)s, %(peer)s, %(now)s)
    ON CONFLICT (vendor_id, shortcode_id, channel, body_sha256) DO UPDATE SET seen_count = money_reports.seen_count + 1
    """
_NEXT: Final = """
    SELECT r.id, r.shortcode_id, s.business_shortcode, s.party_b, r.channel, r.body, r.received_at
      FROM money_reports r JOIN vendor_shortcodes s ON s.vendor_id = r.vendor_id AND s.id = r.shortcode_id
     WHERE r.vendor_id = %s AND r.handled_at IS NULL AND (r.try_again_at IS NULL OR r.try_again_at <= %s)
     ORDER BY r.id LIMIT 1 FOR NO KEY UPDATE OF r SKIP LOCKED
    """
_JUDGE: Final = """
    UPDATE money_reports SET handled_at = %(now)s, verdict = %(verdict)s
     WHERE vendor_id = %(vendor_id)s AND id = %(id)s AND handled_at IS NULL
    """
_SET_ASIDE: Final = """
    UPDATE money_reports SET try_again_at = %(try_again_at)s
     WHERE vendor_id = %(vendor_id)s AND id = %(id)s AND handled_at IS NULL
    """
_ORDER_OF: Final = """
    SELECT id FROM orders WHERE vendor_id = %(vendor_id)s AND number = %(account)s
    UNION SELECT order_id FROM payment_intents WHERE vendor_id = %(vendor_id)s AND account_ref = %(account)s
    """
_LOCK_ORDER: Final = "SELECT id FROM orders WHERE vendor_id = %s AND id = %s FOR NO KEY UPDATE"
_READ_ORDER: Final = """
    SELECT o.status, o.total, o.customer_id, c.id AS conversation_id
      FROM orders o LEFT JOIN conversations c ON c.vendor_id = o.vendor_id AND c.customer_id = o.customer_id
     WHERE o.vendor_id = %s AND o.id = %s
    """
_INTENT_OF: Final = "SELECT id FROM payment_intents WHERE vendor_id = %s AND account_ref = %s"
_CLAIMED: Final = """
    SELECT i.account_ref FROM stk_attempts a JOIN payment_intents i ON i.vendor_id = a.vendor_id AND i.id = a.intent_id
     WHERE a.vendor_id = %s AND a.claimed_receipt = %s AND a.shortcode_id = %s AND a.amount = %s
    """
_OPEN_PROMPT: Final = """
    SELECT EXISTS (SELECT FROM stk_attempts a LEFT JOIN payments p ON p.vendor_id = a.vendor_id AND p.intent_id = a.intent_id
                    WHERE a.vendor_id = %s AND a.shortcode_id = %s AND a.amount = %s AND a.dispatched_at > %s
                      AND (a.status IN ('dispatched', 'accepted', 'ambiguous')
                           OR a.status = 'succeeded' AND p.receipt IS NULL)) AS found
    """


def add_address(work: Work, shortcode_id: ShortcodeId, *, token_sha256: bytes, now: datetime) -> None:
    """Let M-Pesa report to a new address, before it is told of it."""
    work.conn.execute(_ADD_ADDRESS, (work.vendor_id, token_sha256, shortcode_id, now))


def find_shortcode(work: Work, token_sha256: bytes) -> ShortcodeId | None:
    """Find the shortcode an address belongs to, by its token's hash: nothing else is stored."""
    row = work.conn.execute(_SHORTCODE_OF_ADDRESS, (work.vendor_id, token_sha256)).fetchone()
    return None if row is None else row["shortcode_id"]


def numbers_of(work: Work, shortcode_id: ShortcodeId) -> tuple[str, str]:
    """Read the numbers a payment may name: the shortcode's own, and that of the till."""
    row = work.conn.execute(_NUMBERS, (work.vendor_id, shortcode_id)).fetchone()
    return ("", "") if row is None else (row["business_shortcode"], row["party_b"])


def keep(work: Work, shortcode_id: ShortcodeId, channel: Channel, *, body: str, peer: str | None, now: datetime) -> None:
    """Store a report as it came; the same body again is counted."""
    stored = work.databases.hide(body)
    row = {
        "vendor_id": work.vendor_id,
        "shortcode_id": shortcode_id,
        "channel": channel,
        "body": stored,
        "peer": peer,
        "now": now,
    }
    work.conn.execute(_KEEP, row | {"body_sha256": sha256(stored.encode()).digest()})


def next_report(work: Work, *, now: datetime) -> Report | None:
    """Take the oldest report nobody has judged; others skip it until this transaction ends."""
    row = work.conn.execute(_NEXT, (work.vendor_id, now)).fetchone()
    if row is None:
        return None
    return Report(
        id=row["id"],
        shortcode_id=row["shortcode_id"],
        numbers=(row["business_shortcode"], row["party_b"]),
        channel=Channel(row["channel"]),
        body=row["body"],
        received_at=row["received_at"],
    )


def judge(work: Work, report: Report, *, verdict: str, now: datetime) -> None:
    """Write the verdict, once."""
    work.conn.execute(_JUDGE, {"vendor_id": work.vendor_id, "id": report.id, "verdict": verdict, "now": now})


def set_aside(work: Work, report: Report, *, try_again_at: datetime) -> None:
    """Let a report wait, so that it does not hold back the others."""
    work.conn.execute(_SET_ASIDE, {"vendor_id": work.vendor_id, "id": report.id, "try_again_at": try_again_at})


def find_named(work: Work, account: str, *, lock: bool) -> Named | None:
    """Find the order, and the intent, that an account names: an order's number, or an intent's own reference.

    With `lock` the order's row is locked first, as everybody does who moves its payments.
    """
    found = work.conn.execute(_ORDER_OF, {"vendor_id": work.vendor_id, "account": account}).fetchone()
    if found is None:
        return None
    if lock:
        work.conn.execute(_LOCK_ORDER, (work.vendor_id, found["id"]))
    order = work.conn.execute(_READ_ORDER, (work.vendor_id, found["id"])).fetchone()
    intent = work.conn.execute(_INTENT_OF, (work.vendor_id, account)).fetchone()
    if order is None:
        return None
    return Named(
        order_id=found["id"],
        intent_id=None if intent is None else intent["id"],
        status=OrderStatus(order["status"]),
        total=order["total"],
        customer_id=order["customer_id"],
        conversation_id=order["conversation_id"],
    )


def account_of_claim(work: Work, shortcode_id: ShortcodeId, *, receipt: str, amount: int) -> str | None:
    """Find the reference of the intent whose callback has claimed this receipt: a till's payments name no account."""
    row = work.conn.execute(_CLAIMED, (work.vendor_id, receipt, shortcode_id, amount)).fetchone()
    return None if row is None else row["account_ref"]


def has_open_prompt(work: Work, shortcode_id: ShortcodeId, *, amount: int, since: datetime) -> bool:
    """Tell whether a prompt over this amount has no receipt yet, so that money without an account may be its own."""
    row = work.conn.execute(_OPEN_PROMPT, (work.vendor_id, shortcode_id, amount, since)).fetchone()
    return row is not None and bool(row["found"])
