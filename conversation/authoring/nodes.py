"""YAML 1.2 into plain nodes that know their line and column. Refuses what is a trap, at once and by its place.

Refused: files over 256 kB, nesting deeper than 20, duplicate keys, tags, merge keys, several documents, and anchors
that expand to more than 20,000 nodes. Words such as no, on and yes are words, as YAML 1.2 says.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import yaml
from ruamel.yaml import YAML
from ruamel.yaml import events as ruamel
from ruamel.yaml.error import YAMLError
from yaml.cyaml import CParser

from conversation.authoring.problems import FlowErrors, Problem, Problems, Source
from conversation.authoring.yaml_errors import explain
from conversation.engine.flow import At

LARGEST: Final = 256 * 1024
DEEPEST: Final = 20
MOST_NODES: Final = 20_000
OPEN_BRACKETS: Final = 100

_COMMENT: Final = re.compile(r"(?<![^\s])#")
_ENTRIES: Final = re.compile(r"[\[{]|:(?=\s)|,|^\s*-(?=\s)", re.MULTILINE)
_BRACKETS: Final = re.compile(r"[\[\]{}]")

_ALIAS: Final = (yaml.AliasEvent, ruamel.AliasEvent)
_DOCUMENT: Final = (yaml.DocumentStartEvent, ruamel.DocumentStartEvent)
_MAP: Final = (yaml.MappingStartEvent, ruamel.MappingStartEvent)
_MAP_END: Final = (yaml.MappingEndEvent, ruamel.MappingEndEvent)
_SCALAR: Final = (yaml.ScalarEvent, ruamel.ScalarEvent)
_ITEMS: Final = (yaml.SequenceStartEvent, ruamel.SequenceStartEvent)
_ITEMS_END: Final = (yaml.SequenceEndEvent, ruamel.SequenceEndEvent)
READ_OTHERWISE: Final = re.compile("[\t\x85\u2028\u2029\ufeff]")  # libyaml follows YAML 1.1 in these


class Scalar(NamedTuple):
    """A word, number or text. `plain` when it was written without quotes; `block` when it is a | or > text."""

    text: str
    plain: bool
    block: bool
    at: At
    start: int  # offsets into the file's text
    end: int


@dataclass(frozen=True, kw_only=True)
class Map:
    """A mapping, in the author's order."""

    entries: tuple[tuple[Scalar, "Node"], ...]
    at: At

    def get(self, name: str) -> "Node | None":
        """The value of a key, or None."""
        return next((value for key, value in self.entries if key.text == name), None)

    def key(self, name: str) -> Scalar:
        """The key itself, for pointing at. Raises KeyError."""
        for key, _ in self.entries:
            if key.text == name:
                return key
        raise KeyError(name)


@dataclass(frozen=True, kw_only=True)
class Items:
    """A sequence."""

    items: tuple["Node", ...]
    at: At


Node: TypeAlias = Scalar | Map | Items


def parse_yaml(file: str, data: bytes, problems: Problems) -> tuple[Source, Node]:
    """Parse one file. Raises FlowErrors with the one thing that makes it unreadable."""
    source = read_source(file, data)
    problems.know(source)
    too_much = find_too_much(source)
    if too_much is not None:
        raise FlowErrors([too_much])
    return source, _compose(source)


def read_source(file: str, data: bytes) -> Source:
    """The lines of one file. Raises FlowErrors when they are no text."""
    try:
        text = data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        at = At(file=file, line=data[: error.start].count(b"\n") + 1, column=1)
        raise FlowErrors([Problem(code="Y1", message="this file is not UTF-8 text", at=at)]) from error
    return Source(file=file, text=text, lines=tuple(text.split("\n")))


def _compose(source: Source) -> Node:
    """Take libyaml's word for what is well written: it is twenty times faster. On all else ruamel.yaml has the last word."""
    if READ_OTHERWISE.search(source.text) is None:
        try:
            return Composer(source, parse_quickly(source)).compose()
        except yaml.YAMLError:
            pass
    return Composer(source, parse_exactly(source)).compose()


