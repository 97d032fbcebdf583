"""Patterns for codes that customers type: a small part of regular expressions, matched in linear time.

Letters, digits, `.`, classes such as [A-Z0-9] and [^a], \\d \\w \\s, groups, `|`, and the counts * + ? {2} {2,5}. What can
make other engines run for ever (backreferences, lookaround, counts of counts) does not exist here: the message is read
once, character by character, with the set of all places in the pattern where a match could stand.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from conversation.engine.normalise import strip_outer

LONGEST_PATTERN: Final = 200
LONGEST_MESSAGE: Final = 500
MOST_PLACES: Final = 2_000
MOST_COUNT: Final = 50
_CLASSES: Final = {"d": str.isdecimal, "w": lambda char: char.isalnum() or char == "_", "s": str.isspace}

Test: TypeAlias = Callable[[str], bool]


class PatternError(ValueError):
    """Why a pattern is refused, in words for its author."""


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """A compiled pattern. `steps` lead from place to place by one character, `free` without one; `last` is a match."""

    source: str
    steps: tuple[tuple[Test, int] | None, ...]
    free: tuple[tuple[int, ...], ...]
    first: int
    last: int

    def read(self, message: str) -> str | None:
        """The message without outer spaces and signs, if all of it matches, whatever its case; else None."""
        text = strip_outer(message)
        if len(text) > LONGEST_MESSAGE:
            return None
        places = self._spread({self.first})
        for char in text.casefold():
            reached = {step[1] for place in places if (step := self.steps[place]) is not None and step[0](char)}
            places = self._spread(reached)
            if not places:
                return None
        return text if self.last in places else None

    def _spread(self, places: set[int]) -> set[int]:
        reached, open_places = set(places), list(places)
        while open_places:
            for place in self.free[open_places.pop()]:
                if place not in reached:
                    reached.add(place)
                    open_places.append(place)
        return reached


@dataclass
class _Net:
    steps: list[tuple[Test, int] | None] = field(default_factory=list)
    free: list[list[int]] = field(default_factory=list)

    def place(self) -> int:
        if len(self.steps) >= MOST_PLACES:
            raise PatternError("this pattern is too large: use smaller counts")
        self.steps.append(None)
        self.free.append([])
        return len(self.steps) - 1


Part: TypeAlias = Callable[[_Net, int], int]  # builds itself from a place on, and returns the place behind it


def compile_pattern(source: str) -> Pattern:
    """Compile. Raises PatternError."""
    if not source or len(source) > LONGEST_PATTERN:
        raise PatternError(f"a pattern has from 1 to {LONGEST_PATTERN} characters")
    part = _Reader(source).whole()
    net = _Net()
    first = net.place()
    last = part(net, first)
    pattern = Pattern(source=source, steps=tuple(net.steps), free=tuple(map(tuple, net.free)), first=first, last=last)
    if pattern.read("") is not None:
        raise PatternError("this pattern also takes a message with nothing in it")
    return pattern


class _Reader:
    """Reads the pattern from left to right."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0

    def whole(self) -> Part:
        part, _ = self._either(depth=0)
        if self.at < len(self.source):
            raise PatternError("`)` without its `(`")
        return part

    def _next(self) -> str:
        return self.source[self.at] if self.at < len(self.source) else ""

    def _take(self) -> str:
        char = self._next()
        if not char:
            raise PatternError("this pattern ends in the middle")
        self.at += 1
        return char

    def _either(self, *, depth: int) -> tuple[Part, bool]:
        """Alternatives, and whether anything in them is counted."""
        if depth > 10:
            raise PatternError("groups are nested too deeply")
        branches = [self._row(depth=depth)]
        while self._next() == "|":
            self.at += 1
            branches.append(self._row(depth=depth))
        parts = [part for part, _ in branches]
        return (parts[0] if len(parts) == 1 else _either(parts)), any(counted for _, counted in branches)

    def _row(self, *, depth: int) -> tuple[Part, bool]:
        parts: list[Part] = []
        counted = False
        while self._next() not in ("", "|", ")"):
            part, inner = self._one(depth=depth)
            count = self._count()
            if count is not None and inner:
                raise PatternError("a count within a count is not allowed")
            counted = counted or inner or count is not None
            parts.append(part if count is None else _times(part, *count))
        return _row(parts), counted

    def _one(self, *, depth: int) -> tuple[Part, bool]:
        char = self._take()
        match char:
            case "(":
                if self._next() == "?":
                    raise PatternError("`(?` is not allowed: no lookaround, no named groups")
                part, counted = self._either(depth=depth + 1)
                if self._take() != ")":
                    raise PatternError("`(` without its `)`")
                return part, counted
            case "[":
                return _step(self._class()), False
            case "\\":
                return _step(self._escaped()), False
            case ".":
                return _step(lambda given: given != "\n"), False
            case "*" | "+" | "?" | "{" | "}" | "]":
                raise PatternError(f"`{char}` counts nothing here: write \\{char} for the sign itself")
            case "^" | "$":
                raise PatternError(f"`{char}` is not needed: a pattern is always the whole message")
        return _step(_is(char)), False

    def _escaped(self) -> Test:
        char = self._take()
        if char in _CLASSES:
            return _CLASSES[char]
        if char.isalnum():
            raise PatternError(f"`\\{char}` is not allowed: there are \\d, \\w and \\s, and no backreferences")
        return _is(char)

    def _class(self) -> Test:
        negated = self._next() == "^"
        self.at += negated
        tests: list[Test] = []
        while (char := self._take()) != "]":
            if char == "\\":
                tests.append(self._escaped())
            elif self._next() == "-" and self.source[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                tests.append(_between(char, self._take()))
            else:
                tests.append(_is(char))
        if not tests:
            raise PatternError("`[]` holds nothing")
        return lambda given: any(test(given) for test in tests) != negated

    def _count(self) -> tuple[int, int | None] | None:
        match self._next():
            case "*" | "+" | "?" as sign:
                self.at += 1
                count: tuple[int, int | None] = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
            case "{":
                count = self._braces()
            case _:
                return None
        if self._next() in ("*", "+", "?", "{"):
            raise PatternError("a count of a count is not allowed")
        return count

    def _braces(self) -> tuple[int, int | None]:
        end = self.source.find("}", self.at)
        least, comma, most = self.source[self.at + 1 : end if end >= 0 else self.at + 1].partition(",")
        if not least.isdecimal() or (comma and not most.isdecimal()):
            raise PatternError("a count is written {3} or {2,5}")
        low, high = int(least), int(most or least)
        if not low <= high <= MOST_COUNT or not high:
            raise PatternError(f"a count goes from a smaller to a larger number, at most {MOST_COUNT}")
        self.at = end + 1
        return low, high


def _is(char: str) -> Test:
    wanted = char.casefold()
    return lambda given: given == wanted


def _between(first: str, last: str) -> Test:
    if first > last:
        raise PatternError(f"`{first}-{last}` runs backwards")
    return lambda given: first <= given <= last or first <= given.upper() <= last


def _step(test: Test) -> Part:
    def build(net: _Net, start: int) -> int:
        end = net.place()
        net.steps[start] = (test, end)
        return end

    return build


def _row(parts: list[Part]) -> Part:
    def build(net: _Net, start: int) -> int:
        for part in parts:
            start = part(net, start)
        return start

    return build


def _either(parts: list[Part]) -> Part:
    def build(net: _Net, start: int) -> int:
        ends = list(_ends(net, start))
        behind = net.place()
        for end in ends:
            net.free[end].append(behind)
        return behind

    def _ends(net: _Net, start: int) -> Iterator[int]:
        for part in parts:
            inside = net.place()
            net.free[start].append(inside)
            yield part(net, inside)

    return build


def _times(part: Part, least: int, most: int | None) -> Part:
    def build(net: _Net, start: int) -> int:
        for _ in range(least):
            start = part(net, _fresh(net, start))
        if most is None:
            again = _fresh(net, start)
            end = part(net, _fresh(net, again))
            net.free[end].append(again)
            return _fresh(net, again)
        behind = net.place()
        for _ in range(most - least):
            net.free[start].append(behind)
            start = part(net, _fresh(net, start))
        net.free[start].append(behind)
        return behind

    return build


def _fresh(net: _Net, before: int) -> int:
    """A place of its own, so that one part's step never takes another's."""
    place = net.place()
    net.free[before].append(place)
    return place
