"""`soko flow …`: what helps authors to see and to write flows, beside `soko flow check`."""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from soko.cli.counting import count
from soko.cli.flow import BAD_USAGE, commands

if TYPE_CHECKING:
    from conversation.authoring.draw import Drawing
    from conversation.engine.flow import Bundle, Flow
    from conversation.engine.values import JSON

    Trace: TypeAlias = Sequence[Mapping[str, JSON]]

FAILED: Final = 1
Folder = Annotated[Path, typer.Option("--flows", help="the folder with the app.yaml")]
FLOWS: Final = Path("flows")


@commands.command()
def services(
    as_json: Annotated[bool, typer.Option("--json", help="one object on stdout")] = False,
    as_page: Annotated[bool, typer.Option("--page", help="the page docs/services.md")] = False,
) -> None:
    """List everything a flow may call, read and wait for."""
    from conversation.authoring.services_sheet import to_page, to_sheet, to_yaml
    from conversation.services import CATALOGUE

    sheet = to_sheet(CATALOGUE)
    typer.echo(json.dumps(sheet, ensure_ascii=False) if as_json else to_page(sheet) if as_page else to_yaml(sheet), nl=as_json)


@commands.command()
def schema(
    check: Annotated[bool, typer.Option("--check", help="exit 1 when flows/schema/ is out of date")] = False,
    write: Annotated[bool, typer.Option("--write", help="bring flows/schema/ up to date")] = False,
    folder: Folder = FLOWS,
) -> None:
    """Print the JSON Schema of every kind of flow file, check the committed ones, or write them. Editors complete by them."""
    from conversation.authoring.schema import FOLDER, build_schemas, find_drift, write_schemas

    bundle = _load(folder)
    if write:
        changed = write_schemas(folder, bundle)
        typer.echo("\n".join(f"wrote {folder / FOLDER / name}" for name in changed) or f"{folder / FOLDER} is up to date")
    elif check:
        drift = find_drift(folder, bundle)
        for name in drift:
            typer.echo(f"{folder / FOLDER / name} is out of date: run `soko flow schema --write`", err=True)
        if drift:
            raise typer.Exit(FAILED)
        typer.echo(f"{folder / FOLDER} is up to date")
    else:
        typer.echo(json.dumps(build_schemas(bundle), ensure_ascii=False))


def _load(folder: Path) -> "Bundle":
    """Load the flows, or end the command with what is wrong with them."""
    from conversation.authoring.load import load_bundle
    from conversation.authoring.problems import FlowErrors
    from conversation.services import CATALOGUE

    if not folder.is_dir():
        typer.echo(f"soko: there is no folder {folder}", err=True)
        raise typer.Exit(BAD_USAGE)
    try:
        return load_bundle(folder, CATALOGUE)
    except FlowErrors as errors:
        typer.echo(str(errors), err=True)
        raise typer.Exit(FAILED) from errors


