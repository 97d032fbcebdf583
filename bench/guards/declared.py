"""Reads guards.yaml, and says where it and docs/payment-guards.md no longer fit the code."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML

from bench.guards.repeats import repeats

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "payment-guards.md"
NOTHING: Final = "NOTHING"
_ROW: Final = re.compile(r"\| (?P<guard>.+?) \| `(?P<file>\S+?)` \| `(?P<test>\S+?)` \|")


@dataclass(frozen=True, kw_only=True)
class Guard:
    """One guard. `text` is it, as it stands in `file`; `put` stands there while it is out. `tests` are below tests/."""

    rule: str
    guard: str
    file: str
    text: str
    put: str
    tests: tuple[str, ...]


def read_guards() -> tuple[Guard, ...]:
    """All of them, rule by rule."""
    rules = YAML(typ="safe").load((Path(__file__).parent / "guards.yaml").read_text(encoding="utf-8"))
    return tuple(
        Guard(
            rule=rule,
            guard=each["guard"],
            file=each["in"],
            text=each["text"],
            put=str(each.get("put", "")),
            tests=tuple(each["tests"]),
        )
        for rule, guards in rules.items()
        for each in guards
    )


def render(guards: tuple[Guard, ...], caught: dict[Guard, str]) -> str:
    """Write the page."""
    database = sum(guard.file.startswith("migrations/") for guard in guards)
    lines = [
        "# The guards of payments, and the test that misses each",
        "",
        f"Written by `./run bench guards`: each of the {len(guards)} guards in `bench/guards/guards.yaml` is taken out alone,",
        "in a copy of the tree, and the tests named there run against real Postgres. "
        f"{len(guards) - database} stand in the code, {database} in the databases. Most rules",
        "stand in both; where one of them is out the other still refuses, and the test sees who did. `./run check` compares this",
        "page with the list, and the list with the code.",
    ]
    rule = ""
    for guard in guards:
        if guard.rule != rule:
            rule = guard.rule
            lines += ["", f"## {rule}", "", "| guard | stands in | without it fails |", "|---|---|---|"]
        lines.append(f"| {guard.guard} | `{guard.file}` | `{caught.get(guard, NOTHING)}` |")
    return "\n".join(lines) + "\n"


def read_page() -> list[re.Match[str]]:
    """The page's rows: guard, file and test."""
    lines = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    return [row for line in lines if (row := _ROW.fullmatch(line))]


def problems() -> Iterator[str]:
    """Say what does not fit. Cheap: nothing is run."""
    guards = read_guards()
    sources: dict[str, str] = {}
    for guard in guards:
        source = sources.setdefault(guard.file, (ROOT / guard.file).read_text(encoding="utf-8"))
        if (count := source.count(guard.text)) != 1:
            yield f"{guard.guard}: its text stands {count} times in {guard.file}, not once: {guard.text.strip()[:100]}"
        for later in sorted((ROOT / guard.file).parent.glob("[0-9]*.py")) if guard.file.startswith("migrations/") else ():
            if later.name > Path(guard.file).name and guard.text.strip() in later.read_text(encoding="utf-8"):
                yield f"{guard.guard}: {later.name} writes it anew, so {guard.file} guards nothing: name {later.name}"
        for test in guard.tests:
            file, _, name = test.partition("::")
            if not (ROOT / "tests" / file).exists() or f"def {name}" not in (ROOT / "tests" / file).read_text(encoding="utf-8"):
                yield f"{guard.guard}: there is no test {test}"
    yield from repeats()
    rows = read_page()
    if [(row["guard"], row["file"]) for row in rows] != [(guard.guard, guard.file) for guard in guards]:
        yield f"{PAGE.name} lists other guards than guards.yaml: run `./run bench guards`"
    for row in rows:
        if row["test"] == NOTHING:
            yield f"{row['guard']}: no test fails without it"
