"""An amount of money in whole shillings: "KES 1,500", "1500/-", "elfu moja mia tano", "1.5k", "soo mbili"."""

import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime
from fractions import Fraction
from typing import Final

from conversation.engine import words
from conversation.engine.lexicon import Lexicon
from conversation.engine.measures import PART_WORDS
from conversation.engine.numbers import read_quantity
from conversation.engine.tokens import to_tokens
from conversation.engine.values import JSON

MOST: Final = 99_999_999
MOST_TOKENS: Final = 40  # a longer message is not an answer about money
_CURRENCY: Final = re.compile(r"(?<![^\W\d_])(?:kes|kshs|ksh|shs|sh|bob)(?![^\W\d_])\.?|/[-=]|(?<=\d)=")
_BELOW_ZERO: Final = re.compile(r"(?:^|[\s(])[-\u2212]\s?\d")
_THOUSANDS: Final = {"k": 1000, "m": 1_000_000}
_CURRENCY_WORDS: Final = frozenset({"shilling", "shillings", "shilingi", "silingi"})
_NOT_ALONE: Final = 10  # a smaller number among other words, without a currency, is no money


def read_money(text: str, lexicon: Lexicon, at: datetime | None = None) -> JSON:
    """The one amount of the message in whole shillings, or None: none, several, cents, or below zero."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    if _BELOW_ZERO.search(folded):
        return None
    plain, marked = _CURRENCY.subn(" ", folded)
    written = to_tokens(plain)
    tokens = [words.SLANG.get(token, token) for token in written]
    if len(tokens) > MOST_TOKENS or (not PART_WORDS.isdisjoint(tokens[:-1]) and tokens[-2:] != ["na", "nusu"]):
        return None
    named = bool(marked) or written != tokens or not _CURRENCY_WORDS.isdisjoint(tokens)
    amounts, others = _read_amounts(tokens)
    if len(set(amounts)) != 1 or amounts[0].denominator != 1 or not 0 < amounts[0] <= MOST:
        return None
    return None if others and not named and amounts[0] < _NOT_ALONE else amounts[0].numerator


def _read_amounts(tokens: Sequence[str]) -> tuple[list[Fraction], int]:
    """All amounts, and how many words mean nothing here."""
    amounts: list[Fraction] = []
    others = at = 0
    while at < len(tokens):
        if tokens[at] in ("a", "an", "one", "another") and not _counts(tokens, at + 1):
            at += 1
            continue
        amount, width = _read_amount(tokens, at)
        if amount is not None:
            amounts.append(amount)
        else:
            others += not words.is_known(tokens[at]) and tokens[at] not in _CURRENCY_WORDS
        at += width
    return amounts, others


def _counts(tokens: Sequence[str], at: int) -> bool:
    return at < len(tokens) and tokens[at] in ("hundred", "thousand", "million", "k")


def _read_amount(tokens: Sequence[str], at: int) -> tuple[Fraction | None, int]:
    following = tokens[at + 1] if at + 1 < len(tokens) else ""
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", tokens[at]):
        if following in _THOUSANDS:
            return Fraction(tokens[at]) * _THOUSANDS[following], 2
        if "." in tokens[at] or len(tokens[at]) > 6:
            return Fraction(tokens[at]), 1
    read = read_quantity(tokens, at)
    return (Fraction(read[0]), read[1]) if read else (None, 1)
