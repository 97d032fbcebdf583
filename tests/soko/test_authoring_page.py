"""docs/authoring.md is done from its first line to its last: its edits are made, its commands are run and answer as it says."""

import re
import shlex
from pathlib import Path

import pytest

from router.databases import Databases
from router.ids import VendorId
from soko.clock import utc_now
from soko.settings import Settings
from tests.conversation.test_publishing import Town
from tests.soko.test_cli import ROOT, soko

PAGE = ROOT / "docs" / "authoring.md"
BLOCK = re.compile(r"^```(console|yaml|whatsapp) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PUBLISHED = re.compile(r"bundle (\w+) is live as")
LISTED = re.compile(r"^([0-9a-f-]{36})  ", re.MULTILINE)


def test_the_page_tells_what_happens(
    settings: Settings, databases: Databases, vendor_id: VendorId, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)  # where `replay --update` refuses
    for name in ("home", "platform_url", "ops_url", "redis_url"):
        monkeypatch.setenv(f"SOKO_{name.upper()}", str(getattr(settings, name)))
    town = Town(databases, vendor_id, utc_now(), files=None)
    known = {"$VENDOR": str(vendor_id)}
    for kind, file, written in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        body = fill_in(written, known)
        if kind == "yaml":
            edit(tmp_path / file, body)
        elif kind == "whatsapp":
            assert chat(town, body) == body
        else:
            for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
                command, _, said = fill_in(part, known).partition("\n")
                answer = run(command)
                assert re.fullmatch(pattern(said), answer), f"$ {command}\n{answer}"
                for name, meant in (("$BUNDLE", PUBLISHED), ("$CONVERSATION", LISTED)):
                    if found := meant.search(answer):
                        known[name] = found[1]


def fill_in(text: str, known: dict[str, str]) -> str:
    """Put what a reader would copy from an earlier answer where the page names it."""
    for name, value in known.items():
        text = text.replace(name, value)
    return text


def chat(town: Town, body: str) -> str:
    """Let the customer write to the published flows; returns all that was said, as the page writes it."""
    town.flows.refresh()
    lines: list[str] = []
    for said in re.findall(r"^customer (.*)$", body, re.MULTILINE):
        lines += [f"customer {said}", *(f"shop     {reply}" for reply in town.say(1, said))]
    return "".join(f"{line}\n" for line in lines)


def edit(path: Path, body: str) -> None:
    """Put the lines after + where those after - are; a file that is not there begins with them."""
    before, after = ("".join(f"{line[1:]}\n" for line in body.splitlines() if line[0] == sign) for sign in "-+")
    known = path.read_text(encoding="utf-8") if before else ""
    assert known.count(before) == 1 or not before
    path.parent.mkdir(exist_ok=True)
    path.write_text(known.replace(before, after) if before else after, encoding="utf-8")


def run(command: str) -> str:
    typed, _, piped = command.rpartition(" | ")
    words = shlex.split(piped)
    assert words[0] == "soko"
    given = shlex.split(typed)[1].replace("\\n", "\n") if typed else None
    done = soko(*words[1:], typed=given)
    if words[1:3] == ["flow", "publish"]:
        assert (done.exit_code == 1) == ("would be stranded" in done.output)
    return done.output


def pattern(said: str) -> str:
    """`…` alone on a line stands for any lines, within one for the rest of it or a part."""
    lines = [r"(?:.*\n)*" if line == "…" else re.escape(line).replace("…", ".*") + r"\n" for line in said.splitlines()]
    return "".join(lines)