class Format(StrEnum):
    """How a drawing is written."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"


@commands.command()
def draw(
    flow: Annotated[str | None, typer.Argument(help="name of the flow; without one: the first in app.yaml")] = None,
    form: Annotated[Format, typer.Option("--format", help="how it is written")] = Format.MERMAID,
    since: Annotated[
        str | None, typer.Option(metavar="AGE", help="7d: how often each way was taken since then, and who is where now")
    ] = None,
    folder: Folder = FLOWS,
) -> None:
    """Draw a flow: its start on top, where it ends at the bottom; questions, waits and money are marked."""
    from conversation.authoring.draw import draw as draw_flow
    from conversation.authoring.draw import to_dot, to_mermaid
    from conversation.authoring.draw_svg import to_svg

    bundle = _load(folder)
    drawing = draw_flow(bundle, _pick(bundle, flow))
    if since is not None:
        drawing = _with_people(drawing, bundle, since)
    typer.echo({Format.MERMAID: to_mermaid, Format.DOT: to_dot, Format.SVG: to_svg}[form](drawing), nl=False)


def _with_people(drawing: "Drawing", bundle: "Bundle", since: str) -> "Drawing":
    """Write what took place since then, and how many people are in each state now."""
    from conversation.authoring.coverage import Heard, measure, with_counts
    from router.publications import count_standing
    from soko.cli.funnel import kept_since

    here: Counter[str] = Counter()
    with kept_since(since) as (databases, conversations):
        heard = (Heard(trace=turn.trace, language="", places=()) for turns in conversations for turn in turns)
        counted = with_counts(drawing, measure(bundle, heard))
        for standing in count_standing(databases):
            here[".".join(standing.places[-1])] += standing.people
    boxes = [
        replace(box, lines=(*box.lines, f"{people} here now")) if (people := here[f"{drawing.flow}.{box.name}"]) else box
        for box in counted.boxes
    ]
    return replace(counted, boxes=tuple(boxes))


def _pick(bundle: "Bundle", name: str | None) -> "Flow":
    wanted = name or next(iter(bundle.flows))
    if wanted not in bundle.flows:
        typer.echo(f"soko: there is no flow {wanted}; there is {', '.join(bundle.flows)}", err=True)
        raise typer.Exit(BAD_USAGE)
    return bundle.flows[wanted]


@commands.command()
def explore(
    flow: Annotated[str | None, typer.Argument(help="count the ways of this flow only; without one: of all")] = None,
    depth: Annotated[int, typer.Option(min=1, max=200, help="turns, at most")] = 40,
    make_tests: Annotated[Path | None, typer.Option(help="a folder for transcripts of ways that none in tests/ takes")] = None,
    vendor: Annotated[str, typer.Option(help="whose shop those transcripts are in")] = "mama-duka",
    folder: Folder = FLOWS,
) -> None:
    """Try every path: each reply, command, timer, event, and each way a call may end.

    Exit 1 for turns that break, charges nobody asked for, dead ends, and waits that never come to an end.
    """
    from conversation.authoring.explore import SILENCE
    from conversation.authoring.explore import explore as explore_flows

    bundle = _load(folder)
    flows = [_pick(bundle, flow).name] if flow is not None else list(bundle.flows)
    explored = explore_flows(bundle, depth=depth, flows=flows)
    for finding in explored.findings:
        typer.echo(f"{finding}\n")
    for way in explored.never:
        typer.echo(f"never taken: {way}")
    bound = "" if explored.complete else f" (stopped at {count(depth, 'turn')}: there is more)"
    typer.echo(
        f"{count(explored.situations, 'situation')}, {count(explored.steps, 'step')},"
        f" {count(explored.depth, 'turn')} deep{bound}:"
        f" {len(explored.taken)} of {count(len(explored.declared), 'way')} taken, {count(len(explored.findings), 'finding')}"
    )
    if make_tests is not None:
        _make_tests(bundle, flows, folder, make_tests, depth=depth, vendor=vendor)
    if any(finding.kind != SILENCE for finding in explored.findings):
        raise typer.Exit(FAILED)


def _make_tests(bundle: "Bundle", flows: "list[str]", folder: Path, into: Path, *, depth: int, vendor: str) -> None:
    """Write the transcripts. What is there already is played first, to see which ways it takes."""
    from conversation.authoring.explore import explore as explore_flows
    from conversation.authoring.made_tests import choose_paths, write_tests
    from conversation.authoring.way_names import taken_ways

    explored = explore_flows(bundle, depth=depth, flows=flows, faultless=True)
    declared = frozenset(explored.declared)
    covered = {way for trace in _played_traces(folder) for way in taken_ways(declared, trace)}
    paths = choose_paths(explored, covered)
    typer.echo(f"the transcripts in {folder / 'tests'} take {count(len(covered), 'way')}")
    if paths:
        into.mkdir(parents=True, exist_ok=True)
        file = into / "explored.test.yaml"
        file.write_text(write_tests(paths, vendor=vendor, zone=bundle.timezone), encoding="utf-8")
        typer.echo(f"wrote {file}: {count(len(paths), 'transcript')}")
    beyond = len([way for way in explored.declared if way not in covered and way not in explored.shortest])
    typer.echo(f"by hand, as it takes a fault of a service, or time while money moves: {count(beyond, 'way')}")


def _played_traces(folder: Path) -> "list[Trace]":
    from conversation.authoring.read_transcripts import read_transcripts
    from soko.logs import configure
    from soko.replay.stage import find_transcripts, open_own_stage
    from soko.settings import load_settings

    configure(stream=sys.stderr, level="ERROR")
    files = find_transcripts([folder / "tests"]) if (folder / "tests").is_dir() else []
    if not files:
        return []
    with open_own_stage(load_settings()) as stage:
        played = [stage.play(transcript) for file in files for transcript in read_transcripts(file)]
    return [trace for one in played for trace in one.traces]
