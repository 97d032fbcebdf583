"""Transcripts are played on the test run's own databases."""

from collections.abc import Iterator

import pytest

from soko.replay.stage import Stage, open_stage


@pytest.fixture(scope="session")
def transcript_stage(own_databases: dict[str, str]) -> Iterator[Stage]:
    with open_stage(platform_url=own_databases["platform"], ops_url=own_databases["ops"]) as stage:
        yield stage
