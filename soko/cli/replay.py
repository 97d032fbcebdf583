"""`soko replay`: play transcripts of conversations."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Final

import typer

from soko.cli.counting import count
from soko.cli.failures import FAILED, fail
from soko.cli.flow_tools import FLOWS, Folder
from soko.cli.funnel import kept_since, to_age
from soko.cli.replay_coverage import show_coverage, show_traffic, to_report
from soko.cli.replay_update import refuse_in_ci, update_files

if TYPE_CHECKING:
    from conversation.authoring.coverage import Coverage
    from conversation.authoring.traffic import Traffic
    from conversation.authoring.transcripts import Transcript
    from conversation.engine.flow import Bundle
    from soko.replay.play import Played

commands = typer.Typer()
TESTS: Final = "tests"
BAD_USAGE: Final = 2


@commands.command()
def replay(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="files or folders of *.test.yaml; without any: all there are")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one object on stdout")] = False,
    draft: Annotated[
        bool, typer.Option("--draft", help="play although a translation lags behind its text: customers read the base language")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="show only transcripts that fail, and the sum")] = False,
    coverage: Annotated[bool, typer.Option("--coverage", help="tell which parts of the flows no transcript meets")] = False,
    fail_under: Annotated[
        float | None,
        typer.Option(min=0, max=100, metavar="PERCENT", help="exit 1 when less of any kind is covered; implies --coverage"),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(metavar="AGE", help="7d: tell how much of what people did since then is covered; implies --coverage"),
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="rewrite what transcripts expect, after showing how")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="rewrite without asking")] = False,
    drawn: Annotated[
        str | None,
        typer.Option("--draw", metavar="FLOW", help="print only this flow, drawn in Mermaid with how often it went where"),
    ] = None,
    folder: Folder = FLOWS,
) -> None:
    """Play transcripts: what customers say, and what the shop must answer. Nothing is sent, nothing stays in a database.

    Exit 0: all pass; 1: one fails, or cannot be read, or its flows do not load, or too little is covered; 2: nothing to play.
    """
    from soko.logs import configure
    from soko.replay.stage import find_transcripts, open_own_stage
    from soko.settings import load_settings

    configure(stream=sys.stderr, level="ERROR")
    paths = paths or [folder / TESTS]
    missing = [path for path in paths if not path.exists()]
    files = [] if missing else find_transcripts(paths)
    if not files:
        where = ", ".join(str(path) for path in missing or paths)
        typer.echo(f"soko: there is no {where}" if missing else f"soko: there is no *.test.yaml in {where}", err=True)
        raise typer.Exit(BAD_USAGE)
    if since is not None:
        to_age(since)
    if update:
        refuse_in_ci()
    played: list[Played] = []
    covered: Coverage | None = None
    told = not as_json and drawn is None
    with _problems_told(as_json):
        transcripts = _read(files)
        started = perf_counter()
        with open_own_stage(load_settings(), draft=draft) as stage:
            ready = perf_counter() - started
            if update:
                transcripts = update_files(stage, transcripts, yes=yes)
            for one in stage.play_all(transcripts):
                played.append(one)
                if told and not (quiet and one.failure is None):
                    _show(one)
            if coverage or fail_under is not None or since is not None:
                covered = stage.measure(played)
            if drawn is not None:
                typer.echo(_draw(stage.bundle(transcripts[0]), stage.measure(played), drawn), nl=False)
    traffic = _weigh(covered, since) if covered is not None and since is not None else None
    if as_json:
        typer.echo(json.dumps(_report(played, problems=[]) | to_report(covered, traffic), ensure_ascii=False))
    elif told:
        _sum_up(played, ready=ready)
        show_coverage(covered, fail_under=fail_under)
        if traffic is not None and since is not None:
            show_traffic(traffic, since=since)
    if any(one.failure is not None for one in played) or (covered is not None and covered.least < (fail_under or 0)):
        raise typer.Exit(FAILED)


def _weigh(covered: "Coverage", since: str) -> "Traffic":
    from conversation.authoring.traffic import weigh

    with kept_since(since) as (_, conversations):
        return weigh(covered, conversations)


@contextmanager
def _problems_told(as_json: bool) -> "Iterator[None]":
    """End the command with every problem of transcripts that cannot be read, or of flows that do not load."""
    from conversation.authoring.problems import FlowErrors
    from conversation.authoring.read_transcripts import BadTranscripts

    try:
        yield
    except (BadTranscripts, FlowErrors) as error:
        if as_json:
            typer.echo(json.dumps(_report([], problems=str(error).splitlines()), ensure_ascii=False))
        else:
            typer.echo(str(error), err=True)
        raise typer.Exit(FAILED) from error


def _read(files: Sequence[Path]) -> "list[Transcript]":
    from conversation.authoring.read_transcripts import BadTranscripts, read_transcripts

    found: list[Transcript] = []
    wrong: list[str] = []
    for file in files:
        try:
            found += read_transcripts(file)
        except BadTranscripts as error:
            wrong += error.lines
    if wrong:
        raise BadTranscripts(wrong)
    return found


def _draw(bundle: "Bundle", covered: "Coverage", flow: str) -> str:
    from conversation.authoring.coverage import with_counts
    from conversation.authoring.draw import draw, to_mermaid

    if flow not in bundle.flows:
        fail(f"there is no flow {flow}; there is {', '.join(bundle.flows)}", BAD_USAGE)
    return to_mermaid(with_counts(draw(bundle, bundle.flows[flow]), covered))


def _show(played: "Played") -> None:
    transcript = played.transcript
    mark = typer.style("✓", fg="green") if played.failure is None else typer.style("✗", fg="red")
    typer.echo(f"{mark} {transcript.name}  {typer.style(f'{transcript.file}:{transcript.line}', dim=True)}")
    if played.failure is not None:
        typer.echo("\n" + played.failure.report + "\n")


def _sum_up(played: "Sequence[Played]", *, ready: float) -> None:
    failed = sum(one.failure is not None for one in played)
    turns, seconds = sum(one.turns for one in played), sum(one.seconds for one in played)
    typer.echo(
        f"{len(played) - failed} passed, {failed} failed"
        f" ({count(turns, 'turn')} in {seconds:.2f} s, {turns / seconds:.0f} a second; databases ready in {ready:.1f} s)"
    )


def _report(played: "Sequence[Played]", *, problems: Sequence[str]) -> "dict[str, object]":
    failed = sum(one.failure is not None for one in played)
    return {
        "schema": 1,
        "passed": len(played) - failed,
        "failed": failed,
        "turns": sum(one.turns for one in played),
        "seconds": round(sum(one.seconds for one in played), 3),
        "problems": list(problems),
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
