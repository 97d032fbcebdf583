"""Fetch what was paid to a shortcode: the only way to money whose callback and report were both lost.

M-Pesa keeps 48 hours, and gives them in pages. What was fetched is a report like any other; what is known ends there.
Shape:  {"ResponseCode": "1000", "Response": [[{"transactionId": "…", "amount": "10.00", "billreference": "S0042", …}]]}
Source: Daraja 3.0 portal, Pull Transactions, read 2025-12-28. "1001" tells that there are none.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from payments.by_hand import without_person
from payments.credentials import Credentials, open_credentials
from payments.daraja import NAIROBI, Daraja, Endpoint, NotAsked, Told, read_json
from router.databases import Databases
from router.errors import Refused, Unavailable
from router.ids import VendorId
from router.payment_intents import reports, shortcodes
from router.payment_intents.reports import Channel
from router.payment_intents.shortcodes import Pulling
from router.work import unit_of_work

log = structlog.get_logger(__name__)

KEPT_BY_MPESA: Final = timedelta(hours=48)
EVERY: Final = timedelta(minutes=10)
AGAIN: Final = timedelta(hours=1)  # so much is fetched once more: M-Pesa may list a payment late
WINDOW: Final = timedelta(hours=12)  # the most asked for at once, after an outage
NOT_ASKED_WAIT: Final = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class _Page:
    rows: tuple[str, ...]  # as JSON


def pull_next(
    databases: Databases, daraja: Daraja, *, vendor_id: VendorId, now: datetime, open_secret: Callable[[str], str]
) -> bool:
    """Fetch one window of a shortcode that is due, all its pages; False when none was due.

    The place is moved on only after the whole window is stored, so that a crash or a refusal fetches it again.
    """
    with unit_of_work(databases, vendor_id) as work:
        due = shortcodes.claim_pull(work, now=now, next_at=now + EVERY)
    if due is None:
        return False
    since = max(due.pulled_until - AGAIN, now - KEPT_BY_MPESA)
    until = min(since + WINDOW, now)
    try:
        credentials = open_credentials(due.shortcode.secret_ref, open_secret)
    except (Refused, Unavailable) as error:
        log.error("pull_put_off", vendor_id=str(vendor_id), error=str(error))
        return True
    seen: set[str] = set()
    while True:
        page = _fetch(daraja, due, credentials, since=since, until=until, offset=len(seen))
        if page is None:
            with unit_of_work(databases, vendor_id) as work:
                shortcodes.put_off_pull(work, due.shortcode.id, next_at=now + NOT_ASKED_WAIT)
            return True
        new = [row for row in page.rows if row not in seen]
        if not new:  # the end, or an answer that only repeats itself
            break
        seen.update(new)
        with unit_of_work(databases, vendor_id) as work:
            for row in new:
                reports.keep(work, due.shortcode.id, Channel.PULL, body=row, peer=None, now=now)
    with unit_of_work(databases, vendor_id) as work:
        shortcodes.note_pulled(work, due.shortcode.id, until=until, again_at=now if until < now else None)
    log.info("money_pulled", vendor_id=str(vendor_id), rows=len(seen))
    return True


def to_time(at: datetime) -> str:
    """Write a moment as Pull Transactions reads it, in East African time."""
    return at.astimezone(NAIROBI).strftime("%Y-%m-%d %H:%M:%S")


def read_page(told: Told) -> _Page | None:
    """Read the rows of an answer, however deep its lists are nested; None when it is no answer."""
    answer = read_json(told.body)
    if answer is None or told.status != 200 or "errorCode" in answer:
        return None
    return _Page(rows=tuple(without_person(json.dumps(row, sort_keys=True)) for row in _rows(answer.get("Response"))))


def _rows(value: object) -> Iterator[object]:
    if isinstance(value, list):
        for each in value:
            yield from _rows(each)
    elif isinstance(value, dict):
        yield value


def _fetch(
    daraja: Daraja, due: Pulling, credentials: Credentials, *, since: datetime, until: datetime, offset: int
) -> _Page | None:
    """Fetch one page; None when M-Pesa gave no answer, and the window is asked for again later."""
    body = {
        "ShortCode": due.shortcode.business_shortcode,
        "StartDate": to_time(since),
        "EndDate": to_time(until),
        "OffSetValue": str(offset),
    }
    told = daraja.ask(Endpoint.PULL_QUERY, body, credentials)
    page = read_page(told) if isinstance(told, Told) else None
    if page is None:
        reason = f"HTTP {told.status}" if isinstance(told, Told) else told.reason
        (log.info if isinstance(told, NotAsked) else log.warning)("pull_unanswered", shortcode=due.shortcode.party_b, why=reason)
    return page
