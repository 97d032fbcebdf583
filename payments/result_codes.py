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


class Why(StrEnum):
    """In which words the customer hears of an end, or of a doubt. Flows have a text for each; the first five are outcomes."""

    PAID = "paid"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    NO_FUNDS = "no_funds"
    WRONG_PIN = "wrong_pin"
    EXPIRED = "expired"
    AMOUNT = "amount"  # M-Pesa does not move so little, or so much
    MPESA_LIMIT = "mpesa_limit"  # the customer's own limit of the day, at M-Pesa
    SHOP_FULL = "shop_full"  # the vendor's account may not hold more
    TOO_SOON = "too_soon"  # the same amount within two minutes
    OTHER_PROMPT = "other_prompt"  # the phone shows another one
    SHOP_SET_UP = "shop_set_up"  # the vendor's till, paybill, app or secret
    PIN_LOCKED = "pin_locked"
    TOO_LATE = "too_late"  # the prompt could not leave while the PAY was fresh
    FAILED = "failed"  # the prompt did not reach the phone
    NO_PAYMENT = "no_payment"  # a person looked, and found none
    BUSY = "busy"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """One line of the table."""

    outcome: Outcome
    why: Why
    text: str
    source: str


_PORTAL: Final = "Daraja 3.0 portal, M-Pesa Express result codes, read 2025-12-28"
_SEEN: Final = "seen by several integrators in the sandbox, 2026"
_WEAK: Final = "single or community source: not trusted as final"

MEANINGS: Final[Mapping[str, Meaning]] = {
    "0": Meaning(outcome=Outcome.PAID, why=Why.PAID, text="processed", source=_PORTAL),
    "1": Meaning(outcome=Outcome.NO_FUNDS, why=Why.NO_FUNDS, text="the balance is not enough", source=_PORTAL),
    "2": Meaning(outcome=Outcome.FAILED, why=Why.AMOUNT, text="below the least amount, KES 1", source=_PORTAL),
    "3": Meaning(outcome=Outcome.FAILED, why=Why.AMOUNT, text="above the most M-Pesa moves at once", source=_PORTAL),
    "4": Meaning(outcome=Outcome.FAILED, why=Why.MPESA_LIMIT, text="the customer's daily limit is reached", source=_PORTAL),
    "8": Meaning(outcome=Outcome.FAILED, why=Why.SHOP_FULL, text="the shop's account may not hold more", source=_PORTAL),
    "17": Meaning(outcome=Outcome.FAILED, why=Why.TOO_SOON, text="same amount and customer within two minutes", source=_PORTAL),
    "26": Meaning(outcome=Outcome.REVIEW, why=Why.BUSY, text="system busy", source=_WEAK),
    "1001": Meaning(
        outcome=Outcome.FAILED, why=Why.OTHER_PROMPT, text="another M-Pesa request is open on the phone", source=_PORTAL
    ),
    "1019": Meaning(outcome=Outcome.TIMED_OUT, why=Why.EXPIRED, text="the request expired", source=_PORTAL),
    "1025": Meaning(outcome=Outcome.FAILED, why=Why.FAILED, text="the prompt could not be sent", source=_PORTAL),
    "1032": Meaning(outcome=Outcome.CANCELLED, why=Why.CANCELLED, text="cancelled by the customer", source=_PORTAL),
    "1037": Meaning(
        outcome=Outcome.TIMED_OUT, why=Why.TIMED_OUT, text="the phone could not be reached, or nobody answered", source=_PORTAL
    ),
    "2001": Meaning(outcome=Outcome.WRONG_PIN, why=Why.WRONG_PIN, text="wrong M-Pesa PIN", source=_PORTAL),
    "2002": Meaning(
        outcome=Outcome.FAILED, why=Why.SHOP_SET_UP, text="the shop's till or paybill is set up wrongly", source=_PORTAL
    ),
    "2028": Meaning(
        outcome=Outcome.FAILED, why=Why.SHOP_SET_UP, text="the shop's till or paybill is set up wrongly", source=_PORTAL
    ),
    "SFC_IC0003": Meaning(
        outcome=Outcome.FAILED, why=Why.SHOP_SET_UP, text="the shop's till is not under this store", source=_PORTAL
    ),
    "4999": Meaning(outcome=Outcome.PENDING, why=Why.UNKNOWN, text="still under processing", source=_SEEN),
    "8006": Meaning(outcome=Outcome.FAILED, why=Why.PIN_LOCKED, text="the M-Pesa PIN is locked", source=_PORTAL),
    "9999": Meaning(outcome=Outcome.REVIEW, why=Why.UNKNOWN, text="error sending the prompt", source=_WEAK),
    "E3008": Meaning(outcome=Outcome.REVIEW, why=Why.UNKNOWN, text="bad debt contract", source=_WEAK),
}
# What rejects a push without a fault of the vendor's: we never got through, called too often, or had a token that was replaced.
_NOT_THE_SHOPS: Final = frozenset(
    {"not_sent", "429", "500.003.02", "500.003.03", "400.003.01", "401.002.01", "401.003.01", "404.001.03", "404.001.04"}
)
_UNKNOWN: Final = Meaning(outcome=Outcome.REVIEW, why=Why.UNKNOWN, text="a result we do not know", source="none")


def meaning_of(code: str) -> Meaning:
    """Look a code up, as parse_code wrote it. An unknown one goes to review."""
    return MEANINGS.get(code, _UNKNOWN)


def outcome_of(why: str | None) -> Outcome:
    """Give the outcome that an end told in these words has; FAILED for words of no result code, and for none."""
    return next((meaning.outcome for meaning in MEANINGS.values() if meaning.why == why), Outcome.FAILED)


def why_rejected(code: str, text: str) -> Why:
    """Say why Daraja took no prompt; its error codes are shared by several faults, so the text decides where it must."""
    if "unable to lock subscriber" in text.lower():
        return Why.OTHER_PROMPT
    return Why.FAILED if code in _NOT_THE_SHOPS else Why.SHOP_SET_UP


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
