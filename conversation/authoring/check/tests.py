"""H3 and H4: tests that do not test. S1 and H5 hold for test files, too.

Tests are read line by line here: `soko replay` reads them whole, and reports what it cannot read.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from conversation.authoring.check.hygiene import check_size
from conversation.authoring.check.private import check_file, check_transcripts
from conversation.authoring.problems import Problems, Source
from conversation.engine.flow import At

_NAME: Final = re.compile(r"(test:\s*)([\"']?)(.+?)\2\s*(?: #.*)?")
_ASSERTS: Final = re.compile(r"(?:^|[\s{,\[-])(?:bot|expect):(?!\s*\.\.\.)(?!\s*[#}\]])")


def check_tests(sources: Sequence[Source], problems: Problems) -> None:
    """Warn of two tests with one name and of tests without one reply or expectation that must come."""
    named: dict[str, At] = {}
    for source in sources:
        check_size(source, problems)
        check_file(source, problems)
        check_transcripts(source, problems)
        for first, lines in _documents(source):
            _check_test(source.file, first, lines, named, problems)


def _documents(source: Source) -> Iterator[tuple[int, list[str]]]:
    """Each document's first line, counted from 1, with its lines."""
    first = 1
    for number, line in enumerate((*source.lines, "---"), 1):
        if line.rstrip() == "---":
            yield first, list(source.lines[first - 1 : number - 1])
            first = number + 1


def _check_test(file: str, first: int, lines: list[str], named: dict[str, At], problems: Problems) -> None:
    found = next(((index, name) for index, line in enumerate(lines) if (name := _NAME.fullmatch(line))), None)
    if found is None:
        return
    index, name = found
    at = At(file=file, line=first + index, column=len(name[1]) + 1, width=len(name[2]) * 2 + len(name[3]))
    before = named.setdefault(name[3], at)
    if before is not at:
        problems.warn("H3", at, f"there is a test of this name already ({before.file}:{before.line})")
    if not any(_ASSERTS.search(line) for line in lines):
        problems.warn("H4", at, "this test passes whatever the shop says", "write what the shop must reply: `- bot: …`")
