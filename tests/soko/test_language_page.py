"""docs/language.md names tests that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (?P<feature>.+?) \| (?P<cell>`(?P<file>[^`:]+)::(?P<name>[^`]+)`|not yet|covered by|)\s*\|?$")
LINES = [line for line in (ROOT / "docs" / "language.md").read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
NAMED = sorted({(found["file"], found["name"]) for line in LINES if (found := ROW.match(line)) and found["file"]})


def test_every_row_names_a_test_or_says_not_yet() -> None:
    assert [line for line in LINES if not ROW.match(line)] == []
    assert len(NAMED) > 60


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_test_that_a_row_names_exists(file: str, name: str) -> None:
    if file.endswith(".test.yaml"):
        text = (ROOT / "flows" / "tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"^test: {re.escape(name)}$", text, re.MULTILINE)
    else:
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {name}\(", text, re.MULTILINE)
