"""The commands that show flows to their authors."""

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from conversation.authoring.read_transcripts import read_transcripts
from soko.cli import app
from tests.conversation.engine.small import LATE, files_of

ROOT = Path(__file__).parents[2]
ASKS = """flow: asks
starts_when: [{any: true}]
states:
  begin: {ask: Well?, replies: [{words: [one, two], go: done}], unmatched: {say: What?, tries: 2, then: done}}
  done: {say: Bye., end: done}
"""


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    folder = tmp_path / "flows"
    for file, data in files_of(ASKS, LATE).items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(data)
    return folder


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["flow", *args])


def test_services_are_listed_for_people_and_for_programs() -> None:
    people, programs = run("services"), run("services", "--json")
    assert people.exit_code == programs.exit_code == 0
    assert YAML(typ="safe", pure=True).load(people.stdout) == json.loads(programs.stdout)
    assert run("services", "--page").stdout == (ROOT / "docs" / "services.md").read_text(encoding="utf-8")


def test_schemas_that_are_out_of_date_are_told_and_written(flows: Path) -> None:
    run("schema", "--write", "--flows", str(flows))
    (flows / "schema" / "flow-asks.json").write_text("{}")
    told = run("schema", "--check", "--flows", str(flows))
    assert (told.exit_code, "flow-asks.json is out of date: run `soko flow schema --write`" in told.stderr) == (1, True)
    assert "flow-asks.json" in run("schema", "--write", "--flows", str(flows)).stdout
    assert run("schema", "--check", "--flows", str(flows)).exit_code == 0
    assert "flow-asks.json" in json.loads(run("schema", "--flows", str(flows)).stdout)


@pytest.mark.parametrize(("form", "begins"), [("mermaid", "flowchart TD"), ("dot", "digraph"), ("svg", "<svg ")])
def test_a_flow_is_drawn_in_each_form(form: str, begins: str, flows: Path) -> None:
    drawn = run("draw", "late_payment", "--format", form, "--flows", str(flows))
    assert drawn.exit_code == 0
    assert drawn.stdout.startswith(begins)
    assert "arrived" in drawn.stdout


def test_a_flow_that_is_not_there_is_told_with_those_that_are(flows: Path) -> None:
    told = run("draw", "shpo", "--flows", str(flows))
    assert told.exit_code == 2
    assert "there is no flow shpo; there is asks, late_payment" in told.stderr


def test_flows_that_do_not_load_are_told_by_every_command(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text("app: soko\n")
    for command in ("schema", "draw", "explore"):
        told = run(command, "--flows", str(tmp_path))
        assert told.exit_code == 1
        assert "app.yaml:1:1" in told.stderr
        assert run(command, "--flows", str(tmp_path / "nowhere")).exit_code == 2


def test_exploring_tells_what_it_saw_and_that_it_stopped(flows: Path) -> None:
    told = run("explore", "asks", "--depth", "1", "--flows", str(flows))
    assert told.exit_code == 0
    assert "stopped at 1 turn:" in told.stdout
    assert "never taken: asks.begin -- one --> asks.done" in told.stdout
    assert "0 of 2 ways taken" in told.stdout


def test_exploring_writes_the_transcripts_that_are_missing(flows: Path, tmp_path: Path) -> None:
    told = run("explore", "asks", "--make-tests", str(tmp_path / "made"), "--flows", str(flows))
    assert (told.exit_code, "2 transcripts" in told.stdout) == (0, True)
    made = read_transcripts(tmp_path / "made" / "explored.test.yaml")
    assert [each.name for each in made] == [
        "explored, asks.begin -- not understood --> asks.done",
        "explored, asks.begin -- one --> asks.done",
    ]
