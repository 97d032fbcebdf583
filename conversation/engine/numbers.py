"""Whole numbers as people in Kenya write them: digits, English and Swahili words, dozens."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

_ENGLISH_ONES: Final = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
}  # fmt: skip
_SWAHILI_ONES: Final = {
    "moja": 1, "mbili": 2, "tatu": 3, "nne": 4, "tano": 5, "sita": 6, "saba": 7, "nane": 8, "tisa": 9,
    "mmoja": 1, "wawili": 2, "watatu": 3, "wanne": 4, "watano": 5, "mawili": 2, "matatu": 3, "manne": 4, "matano": 5,
    "viwili": 2, "vitatu": 3, "vinne": 4, "vitano": 5, "kimoja": 1, "mbil": 2, "mbilii": 2,
}  # fmt: skip
_ONE: Final = {"a": 1, "an": 1, "single": 1, "another": 1, "nyingine": 1, "ingine": 1}
_TEENS: Final = {
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_ENGLISH_TENS: Final = {
    "twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_SWAHILI_TENS: Final = {
    "kumi": 10, "ishirini": 20, "thelathini": 30, "arobaini": 40, "arubaini": 40, "hamsini": 50, "sitini": 60, "sabini": 70,
    "themanini": 80, "tisini": 90,
}  # fmt: skip
_ENGLISH_SCALES: Final = {"hundred": 100, "hundreds": 100, "thousand": 1000, "thousands": 1000, "million": 1_000_000}
_SWAHILI_SCALES: Final = {"mia": 100, "elfu": 1000, "laki": 100_000, "milioni": 1_000_000}
_NONE: Final = {"zero": 0, "sifuri": 0}
_PAIR: Final = {"pair": 2, "couple": 2, "jozi": 2}
_DIGITS: Final = re.compile(r"x?(\d{1,6})x?")

DOZEN: Final = frozenset({"dozen", "dozens", "dazeni", "dazani", "darzeni"})
HALF: Final = frozenset({"half", "nusu"})
SWAHILI: Final = frozenset({*_SWAHILI_ONES, *_SWAHILI_TENS, *_SWAHILI_SCALES})
WORDS: Final = frozenset(
    {*_ENGLISH_ONES, *_ONE, *_TEENS, *_ENGLISH_TENS, *_ENGLISH_SCALES, *_NONE, *_PAIR, *DOZEN, *HALF, *SWAHILI}
)

Read = tuple[int, int]


def read_quantity(tokens: Sequence[str], at: int) -> Read | None:
    """Read the number that starts at `at`: (its value, how many tokens it took), or None.

    "kumi na mbili" is 12, "elfu moja mia tano" 1500, "dazeni mbili" and "2 dozen" are 24, "nusu dazeni" is 6, "2x" is 2.
    """
    token, following = tokens[at], _word(tokens, at + 1)
    if token in DOZEN:
        counted = _read_plain(tokens, at + 1) if following and following not in _ONE else None
        return (12 * counted[0], 1 + counted[1]) if counted else (12, 1)
    if token in HALF:
        skip = 2 if following in ("a", "an", "ya") else 1
        return (6, skip + 1) if _word(tokens, at + skip) in DOZEN else None
    if token in _PAIR:
        return (_PAIR[token], 1)
    if token in ("a", "an") and (following in DOZEN or following in _PAIR or following in HALF):
        rest = read_quantity(tokens, at + 1)
        return (rest[0], rest[1] + 1) if rest else None
    read = _read_plain(tokens, at)
    if read and _word(tokens, at + read[1]) in DOZEN:
        return (12 * read[0], read[1] + 1)
    return read


def _word(tokens: Sequence[str], at: int) -> str:
    return tokens[at] if at < len(tokens) else ""


def _read_plain(tokens: Sequence[str], at: int) -> Read | None:
    token = _word(tokens, at)
    if token in _SWAHILI_SCALES or token in _SWAHILI_TENS or token in _SWAHILI_ONES:
        return _read_swahili(tokens, at)
    if token in _NONE:
        return _NONE[token], 1
    if token in _ONE and _word(tokens, at + 1) not in _ENGLISH_SCALES:
        return _ONE[token], 1
    return _read_english(tokens, at)


def _read_english(tokens: Sequence[str], at: int) -> Read | None:
    """ "two thousand five hundred and ten", "fifteen hundred", "2 thousand", "12"."""
    total, end, most = 0, at, 0
    while True:
        skip = 1 if total >= 100 and _word(tokens, end) == "and" else 0
        small = _read_small(tokens, end + skip)
        if small is None or (total and (small[0] >= 100 or tokens[end + skip].isdigit())):
            break
        value, width = small
        scale = _ENGLISH_SCALES.get(_word(tokens, end + skip + width), 1)
        if total and value * scale >= most:
            break
        total, end, most = total + value * scale, end + skip + width + (scale > 1), scale
        if scale == 1:
            break
    return (total, end - at) if end > at else None


def _read_small(tokens: Sequence[str], at: int) -> Read | None:
    token = _word(tokens, at)
    digits = _DIGITS.fullmatch(token)
    if digits:
        return int(digits[1]), 1
    if token in _ENGLISH_TENS:
        ones = _ENGLISH_ONES.get(_word(tokens, at + 1), 0)
        return _ENGLISH_TENS[token] + ones, 2 if ones else 1
    plain: Mapping[str, int] = {**_ENGLISH_ONES, **_TEENS, "a": 1, "an": 1}
    return (plain[token], 1) if token in plain else None


def _read_swahili(tokens: Sequence[str], at: int) -> Read | None:
    """ "elfu mbili mia tatu na hamsini na tano", "elfu 3", "mia mbili hamsini", "elfu moja na nusu"."""
    total, end, most = 0, at, 1 << 60
    while True:
        joined = end > at and _word(tokens, end) == "na"
        start = end + joined
        scale = _SWAHILI_SCALES.get(_word(tokens, start))
        if scale is not None:
            times = _read_times(tokens, start + 1, scale)
            value, width = scale * (times[0] if times else 1), 1 + (times[1] if times else 0)
        else:
            tens = _read_tens(tokens, start) if joined or end == at or most >= 100 else None
            if tens is None:
                break
            value, width, scale = tens[0], tens[1], 1
        if scale >= most:
            break
        total, end, most = total + value, start + width, scale
        if scale >= 1000 and _word(tokens, end) == "na" and _word(tokens, end + 1) == "nusu":
            return total + scale // 2, end + 2 - at
    return (total, end - at) if end > at else None


def _read_times(tokens: Sequence[str], at: int, scale: int) -> Read | None:
    """How many hundreds or thousands: "mbili", "kumi na mbili", "mia tano", "3"."""
    if _DIGITS.fullmatch(_word(tokens, at)):
        return _read_small(tokens, at)
    if scale == 100:
        return (_SWAHILI_ONES[tokens[at]], 1) if _word(tokens, at) in _SWAHILI_ONES else None
    if _word(tokens, at) == "mia":
        ones = _SWAHILI_ONES.get(_word(tokens, at + 1), 0)
        return (100 * (ones or 1), 2 if ones else 1)
    return _read_tens(tokens, at)


def _read_tens(tokens: Sequence[str], at: int) -> Read | None:
    token = _word(tokens, at)
    if token in _SWAHILI_TENS:
        joined = _word(tokens, at + 1) == "na" and _word(tokens, at + 2) in _SWAHILI_ONES
        return (_SWAHILI_TENS[token] + _SWAHILI_ONES[tokens[at + 2]], 3) if joined else (_SWAHILI_TENS[token], 1)
    return (_SWAHILI_ONES[token], 1) if token in _SWAHILI_ONES else None
