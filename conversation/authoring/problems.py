"""What is wrong with a flow, said so that its author can mend it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Final

from conversation.engine.flow import At

WIDEST: Final = 150  # characters of a line that are shown


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file as the author sees it. `file` is the path to show."""

    file: str
    text: str
    lines: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One cause, one message. `hint` stands beside the caret, `notes` on lines of their own.

    `warns`: the flows load all the same.
    """

    code: str
    message: str
    at: At
    line: str = ""
    hint: str = ""
    notes: tuple[str, ...] = ()
    warns: bool = False

    def __str__(self) -> str:
        """The form of every message: place, code, sentence; the line with a caret and the hint; the notes."""
        warning = "warning: " if self.warns else ""
        head = f"{self.at.file}:{self.at.line}:{self.at.column}  {self.code}  {warning}{self.message}"
        shown: list[str] = [head]
        if self.line.strip():
            line, column = _window(self.line, self.at.column - 1)
            shown.append(f"{self.at.line:>5} | {line}")
            width = max(1, min(self.at.width, len(line) - column))
            shown.append(f"      | {' ' * column}{'^' * width} {self.hint}".rstrip())
        elif self.hint:
            shown.append(f"   {self.hint}")
        shown.extend(f"   {note}" for note in self.notes)
        return "\n".join(shown)

    @property
    def said(self) -> str:
        """What is wrong and how to mend it, for what shows the place by itself."""
        return "\n".join(part for part in (self.message, self.hint, *self.notes) if part)

    def to_json(self) -> dict[str, str | int | list[str]]:
        """One flat object a problem."""
        return {
            "file": self.at.file,
            "line": self.at.line,
            "column": self.at.column,
            "code": self.code,
            "severity": "warning" if self.warns else "error",
            "message": self.message,
            "hint": self.hint,
            "notes": list(self.notes),
        }


def _window(line: str, column: int) -> tuple[str, int]:
    """What of a long line is shown around a place, and where the place is in it."""
    if len(line) <= WIDEST:
        return line, column
    start = max(0, min(column - WIDEST // 4, len(line) - WIDEST))
    shown = line[start : start + WIDEST]
    before, after = "…" if start else "", "…" if start + WIDEST < len(line) else ""
    return f"{before}{shown}{after}", column - start + len(before)


class FlowErrors(Exception):  # several errors in one
    """The flows do not load. `problems` holds every cause, in the order of files and lines."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class Problems:
    """Collects what is found while reading. The first message about a place stands; later ones there are its echoes."""

    def __init__(self, *, tolerated: frozenset[str] = frozenset()) -> None:
        """`tolerated` are codes whose errors are warnings this time."""
        self._tolerated = tolerated
        self._sources: dict[str, Source] = {}
        self._found: dict[tuple[str, int, int], Problem] = {}

    def know(self, source: Source) -> None:
        """Make a file's lines available to messages."""
        self._sources[source.file] = source

    def add(self, code: str, at: At, message: str, hint: str = "", notes: Iterable[str] = ()) -> None:
        """Report one cause."""
        self._keep(replace(self._problem(code, at, message, hint, notes), warns=code in self._tolerated))

    def _keep(self, problem: Problem) -> None:
        place = (problem.at.file, problem.at.line, problem.at.column)
        if place not in self._found or (self._found[place].warns and not problem.warns):
            self._found[place] = problem

    def _problem(self, code: str, at: At, message: str, hint: str, notes: Iterable[str]) -> Problem:
        lines = self._sources[at.file].lines if at.file in self._sources else ()
        line = lines[at.line - 1] if 0 < at.line <= len(lines) else ""
        width = min(at.width, max(1, len(line) - at.column + 1))
        return Problem(code=code, message=message, at=at._replace(width=width), line=line, hint=hint, notes=tuple(notes))

    def warn(self, code: str, at: At, message: str, hint: str = "", notes: Iterable[str] = ()) -> None:
        """Report something that does not stop the flows from loading. An error at the same place takes precedence."""
        self._keep(replace(self._problem(code, at, message, hint, notes), warns=True))

    def note(self, at: At, note: str) -> None:
        """Add a line to a problem that was reported at this place."""
        key = (at.file, at.line, at.column)
        if key in self._found:
            self._found[key] = replace(self._found[key], notes=(*self._found[key].notes, note))

    def find(self, at: At, word: str) -> At:
        """Where `word` first stands at or after a place, within the text that begins there; the place itself if nowhere."""
        lines = self._sources[at.file].lines if at.file in self._sources else ()
        whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        for number in range(at.line, min(at.line + 40, len(lines) + 1)):
            found = whole.search(lines[number - 1], at.column - 1 if number == at.line else 0)
            if found:
                return At(file=at.file, line=number, column=found.start() + 1, width=len(word))
        return at

    @property
    def all(self) -> tuple[Problem, ...]:
        """Errors and warnings, in the order of files and lines."""
        return tuple(self._found[key] for key in sorted(self._found))

    @property
    def errors(self) -> tuple[Problem, ...]:
        """Those that keep the flows from loading."""
        return tuple(problem for problem in self.all if not problem.warns)

    @property
    def sources(self) -> tuple[Source, ...]:
        """Every file that was read."""
        return tuple(self._sources.values())

    def stop_if_any(self) -> None:
        """Raise FlowErrors with the errors, if there are any: a warning beside an error is only noise."""
        errors = self.errors
        if errors:
            raise FlowErrors(errors)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def suggest(name: str, known: Iterable[str]) -> str:
    """A hint: the nearest name, or what there is when it is little."""
    names = list(known)
    close = nearest(name, names)
    if close:
        return f"did you mean `{close}`?"
    return "there is " + ", ".join(f"`{each}`" for each in names) if 0 < len(names) <= 8 else ""


def suggest_place(name: str, known: Mapping[str, At]) -> str:
    """A hint that also says where the nearest name stands."""
    close = nearest(name, known)
    return f"did you mean `{close}` (line {known[close].line})?" if close else ""
