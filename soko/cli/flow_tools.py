"""`soko flow …`: what helps authors to see and to write flows, beside `soko flow check`."""

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from soko.cli.flow import BAD_USAGE, commands

if TYPE_CHECKING:
    from conversation.engine.flow import Bundle, Flow

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
    folder: Folder = FLOWS,
) -> None:
    """Draw a flow: its start on top, where it ends at the bottom; questions, waits and money are marked."""
    from conversation.authoring.draw import draw as draw_flow
    from conversation.authoring.draw import to_dot, to_mermaid
    from conversation.authoring.draw_svg import to_svg

    bundle = _load(folder)
    drawing = draw_flow(bundle, _pick(bundle, flow))
    typer.echo({Format.MERMAID: to_mermaid, Format.DOT: to_dot, Format.SVG: to_svg}[form](drawing), nl=False)


def _pick(bundle: "Bundle", name: str | None) -> "Flow":
    wanted = name or next(iter(bundle.flows))
    if wanted not in bundle.flows:
        typer.echo(f"soko: there is no flow {wanted}; there is {', '.join(bundle.flows)}", err=True)
        raise typer.Exit(BAD_USAGE)
    return bundle.flows[wanted]
