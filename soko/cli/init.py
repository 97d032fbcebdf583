"""`soko init`: a small flow to begin with."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from soko.cli.failures import fail

commands = typer.Typer()
STARTER: Final = Path(__file__).parent.parent / "starter"


@commands.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="a new folder, or an empty one")],
    as_json: Annotated[bool, typer.Option("--json", help="one object on stdout")] = False,
) -> None:
    """Write a small flow to begin with: a table booking in English and Swahili, with a transcript that passes."""
    from conversation.authoring.load import load_bundle
    from conversation.authoring.schema import FOLDER, write_schemas
    from conversation.services import CATALOGUE

    if folder.exists() and not folder.is_dir():
        fail(f"{folder} is a file: name a new folder, or an empty one")
    if folder.is_dir() and any(folder.iterdir()):
        fail(f"{folder} is not empty, and nothing was written: name a new folder, or an empty one")
    bundle = load_bundle(STARTER, CATALOGUE)
    written: list[str] = []
    for file in _files():
        into = folder / file
        into.parent.mkdir(parents=True, exist_ok=True)
        into.write_bytes((STARTER / file).read_bytes())
        written.append(file.as_posix())
    written += [f"{FOLDER}/{name}" for name in write_schemas(folder, bundle)]
    if as_json:
        typer.echo(json.dumps({"folder": str(folder), "files": written}))
    else:
        typer.echo("\n".join(f"wrote {folder / name}" for name in written))


def _files() -> Iterator[Path]:
    """The files of the starter, by their place in it."""
    return (path.relative_to(STARTER) for path in sorted(STARTER.rglob("*")) if path.is_file())
