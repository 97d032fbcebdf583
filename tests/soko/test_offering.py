"""`soko up --reload`: what is edited is live, and its transcripts are played."""

import shutil
import time
from pathlib import Path

import pytest

from router.databases import Databases
from soko.cli.init import STARTER
from soko.offering import Offering
from soko.settings import Settings


def test_what_is_edited_is_live_and_rehearsed(
    settings: Settings, databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("home", "platform_url", "ops_url", "redis_url"):
        monkeypatch.setenv(f"SOKO_{name.upper()}", str(getattr(settings, name)))
    flows = tmp_path / "bookings"
    shutil.copytree(STARTER, flows)
    said: list[str] = []
    offering = Offering(databases, flows, said.append)
    offering.look()
    assert [each.partition(" ")[0] for each in said] == ["Flows"]
    flow = flows / "booking.yaml"
    flow.write_text(flow.read_text().replace("For which day?", "Which day?"))
    while len(said) < 4:
        offering.look()
        time.sleep(0.1)
    stale, live, transcripts = said[1:]
    assert "L1" in stale
    assert live.endswith("are live")
    assert transcripts.startswith("Transcripts: ")
    assert "For which day?" in transcripts
    assert "0 passed, 1 failed" in transcripts
