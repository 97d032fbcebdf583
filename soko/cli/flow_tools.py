"""`soko flow …`: what helps authors to see and to write flows, beside `soko flow check`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from soko.cli.flow import BAD_USAGE, commands

if TYPE_CHECKING:
    from conversation.engine.flow import Bundle

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
