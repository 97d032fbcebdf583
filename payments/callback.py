"""What Daraja posts about one prompt, read with distrust: from a body of any shape to one result, or to nothing.

Shape of a success; a failure has no CallbackMetadata, items come in any order, and an item may have no Value:
  {"Body": {"stkCallback": {"MerchantRequestID": "29115-…", "CheckoutRequestID": "ws_CO_…", "ResultCode": 0,
   "ResultDesc": "…", "CallbackMetadata": {"Item": [{"Name": "Amount", "Value": 1.00},
   {"Name": "MpesaReceiptNumber", "Value": "NLJ7RT61SV"}, {"Name": "PhoneNumber", "Value": 254708374149}]}}}}
Source: Daraja 3.0 portal, M-Pesa Express, read 2025-12-28.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final

from payments.result_codes import parse_code

RECEIPT: Final = re.compile(r"[A-Z0-9]{8,12}")
_MOST_DIGITS: Final = 12


@dataclass(frozen=True, kw_only=True)
class StkResult:
    """One result. `amount` in whole KES, None when it is missing or not whole; `receipt` None when it is not one."""

    checkout_request_id: str
    merchant_request_id: str
    code: str
    desc: str
    amount: int | None
    receipt: str | None
    payer: str | None


def parse_callback(body: str) -> StkResult | None:
    """Read a callback's body; None when it is not one."""
    try:
        parsed = json.loads(body, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None
    told = _inside(_inside(parsed, "Body"), "stkCallback")
    if told is None or "ResultCode" not in told:
        return None
    items = _items(_inside(told, "CallbackMetadata"))
    receipt = to_words(items.get("MpesaReceiptNumber"))
    return StkResult(
        checkout_request_id=to_words(told.get("CheckoutRequestID")),
        merchant_request_id=to_words(told.get("MerchantRequestID")),
        code=parse_code(told["ResultCode"]),
        desc=to_words(told.get("ResultDesc")),
        amount=to_whole(items.get("Amount")),
        receipt=receipt if RECEIPT.fullmatch(receipt) else None,
        payer=to_words(items.get("PhoneNumber")) or None,
    )


def names_another_phone(payer: str | None, msisdn: str) -> bool:
    """Tell whether the payer's digits contradict the phone that got the prompt. M-Pesa may mask some: 2547*****149."""
    if payer is None:
        return False
    digits = re.sub(r"[^0-9*]", "", payer)[-9:]
    return any(told not in ("*", known) for told, known in zip(reversed(digits), reversed(msisdn), strict=False))


def _inside(value: object, name: str) -> Mapping[str, object] | None:
    inner = value.get(name) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else None


def _items(metadata: Mapping[str, object] | None) -> Mapping[str, object]:
    items = metadata.get("Item") if metadata else None
    if not isinstance(items, list):
        return {}
    return {item["Name"]: item.get("Value") for item in items if isinstance(item, dict) and isinstance(item.get("Name"), str)}


def to_words(value: object) -> str:
    """Read a text or a number as text that Postgres can store; nothing else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    # Postgres stores neither NUL nor half of a surrogate pair, and JSON can spell both.
    return str(value)[:200].replace("\x00", "?").encode("utf-8", "replace").decode()


def to_whole(value: object) -> int | None:
    """Read an amount that is whole, however it is written: 10, 10.00, "10.00"; None otherwise."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    small = amount.is_finite() and amount.adjusted() < _MOST_DIGITS
    return int(amount) if small and amount == amount.to_integral_value() else None
