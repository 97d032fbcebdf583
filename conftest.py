"""Every test, also a transcript below flows/, has the run's own servers and databases."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from soko.replay.stage import Stage, open_stage

SYSTEM: Final = Path(__file__).parent / "tests" / "system"
pytest_plugins = ["tests.servers", "pytester"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with whole systems: they take longest, and whoever began them last would be waited for."""
    items.sort(key=lambda item: not item.path.is_relative_to(SYSTEM))


@pytest.fixture(scope="session")
def transcript_stage(own_databases: dict[str, str]) -> Iterator[Stage]:
    """Play transcripts on the databases of the tests, not on those of the settings."""
    with open_stage(platform_url=own_databases["platform"], ops_url=own_databases["ops"]) as stage:
        yield stage
