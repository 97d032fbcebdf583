"""The callback of one STK push, byte for byte as Daraja posts it."""

import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from soko.simulators.daraja.checks import NAIROBI
from soko.simulators.daraja.prompts import Prompt
from soko.simulators.daraja.results import PAID, UNREACHABLE, description_of

ITEM_ORDERS: Final = tuple(itertools.permutations(range(4)))  # the first is the portal's

OTHER_CHECKOUT: Final = "ws_CO_010120260000000000000001"
GARBLED: Final = {"huge": b'"' + b"x" * 1_000_000 + b'"', "deep": b"[" * 100_000, "invalid": b'{"Body": '}


def callback_body(prompt: Prompt, *, changed: bool = False) -> bytes:
    """Shape: {"Body": {"stkCallback": {…, "ResultCode": 0, "ResultDesc", "CallbackMetadata": {"Item": [{"Name", "Value"}]}}}}.

    Only a payment carries CallbackMetadata; its items come in another order each time. `changed`: not what was told before.
    """
    garbled = prompt.scenario.garbled
    if garbled is not None:
        return GARBLED[garbled]
    if changed and prompt.result_code == PAID:
        prompt = replace(prompt, scenario=prompt.scenario.model_copy(update={"wrong_amount": prompt.push.amount + 1}))
    elif changed:
        prompt = replace(prompt, result_code=UNREACHABLE, result_text=description_of(UNREACHABLE))
    callback: dict[str, object] = {
        "MerchantRequestID": prompt.merchant_request_id,
        "CheckoutRequestID": OTHER_CHECKOUT if prompt.scenario.other_checkout else prompt.checkout_request_id,
        "ResultCode": _code(prompt),
        "ResultDesc": prompt.result_text,
    }
    if prompt.result_code == PAID:
        callback["CallbackMetadata"] = {"Item": _items(prompt)}
    return json.dumps({"Body": {"stkCallback": callback}}).encode()


def _code(prompt: Prompt) -> str | int | None:
    code = prompt.result_code
    return int(code) if code is not None and code.isdigit() and not prompt.scenario.code_as_text else code


def _items(prompt: Prompt) -> list[Mapping[str, object]]:
    scenario = prompt.scenario
    amount = prompt.push.amount if scenario.wrong_amount is None else scenario.wrong_amount
    at = prompt.decided_at.astimezone(NAIROBI) if prompt.decided_at else None
    items: list[Mapping[str, object]] = [
        {"Name": "Amount", "Value": str(amount) if scenario.amount_as_text else amount if prompt.serial % 2 else float(amount)},
        {"Name": "MpesaReceiptNumber", "Value": prompt.receipt},
        {"Name": "TransactionDate", "Value": int(f"{at:%Y%m%d%H%M%S}") if at else None},
        {"Name": "PhoneNumber", "Value": _phone(prompt)},
    ]
    ordered = [items[place] for place in ITEM_ORDERS[prompt.serial % len(ITEM_ORDERS)]]
    if scenario.no_phone:
        ordered = [each for each in ordered if each["Name"] != "PhoneNumber"]
    return [*ordered, {"Name": "Balance"}] if scenario.with_balance else ordered


def _phone(prompt: Prompt) -> str | int:
    """A number, or since the masking of March 2026 perhaps 0712345***."""
    phone = prompt.push.phone
    return f"0{phone[3:9]}***" if prompt.scenario.masked_phone else int(phone)
