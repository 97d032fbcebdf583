"""docs/authoring.md is done from its first line to its last: its edits are made, its commands are run and answer as it says."""

import re
import shlex
from pathlib import Path

import pytest

from router.databases import Databases
from soko.settings import Settings
from tests.soko.test_cli import ROOT, soko

PAGE = ROOT / "docs" / "authoring.md"
BLOCK = re.compile(r"^```(console|yaml) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_the_page_tells_what_happens(
    settings: Settings, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)  # where `replay --update` refuses
    for name in ("home", "platform_url", "ops_url", "redis_url"):
        monkeypatch.setenv(f"SOKO_{name.upper()}", str(getattr(settings, name)))
    for kind, file, body in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if kind == "yaml":
            edit(tmp_path / file, body)
            continue
        for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, _, said = part.partition("\n")
            assert re.fullmatch(pattern(said), run(command)), f"$ {command}\n{run(command)}"


def edit(path: Path, body: str) -> None:
    """Put the lines after + where those after - are; a file that is not there begins with them."""
    before, after = ("".join(f"{line[1:]}\n" for line in body.splitlines() if line[0] == sign) for sign in "-+")
    known = path.read_text(encoding="utf-8") if before else ""
    assert known.count(before) == 1 or not before
    path.write_text(known.replace(before, after) if before else after, encoding="utf-8")


def run(command: str) -> str:
    typed, _, piped = command.rpartition(" | ")
    words = shlex.split(piped)
    assert words[0] == "soko"
    given = shlex.split(typed)[1].replace("\\n", "\n") if typed else None
    return soko(*words[1:], typed=given).output


def pattern(said: str) -> str:
    """`…` alone on a line stands for any lines, within one for the rest of it or a part."""
    lines = [r"(?:.*\n)*" if line == "…" else re.escape(line).replace("…", ".*") + r"\n" for line in said.splitlines()]
    return "".join(lines)
