"""pytest collects *.test.yaml: one test a document, played on real Postgres, a failure shown as a chat.

`pytest -p soko.pytest_plugin`. The databases come from the fixture `transcript_stage`, which a conftest may replace.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conversation.authoring.transcripts import Transcript
    from soko.replay.stage import Stage

SUFFIX = ".test.yaml"


class TranscriptFailed(Exception):
    """A transcript and the shop part ways; the message shows the chat."""


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "TranscriptFile | None":
    """Collect transcripts."""
    if file_path.name.endswith(SUFFIX):
        return TranscriptFile.from_parent(parent, path=file_path)
    return None


@pytest.fixture(scope="session")
def transcript_stage() -> "Iterator[Stage]":
    """Give databases of the replays' own, on the servers that the settings name."""
    from soko.replay.stage import open_own_stage  # noqa: PLC0415 - pytest loads a plugin long before it is needed
    from soko.settings import load_settings  # noqa: PLC0415

    with open_own_stage(load_settings()) as stage:
        yield stage


class TranscriptFile(pytest.File):
    """One file of transcripts."""

    def collect(self) -> "Iterator[TranscriptTest]":
        """Make a test of each document."""
        from conversation.authoring.read_transcripts import BadTranscripts, read_transcripts  # noqa: PLC0415

        try:
            transcripts = read_transcripts(self.path)
        except BadTranscripts as error:
            raise self.CollectError(str(error)) from error
        for transcript in transcripts:
            yield TranscriptTest.from_parent(self, name=transcript.name, callobj=_Play(transcript), transcript=transcript)


class TranscriptTest(pytest.Function):
    """One transcript as a test: `-k`, `--junitxml` and xdist see it like any other."""

    def __init__(self, *, transcript: "Transcript", **given: Any) -> None:
        super().__init__(**given)
        self._transcript = transcript

    def reportinfo(self) -> tuple[Path, int, str]:
        """Point at the document; lines count from 0 here."""
        return self.path, self._transcript.line - 1, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **kwargs: Any) -> Any:
        """Show the chat instead of our own stack."""
        if isinstance(excinfo.value, TranscriptFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *args, **kwargs)


class _Play:
    """What pytest calls: it hands the stage to a function with this parameter."""

    def __init__(self, transcript: "Transcript") -> None:
        self._transcript = transcript

    def __call__(self, transcript_stage: "Stage") -> None:
        played = transcript_stage.play(self._transcript)
        if played.failure is not None:
            raise TranscriptFailed(played.failure.report)
