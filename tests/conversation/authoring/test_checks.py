"""Every code has a page and fixtures: what fails, what nearly fails and what passes. § stands where the caret must point."""

import re
from pathlib import Path

import pytest

from conversation.authoring.check_codes_page import index_page
from conversation.authoring.codes import CODES, ELSEWHERE
from conversation.authoring.load import check_files
from conversation.authoring.problems import Problem
from conversation.services import CATALOGUE
from tests.conversation.authoring.check_fixtures import FOLDER, beside_app, read_fixtures, with_head
from tests.conversation.authoring.messages import messages_in_sources

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "docs" / "checks"


def found_in(files: dict[str, str]) -> tuple[Problem, ...]:
    """Check these files beside an app.yaml that fits them."""
    written = beside_app({file: text.replace("§", "") for file, text in files.items()})
    tests = {file: data for file, data in written.items() if file.startswith("flows/tests/")}
    products = {file: data for file, data in written.items() if file == "products.yaml"}
    flow_files = {file: data for file, data in written.items() if file not in tests and file not in products}
    return check_files(flow_files, CATALOGUE, tests=tests, products=products).problems


@pytest.mark.parametrize(
    ("code", "kind", "files"), [pytest.param(*each, id=f"{each[0]}-{each[1]}") for each in read_fixtures(CODES)]
)
def test_a_fixture_is_told_by_its_code_at_its_place_or_not_at_all(code: str, kind: str, files: dict[str, str]) -> None:
    found = [(each.code, each.at.file, each.at.line, each.at.column) for each in found_in(files)]
    marked = [(file, text, text.index("§")) for file, text in files.items() if "§" in text]
    wanted = [(code, file, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)) for file, text, at in marked]
    assert found == wanted
    assert bool(marked) == (kind == "fails")


def test_every_code_has_a_page_and_fixtures_and_there_are_no_others() -> None:
    kinds: dict[str, set[str]] = {}
    for code, kind, _ in read_fixtures({*CODES, *ELSEWHERE}):
        kinds.setdefault(code, set()).add(kind)
    assert kinds == {code: {"fails", "nearly", "passes"} for code in (*CODES, *ELSEWHERE)}
    assert {path.stem for path in FOLDER.glob("*.yaml")} == kinds.keys()
    pages = {path.stem for path in PAGES.glob("*.md")} - {"README"}
    assert pages == {*CODES, *ELSEWHERE}


def test_every_message_has_a_fixture_that_fails_with_it() -> None:
    told = [(each.code, each.message) for _, _, files in read_fixtures(CODES) for each in found_in(files)]
    messages = list(messages_in_sources())
    assert len(messages) > 150
    assert [
        (code, text)
        for code, text in messages
        if not any(known == code and re.fullmatch(text, message) for known, message in told)
    ] == []


def test_every_code_that_is_reported_is_listed_and_the_other_way_round() -> None:
    sources = [path.read_text() for path in (ROOT / "conversation" / "authoring").rglob("*.py") if path.stem != "codes"]
    used = {code for text in sources for code in re.findall(r'"([A-Z]\d)"', text)}
    assert used == set(CODES)


@pytest.mark.parametrize("code", sorted(CODES.keys() - {"H5"}))
def test_the_examples_of_a_page_are_what_it_says(code: str) -> None:
    page = (PAGES / f"{code}.md").read_text()
    wrong, right = page.split("## Right\n")
    assert {each.code for each in found_in(examples(wrong))} == {code}
    assert found_in(examples(right)) == ()


def examples(text: str) -> dict[str, str]:
    blocks = re.findall(r"(?:`([\w/.]+)`\n\n)?```yaml\n(.*?)```", text, re.DOTALL)
    return {file or "flows/a.yaml": block if file else with_head(block) for file, block in blocks}


def test_the_index_of_the_pages_is_up_to_date() -> None:
    assert (PAGES / "README.md").read_text() == index_page(), "write it with: python -m conversation.authoring.check_codes_page"
