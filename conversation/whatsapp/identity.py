"""How Meta names a person: by phone number, by business-scoped user id (BSUID), or by both.

Source: Meta's page "Business-scoped user IDs", read in September 2026. A BSUID is two letters of the country, a dot and up to 128
letters or digits (`KE.1a2B…`); a parent one has `ENT.` in between. A person with a username may come without a phone.
"""

import re
from typing import Final

PHONE: Final = re.compile(r"\+?([0-9]{7,15})")
BSUID: Final = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")


def parse_phone(value: object) -> str | None:
    """Return 7 to 15 digits with country code (12, `254…`, in Kenya), or None for anything else."""
    found = PHONE.fullmatch(value) if isinstance(value, str) else None
    return found[1] if found else None


def parse_bsuid(value: object) -> str | None:
    """Return the id as it came, or None for anything else."""
    return value if isinstance(value, str) and BSUID.fullmatch(value) else None
