"""Reading the small things that flows are made of: keys, words, durations, expressions, texts, types. Each with its place."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from jinja2 import nodes as jinja
from jinja2.sandbox import ImmutableSandboxedEnvironment

from conversation.authoring.expression_types import Scope, TypeRefused, check_text, type_of
from conversation.authoring.nodes import Items, Map, Node, Scalar, find_word
from conversation.authoring.problems import Problems, Source, suggest
from conversation.engine.catalogue import Catalogue
from conversation.engine.expressions import (
    ExpressionError,
    Template,
    compile_expression,
    compile_text,
    parse_expression,
    parse_text,
)
from conversation.engine.flow import At, Condition, Hours, Text
from conversation.engine.normalise import normalise
from conversation.engine.render import measure
from conversation.engine.types import SCALARS, ListOf, OneOf, OrNone, Type, describe, fits
from conversation.engine.types import Scalar as ScalarType

ELSEWHERE: Final = {  # keys that an author may look for here, and how it is written
    "collect": "use `form`",
    "split": "write go: {split: {a: 50, b: 50}}",
    "schedule": "write do: [{schedule: {flow: …, after: 20h}}]",
}
_DURATION: Final = re.compile(r"(\d{1,6})(s|m|h|d)")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_CLOCK: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_LIST_TYPE: Final = re.compile(r"list of (.+?)(?: (\d+))?")
_ONE_OF: Final = "one of "
_STRING_TYPE: Final = re.compile(r"string (\d+)")

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Translation:
    """One entry of flows/text/<language>.yaml."""

    source: Source
    node: Scalar
    came_from: Scalar | None
    at: At


@dataclass(kw_only=True)
class Shared:
    """What the reading of all files shares."""

    catalogue: Catalogue
    environment: ImmutableSandboxedEnvironment
    problems: Problems
    languages: tuple[str, ...]
    translations: Mapping[str, Mapping[str, Translation]]
    intents: tuple[str, ...] = ()  # what a classifier may answer
    texts: dict[str, Text] = field(default_factory=dict)
    parsed: dict[str, dict[str, jinja.Template]] = field(default_factory=dict)  # place -> language -> AST, for the checks


class Reader:
    """Reads nodes of one file. Whatever is wrong becomes a problem and None, and reading goes on."""

    def __init__(self, shared: Shared, source: Source) -> None:
        self.shared = shared
        self.source = source
        self.catalogue = shared.catalogue
        self.problems = shared.problems

    def add(self, code: str, node: Node | At, message: str, hint: str = "", notes: Iterable[str] = ()) -> None:
        """Report a problem at a node."""
        self.problems.add(code, node if isinstance(node, At) else node.at, message, hint, notes)

    # --- shapes

    def map(self, node: Node | None, what: str, known: Iterable[str] | None = None) -> Map | None:
        """A mapping, with only `known` keys if they are given."""
        if not isinstance(node, Map):
            if node is not None:
                self.add("Y2", node, f"{what} is written as key: value entries")
            return None
        if known is not None:
            self._check_keys(node, what, tuple(known))
        return node

    def _check_keys(self, node: Map, what: str, known: Sequence[str]) -> None:
        for key, value in node.entries:
            if key.text in known:
                continue
            torn = isinstance(value, Scalar) and value.plain and not value.text and " " in key.text
            other = ELSEWHERE.get(key.text) or suggest(key.text, known)
            hint = "a text with a comma in it needs quotes inside { }" if torn else other
            self.add("Y2", key, f"{what} has no key `{key.text}`", hint)

    def items(self, node: Node | None, what: str) -> tuple[Node, ...]:
        """A sequence."""
        if node is None:
            return ()
        if not isinstance(node, Items):
            self.add("Y2", node, f"{what} is a list: [first, second], or lines with `- `")
            return ()
        return node.items

    def word(self, node: Node | None, what: str) -> Scalar | None:
        """A single word or text."""
        if node is None:
            return None
        if not isinstance(node, Scalar) or (node.text == "" and node.plain):
            self.add("Y2", node, f"{what} is missing" if isinstance(node, Scalar) else f"{what} is a single word")
            return None
        return node

    def need(self, node: Map, key: str, what: str) -> Node | None:
        """The value of a key that must be there."""
        value = node.get(key)
        if value is None:
            self.add("Y2", node, f"{what} needs `{key}`")
        return value

    def name(self, node: Node | None, what: str, known: Iterable[str], code: str = "Y2") -> str | None:
        """One of the known names."""
        word = self.word(node, what)
        if word is None:
            return None
        names = list(known)
        if word.text not in names:
            self.add(code, word, f"there is no {what} `{word.text}`", suggest(word.text, names))
            return None
        return word.text

    def number(self, node: Node | None, what: str, *, least: int, most: int) -> int | None:
        """A whole number within bounds."""
        word = self.word(node, what)
        if word is None:
            return None
        if not word.text.isdecimal() or not least <= int(word.text) <= most:
            self.add("Y2", word, f"{what} is a whole number from {least} to {most}")
            return None
        return int(word.text)

    def duration(self, node: Node | None, what: str) -> int | None:
        """90s, 30m, 12h, 7d: in seconds."""
        word = self.word(node, what)
        found = _DURATION.fullmatch(word.text) if word else None
        seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
        if word is not None and not 0 < seconds <= 60 * 86400:
            self.add("Y2", word, f"{what} is a time such as 90s, 30m, 12h or 7d, at most 60d")
            return None
        return seconds or None

    def minute(self, node: Node | None, what: str) -> int | None:
        """ "08:30": minutes since midnight."""
        word = self.word(node, what)
        found = _CLOCK.fullmatch(word.text) if word else None
        if word is not None and found is None:
            self.add("Y2", word, f'{what} is a time of day such as "08:30"')
        return int(found[1]) * 60 + int(found[2]) if found else None

    def hours(self, found: Map) -> Hours | None:
        """`between: ["08:00", "20:30"]` of an entry; without it, the whole day."""
        between = self.items(found.get("between"), "`between`")
        minutes = [minute for item in between if (minute := self.minute(item, "`between`")) is not None]
        if not between:
            return Hours()
        if len(minutes) != 2 or len(between) != 2 or minutes[0] >= minutes[1]:
            self.add("Y2", found.key("between"), '`between` is two times of day, e.g. ["08:00", "20:30"]')
            return None
        return Hours(earliest=minutes[0], latest=minutes[1])

    def flag(self, node: Node | None, what: str) -> bool:
        """True or false."""
        word = self.word(node, what)
        if word is not None and word.text not in ("true", "false"):
            self.add("Y2", word, f"{what} is true or false")
        return word is not None and word.text == "true"

    def outcomes(self, node: Node | None, what: str) -> list[tuple[Scalar, str, Node]]:
        """`a | b: …` entries as (key, name, value), one a name."""
        found = self.map(node, what)
        return [(key, name.strip(), value) for key, value in (found.entries if found else ()) for name in key.text.split("|")]

    def words(self, node: Node | None, what: str) -> tuple[frozenset[str], list[Scalar]]:
        """`words:` as a list, or a list for each language. All languages are understood at once."""
        if node is None:
            return frozenset(), []
        lists: list[Node] = [node]
        if isinstance(node, Map):
            self.map(node, what, self.shared.languages)
            lists = [value for _, value in node.entries]
        found = [word for each in lists for item in self.items(each, what) if (word := self.word(item, what)) is not None]
        for word in found:
            if not normalise(word.text):
                self.add("Y2", word, "this has no letter and no digit: nobody can type it")
        return frozenset(normalise(word.text) for word in found), found

    # --- types

    def type(self, node: Node | None) -> Type | None:
        """A slot's type: int, string 200, product, list of line 9, string or none…"""
        word = self.word(node, "a type")
        if word is None:
            return None
        kind = self._type(word.text)
        if kind is None:
            self.add("C3", word, f"there is no type `{word.text}`", suggest(word.text, [*SCALARS, *self.catalogue.types]))
        return kind

    def _type(self, text: str) -> Type | None:
        if text.endswith(" or none"):
            inner = self._type(text.removesuffix(" or none"))
            return OrNone(type=inner) if inner else None
        if found := _LIST_TYPE.fullmatch(text):
            item = self._type(found[1])
            return ListOf(item=item, most=int(found[2]) if found[2] else None) if item else None
        if text.startswith(_ONE_OF):
            values = tuple(word.strip() for word in text.removeprefix(_ONE_OF).split("/"))
            return OneOf(values=values) if len(set(values)) == len(values) > 1 and all(map(str.isidentifier, values)) else None
        if found := _STRING_TYPE.fullmatch(text):
            return ScalarType(name="string", longest=int(found[1]))
        return SCALARS.get(text) or self.catalogue.types.get(text)

    # --- expressions and texts

    def value(self, node: Node | None, scope: Scope, what: str, wanted: Type | None = None) -> tuple[Condition, Type] | None:
        """An expression with its type; it must fit `wanted` if that is given."""
        word = self.word(node, what)
        if word is None:
            return None
        kind = self._guard(word, lambda: type_of(self._parse(word), scope, self.catalogue))
        if kind is None:
            return None
        if wanted is not None and not fits(kind, wanted):
            self.add("C3", word, f"{what} is {describe(wanted)}; this is {describe(kind)}")
            return None
        return Condition(expression=compile_expression(self.shared.environment, word.text), at=word.at), kind

    def condition(self, node: Node | None, scope: Scope) -> tuple[Condition, jinja.Expr] | None:
        """An `if`, with its AST for narrowing."""
        read = self.value(node, scope, "`if`")
        return (read[0], self._parse(node)) if read and isinstance(node, Scalar) else None

    def constant(self, node: Scalar, text: str) -> Condition:
        """A word as its own value, where one of a set is expected."""
        quoted = "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
        return Condition(expression=compile_expression(self.shared.environment, quoted), at=node.at)

    def parse(self, node: Scalar) -> jinja.Expr | None:
        """The AST of an expression, or None when it does not read; no problem is reported."""
        try:
            return self._parse(node)
        except ExpressionError:
            return None

    def _parse(self, node: Scalar) -> jinja.Expr:
        return parse_expression(self.shared.environment, node.text)

    def _guard(self, node: Scalar, read: Callable[[], T], source: Source | None = None) -> T | None:
        """Run a reading of `node`; a refusal becomes a problem that points into it."""
        try:
            return read()
        except ExpressionError as error:
            at = find_word(source or self.source, node, error.word, line=error.line)
            self.problems.add("X1", at, str(error))
        except TypeRefused as error:
            at = find_word(source or self.source, node, error.word, line=error.line)
            if not self.is_misread(error.word):
                self.problems.add(error.code, at, str(error), error.hint)
        return None

    def is_misread(self, name: str) -> bool:
        """Whether a slot of this name is declared, and its declaration told to be wrong."""
        return False

    def text(self, node: Node | None, place: str, scope: Scope, *, longest: int | None = None) -> Text | None:
        """A text in every language it has. `longest` is WhatsApp's limit for its kind; only fixed texts can break it here.

        A translation of another wording is not one of this text: its customers read the base language meanwhile.
        """
        word = self.word(node, "the text")
        if word is None:
            return None
        base = self.shared.languages[0]
        templates: dict[str, Template] = {}
        versions: list[tuple[str, Source, Scalar]] = [(base, self.source, word)]
        for language, translation in self.shared.translations.get(place, {}).items():
            now = fingerprint(word.text)
            if translation.came_from is not None and translation.came_from.text != now:
                message = f"`{place}` has changed since it was translated: check this one"
                self.add("L1", translation.came_from, message, f"then write from: {now}")
            else:
                versions.append((language, translation.source, translation.node))
        for language, source, version in versions:
            template = self._guard(version, lambda version=version: self._template(version, place, scope), source)  # type: ignore[misc]  # bound at once
            if template is None:
                continue
            templates[language], ast = template
            self.shared.parsed.setdefault(place, {})[language] = ast
            self._check_length(version, templates[language], language, longest)
        if base not in templates:
            return None
        text = Text(place=place, templates=templates, base=base, at=word.at)
        self.shared.texts[place] = text
        return text

    def _template(self, node: Scalar, place: str, scope: Scope) -> tuple[Template, jinja.Template]:
        ast = parse_text(self.shared.environment, node.text)
        check_text(ast, scope, self.catalogue)
        return compile_text(self.shared.environment, node.text), ast

    def _check_length(self, node: Scalar, template: Template, language: str, longest: int | None) -> None:
        if template.constant is None or longest is None:
            return
        if not template.constant:
            self.add("W1", node, "this must not be empty")
        elif measure(template.constant) > longest:
            base = language == self.shared.languages[0]
            note = "" if base else f" in {language}"
            code = "W1" if base else "W3"
            self.add(code, node, f"this has {measure(template.constant)} characters{note}; WhatsApp allows {longest}")


def fingerprint(wording: str) -> str:
    """Four hex digits of the base wording, for `from:` in translations."""
    return hashlib.sha256(" ".join(wording.split()).encode()).hexdigest()[:4]
