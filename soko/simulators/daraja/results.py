"""How a prompt can end: outcomes in our words, Daraja's codes and texts, receipts, and the callback that tells of it."""

import secrets
from datetime import datetime
from typing import Final

from soko.simulators.daraja.checks import NAIROBI

PAID: Final = "0"
UNREACHABLE: Final = "1037"
OUTCOMES: Final = {
    "paid": PAID,
    "cancelled": "1032",
    "no_funds": "1",
    "wrong_pin": "2001",
    "timed_out": "1019",
    "unreachable": UNREACHABLE,
}
DESCRIPTIONS: Final = {
    PAID: "The service request is processed successfully.",
    "1": "The balance is insufficient for the transaction.",
    "2": "Declined due to limit rule: less than the minimum transaction amount.",
    "3": "Declined due to limit rule: greater than the maximum transaction amount.",
    "4": "Declined due to limit rule: would exceed daily transfer limit.",
    "8": "Declined due to limit rule: would exceed the maximum balance.",
    "17": "System internal error: similar transaction in process.",
    "26": "System busy. The service request is rejected.",
    "1001": "Unable to lock subscriber, a transaction is already in process for the current subscriber.",
    "1019": "Transaction has expired.",
    "1025": "An error occurred while sending a push request.",
    "1032": "Request cancelled by user",
    UNREACHABLE: "No response from user.",
    "2001": "The initiator information is invalid.",
    "2002": "The agent number and store number entered do not match.",
    "2028": "The request is not permitted according to product assignment.",
    "8006": "The security credential is locked.",
    "9999": "An error occurred while sending a push request.",
    "SFC_IC0003": "The operator does not exist.",
}
BASE36: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
RECEIPTS: Final = 36**7
STRIDE: Final = 1_000_003  # shares no factor with 36, so every number of the range comes once


def description_of(code: str) -> str:
    """Daraja's text for a result code."""
    return DESCRIPTIONS.get(code, "The transaction failed.")


def new_receipt(serial: int, at: datetime) -> str:
    """Ten characters: year (A is 2006), month (A to L), day (1 to 9, then A to V), seven of base 36. Unique over serials."""
    day = at.astimezone(NAIROBI)
    number = serial * STRIDE % RECEIPTS
    tail = "".join(BASE36[number // 36**place % 36] for place in reversed(range(7)))
    return f"{chr(ord('A') + day.year - 2006)}{chr(ord('A') + day.month - 1)}{BASE36[day.day]}{tail}"


def first_serial() -> int:
    """Where to begin, so that two runs against one database do not repeat receipts."""
    return secrets.randbelow(RECEIPTS)


def new_merchant_request_id() -> str:
    """Shape: 2654-4b64-97ff-b827b542881d3130."""
    return f"{secrets.token_hex(2)}-{secrets.token_hex(2)}-{secrets.token_hex(2)}-{secrets.token_hex(8)}"


def new_checkout_request_id(serial: int, phone: str, at: datetime) -> str:
    """Shape: ws_CO_, day and time in Nairobi, three digits, the phone's last nine."""
    return f"ws_CO_{at.astimezone(NAIROBI):%d%m%Y%H%M%S}{serial % 1000:03d}{phone[-9:]}"
