"""`soko flow check`: its forms, its exit codes, its pages, and that it looks again when a file changes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from conversation.authoring.codes import CODES, ELSEWHERE
from soko.cli import app

ROOT = Path(__file__).parents[2]
APP = "app: soko\nlanguages: {base: en}\ntimezone: Africa/Nairobi\nchannel: whatsapp\nflows: [a]\ntrouble: Sorry.\n"
FLOW = "flow: a\nstarts_when: [{any: true}]\nslots: {n: {type: int, default: 1}}\nstates:\n  x: {end: STATE}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "app.yaml").write_text(APP)
    (flows / "a.yaml").write_text(FLOW)
    return flows


def check(*args: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["flow", "check", *args])
    return result.exit_code, result.stdout


def test_a_warning_passes_unless_strict(folder: Path) -> None:
    code, said = check(str(folder))
    assert code == 0
    assert "H1  warning: nothing reads the slot `n`" in said
    assert "all checks passed" in said
    assert check(str(folder), "--strict")[0] == 1


def test_an_error_ends_with_1_in_every_form(folder: Path) -> None:
    (folder / "a.yaml").write_text(FLOW.replace("{end: STATE}", "{go: y}"))
    for form, start in [("text", "flows/a.yaml:5:11  T1"), ("github", "::error file=flows/a.yaml,line=5,col=11")]:
        code, said = check(str(folder), "--format", form)
        assert (code, said.startswith(start)) == (1, True)
    assert json.loads(check(str(folder), "--json")[1])["problems"][0]["code"] == "T1"
    assert json.loads(check(str(folder), "--format", "sarif")[1])["runs"][0]["results"][0]["ruleId"] == "T1"


def test_nothing_to_check_ends_with_2(folder: Path) -> None:
    assert check("nowhere")[0] == 2
    assert check(str(folder), "--products", "nowhere.yaml")[0] == 2
    assert check("--explain", "Q9")[0] == 2


def test_explain_prints_the_page_of_every_code() -> None:
    for code in (*CODES, *ELSEWHERE):
        ended, said = check("--explain", code.lower())
        assert ended == 0
        assert said.startswith(f"# {code}: ")
        assert code in ELSEWHERE or (("## Wrong" in said or "```yaml" in said) and "## Right" in said)


def test_products_are_checked_when_they_are_given(folder: Path, tmp_path: Path) -> None:
    products = tmp_path / "products.yaml"
    products.write_text("- {name: Unga 2kg, aliases: [pay]}\n")
    code, said = check(str(folder), "--products", str(products))
    assert (code, "R4" in said) == (1, True)


def test_every_form_says_the_same(folder: Path) -> None:
    (folder / "a.yaml").write_text(
        FLOW.replace("slots: {n: {type: int, default: 1}}\n", "").replace("{end: STATE}", "{go: yy}\n  y: {end: z}")
    )
    (told,) = json.loads(check(str(folder), "--json")[1])["problems"]
    parts = [told["message"], told["hint"], *told["notes"]]
    assert parts == ["there is no state `yy`", "did you mean `y` (line 5)?", "Because of this, nobody can reach `y`."]
    text, github = (check(str(folder), "--format", form)[1] for form in ("text", "github"))
    (sarif,) = json.loads(check(str(folder), "--format", "sarif")[1])["runs"][0]["results"]
    assert all(part in text for part in parts)
    assert github.strip().endswith("%0A".join(parts))
    assert sarif["message"]["text"] == "\n".join(parts)


@pytest.mark.parametrize("file", ["app.yaml", "a.yaml", "text/sw.yaml", "tests/a.test.yaml"])
@pytest.mark.parametrize("data", [b"\xff\xfe", b"", b"- 1", b"x", b"\x00", b"a: [", b"? a"], ids=repr)
def test_whatever_a_file_holds_is_told_and_nothing_of_python_is(
    folder: Path, monkeypatch: pytest.MonkeyPatch, file: str, data: bytes
) -> None:
    monkeypatch.chdir(folder.parent)
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_bytes(data)
    result = CliRunner().invoke(app, ["flow", "check", "flows"])
    assert isinstance(result.exception, SystemExit | None)
    assert "Traceback" not in result.output
    assert str(folder) not in result.output
    read_by_replay = file.startswith("tests/") and data != b"\xff\xfe"
    assert (result.exit_code, f"flows/{file}:1:" in result.output) == ((0, False) if read_by_replay else (1, True))


def test_watch_checks_again_when_a_file_changes(folder: Path) -> None:
    command = [sys.executable, "-u", "-m", "soko", "flow", "check", "--watch", str(folder)]
    watching = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ})
    assert watching.stdout is not None
    try:
        assert read_until(watching.stdout, "all checks passed")
        (folder / "a.yaml").write_text(FLOW.replace("{end: STATE}", "{go: y}"))
        assert read_until(watching.stdout, "there is no state `y`")
    finally:
        watching.terminate()
        watching.wait(timeout=10)
        watching.stdout.close()


def read_until(lines: Iterable[str], words: str) -> bool:
    """Whether a line with these words comes."""
    return any(words in line for line in lines)
