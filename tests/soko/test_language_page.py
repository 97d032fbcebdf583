"""docs/language.md names tests that exist."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from conversation.authoring.codes import CODES

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`(?P<file>[^`:]+)::(?P<name>[^`]+)`")
ROW = re.compile(rf"^\| (?P<feature>.+?) \| ({NAMED.pattern.replace('?P<file>', '').replace('?P<name>', '')}(, )?)+ \|$")
PAGE = (ROOT / "docs" / "language.md").read_text(encoding="utf-8")
LINES = [line for line in PAGE.splitlines() if line.startswith("| ") and line != "| feature | covered by |"]


@cache
def names_in(file: str) -> frozenset[str]:
    """The transcripts, or the tests, of a file."""
    transcripts = file.endswith(".test.yaml")
    text = (ROOT / ("flows/tests" if transcripts else "tests") / file).read_text(encoding="utf-8")
    return frozenset(re.findall(r"^test: (.+?) *$" if transcripts else r"^def (test_\w+)\(", text, re.MULTILINE))


def named() -> Iterator[tuple[str, str]]:
    return ((found["file"], found["name"]) for line in LINES for found in NAMED.finditer(line))


def test_every_row_names_its_tests() -> None:
    assert [line for line in LINES if not ROW.match(line) and not line.endswith("| not yet |")] == []
    assert len(set(named())) > 100


def test_every_test_that_a_row_names_exists() -> None:
    assert sorted({each for each in named() if each[1] not in names_in(each[0])}) == []


def test_every_code_of_the_checker_has_a_row() -> None:
    assert [code for code in CODES if not any(line.startswith(f"| {code}: ") for line in LINES)] == []
