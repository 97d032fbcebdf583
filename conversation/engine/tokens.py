"""A customer's message as words, numbers, sizes and the signs between them."""

import re
from typing import Final

from conversation.engine.normalise import normalise

SIGNS: Final = frozenset(",;+&/?.!|\n")

_FRACTIONS: Final = str.maketrans({"½": " 1/2", "¼": " 1/4", "¾": " 3/4", "\u2019": "'", "\u2018": "'"})
_UNITS: Final = {
    **dict.fromkeys(("kg", "kgs", "kilo", "kilos", "kilogram", "kilograms"), "kg"),
    **dict.fromkeys(("g", "gm", "gms", "gram", "grams"), "g"),
    **dict.fromkeys(("ml", "mls"), "ml"),
    **dict.fromkeys(("l", "lt", "ltr", "ltrs", "litre", "litres", "liter", "liters", "lita"), "l"),
}
_SIZE: Final = re.compile(
    r"(?<![\w./])(\d{1,9}(?:\.\d{1,9})?)\s?(" + "|".join(sorted(_UNITS, key=len, reverse=True)) + r")(?![^\W\d_])"
)
_MINUS: Final = re.compile(r"(?<!\S)[-\u2212\u2013](?=\d)")
_THOUSANDS: Final = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_LISTED: Final = re.compile(r"(?<!\S)(\d{1,2})[.)]\s*(?=[^\W\d_])")
_PIECES: Final = re.compile(
    r"\d+/\d+|\d+(?:\.\d+)?(?:kg|ml|g|l)(?![^\W\d_])|\d+(?:\.\d+)?|[^\W\d_]+(?:'[^\W\d_]+)*|[,;+&/?.!|\n]"
)


def to_tokens(text: str) -> list[str]:
    """Split a message: "2 kg" becomes "2kg", "½" becomes "1/2", "1,500" becomes "1500"; each line ends in "\\n" but the last.

    "unga2" is two tokens; so is "k-gas". The numbers of a numbered list ("1. unga", "2. sukari") are dropped.
    """
    lines = _with_minus_in_words(_without_list_numbers(text.translate(_FRACTIONS)).splitlines())
    plain = "\n".join(filter(None, (normalise(line) for line in lines)))
    sized = _SIZE.sub(lambda found: found[1] + _UNITS[found[2]], _THOUSANDS.sub("", plain))
    return _PIECES.findall(sized)


def _with_minus_in_words(lines: list[str]) -> list[str]:
    """ "-3 unga" takes three out. On several lines it is a dash before each entry of a list."""
    dashes = sum(_MINUS.match(line.lstrip()) is not None for line in lines)
    return [_MINUS.sub(" " if dashes > 1 else "toa ", line) for line in lines]


def _without_list_numbers(text: str) -> str:
    found = [int(number) for number in _LISTED.findall(text)]
    listed = len(found) > 1 and found == list(range(1, len(found) + 1)) and _LISTED.match(text.lstrip())
    return _LISTED.sub(";", text) if listed else text
