"""`soko replay`: play transcripts of conversations."""

import json
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Final

import typer

from soko.cli.failures import FAILED

if TYPE_CHECKING:
    from conversation.authoring.transcripts import Transcript
    from soko.replay.play import Played

commands = typer.Typer()
DEFAULT: Final = Path("flows/tests")


@commands.command()
def replay(
    paths: Annotated[list[Path] | None, typer.Argument(help="files or folders of *.test.yaml; flows/tests without any")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one object on stdout")] = False,
) -> None:
    """Play transcripts: what customers say, what the shop must answer. Nothing is sent and nothing stays in a database."""
    from conversation.authoring.problems import FlowErrors
    from conversation.authoring.read_transcripts import BadTranscripts, read_transcripts
    from soko.replay.stage import find_transcripts, open_own_stage
    from soko.settings import load_settings

    transcripts: list[Transcript] = []
    unreadable: list[str] = []
    for file in find_transcripts(paths or [DEFAULT]):
        try:
            transcripts += read_transcripts(file)
        except BadTranscripts as error:
            unreadable.append(str(error))
    if unreadable:
        typer.echo("\n".join(unreadable), err=True)
        raise typer.Exit(FAILED)
    started = perf_counter()
    played: list[Played] = []
    with open_own_stage(load_settings()) as stage:
        opened = perf_counter()
        for transcript in transcripts:
            try:
                played.append(stage.play(transcript))
            except FlowErrors as error:
                typer.echo(str(error), err=True)
                raise typer.Exit(FAILED) from error
            if not as_json:
                _show(played[-1])
    if as_json:
        typer.echo(json.dumps(_report(played), ensure_ascii=False))
    else:
        _sum_up(played, ready=opened - started)
    if any(one.failure is not None for one in played):
        raise typer.Exit(FAILED)


def _show(played: "Played") -> None:
    transcript = played.transcript
    mark = typer.style("✓", fg="green") if played.failure is None else typer.style("✗", fg="red")
    typer.echo(f"{mark} {transcript.name}  {typer.style(f'{transcript.file}:{transcript.line}', dim=True)}")
    if played.failure is not None:
        typer.echo("\n" + played.failure.report + "\n")


def _sum_up(played: "list[Played]", *, ready: float) -> None:
    failed = sum(one.failure is not None for one in played)
    turns, seconds = sum(one.turns for one in played), sum(one.seconds for one in played)
    pace = f"{turns} turns in {seconds:.2f} s" + (f", {turns / seconds:.0f} a second" if seconds else "")
    typer.echo(f"{len(played) - failed} passed, {failed} failed ({pace}; databases ready in {ready:.1f} s)")


def _report(played: "list[Played]") -> Mapping[str, object]:
    failed = sum(one.failure is not None for one in played)
    return {
        "schema": 1,
        "passed": len(played) - failed,
        "failed": failed,
        "turns": sum(one.turns for one in played),
        "seconds": round(sum(one.seconds for one in played), 3),
        "transcripts": [
            {
                "name": one.transcript.name,
                "file": one.transcript.file,
                "line": one.transcript.line,
                "passed": one.failure is None,
                "turns": one.turns,
                "seconds": round(one.seconds, 4),
                "failure": None
                if one.failure is None
                else {"line": one.failure.line, "headline": one.failure.headline, "report": one.failure.report},
            }
            for one in played
        ],
    }
