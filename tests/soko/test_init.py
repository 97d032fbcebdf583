import json
from pathlib import Path

import pytest

from conversation.authoring.load import check_folder
from conversation.authoring.schema import find_drift
from conversation.services import CATALOGUE
from soko.cli.init import STARTER
from tests.soko.test_cli import soko


def test_what_is_written_is_listed_and_passes_every_check(tmp_path: Path) -> None:
    told = json.loads(soko("init", str(tmp_path / "new"), "--json").output)

    written = {path.relative_to(tmp_path / "new").as_posix() for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert set(told["files"]) == written
    found = check_folder(tmp_path / "new", CATALOGUE)
    assert found.problems == ()
    assert found.bundle is not None
    assert find_drift(tmp_path / "new", found.bundle) == []


def test_flows_have_one_name_wherever_they_lie(tmp_path: Path) -> None:
    soko("init", str(tmp_path / "elsewhere"))

    here, there = (check_folder(folder, CATALOGUE).bundle for folder in (STARTER, tmp_path / "elsewhere"))
    assert here is not None
    assert there is not None
    assert here.hash == there.hash


@pytest.mark.parametrize("is_file", [True, False])
def test_nothing_is_written_where_something_is(tmp_path: Path, is_file: bool) -> None:  # noqa: FBT001 - a parameter of the test
    taken = tmp_path if not is_file else tmp_path / "mine"
    (tmp_path / "mine").write_text("mine")

    done = soko("init", str(taken))

    assert done.exit_code == 1
    assert "name a new folder, or an empty one" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
