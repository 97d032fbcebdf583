"""Whole numbers as people in Kenya write them: digits, English and Swahili words, dozens."""

import re
from collections.abc import Sequence
from typing import Final

_ONES: Final = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "moja": 1, "mbili": 2, "tatu": 3, "nne": 4, "tano": 5, "sita": 6, "saba": 7, "nane": 8, "tisa": 9,
    "mmoja": 1, "wawili": 2, "watatu": 3, "wanne": 4, "watano": 5, "mawili": 2, "matatu": 3, "manne": 4, "matano": 5,
    "viwili": 2, "vitatu": 3, "vinne": 4, "vitano": 5, "kimoja": 1, "a": 1, "an": 1, "single": 1,
}  # fmt: skip
_TEENS: Final = {
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_ENGLISH_TENS: Final = {
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
}
_SWAHILI_TENS: Final = {
    "kumi": 10, "ishirini": 20, "thelathini": 30, "arobaini": 40, "hamsini": 50, "sitini": 60, "sabini": 70,
    "themanini": 80, "tisini": 90,
}  # fmt: skip
_DOZEN: Final = frozenset({"dozen", "dozens", "dazeni", "dazani"})
_HALF: Final = frozenset({"half", "nusu"})
_PAIR: Final = {"pair": 2, "couple": 2, "jozi": 2}
_DIGITS: Final = re.compile(r"x?(\d{1,6})x?")


def read_quantity(tokens: Sequence[str], at: int) -> tuple[int, int] | None:
    """Read the number that starts at `at`: (its value, how many tokens it took), or None.

    "kumi na mbili" is 12, "dazeni mbili" and "2 dozen" are 24, "nusu dazeni" is 6, "2x" is 2.
    """
    token = tokens[at]
    following = tokens[at + 1] if at + 1 < len(tokens) else ""
    if token in _DOZEN:
        counted = _read_plain(tokens, at + 1) if following and following not in ("a", "an") else None
        return (12 * counted[0], 1 + counted[1]) if counted else (12, 1)
    if token in _HALF:
        skip = 2 if following in ("a", "an") else 1
        return (6, skip + 1) if at + skip < len(tokens) and tokens[at + skip] in _DOZEN else None
    if token in _PAIR:
        return (_PAIR[token], 1)
    if token in ("a", "an") and (following in _DOZEN or following in _PAIR or following in _HALF):
        rest = read_quantity(tokens, at + 1)
        return (rest[0], rest[1] + 1) if rest else None
    read = _read_plain(tokens, at)
    if read and at + read[1] < len(tokens) and tokens[at + read[1]] in _DOZEN:
        return (12 * read[0], read[1] + 1)
    return read


def _read_plain(tokens: Sequence[str], at: int) -> tuple[int, int] | None:
    token = tokens[at]
    digits = _DIGITS.fullmatch(token)
    if digits:
        return int(digits[1]), 1
    if token in _TEENS:
        return _TEENS[token], 1
    if token in _ENGLISH_TENS:
        ones = _ONES.get(tokens[at + 1], 0) if at + 1 < len(tokens) and tokens[at + 1] not in ("a", "an") else 0
        return _ENGLISH_TENS[token] + ones, 2 if ones else 1
    if token in _SWAHILI_TENS:
        joined = at + 2 < len(tokens) and tokens[at + 1] == "na" and tokens[at + 2] in _ONES
        return (_SWAHILI_TENS[token] + _ONES[tokens[at + 2]], 3) if joined else (_SWAHILI_TENS[token], 1)
    return (_ONES[token], 1) if token in _ONES else None
