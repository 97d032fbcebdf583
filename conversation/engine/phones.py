"""A phone that M-Pesa could ask: a Kenyan mobile number in any of the ways people write it."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import datetime
from typing import Final

import phonenumbers

from conversation.engine.lexicon import Lexicon
from conversation.engine.values import JSON

KENYA: Final = 254
MOST: Final = 300  # characters: a longer message is not an answer about a phone
_MOBILE: Final = frozenset({phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE})
_RUN: Final = re.compile(r"(?<![oO])\+?\d[\d ().\-]*\d")  # "O712…" begins with a letter: a digit is wrong
_TRUNK: Final = re.compile(r"\(0\)")


def read_phone(text: str, lexicon: Lexicon, at: datetime | None = None) -> JSON:
    """The one Kenyan mobile number of the message as 12 digits ("254712345678"), or None.

    Landlines, foreign numbers and two different numbers are None.
    """
    if len(text) > MOST:
        return None
    plain = "".join(_digit(char) for char in unicodedata.normalize("NFKC", text))
    found = {number for run in _RUN.findall(_TRUNK.sub("", plain)) for number in _read_run(run)}
    return found.pop() if len(found) == 1 else None


def _digit(char: str) -> str:
    return str(unicodedata.digit(char)) if char.isdigit() else char


def _read_run(run: str) -> Iterator[str]:
    """The number that the whole run is ("0712 345 678"); or else those among its parts ("2 0712345678")."""
    whole = _read(run)
    if whole is not None:
        yield whole
    elif not run.startswith("+"):
        yield from filter(None, map(_read, run.split()))


def _read(written: str) -> str | None:
    digits = re.sub(r"[^\d+]", "", written)
    if not 9 <= len(digits) <= 14:
        return None
    if digits.startswith("00"):
        digits = f"+{digits[2:]}"
    try:
        number = phonenumbers.parse(digits, "KE")
    except phonenumbers.NumberParseException:
        return None
    mobile = phonenumbers.is_valid_number(number) and phonenumbers.number_type(number) in _MOBILE
    return f"{KENYA}{number.national_number}" if mobile and number.country_code == KENYA else None
