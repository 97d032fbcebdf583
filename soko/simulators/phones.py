"""How a person is named in a simulator's own addresses."""


def to_key(text: str) -> str:
    """Turn `+254 712…`, `0712…` or `254712…` into 12 digits; leave a business-scoped user id (`KE.…`) as it is."""
    if "." in text:
        return text.strip()
    digits = "".join(each for each in text if each.isdigit())
    return "254" + digits[1:] if len(digits) == 10 and digits.startswith("0") else digits
