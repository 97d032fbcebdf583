"""The run script and the two locks."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["requirements.lock", "tools.lock"])
def test_a_lock_pins_every_package_by_hash_and_names_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    entries = re.split(r"\n(?=\S)", text.strip())
    assert all(re.match(r"[\w.-]+(\[[\w,]+\])?==\S+", entry) and "--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
    assert "--index" not in text


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    locked = {line.partition("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line}
    assert {re.split(r"[\[=~<>!]", name)[0] for name in wanted} <= locked


def test_run_without_a_python_says_what_is_needed(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname", "cmp"):
        found = shutil.which(name)
        assert found is not None
        (programs / name).symlink_to(found)
    shutil.copy(ROOT / "run", tmp_path)
    done = subprocess.run([tmp_path / "run", "version"], env={"PATH": str(programs)}, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "Soko needs python3, version 3.11 or newer" in done.stderr
    assert not (tmp_path / ".venv").exists()
