"""Meta's error codes and what each means for the message that met it: one table for the HTTP answer and the failed status.

Source: Meta's pages "Error codes" and "Throughput" of the WhatsApp Cloud API, read in September 2026.
Decide on the code alone: HTTP status and wording differ between Meta's own pages, and change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class ErrorKind(StrEnum):
    """Who or what is the matter."""

    TOKEN = "token"  # noqa: S105 — a kind of error
    PERMISSION = "permission"
    TROUBLE = "trouble"
    CALL_RATE = "call_rate"
    NUMBER_RATE = "number_rate"
    PAIR_RATE = "pair_rate"
    MAINTENANCE = "maintenance"
    STOPPED = "stopped"
    WINDOW = "window"
    UNREACHABLE = "unreachable"
    HELD_BACK = "held_back"
    OPTED_OUT = "opted_out"
    OUR_FAULT = "our_fault"
    MEDIA = "media"
    BILLING = "billing"
    NUMBER_GONE = "number_gone"
    NOT_ALLOWED = "not_allowed"
    UNLISTED = "unlisted"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """`wait_seconds` is the least time before the same message may be tried again; None is final. `meaning` is for operators."""

    codes: frozenset[int]
    wait_seconds: int | None
    meaning: str


def _rule(*codes: int, wait: int | None, meaning: str) -> Rule:
    return Rule(codes=frozenset(codes), wait_seconds=wait, meaning=meaning)


RULES: Final[Mapping[ErrorKind, Rule]] = {
    ErrorKind.TOKEN: _rule(0, 190, wait=300, meaning="the access token is invalid or has expired: replace it"),
    ErrorKind.PERMISSION: _rule(
        3, 10, *range(200, 300), 131005, wait=300, meaning="the token lacks a permission for this number: grant it"
    ),
    ErrorKind.TROUBLE: _rule(1, 2, 131000, 131016, 133004, wait=4, meaning="WhatsApp has trouble of its own"),
    ErrorKind.CALL_RATE: _rule(4, 80007, wait=120, meaning="the app or the business account calls too often"),
    ErrorKind.NUMBER_RATE: _rule(130429, wait=3, meaning="the number sends too fast"),
    ErrorKind.PAIR_RATE: _rule(131056, wait=6, meaning="too many messages to this customer in a short time"),
    ErrorKind.MAINTENANCE: _rule(131057, wait=60, meaning="the number is being upgraded"),
    ErrorKind.STOPPED: _rule(
        368, 130497, 131031, 131048, 131064, wait=None, meaning="WhatsApp stopped the number: look into WhatsApp Manager"
    ),
    ErrorKind.WINDOW: _rule(131047, wait=None, meaning="the customer wrote more than 24 hours ago: only a template may go"),
    ErrorKind.UNREACHABLE: _rule(131026, wait=None, meaning="the customer has no WhatsApp, an old one, or blocked the number"),
    ErrorKind.HELD_BACK: _rule(130472, 131049, wait=None, meaning="WhatsApp held a marketing message back"),
    ErrorKind.OPTED_OUT: _rule(130403, 131050, wait=None, meaning="the customer opted out, or we blocked the customer"),
    ErrorKind.OUR_FAULT: _rule(
        100, 131008, 131009, 131051, *range(132000, 132019), 135000, wait=None, meaning="the message is not as WhatsApp wants it"
    ),
    ErrorKind.MEDIA: _rule(131052, 131053, wait=None, meaning="a file could not be fetched or uploaded"),
    ErrorKind.BILLING: _rule(131042, 134011, wait=None, meaning="the business account lacks a payment method or accepted terms"),
    ErrorKind.NUMBER_GONE: _rule(33, 131045, 133010, wait=None, meaning="the number is deleted or not registered"),
    ErrorKind.NOT_ALLOWED: _rule(
        131021,
        131030,
        131037,
        131062,
        wait=None,
        meaning="this number may not write to this customer: itself, test list or name",
    ),
}
KINDS: Final[Mapping[int, ErrorKind]] = {code: kind for kind, rule in RULES.items() for code in rule.codes}
UNLISTED: Final = _rule(wait=None, meaning="an error code we do not know")


def kind_of(code: int) -> ErrorKind:
    """Return the kind of an error code; UNLISTED for one that the table does not have."""
    return KINDS.get(code, ErrorKind.UNLISTED)


def rule_of(code: int) -> Rule:
    """Return what to do about an error code; an unlisted one is final."""
    return RULES.get(kind_of(code), UNLISTED)


def describe(code: int, *said: str | None) -> str:
    """Say the code, what WhatsApp said and what it means, for an operator: "131047 Re-engagement message (the customer …)"."""
    parts = dict.fromkeys(each.removeprefix(f"(#{code})").strip() for each in said if each)
    words = ": ".join(part for part in parts if part)[:300]
    return " ".join(part for part in (str(code), words, f"({rule_of(code).meaning})") if part)
