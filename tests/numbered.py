"""Lists whose entries have numbers, and the tests that show each: a marker on the test, or the number in its name."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Numbered:
    """`head` stands above the table of the page. Each entry: what happens, what comes of it."""

    marker: str
    page: Path
    head: str
    entries: Mapping[int, tuple[str, str]]

    def find_tests(self) -> dict[int, list[str]]:
        """List the tests that carry each number, as `test_case_7_…` or by the marker."""
        found: dict[int, list[str]] = {number: [] for number in self.entries}
        for path in sorted((ROOT / "tests").rglob("test_*.py")):
            source = path.read_text()
            if self.marker not in source:
                continue
            for node in ast.parse(source).body:
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                    for number in dict.fromkeys(self._numbers(node)):
                        found[number].append(f"{path.relative_to(ROOT / 'tests')}: {node.name}")
        return found

    def _numbers(self, test: ast.FunctionDef) -> Iterator[int]:
        named = re.match(rf"test_{self.marker}_([0-9]+)_", test.name)
        if named:
            yield int(named[1])
        for decorator in test.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == f"pytest.mark.{self.marker}":
                yield from (ast.literal_eval(argument) for argument in decorator.args)

    def render(self) -> str:
        """Write the page."""
        tests = self.find_tests()
        lines = [self.head, "| case | what happens | what comes of it | shown by |", "|---|---|---|---|"]
        for number, (happens, outcome) in self.entries.items():
            shown = "<br>".join(f"`{name}`" for name in tests[number]) or "**no test**"
            lines.append(f"| {number} | {happens} | {outcome} | {shown} |")
        return "\n".join(lines) + "\n"
