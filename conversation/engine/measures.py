"""Kilos, litres and parts of them: "2kg", "kilo mbili na nusu", "half a kilo", "robo"."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from conversation.engine.numbers import SWAHILI, read_quantity

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)(kg|g|ml|l)")
_DECIMAL: Final = re.compile(r"\d{1,9}\.\d{1,9}")
_FRACTION: Final = re.compile(r"(\d{1,4})/(\d{1,4})")
_BASE: Final = {"kg": ("g", 1000), "g": ("g", 1), "l": ("ml", 1000), "ml": ("ml", 1)}
UNIT_WORDS: Final = {
    **dict.fromkeys(("kg", "kgs", "kilo", "kilos", "kilogram", "kilograms"), "kg"),
    **dict.fromkeys(("gram", "grams", "gramu", "gm", "gms"), "g"),
    **dict.fromkeys(("lita", "litre", "litres", "liter", "liters", "ltr", "ltrs"), "l"),
    **dict.fromkeys(("ml", "mls"), "ml"),
}
_PARTS: Final = {
    "half": Fraction(1, 2), "nusu": Fraction(1, 2), "robo": Fraction(1, 4), "quarter": Fraction(1, 4),
}  # fmt: skip
PART_WORDS: Final = frozenset(_PARTS)
_OF: Final = frozenset({"a", "an", "ya", "of", "za", "la"})


@dataclass(frozen=True, kw_only=True)
class Measure:
    """`amount` in grams or millilitres as `unit` says ("g", "ml"); with unit "" in whatever the thing is sold by."""

    unit: str
    amount: Fraction


def read_size(token: str) -> Measure | None:
    """Read "2kg", "1.5l" or "500ml", written without a space; None when it is none."""
    found = _SIZE.fullmatch(token)
    if found is None:
        return None
    unit, times = _BASE[found[2]]
    return Measure(unit=unit, amount=Fraction(found[1]) * times)


def read_measure(tokens: Sequence[str], at: int) -> tuple[Measure, int] | None:
    """Read the measure that starts at `at`: (it, how many tokens it took), or None."""
    size = read_size(tokens[at])
    if size is not None:
        unit = _SIZE.fullmatch(tokens[at])
        extra, width = _read_and_part(tokens, at + 1)
        scale = _BASE[unit[2]][1] if unit else 1
        return Measure(unit=size.unit, amount=size.amount + extra * scale), 1 + width
    if tokens[at] in UNIT_WORDS:
        amount, width = _read_after_unit(tokens, at + 1)
        return _in_base(tokens[at], amount), 1 + width
    part = _read_part(tokens, at)
    if part is not None:
        return _with_unit(tokens, at, *part)
    return _read_counted(tokens, at)


def _in_base(word: str, amount: Fraction) -> Measure:
    unit, times = _BASE[UNIT_WORDS[word]]
    return Measure(unit=unit, amount=amount * times)


def _read_part(tokens: Sequence[str], at: int) -> tuple[Fraction, int] | None:
    """ "nusu", "robo tatu", "1/2", "1 1/2", "1.5": a part, or a number that is not whole."""
    if at >= len(tokens):
        return None
    found = _FRACTION.fullmatch(tokens[at])
    if found is not None:
        return (Fraction(int(found[1]), int(found[2])), 1) if 0 < int(found[1]) < int(found[2]) <= 8 else None
    if _DECIMAL.fullmatch(tokens[at]):
        return Fraction(tokens[at]), 1
    if tokens[at].isdigit() and at + 1 < len(tokens) and _FRACTION.fullmatch(tokens[at + 1]) and len(tokens[at]) < 4:
        rest = _read_part(tokens, at + 1)
        return (int(tokens[at]) + rest[0], 2) if rest else None
    if tokens[at] not in _PARTS:
        return None
    if tokens[at] == "robo" and at + 1 < len(tokens) and tokens[at + 1] == "tatu":
        return Fraction(3, 4), 2
    return _PARTS[tokens[at]], 1


def _with_unit(tokens: Sequence[str], at: int, amount: Fraction, width: int) -> tuple[Measure, int]:
    end = at + width
    for skip in (0, 1):
        if end + skip < len(tokens) and tokens[end + skip] in UNIT_WORDS and (skip == 0 or tokens[end] in _OF):
            return _in_base(tokens[end + skip], amount), width + skip + 1
    return Measure(unit="", amount=amount), width


def _read_after_unit(tokens: Sequence[str], at: int) -> tuple[Fraction, int]:
    """What follows "kilo": "mbili na nusu", "nusu", "2", "na robo"; nothing: one."""
    part = _read_part(tokens, at)
    if part is not None:
        return part
    whole = read_quantity(tokens, at) if at < len(tokens) and tokens[at] not in ("a", "an") else None
    count, width = whole or (1, 0)
    extra, more = _read_and_part(tokens, at + width)
    return count + extra, width + more


def _read_counted(tokens: Sequence[str], at: int) -> tuple[Measure, int] | None:
    """ "two kilos", "two and a half kilos", "a litre"; but in "mbili kilo tatu" the kilos are three of the next thing."""
    whole = read_quantity(tokens, at)
    if whole is None:
        return None
    extra, width = _read_and_part(tokens, at + whole[1]) if at + whole[1] < len(tokens) else (Fraction(0), 0)
    end = at + whole[1] + width
    if end >= len(tokens) or tokens[end] not in UNIT_WORDS:
        return None
    if tokens[at] in SWAHILI and end + 1 < len(tokens) and read_quantity(tokens, end + 1) is not None:
        return None
    return _in_base(tokens[end], whole[0] + extra), end + 1 - at


def _read_and_part(tokens: Sequence[str], at: int) -> tuple[Fraction, int]:
    """ "na nusu", "na robo", "and a half"; nothing: 0."""
    if at + 1 >= len(tokens) or tokens[at] not in ("na", "and"):
        return Fraction(0), 0
    skip = 2 if tokens[at + 1] == "a" else 1
    if at + skip < len(tokens) and tokens[at + skip] in _PARTS and not _begins_measure(tokens, at + skip + 1):
        return _PARTS[tokens[at + skip]], skip + 1
    return Fraction(0), 0


def _begins_measure(tokens: Sequence[str], at: int) -> bool:
    """In "kilo mbili na nusu kilo ya unga" the half is another thing's."""
    return at < len(tokens) and tokens[at] in UNIT_WORDS and tokens[at - 2] == "na"
