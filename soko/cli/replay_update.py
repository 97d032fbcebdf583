"""`soko replay --update`: rewrite what transcripts expect, after showing the difference."""

import os
from collections.abc import Sequence
from difflib import unified_diff
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from soko.cli.failures import fail

if TYPE_CHECKING:
    from conversation.authoring.transcripts import Transcript
    from soko.replay.stage import Stage

BAD_USAGE: Final = 2
_COLOURS: Final = {"+": "green", "-": "red", "@": "cyan"}


def refuse_in_ci() -> None:
    """End the command where nobody reads the difference."""
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        fail("--update rewrites what must be true, so it is not for CI: run it where you can read the difference", BAD_USAGE)


def update_files(stage: "Stage", transcripts: "Sequence[Transcript]", *, yes: bool) -> "list[Transcript]":
    """Rewrite the files of the transcripts that fail; return all as they are read now. Nothing is written unless agreed."""
    from conversation.authoring.read_transcripts import read_transcripts

    found: list[Transcript] = []
    for file, group in groupby(transcripts, key=lambda one: one.file):
        given = list(group)
        path = Path(file)
        before = path.read_bytes().decode()
        after = _rewritten(stage, given, before)
        if after != before:
            _show(file, before, after)
            if yes or typer.confirm(f"Rewrite {file}?", err=True):
                path.write_bytes(after.encode())
                given = list(read_transcripts(path))
        found += given
    return found


def _rewritten(stage: "Stage", transcripts: "Sequence[Transcript]", source: str) -> str:
    from soko.replay.rewrite_transcript import rewrite

    failing = [one for one in transcripts if stage.play(one).failure is not None]
    return rewrite(source, [(one, stage.watch(one)) for one in failing])


def _show(file: str, before: str, after: str) -> None:
    lines = unified_diff(before.splitlines(), after.splitlines(), f"{file} (now)", f"{file} (then)", lineterm="")
    for line in lines:
        typer.echo(typer.style(line, fg=_COLOURS.get(line[0])), err=True)
