"""`soko config`: what is set, and from where."""

import json
from dataclasses import asdict
from textwrap import wrap
from typing import Annotated, Final

import typer

commands = typer.Typer(name="config", help="The settings: environment variables or .env.", no_args_is_help=True)
WIDEST: Final = 48  # characters of a value in one line; a list goes on below


@commands.callback()
def group() -> None:
    """Make `config` a group although it has one command so far."""


@commands.command()
def show(as_json: Annotated[bool, typer.Option("--json", help="one object on stdout")] = False) -> None:
    """Show every setting with its effective value and its source; secrets are masked."""
    from soko.settings import load_settings, show_settings

    shown = show_settings(load_settings())
    if as_json:
        typer.echo(json.dumps({"schema": 1, "settings": [asdict(setting) for setting in shown]}))
        return
    widths = [max(len(text) for text in column) for column in zip(*((s.name, s.value, s.source) for s in shown), strict=True)]
    widths[1] = min(widths[1], WIDEST)
    for setting in shown:
        first, *more = wrap(setting.value.replace(",", ", "), WIDEST, break_on_hyphens=False) or [""]
        cells = (setting.name, first, setting.source)
        typer.echo("  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)), setting.about]))
        for line in more:
            typer.echo(f"{'':<{widths[0]}}  {line}")
