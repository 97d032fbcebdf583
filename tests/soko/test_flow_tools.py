"""The commands that show flows to their authors."""

import json
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from soko.cli import app

ROOT = Path(__file__).parents[2]
FLOWS = ROOT / "flows"


def run(*args: str) -> Result:
    return CliRunner().invoke(app, ["flow", *args])


def test_services_are_listed_for_people_and_for_programs() -> None:
    people, programs = run("services"), run("services", "--json")
    assert people.exit_code == programs.exit_code == 0
    assert YAML(typ="safe", pure=True).load(people.stdout) == json.loads(programs.stdout)
    assert run("services", "--page").stdout == (ROOT / "docs" / "services.md").read_text(encoding="utf-8")


def test_schemas_that_are_out_of_date_are_told_and_written(tmp_path: Path) -> None:
    folder = tmp_path / "flows"
    shutil.copytree(FLOWS, folder)
    assert run("schema", "--check", "--flows", str(folder)).exit_code == 0
    (folder / "schema" / "flow-shop.json").write_text("{}")
    told = run("schema", "--check", "--flows", str(folder))
    assert (told.exit_code, "flow-shop.json is out of date: run `soko flow schema --write`" in told.stderr) == (1, True)
    assert "flow-shop.json" in run("schema", "--write", "--flows", str(folder)).stdout
    assert run("schema", "--check", "--flows", str(folder)).exit_code == 0
    assert "flow-shop.json" in json.loads(run("schema", "--flows", str(folder)).stdout)


@pytest.mark.parametrize(("form", "begins"), [("mermaid", "flowchart TD"), ("dot", "digraph"), ("svg", "<svg ")])
def test_a_flow_is_drawn_in_each_form(form: str, begins: str) -> None:
    drawn = run("draw", "late_payment", "--format", form, "--flows", str(FLOWS))
    assert drawn.exit_code == 0
    assert drawn.stdout.startswith(begins)
    assert "arrived" in drawn.stdout


def test_a_flow_that_is_not_there_is_told_with_those_that_are() -> None:
    told = run("draw", "shpo", "--flows", str(FLOWS))
    assert told.exit_code == 2
    assert "there is no flow shpo; there is shop, support, pick_branch, late_payment" in told.stderr


def test_flows_that_do_not_load_are_told_by_every_command(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text("app: soko\n")
    for command in ("schema", "draw", "explore"):
        told = run(command, "--flows", str(tmp_path))
        assert told.exit_code == 1
        assert "app.yaml:1:1" in told.stderr
        assert run(command, "--flows", str(tmp_path / "nowhere")).exit_code == 2


def test_exploring_tells_what_it_saw_and_that_it_stopped() -> None:
    told = run("explore", "late_payment", "--depth", "2", "--flows", str(FLOWS))
    assert told.exit_code == 0
    assert "stopped at 2 turns" in told.stdout
    assert "of 2 ways taken" in told.stdout
