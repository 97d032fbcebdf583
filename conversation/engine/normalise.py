"""One way to read what customers type: Unicode forms, case, digits of other scripts, emoji, outer punctuation."""

import re
import unicodedata
from functools import lru_cache

_SPACES = re.compile(r"\s+")
_EMOJI = "So"  # becomes a space: "unga🌽sukari" is two words
_INVISIBLE = frozenset({"Sk", "Cf", "Me", "Cs", "Co", "Cn"})


@lru_cache(maxsize=4096)
def normalise(text: str) -> str:
    """Return the words alone: "  Ndiyo!! 👍" and "NDIYO" are both "ndiyo"; an Arabic or a full-width two is "2"."""
    kept = "".join(_plain(char) for char in unicodedata.normalize("NFKC", text).casefold())
    return _SPACES.sub(" ", strip_outer(kept))


def strip_outer(text: str) -> str:
    """Take spaces and punctuation off both ends, and leave what is inside."""
    first, last = 0, len(text)
    while first < last and _is_outer(text[first]):
        first += 1
    while last > first and _is_outer(text[last - 1]):
        last -= 1
    return text[first:last]


def _plain(char: str) -> str:
    if char.isdigit() and not char.isascii():
        return str(unicodedata.digit(char))
    category = unicodedata.category(char)
    if category == _EMOJI:
        return " "
    return "" if category in _INVISIBLE or "\ufe00" <= char <= "\ufe0f" else char


def _is_outer(char: str) -> bool:
    return char.isspace() or unicodedata.category(char)[0] in "PZC"
