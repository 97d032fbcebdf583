"""`soko flow`: what flow authors need."""

import json
from pathlib import Path
from typing import Annotated, Final

import typer

commands = typer.Typer(name="flow", help="Check the flows.", no_args_is_help=True)

BAD_USAGE: Final = 2


@commands.callback()
def group() -> None:
    """Make `flow` a group although it has one command so far."""


@commands.command()
def check(
    paths: Annotated[list[Path] | None, typer.Argument(help="folders with an app.yaml; without one: flows")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one object on stdout")] = False,
) -> None:
    """Read and check flows. Exit 0: they load; 1: something is wrong with them; 2: there is nothing to check."""
    from conversation.authoring.load import load_bundle
    from conversation.authoring.problems import FlowErrors, Problem
    from conversation.services import CATALOGUE

    problems: list[Problem] = []
    passed: list[dict[str, str | int]] = []
    for folder in [path.parent if path.is_file() else path for path in paths or [Path("flows")]]:
        if not folder.is_dir():
            typer.echo(f"soko: there is no folder {folder}", err=True)
            raise typer.Exit(BAD_USAGE)
        try:
            bundle = load_bundle(folder, CATALOGUE)
        except FlowErrors as errors:
            problems += errors.problems
        else:
            states = sum(len(flow.states) for flow in bundle.flows.values())
            passed.append({"folder": str(folder), "bundle": bundle.hash, "flows": len(bundle.flows), "states": states})
    if as_json:
        typer.echo(json.dumps({"schema": 1, "passed": passed, "problems": [problem.to_json() for problem in problems]}))
    else:
        for problem in problems:
            typer.echo(f"{problem}\n")
        for each in passed:
            typer.echo(
                f"{each['folder']}: {each['flows']} flows, {each['states']} states, bundle {each['bundle']}: all checks passed"
            )
        if problems:
            typer.echo(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}")
    if problems:
        raise typer.Exit(1)
