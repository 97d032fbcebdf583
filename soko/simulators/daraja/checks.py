"""The bodies of STK push and status query, and every check Daraja makes before it accepts one.

Source: Daraja 3.0 portal, M-Pesa Express, read 2025-12-28. A paybill or till used the wrong way round passes these checks, as it
does at Safaricom, and fails in the callback: `setup_fault` names the code.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from soko.simulators.daraja.refusals import invalid, refusal
from soko.simulators.daraja.vendors import Kind, Vendor
from soko.simulators.serving import is_loopback

NAIROBI: Final = ZoneInfo("Africa/Nairobi")
TIMESTAMP_TOLERANCE: Final = timedelta(minutes=10)
MOST_KES: Final = 250_000
PHONE: Final = re.compile(r"254[17][0-9]{8}")
BANNED_IN_URLS: Final = ("mpesa", "m-pesa", "safaricom", "exe", "exec", "cmd", "sql", "query", "ngrok", "requestbin")
TRANSACTION_TYPES: Final = frozenset(kind.transaction_type for kind in Kind)


@dataclass(frozen=True, kw_only=True)
class Push:
    """A push that passed the checks. Amount in whole KES; `setup_fault` is the result code a wrong set-up will end in."""

    vendor: Vendor
    transaction_type: str
    amount: int
    phone: str
    party_b: str
    callback_url: str
    account_reference: str
    description: str
    setup_fault: str | None


@dataclass(frozen=True, kw_only=True)
class Question:
    """A status query that passed the checks."""

    vendor: Vendor
    checkout_request_id: str


def parse_push(raw: bytes, *, content_type: str, owner: Vendor, now: datetime) -> Push:
    """Read a push as Daraja does, for the Daraja app `owner`, or refuse it with Daraja's own error."""
    fields = read_fields(raw, content_type)
    short_code = matching(fields, "BusinessShortCode", r"[0-9]{5,7}")
    transaction_type = text_of(fields, "TransactionType")
    if transaction_type not in TRANSACTION_TYPES:
        raise invalid("TransactionType")
    matching(fields, "PartyA", PHONE.pattern)
    party_b = matching(fields, "PartyB", r"[0-9]{5,7}")
    push = Push(
        vendor=owner,
        transaction_type=transaction_type,
        amount=_amount(fields),
        phone=matching(fields, "PhoneNumber", PHONE.pattern),
        party_b=party_b,
        callback_url=check_address(fields, "CallBackURL"),
        account_reference=matching(fields, "AccountReference", r"[A-Za-z0-9]{1,12}"),
        description=_description(fields),
        setup_fault=_setup_fault(owner, transaction_type, party_b),
    )
    _prove(fields, short_code, owner, now)
    return push


def parse_question(raw: bytes, *, content_type: str, owner: Vendor, now: datetime) -> Question:
    """Read a status query, or refuse it."""
    fields = read_fields(raw, content_type)
    short_code = matching(fields, "BusinessShortCode", r"[0-9]{5,7}")
    checkout_request_id = matching(fields, "CheckoutRequestID", r"ws_CO_[0-9A-Za-z]+")
    _prove(fields, short_code, owner, now)
    return Question(vendor=owner, checkout_request_id=checkout_request_id)


def read_fields(raw: bytes, content_type: str) -> Mapping[str, object]:
    """Read a body, or refuse it."""
    if not content_type.startswith("application/json"):
        raise invalid("BusinessShortCode")  # misleading, and Daraja's own words for a form
    try:
        fields = json.loads(raw)
    except ValueError:
        raise refusal("400.002.05") from None
    if not isinstance(fields, dict):
        raise refusal("400.002.05")
    return fields


def text_of(fields: Mapping[str, object], name: str) -> str:
    """A string or a number: Daraja's own sample mixes them."""
    value = fields.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise invalid(name)
    return str(value)


def matching(fields: Mapping[str, object], name: str, pattern: str) -> str:
    """Read a field that must match, or refuse it."""
    text = text_of(fields, name)
    if not re.fullmatch(pattern, text):
        raise invalid(name)
    return text


def _amount(fields: Mapping[str, object]) -> int:
    amount = int(matching(fields, "Amount", r"[0-9]{1,9}"))
    if not 1 <= amount <= MOST_KES:
        raise invalid("Amount")
    return amount


def _description(fields: Mapping[str, object]) -> str:
    if "TransactionDesc" not in fields:
        raise invalid("Remarks")  # the portal calls it optional; the sandbox does not
    text = text_of(fields, "TransactionDesc")
    if not 1 <= len(text) <= 13:
        raise invalid("TransactionDesc")
    return text


def check_address(fields: Mapping[str, object], name: str) -> str:
    """Read an address that Safaricom would call, or refuse it."""
    url = text_of(fields, name)
    parts = urlsplit(url)
    is_reachable = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    banned = any(word in url.lower() for word in BANNED_IN_URLS)
    if not parts.hostname or not is_reachable or banned or re.search(r"\s", url):
        raise invalid(name)
    return url


def _prove(fields: Mapping[str, object], short_code: str, owner: Vendor, now: datetime) -> None:
    """Whether the caller is who owns the shortcode: timestamp, then shortcode, then password."""
    timestamp = matching(fields, "Timestamp", r"[0-9]{14}")
    try:
        told = datetime.strptime(timestamp, "%Y%m%d%H%M%S").replace(tzinfo=NAIROBI)
    except ValueError:
        raise invalid("Timestamp") from None
    if abs(now - told) > TIMESTAMP_TOLERANCE:
        raise invalid("Timestamp")
    if short_code != owner.short_code:
        raise refusal("500.001.1001", "Merchant does not exist")
    try:
        password = base64.b64decode(text_of(fields, "Password"), validate=True)
    except (binascii.Error, ValueError):
        raise refusal("500.001.1001", "Wrong credentials") from None
    if password != f"{short_code}{owner.passkey}{timestamp}".encode():
        raise refusal("500.001.1001", "Wrong credentials")


def _setup_fault(vendor: Vendor, transaction_type: str, party_b: str) -> str | None:
    if transaction_type != vendor.kind.transaction_type:
        return "2028"
    if party_b != vendor.party_b:
        return "SFC_IC0003" if vendor.kind is Kind.TILL else "2002"
    return None
