"""Kenyan phone numbers as people write them, to 12 digits."""

import re
from typing import Final

import phonenumbers

MOBILE: Final = re.compile(r"254[17][0-9]{8}")


def parse_msisdn(text: str) -> str:
    """Return 12 digits, `254…`, for 0712 345 678, +254712345678, 254712345678. Raises ValueError."""
    try:
        number = phonenumbers.parse(text, "KE")
    except phonenumbers.NumberParseException:
        number = None
    digits = "" if number is None else f"{number.country_code}{number.national_number}"
    if not MOBILE.fullmatch(digits):
        raise ValueError("not a Kenyan mobile number: write 0712345678, 254712345678 or +254712345678")
    return digits