def parse_quickly(source: Source) -> Iterator[Any]:
    """The events of libyaml. Raises yaml.YAMLError, also for some of what YAML 1.2 allows."""
    parser = CParser(source.text)
    while parser.check_event():
        yield parser.get_event()


def parse_exactly(source: Source) -> Iterator[Any]:
    """The events of ruamel.yaml, by YAML 1.2. Raises FlowErrors with an author's words."""
    try:
        yield from YAML(typ="safe", pure=True).parse(source.text)
    except YAMLError as error:
        raise FlowErrors([explain(error, source.file, source.lines)]) from error


def find_too_much(source: Source) -> Problem | None:
    """What would cost the parser seconds before it says anything: a file too large, hundreds of open brackets, or a crowd."""
    size = len(source.text.encode())
    if size > LARGEST:
        return _too_much(source, f"this file has {size // 1024} kB; {LARGEST // 1024} kB is the most")
    depth = 0
    for found in _BRACKETS.finditer(source.text):
        depth += 1 if found[0] in "[{" else -1
        if depth > OPEN_BRACKETS:
            return _too_much(source, f"nested deeper than {DEEPEST}", found.start())
    if sum(1 for _ in _ENTRIES.finditer(source.text)) > MOST_NODES:
        return _too_much(source, f"more than {MOST_NODES} entries: write several files")
    return None


def _too_much(source: Source, message: str, start: int = 0) -> Problem:
    at = At(file=source.file, line=source.text.count("\n", 0, start) + 1, column=start - source.text.rfind("\n", 0, start))
    return Problem(code="Y1", message=message, at=at)


