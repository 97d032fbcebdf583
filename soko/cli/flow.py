"""`soko flow`: what flow authors need."""

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from soko.cli.counting import count

if TYPE_CHECKING:
    from conversation.authoring.problems import Problem

commands = typer.Typer(name="flow", help="Check the flows.", no_args_is_help=True)

WRONG: Final = 1
BAD_USAGE: Final = 2
LOOK_EVERY_SECONDS: Final = 0.5
PAGES: Final = Path(__file__).parents[2] / "docs" / "checks"


class Form(StrEnum):
    """How problems are written."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


@commands.callback()
def group() -> None:
    """Make `flow` a group although it has one command so far."""


@commands.command()
def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="folders with an app.yaml; without one: flows")] = None,
    form: Annotated[Form, typer.Option("--format", help="text for people, the others for machines")] = Form.TEXT,
    as_json: Annotated[bool, typer.Option("--json", help="the same as --format json")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="warnings count as errors")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="check again whenever a file changes, until ^C")] = False,
    products: Annotated[Path | None, typer.Option(help="a YAML list of {name, aliases}: can they be told apart (R4)?")] = None,
    explain: Annotated[str | None, typer.Option(metavar="CODE", help="print the page of a code, e.g. P1, and stop")] = None,
) -> None:
    """Read and check flows. Exit 0: they load; 1: something is wrong with them; 2: there is nothing to check."""
    if explain is not None:
        typer.echo(_page(explain))
        return
    folders = [path.parent if path.is_file() else path for path in paths or [Path("flows")]]
    for needed in [*folders, *([products] if products is not None else [])]:
        if not needed.exists():
            typer.echo(f"soko: there is no {'file' if needed is products else 'folder'} {needed}", err=True)
            raise typer.Exit(BAD_USAGE)
    form = Form.JSON if as_json else form
    seen = _times(folders, products)  # before the check: what is written meanwhile is looked at again
    passes = _check(folders, products, form, strict=strict)
    while watch:
        while _times(folders, products) == seen:
            time.sleep(LOOK_EVERY_SECONDS)
        seen = _times(folders, products)
        typer.echo("—" * 20)
        _check(folders, products, form, strict=strict)
    if not passes:
        raise typer.Exit(WRONG)


@commands.command()
def lsp() -> None:
    """Serve an editor: the same problems as `soko flow check`, underlined as they are typed. Speaks LSP on stdin and stdout."""
    from soko.language_server import build_server

    build_server().start_io()


def _check(folders: list[Path], products: Path | None, form: Form, *, strict: bool) -> bool:
    from conversation.authoring import reports
    from conversation.authoring.load import check_folder
    from conversation.services import CATALOGUE

    problems: list[Problem] = []
    passed: list[dict[str, str | int]] = []
    for folder in folders:
        found = check_folder(folder, CATALOGUE, products)
        problems += found.problems
        bundle = found.bundle
        if bundle is not None and all(problem.warns for problem in found.problems):
            states = sum(len(flow.states) for flow in bundle.flows.values())
            passed.append({"folder": str(folder), "bundle": bundle.hash, "flows": len(bundle.flows), "states": states})
    match form:
        case Form.JSON:
            typer.echo(reports.to_json(problems, passed))
        case Form.SARIF:
            typer.echo(reports.to_sarif(problems))
        case Form.GITHUB:
            for problem in problems:
                typer.echo(reports.to_github(problem))
        case Form.TEXT:
            _tell(problems, passed)
    return all(problem.warns and not strict for problem in problems)


def _tell(problems: "list[Problem]", passed: list[dict[str, str | int]]) -> None:
    for problem in problems:
        typer.echo(f"{problem}\n")
    for each in passed:
        flows, states = (count(int(each[f"{what}s"]), what) for what in ("flow", "state"))
        typer.echo(f"{each['folder']}: {flows}, {states}, bundle {each['bundle']}: all checks passed")
    if problems:
        codes = ", ".join(sorted({problem.code for problem in problems}))
        typer.echo(f"{count(len(problems), 'problem')}; more about each: soko flow check --explain CODE ({codes})")


def _page(code: str) -> str:
    """The page of a code. Exit 2 when there is none."""
    from conversation.authoring.codes import CODES, ELSEWHERE

    known = [*CODES, *ELSEWHERE]
    if code.upper() not in known:
        typer.echo(f"soko: there is no code {code}; there is {', '.join(known)}", err=True)
        raise typer.Exit(BAD_USAGE)
    return (PAGES / f"{code.upper()}.md").read_text(encoding="utf-8").rstrip()


def _times(folders: list[Path], products: Path | None) -> dict[Path, int]:
    """When each file was last written, in nanoseconds."""
    files = [file for folder in folders for file in folder.rglob("*.yaml")] + ([products] if products is not None else [])
    times: dict[Path, int] = {}
    for file in files:
        try:
            times[file] = file.stat().st_mtime_ns
        except FileNotFoundError:  # an editor is replacing it
            times[file] = 0
    return times
