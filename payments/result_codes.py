"""What M-Pesa's result codes mean to us: one table, the only place a Daraja code is read.

The texts of Daraja (ResultDesc) vary for one code, so only the code counts. A code that no primary source explains is
never final: it is looked at by a person, and the customer is not told that the payment failed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Outcome(StrEnum):
    """What a result of M-Pesa means for the payment intent."""

    PAID = "paid"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    NO_FUNDS = "no_funds"
    WRONG_PIN = "wrong_pin"
    FAILED = "failed"
    PENDING = "pending"  # no answer yet
    REVIEW = "review"  # an answer we may not interpret


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """One line of the table."""

    outcome: Outcome
    text: str
    source: str


_PORTAL: Final = "Daraja 3.0 portal, M-Pesa Express result codes, read 2025-12-28"
_SEEN: Final = "seen by several integrators in the sandbox, 2026"
_WEAK: Final = "single or community source: not trusted as final"

MEANINGS: Final[Mapping[str, Meaning]] = {
    "0": Meaning(outcome=Outcome.PAID, text="processed", source=_PORTAL),
    "1": Meaning(outcome=Outcome.NO_FUNDS, text="the balance is not enough", source=_PORTAL),
    "2": Meaning(outcome=Outcome.FAILED, text="below the least amount, KES 1", source=_PORTAL),
    "3": Meaning(outcome=Outcome.FAILED, text="above the most M-Pesa moves at once", source=_PORTAL),
    "4": Meaning(outcome=Outcome.FAILED, text="the customer's daily limit is reached", source=_PORTAL),
    "8": Meaning(outcome=Outcome.FAILED, text="the shop's account may not hold more", source=_PORTAL),
    "17": Meaning(outcome=Outcome.FAILED, text="same amount and customer within two minutes", source=_PORTAL),
    "26": Meaning(outcome=Outcome.REVIEW, text="system busy", source=_WEAK),
    "1001": Meaning(outcome=Outcome.FAILED, text="another M-Pesa request is open on the phone", source=_PORTAL),
    "1019": Meaning(outcome=Outcome.TIMED_OUT, text="the request expired", source=_PORTAL),
    "1025": Meaning(outcome=Outcome.FAILED, text="the prompt could not be sent", source=_PORTAL),
    "1032": Meaning(outcome=Outcome.CANCELLED, text="cancelled by the customer", source=_PORTAL),
    "1037": Meaning(outcome=Outcome.TIMED_OUT, text="the phone could not be reached, or nobody answered", source=_PORTAL),
    "2001": Meaning(outcome=Outcome.WRONG_PIN, text="wrong M-Pesa PIN", source=_PORTAL),
    "2002": Meaning(outcome=Outcome.FAILED, text="the shop's till or paybill is set up wrongly", source=_PORTAL),
    "2028": Meaning(outcome=Outcome.FAILED, text="the shop's till or paybill is set up wrongly", source=_PORTAL),
    "SFC_IC0003": Meaning(outcome=Outcome.FAILED, text="the shop's till is not under this store", source=_PORTAL),
    "4999": Meaning(outcome=Outcome.PENDING, text="still under processing", source=_SEEN),
    "8006": Meaning(outcome=Outcome.FAILED, text="the M-Pesa PIN is locked", source=_PORTAL),
    "9999": Meaning(outcome=Outcome.REVIEW, text="error sending the prompt", source=_WEAK),
    "E3008": Meaning(outcome=Outcome.REVIEW, text="bad debt contract", source=_WEAK),
}
_UNKNOWN: Final = Meaning(outcome=Outcome.REVIEW, text="a result we do not know", source="none")


def meaning_of(code: str) -> Meaning:
    """Look a code up, as parse_code wrote it. An unknown one goes to review."""
    return MEANINGS.get(code, _UNKNOWN)


def parse_code(value: object) -> str:
    """Read a ResultCode: an int or a string, as Daraja sends them; anything else (true, 0.0, null) is no code we know.

    Success must be exactly the int 0 or the string "0", so `0.0` and `false` may not turn into it.
    """
    match value:
        case int():
            return str(value)  # a bool is an int too, and becomes "True" or "False": no code
        case str():
            return value[:40].replace("\x00", "?")  # Postgres stores no NUL
        case _:
            return f"not a code: {type(value).__name__}"
