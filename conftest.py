"""Every test, also a transcript below flows/, has the run's own servers and databases."""

from collections.abc import Iterator

import pytest

from soko.replay.stage import Stage, open_stage

pytest_plugins = ["tests.servers", "pytester"]


@pytest.fixture(scope="session")
def transcript_stage(own_databases: dict[str, str]) -> Iterator[Stage]:
    """Play transcripts on the databases of the tests, not on those of the settings."""
    with open_stage(platform_url=own_databases["platform"], ops_url=own_databases["ops"]) as stage:
        yield stage
