"""Stand-ins: the phones, names and receipts that may stand in a committed file, and putting them in place of real ones."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import phonenumbers

FIRST_PHONE: Final = 254700000000  # Safaricom's oldest range, whose first hundred numbers nobody has
PHONES: Final = 100
NAME: Final = "Mteja"  # "customer"
_DIGITS: Final = re.compile(r"(?:\d[ ().\-]*){7}")
_RECEIPT: Final = re.compile(r"(?<![\w/+-])(?=[A-Z]*\d)[A-Z][A-Z0-9]{9}(?![\w/+-])")
_STAND_IN_RECEIPT: Final = re.compile(r"SBC\d{4}XYZ")
_KENYA: Final = 254


@dataclass(frozen=True, kw_only=True)
class Found:
    """Something private in a text: where it stands, and what it is once spaces and the like are gone."""

    start: int
    end: int
    value: str


def find_phones(text: str) -> Iterator[Found]:
    """Kenyan numbers in any of the ways people write them, as msisdns; stand-ins are not among them."""
    if not _DIGITS.search(text):
        return
    for found in phonenumbers.PhoneNumberMatcher(text, "KE"):
        if found.number.country_code == _KENYA and not is_stand_in_phone(value := f"{_KENYA}{found.number.national_number}"):
            yield Found(start=found.start, end=found.end, value=value)


def find_receipts(text: str) -> Iterator[Found]:
    """M-Pesa's receipts, ten capitals and digits; stand-ins are not among them."""
    for found in _RECEIPT.finditer(text):
        if not _STAND_IN_RECEIPT.fullmatch(found[0]):
            yield Found(start=found.start(), end=found.end(), value=found[0])


def mask_phones(text: str) -> str:
    """The text with stars in Kenyan numbers, however they are written: 0712 345 678 becomes 0712 *** 678."""
    for phone in reversed(list(find_phones(text))):
        digits = [at for at in range(phone.start, phone.end) if text[at].isdigit()]
        hidden = set(digits[-6:-3])
        text = "".join("*" if at in hidden else char for at, char in enumerate(text))
    return text


def is_stand_in_phone(msisdn: str) -> bool:
    """Whether nobody can have this number."""
    return FIRST_PHONE <= int(msisdn) < FIRST_PHONE + PHONES


def stand_in_receipt(number: int) -> str:
    """The nth receipt of a transcript."""
    return f"SBC{number:04}XYZ"


@dataclass(kw_only=True)
class Disguise:
    """Puts the same stand-in in place of the same real thing, each time. `names` are a customer's, as one word each."""

    names: frozenset[str] = frozenset()
    _phones: dict[str, str] = field(default_factory=dict)
    _receipts: dict[str, str] = field(default_factory=dict)

    def phone(self, msisdn: str) -> str:
        """The stand-in of one number."""
        return self._phones.setdefault(msisdn, str(FIRST_PHONE + 1 + len(self._phones) % (PHONES - 1)))

    def receipt(self, receipt: str) -> str:
        """The stand-in of one receipt."""
        return self._receipts.setdefault(receipt, stand_in_receipt(len(self._receipts) + 1))

    def text(self, text: str) -> str:
        """The text with stand-ins. A number keeps the way it was written: 0712 345 678 becomes 0700 000 001."""
        for phone in reversed(list(find_phones(text))):
            written = _as_written(text[phone.start : phone.end], self.phone(phone.value))
            text = text[: phone.start] + written + text[phone.end :]
        for receipt in reversed(list(find_receipts(text))):
            text = text[: receipt.start] + self.receipt(receipt.value) + text[receipt.end :]
        for name in self.names:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", NAME, text, flags=re.IGNORECASE)
        return text


def _as_written(written: str, stand_in: str) -> str:
    """Put the last nine digits of a stand-in where the last nine of a number stand."""
    digits = iter(reversed(stand_in[-9:]))
    return "".join(reversed([next(digits, char) if char.isdigit() else char for char in reversed(written)]))
