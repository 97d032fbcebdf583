"""libyaml reads flows as ruamel.yaml does, to the column, or is not asked."""

import random
from collections.abc import Iterator

import pytest
import yaml

from conversation.authoring.nodes import READ_OTHERWISE, Composer, Map, Node, parse_exactly, parse_quickly, parse_yaml
from conversation.authoring.problems import FlowErrors, Problems, Source
from tests.conversation.engine.shop import FLOWS

PIECES = (
    *"{}[]:,-'#&*!|>%@`?~\\=",
    *(": ", ", ", "- ", "\n", "  ", " #", "&a ", "*a ", "!!str ", "|\n", "? ", "<<: ", '"', "---\n", "é", "🧺", "a:b", "+\n"),
)  # fmt: skip


def source_of(text: str) -> Source:
    return Source(file="flows/a.yaml", text=text, lines=tuple(text.split("\n")))


def read(text: str, *, quick: bool) -> Node | str | None:
    """The nodes; the message of what we refuse; None for what a parser refuses."""
    source = source_of(text)
    try:
        return Composer(source, parse_quickly(source) if quick else parse_exactly(source)).compose()
    except yaml.YAMLError:
        return None
    except FlowErrors as errors:
        return None if isinstance(errors.__cause__, Exception) else str(errors)


def edits(rounds: int, seed: int) -> Iterator[str]:
    draw = random.Random(seed)
    files = [path.read_text() for path in sorted(FLOWS.glob("*.yaml"))]
    for _ in range(rounds):
        lines = draw.choice(files).split("\n")
        start = draw.randrange(max(1, len(lines) - 8))
        text = "\n".join(lines[start : start + 8])
        for _ in range(draw.randrange(3)):
            at = draw.randrange(len(text) + 1)
            text = text[:at] + draw.choice(PIECES) + text[at + draw.choice((0, 0, 2)) :]
        yield text


def test_both_read_the_same_to_the_column() -> None:
    same = 0
    for text in edits(150, seed=4):
        quick, exact = read(text, quick=True), read(text, quick=False)
        if isinstance(quick, str):
            assert exact is None or isinstance(exact, str), text  # refused by both, for what each met first
        elif quick is not None:
            assert quick == exact, text
            same += 1
    assert same > 50, "nearly nothing was compared"


@pytest.mark.parametrize("text", ["a: b\u2028c: d", "a: {b\tc: d}", "a: 'b\x85c'", "a: {b\ufeffc: d, e: f}"])
def test_what_libyaml_reads_by_another_yaml_is_not_its_to_read(text: str) -> None:
    assert READ_OTHERWISE.search(text)
    assert read(text, quick=True) != read(text, quick=False)


@pytest.mark.parametrize("text", ["a: {b: it::c, d: e?}", "a: [what?, 12:30]", "a: {b: c:d}"])
def test_what_only_yaml_1_2_allows_is_read_too(text: str) -> None:
    _, node = parse_yaml("flows/a.yaml", text.encode(), Problems())
    assert node == read(text, quick=False)


def test_what_is_missing_is_missing_behind_its_key() -> None:
    node = read("a: b\nc:    # nothing\nd:\n", quick=True)
    assert isinstance(node, Map)
    assert [(value.at.line, value.at.column) for _, value in node.entries] == [(1, 4), (2, 3), (3, 3)]
