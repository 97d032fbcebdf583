"""Days and times as people in Kenya write them, told in Africa/Nairobi wall clock. The event's own time is the only clock.

What was decided where people mean two things:
- a weekday alone is the next one after today; "next Friday" and "Ijumaa ijayo" are that day of the next Monday-to-Sunday week;
- "3/12" is the third of December; a day without a year is the next one, today included;
- "saa" makes it the Swahili clock ("saa 2" is 08:00), unless am, pm or an hour over 12 says otherwise; without a part of the
  day it is between 07:00 and 18:59;
- other hours without am or pm ("2 o'clock", "2:30") are between 07:00 and 18:59 too; after "0" or over 12 they are as written.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta, timezone
from typing import Final

from rapidfuzz import fuzz, process

from conversation.engine.lexicon import FUZZY, Lexicon
from conversation.engine.normalise import normalise
from conversation.engine.numbers import read_quantity
from conversation.engine.values import JSON

NAIROBI: Final = timezone(timedelta(hours=3), "Africa/Nairobi")  # without summer time since 1960: no tables are needed
MOST: Final = 300  # characters: a longer message is not an answer about time
_MOST_DAYS: Final = 400

_PIECES: Final = re.compile(
    r"\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[/.\-]\d{1,2}[/.\-](?:\d{4}|\d{2})(?!\d)|\d{1,2}:\d{2}|\d{1,2}\.\d{2}(?=\s?(?:am|pm|hrs))|"
    r"\d{1,2}[/\-]\d{1,2}(?!\d)|\d+|[^\W\d_]+(?:'[^\W\d_]+)*"
)
_DOTTED: Final = re.compile(r"\b([ap])\.\s?m\b\.?")
_O_CLOCK: Final = re.compile(r"\bo['\u2019 ]?\s?clock\b")

_TODAY: Final = frozenset({"leo", "today", "tonight", "leoo"})
_TOMORROW: Final = frozenset({"kesho", "tomorrow", "tmrw", "tomorow", "tommorow", "tommorrow", "tmw", "tomoro", "kesh"})
_AFTER: Final = frozenset({"keshokutwa", "kutwa", "overmorrow"})
_YESTERDAY: Final = frozenset({"jana", "yesterday"})
_DAYS: Final = {
    **dict.fromkeys(("monday", "mon", "jumatatu", "jtatu"), 0),
    **dict.fromkeys(("tuesday", "tue", "tues", "jumanne", "jnne"), 1),
    **dict.fromkeys(("wednesday", "wed", "weds", "jumatano", "jtano"), 2),
    **dict.fromkeys(("thursday", "thu", "thur", "thurs", "alhamisi", "alhamis"), 3),
    **dict.fromkeys(("friday", "fri", "ijumaa", "furahiday"), 4),
    **dict.fromkeys(("saturday", "sat", "jumamosi", "jmosi", "sato"), 5),
    **dict.fromkeys(("sunday", "sun", "jumapili", "jpili"), 6),
}
_MONTHS: Final = {
    **dict.fromkeys(("january", "jan", "januari"), 1),
    **dict.fromkeys(("february", "feb", "februari"), 2),
    **dict.fromkeys(("march", "mar", "machi"), 3),
    **dict.fromkeys(("april", "apr", "aprili"), 4),
    **dict.fromkeys(("may", "mei"), 5),
    **dict.fromkeys(("june", "jun", "juni"), 6),
    **dict.fromkeys(("july", "jul", "julai"), 7),
    **dict.fromkeys(("august", "aug", "agosti"), 8),
    **dict.fromkeys(("september", "sep", "sept", "septemba"), 9),
    **dict.fromkeys(("october", "oct", "oktoba"), 10),
    **dict.fromkeys(("november", "nov", "novemba"), 11),
    **dict.fromkeys(("december", "dec", "desemba"), 12),
}
_NEXT: Final = frozenset({"next", "ijayo", "lijalo"})
_THIS: Final = frozenset({"this", "hii", "coming"})
_ORDINALS: Final = frozenset({"st", "nd", "rd", "th"})
_SWAHILI_PARTS: Final = {
    "alfajiri": "morning", "asubuhi": "morning", "mchana": "afternoon", "alasiri": "afternoon", "jioni": "evening",
    "usiku": "night",
}  # fmt: skip
_NOW: Final = frozenset({"now", "right now", "just now", "sasa", "sasa hivi"})
_PARTS: Final = {
    **_SWAHILI_PARTS,
    "dawn": "morning", "morning": "morning", "afternoon": "afternoon", "evening": "evening", "night": "night", "tonight": "night",
}  # fmt: skip
_ENDS: Final = {"morning": 12, "afternoon": 16, "evening": 19, "night": 24}  # the hour at which a part of the day is over

# The Swahili clock counts from six: which hours 1 to 12 there can be in each part of the day, and what they are in 24 hours.
_SWAHILI_CLOCK: Final = {
    "asubuhi": {10: 4, 11: 5, 12: 6, 1: 7, 2: 8, 3: 9, 4: 10, 5: 11},
    "alfajiri": {8: 2, 9: 3, 10: 4, 11: 5, 12: 6},
    "mchana": {4: 10, 5: 11, 6: 12, 7: 13, 8: 14, 9: 15, 10: 16},
    "alasiri": {8: 14, 9: 15, 10: 16, 11: 17},
    "jioni": {9: 15, 10: 16, 11: 17, 12: 18, 1: 19, 2: 20},
    "usiku": {12: 18, 1: 19, 2: 20, 3: 21, 4: 22, 5: 23, 6: 0, 7: 1, 8: 2, 9: 3, 10: 4, 11: 5},
    "": {1: 7, 2: 8, 3: 9, 4: 10, 5: 11, 6: 12, 7: 13, 8: 14, 9: 15, 10: 16, 11: 17, 12: 18},
}
_WINDOWS: Final = {"morning": range(4, 12), "afternoon": range(12, 18), "evening": range(15, 22), "night": range(18, 24)}


def read_date(text: str, lexicon: Lexicon, at: datetime | None = None) -> JSON:
    """The one day of the message as "2026-03-12", or None. `at` None: any day will do, only whether it is one matters."""
    day = _find_day(_pieces(text), _local(at).date())
    return day.isoformat() if day else None


def read_time(text: str, lexicon: Lexicon, at: datetime | None = None) -> JSON:
    """The one time of day in the message as "14:30", or None. A part of the day ("jioni") is no time."""
    clock = _find_clock(_pieces(text))
    return clock.isoformat("minutes") if clock else None


def read_when(text: str, lexicon: Lexicon, at: datetime | None = None) -> JSON:
    """Day, time and part of the day together, or None when none of them is said.

    Shape: {"date": "2026-03-12", "time": "08:00" or None, "part": "morning"|"afternoon"|"evening"|"night" or None}.
    Without a day it is today, or tomorrow when that time or part of today is over.
    """
    now, pieces = _local(at), _pieces(text)
    day, clock = _find_day(pieces, now.date()), _find_clock(pieces)
    if " ".join(pieces) in _NOW:
        day, clock = now.date(), now.time()
    parts = {_PARTS[piece] for piece in pieces if piece in _PARTS}
    part = parts.pop() if len(parts) == 1 else None
    if day is None and clock is None and part is None:
        return None
    if day is None:
        over = clock <= now.time() if clock else now.hour >= _ENDS[part or "night"]
        day = now.date() + timedelta(days=int(over))
    return {"date": day.isoformat(), "time": clock.isoformat("minutes") if clock else None, "part": part}


def _local(at: datetime | None) -> datetime:
    return (at or datetime(2026, 1, 1, tzinfo=NAIROBI)).astimezone(NAIROBI)


def _pieces(text: str) -> list[str]:
    if len(text) > MOST:
        return []
    plain = _O_CLOCK.sub(" oclock ", _DOTTED.sub(r" \1m ", normalise(text)))
    return _PIECES.findall(plain)


def _word(pieces: Sequence[str], at: int) -> str:
    return pieces[at] if 0 <= at < len(pieces) else ""


def _number(pieces: Sequence[str], at: int) -> tuple[int, int] | None:
    return read_quantity(pieces, at) if _word(pieces, at) not in ("", "a", "an") else None


# --- days


def _find_day(pieces: Sequence[str], today: date) -> date | None:
    """The one day that all of the message means."""
    days: set[date] = set()
    weekdays: set[date] = set()
    at = 0
    while at < len(pieces):
        named = _read_weekday(pieces, at, today)
        read = named or _read_relative(pieces, at, today) or _read_calendar(pieces, at, today)
        if read is None:
            at += 1
            continue
        if read[0] is None:
            return None
        (weekdays if named else days).add(read[0])
        at += read[1]
    if len(days) == 1 and all(day.weekday() == next(iter(days)).weekday() for day in weekdays):
        return days.pop()  # "Friday 13 March"
    return weekdays.pop() if not days and len(weekdays) == 1 else None


_Read = tuple[date | None, int]  # None: a day that does not exist


def _read_relative(pieces: Sequence[str], at: int, today: date) -> _Read | None:
    word, following = pieces[at], _word(pieces, at + 1)
    if word == "day" and following == "after" and _word(pieces, at + 2) in _TOMORROW:
        return today + timedelta(days=2), 3
    if word in _TOMORROW:
        return (today + timedelta(days=2), 2) if following == "kutwa" else (today + timedelta(days=1), 1)
    for known, days in ((_TODAY, 0), (_AFTER, 2), (_YESTERDAY, -1)):
        if word in known:
            return today + timedelta(days=days), 1
    if word == "mwisho" and _word(pieces, at + 2) == "mwezi":
        return _end_of_month(today), 3
    if word == "end" and "month" in (following, _word(pieces, at + 2), _word(pieces, at + 3)):
        return _end_of_month(today), 2
    return _read_in_days(pieces, at, today)


def _end_of_month(today: date) -> date:
    return (today.replace(day=1) + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def _read_in_days(pieces: Sequence[str], at: int, today: date) -> _Read | None:
    """ "in 3 days", "after two weeks", "baada ya siku tatu", "siku mbili zijazo"."""
    if pieces[at] in ("in", "after"):
        number = (1, 1) if _word(pieces, at + 1) in ("a", "one") else _number(pieces, at + 1)
        unit = _word(pieces, at + 1 + number[1]) if number else ""
        times = {"day": 1, "days": 1, "week": 7, "weeks": 7}.get(unit)
        if number and times and number[0] * times <= _MOST_DAYS:
            return today + timedelta(days=number[0] * times), number[1] + 2
    number = _number(pieces, at)
    unit = _word(pieces, at + number[1]) if number else ""
    times = {"day": 1, "days": 1, "week": 7, "weeks": 7}.get(unit)
    if number and times and _word(pieces, at + number[1] + 1) == "from" and number[0] * times <= _MOST_DAYS:
        return today + timedelta(days=number[0] * times), number[1] + 3
    start = at + 2 if pieces[at] == "baada" and _word(pieces, at + 1) == "ya" else at
    times = {"siku": 1, "wiki": 7}.get(_word(pieces, start))
    number = _number(pieces, start + 1) if times else None
    if number and times and number[0] * times <= _MOST_DAYS:
        end = start + 1 + number[1]
        if start > at or _word(pieces, end) in ("zijazo", "ijayo", "kutoka"):
            return today + timedelta(days=number[0] * times), end + 2 - at
    return None


def _read_weekday(pieces: Sequence[str], at: int, today: date) -> _Read | None:
    start = at + _width_of_next_week(pieces, at)
    following_week = start > at or _word(pieces, at) in _NEXT
    start += _word(pieces, start) in _NEXT | _THIS
    weekday = _weekday(_word(pieces, start))
    if weekday is None:
        return None
    end = start + 1
    if _word(pieces, end) in _NEXT:
        following_week, end = True, end + 1
    elif _width_of_next_week(pieces, end):
        following_week, end = True, end + 2
    elif _word(pieces, end) in ("hii", "inayokuja"):
        end += 1
    ahead = (weekday - today.weekday()) % 7 or 7
    if following_week:
        ahead = 7 - today.weekday() + weekday
    return today + timedelta(days=ahead), end - at


def _width_of_next_week(pieces: Sequence[str], at: int) -> int:
    return 2 if (_word(pieces, at), _word(pieces, at + 1)) in (("next", "week"), ("wiki", "ijayo")) else 0


def _weekday(word: str) -> int | None:
    return _DAYS.get(word) if word in _DAYS else _near(word, _DAYS)


def _month(word: str) -> int | None:
    return _MONTHS.get(word) if word in _MONTHS else _near(word, _MONTHS)


def _near(word: str, names: dict[str, int]) -> int | None:
    """Long names only, above the score of products, and never one of several."""
    if len(word) < 6 or word in _PARTS:
        return None
    found = process.extract(word, [name for name in names if len(name) > 5], scorer=fuzz.ratio, score_cutoff=FUZZY)
    meant = {names[name] for name, _, _ in found}
    return meant.pop() if len(meant) == 1 else None


def _read_calendar(pieces: Sequence[str], at: int, today: date) -> _Read | None:
    word = pieces[at]
    if re.fullmatch(r"\d{4}-\d{1,2}-\d{1,2}", word):
        year, month, day = map(int, word.split("-"))
        return _on(day, month, year, today), 1
    numbers = re.split(r"[/.\-]", word)
    if len(numbers) == 3:
        year = int(numbers[2])
        return _on(int(numbers[0]), int(numbers[1]), year if year > 99 else 2000 + year, today), 1
    if len(numbers) == 2 and all(part.isdigit() for part in numbers) and "." not in word:
        return _on(int(numbers[0]), int(numbers[1]), None, today), 1
    return _read_month_first(pieces, at, today) or _read_day_first(pieces, at, today)


def _read_month_first(pieces: Sequence[str], at: int, today: date) -> _Read | None:
    month, number = _month(pieces[at]), _word(pieces, at + 1)
    if month is None or not number.isdigit() or len(number) > 2:
        return None
    end = at + 2 + (_word(pieces, at + 2) in _ORDINALS)
    return _with_year(pieces, at, end, int(number), month, today)


def _read_day_first(pieces: Sequence[str], at: int, today: date) -> _Read | None:
    """ "12 Dec", "3rd of January", "the 5th", "tarehe tano mwezi wa nne"."""
    dated = pieces[at] in ("tarehe", "date", "trh")
    start = at + dated
    number = _number(pieces, start)
    if number is None or not 0 < number[0] < 32:
        return None
    end = start + number[1]
    ordinal = _word(pieces, end) in _ORDINALS
    end += ordinal
    if _word(pieces, end) == "mwezi" and _word(pieces, end + 1) == "wa":
        months = _number(pieces, end + 2)
        return _with_year(pieces, at, end + 2 + months[1], number[0], months[0], today) if months else None
    of = _word(pieces, end) in ("of", "ya", "mwezi")
    month = _month(_word(pieces, end + of))
    if month is not None and (month != 5 or of or ordinal or pieces[start].isdigit()):
        return _with_year(pieces, at, end + of + 1, number[0], month, today)
    if not (dated or ordinal):
        return None
    first = today if today.day <= number[0] else _end_of_month(today) + timedelta(days=1)
    return _on(number[0], first.month, first.year, today), end - at


def _with_year(pieces: Sequence[str], at: int, end: int, day: int, month: int, today: date) -> _Read:
    year = _word(pieces, end)
    if year.isdigit() and len(year) == 4 and _word(pieces, end + 1) not in ("hrs", "hours"):
        return _on(day, month, int(year), today), end + 1 - at
    return _on(day, month, None, today), end - at


def _on(day: int, month: int, year: int | None, today: date) -> date | None:
    """That day; without a year the next one, today included. None when there is no such day."""
    for candidate in (year,) if year is not None else (today.year, today.year + 1, today.year + 2, today.year + 3):
        try:
            found = date(candidate, month, day)
        except ValueError:
            continue
        if year is not None or found >= today:
            return found
    return None


# --- times


def _find_clock(pieces: Sequence[str]) -> time | None:
    clocks = set(_read_clocks(pieces))
    return clocks.pop() if len(clocks) == 1 else None


def _read_clocks(pieces: Sequence[str]) -> Iterator[time | None]:
    """Every time in the message; None for one that there is not ("25:00")."""
    part = _part(pieces)
    at = 0
    while at < len(pieces):
        read = _read_swahili_clock(pieces, at, part) or _read_words(pieces, at, part) or _read_clock(pieces, at, part)
        if read is None:
            at += 1
            continue
        yield read[0]
        at += read[1]


_Clock = tuple[time | None, int]


def _part(pieces: Sequence[str]) -> str:
    """The word for the part of the day, when there is just one."""
    parts = {piece for piece in pieces if piece in _PARTS}
    return parts.pop() if len(parts) == 1 else ""


def _to_time(hour: int, minute: int = 0) -> time | None:
    return time(hour, minute) if 0 <= hour < 24 and 0 <= minute < 60 else None


def _read_swahili_clock(pieces: Sequence[str], at: int, part: str) -> _Clock | None:
    if pieces[at] != "saa":
        return None
    split = _word(pieces, at + 1).split(":")
    if len(split) == 2:
        hour, minute, width = int(split[0]), int(split[1]), 1
    else:
        read = _number(pieces, at + 1)
        if read is None:
            return None
        hour, minute, width = read[0], 0, read[1]
    end = at + 1 + width
    if _word(pieces, end) in ("am", "pm"):
        return _half_day(hour, minute, _word(pieces, end)), end + 1 - at
    of = _word(pieces, end) in ("za", "ya", "wa")
    said_part = of + 1 if part and _word(pieces, end + of) == part else 0
    more, width = _read_minutes(pieces, end + said_part)
    width = width + said_part if width else 0
    minutes = 60 * _swahili_hour(hour, part) + minute + more if hour < 13 and _swahili_hour(hour, part) >= 0 else None
    if hour > 12:
        return _to_time(hour, minute), end - at
    if minutes is None:
        return None, end + width - at
    return _to_time(minutes // 60 % 24, minutes % 60), end + width - at


def _swahili_hour(hour: int, part: str) -> int:
    """The hour in 24, or -1 when there is no such hour in that part of the day."""
    clock = _SWAHILI_CLOCK[part if part in _SWAHILI_PARTS else ""]
    if part in _PARTS and part not in _SWAHILI_PARTS:
        meant = {"morning": "asubuhi", "afternoon": "mchana", "evening": "jioni", "night": "usiku"}[_PARTS[part]]
        clock = _SWAHILI_CLOCK[meant]
    return clock.get(hour, -1)


def _read_minutes(pieces: Sequence[str], at: int) -> tuple[int, int]:
    """ "na nusu", "na robo", "kasoro robo", "na dakika kumi", "kasoro dakika tano": minutes after (or before), and words."""
    sign = {"na": 1, "kasoro": -1, "kasorobo": -1}.get(_word(pieces, at))
    if sign is None:
        return 0, 0
    if pieces[at] == "kasorobo":
        return -15, 1
    following = _word(pieces, at + 1)
    if following in ("nusu", "robo"):
        return sign * (30 if following == "nusu" else 15), 2
    skip = 2 if following in ("dakika", "dk") else 1
    read = _number(pieces, at + skip)
    return (sign * read[0], skip + read[1]) if read and read[0] < 60 and (skip == 2 or read[0] > 4) else (0, 0)


def _read_words(pieces: Sequence[str], at: int, part: str) -> _Clock | None:
    """ "noon", "midnight", "half past two", "quarter to nine"."""
    word = pieces[at]
    if word in ("noon", "midday"):
        return time(12), 1
    if word == "midnight":
        return time(0), 1
    minutes = {("half", "past"): 30, ("quarter", "past"): 15, ("quarter", "to"): -15}.get((word, _word(pieces, at + 1)))
    read = _number(pieces, at + 2) if minutes is not None else None
    if read is None or minutes is None:
        return None
    end = at + 2 + read[1]
    half = _word(pieces, end) if _word(pieces, end) in ("am", "pm") else ""
    hour = _half_day(read[0], 0, half) if half else _by_day(read[0], 0, part)
    if hour is None:
        return None, end - at
    whole = (60 * hour.hour + minutes) % (24 * 60)
    return _to_time(whole // 60, whole % 60), end - at + bool(half)


def _read_clock(pieces: Sequence[str], at: int, part: str) -> _Clock | None:
    """ "2pm", "2:30 pm", "14:30", "1430hrs", "2 o'clock", "by 5", "8 in the evening"."""
    split = re.split(r"[:.]", pieces[at])
    following = _word(pieces, at + 1)
    if len(split) == 2 and all(number.isdigit() for number in split):
        if following in ("am", "pm"):
            return _half_day(int(split[0]), int(split[1]), following), 2
        as_written = int(split[0]) > 12 or split[0].startswith("0") or following in ("hrs", "hours")
        if as_written:
            return _to_time(int(split[0]), int(split[1])), 1
        return _by_day(int(split[0]), int(split[1]), part), 1
    if re.fullmatch(r"\d{4}", pieces[at]) and following in ("hrs", "hours"):
        return _to_time(int(pieces[at][:2]), int(pieces[at][2:])), 2
    read = _number(pieces, at)
    if read is None or read[0] > 24:
        return None
    end = at + read[1]
    spoken = _number(pieces, end) if end < len(pieces) and read[0] < 13 else None  # "ten thirty am"
    if spoken and 9 < spoken[0] < 60 and _word(pieces, end + spoken[1]) in ("am", "pm"):
        return _half_day(read[0], spoken[0], _word(pieces, end + spoken[1])), read[1] + spoken[1] + 1
    if _word(pieces, end) in ("am", "pm"):
        return _half_day(read[0], 0, _word(pieces, end)), end + 1 - at
    in_part = part and part in pieces[end : end + 3] and all(p in ("in", "the", "at", part) for p in pieces[end : end + 3])
    if _word(pieces, end) == "oclock" or in_part or _is_at(pieces, at, end):
        hour = _to_time(read[0]) if read[0] > 12 else _by_day(read[0], 0, part)
        return hour, end - at + (_word(pieces, end) == "oclock")
    return None


def _is_at(pieces: Sequence[str], at: int, end: int) -> bool:
    said = _word(pieces, at - 1) in ("at", "by", "around", "before", "after", "about")
    return said and (end == len(pieces) or _word(pieces, end) in _PARTS or _word(pieces, end) not in _ORDINALS | set(_MONTHS) | {
        "days", "day", "week", "weeks", "hours", "minutes",
    })  # fmt: skip


def _half_day(hour: int, minute: int, half: str) -> time | None:
    if not 0 < hour < 13:
        return _to_time(hour, minute) if half == "pm" and 12 < hour < 24 else None
    return _to_time(hour % 12 + (12 if half == "pm" else 0), minute)


def _by_day(hour: int, minute: int, part: str) -> time | None:
    """An hour of the twelve: in the part of the day that is said, else between 07:00 and 18:59."""
    if part:
        fitting = [each for each in (hour % 12, hour % 12 + 12) if each in _WINDOWS[_PARTS[part]]]
        return _to_time(fitting[0], minute) if len(fitting) == 1 and 0 < hour < 13 else None
    return _to_time(hour + 12 if hour < 7 else hour, minute) if 0 < hour < 13 else None