class Composer:
    """Builds nodes from the parser's events, so that every limit is met before anything grows."""

    def __init__(self, source: Source, events: Iterator[Any]) -> None:
        self.source = source
        self.events = events
        self.anchors: dict[str, Node] = {}
        self.used: set[str] = set()
        self.sizes: dict[str, int] = {}
        self.seen = 0

    def compose(self) -> Node:
        """Read the one document."""
        root: Node | None = None
        for event in self.events:
            if isinstance(event, _DOCUMENT):
                if root is not None:
                    self._refuse(event, "a flow file holds one document: `---` starts a second one")
            elif isinstance(event, (*_SCALAR, *_MAP, *_ITEMS, *_ALIAS)):
                root = self._node(event, depth=1)
        if root is None:
            raise FlowErrors([Problem(code="Y1", message="this file is empty", at=At(file=self.source.file, line=1, column=1))])
        for name in self.anchors.keys() - self.used:
            raise FlowErrors([self._problem(self.anchors[name].at, f"the anchor &{name} is never used")])
        return root

    def _node(self, event: Any, *, depth: int) -> Node:
        self.seen += 1
        if depth > DEEPEST:
            self._refuse(event, f"nested deeper than {DEEPEST}")
        if self.seen > MOST_NODES:
            self._refuse(event, f"more than {MOST_NODES} entries")
        if isinstance(event, _ALIAS):
            return self._alias(event)
        before = self.seen
        if event.tag is not None and str(event.tag) not in ("", "None"):
            self._refuse(event, f"tags such as {_short(event.tag)} are not allowed")
        node = self._value(event, depth=depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = node
            self.sizes[event.anchor] = self.seen - before + 1
        return node

    def _alias(self, event: Any) -> Node:
        node = self.anchors.get(event.anchor)
        if node is None:
            self._refuse(event, f"there is no anchor &{event.anchor} before this")
        self.used.add(event.anchor)
        self.seen += self.sizes[event.anchor]
        if self.seen > MOST_NODES:
            self._refuse(event, f"anchors expand to more than {MOST_NODES} entries")
        return node  # type: ignore[return-value]  # _refuse raises

    def _value(self, event: Any, *, depth: int) -> Node:
        if isinstance(event, _SCALAR):
            return self._scalar(event)
        if isinstance(event, _MAP):
            return self._map(event, depth=depth)
        items: list[Node] = []
        for inner in self.events:
            if isinstance(inner, _ITEMS_END):
                break
            items.append(self._node(inner, depth=depth + 1))
        return Items(items=tuple(items), at=self._at(event))

    def _map(self, event: Any, *, depth: int) -> Map:
        entries: list[tuple[Scalar, Node]] = []
        seen: dict[str, Scalar] = {}
        for inner in self.events:
            if isinstance(inner, _MAP_END):
                break
            if not isinstance(inner, _SCALAR):
                texts = "{{" in self.source.lines[inner.start_mark.line]
                self._refuse(inner, "a key is a word", "a text that begins with {{ needs quotes" if texts else "")
            key = self._scalar(inner)
            if key.text == "<<" and key.plain:
                self._refuse(inner, "merge keys (<<) are not allowed: write the entries out")
            if key.text in seen:
                raise FlowErrors(
                    [
                        self._problem(
                            key.at, f"the key `{key.text}` stands twice", f"the first is on line {seen[key.text].at.line}"
                        )
                    ]
                )
            seen[key.text] = key
            entries.append((key, self._node(next(self.events), depth=depth + 1)))
        return Map(entries=tuple(entries), at=self._at(event))

    def _scalar(self, event: Any) -> Scalar:
        if event.tag is not None and str(event.tag) not in ("", "None"):
            self._refuse(event, f"tags such as {_short(event.tag)} are not allowed")
        style = event.style or ""
        begin, finish = event.start_mark, event.end_mark  # a file has thousands of these: nothing is asked twice
        start, end, line = begin.index, finish.index, begin.line
        if start == end:
            return self._nothing(start)
        at = At(self.source.file, line + 1, begin.column + 1, end - start if line == finish.line else 1)
        return Scalar(str(event.value), style == "", style in ("|", ">"), at, start, end)

    def _nothing(self, start: int) -> Scalar:
        """A value that was left out: it is missing right behind what stands before it, comments aside."""
        before = self.source.text[:start].rstrip()
        while (comment := _COMMENT.search(before, before.rfind("\n") + 1)) is not None:
            before = before[: comment.start()].rstrip()
        start = len(before)
        line, last = self.source.text.count("\n", 0, start), self.source.text.rfind("\n", 0, start)
        return Scalar(
            text="",
            plain=True,
            block=False,
            at=At(file=self.source.file, line=line + 1, column=start - last),
            start=start,
            end=start,
        )

    def _at(self, event: Any) -> At:
        mark = event.start_mark
        return At(file=self.source.file, line=mark.line + 1, column=mark.column + 1)

    def _problem(self, at: At, message: str, hint: str = "") -> Problem:
        return Problem(code="Y1", message=message, at=at, line=self.source.lines[at.line - 1], hint=hint)

    def _refuse(self, event: Any, message: str, hint: str = "") -> None:
        raise FlowErrors([self._problem(self._at(event), message, hint)])


def _short(tag: object) -> str:
    return str(tag).replace("tag:yaml.org,2002:", "!!")


def find_word(source: Source, node: Scalar, word: str, *, line: int = 1) -> At:
    """Where `word` stands inside a scalar: in its `line`-th line or after it; the scalar itself when it is not found."""
    start = node.start
    if node.block:
        for _ in range(line):
            start = source.text.find("\n", start) + 1
    at = _find_whole(source.text, word, start, node.end) if word else -1
    if at < 0:
        at = source.text.find(word, start, node.end) if word else -1
    if at < 0:
        return node.at
    row = source.text.count("\n", 0, at)
    column = at - (source.text.rfind("\n", 0, at) + 1)
    return At(file=source.file, line=row + 1, column=column + 1, width=len(word))


def _find_whole(text: str, word: str, start: int, end: int) -> int:
    at = text.find(word, start, end)
    while at >= 0:
        before, after = text[at - 1 : at], text[at + len(word) : at + len(word) + 1]
        if not (before.isalnum() or before == "_") and not (after.isalnum() or after == "_"):
            return at
        at = text.find(word, at + 1, end)
    return -1
