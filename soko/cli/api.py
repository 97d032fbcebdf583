"""`soko api`: the HTTP API, described."""

import json
from pathlib import Path
from typing import Annotated

import typer

from soko.cli.failures import fail

commands = typer.Typer()
PAGE = Path(__file__).parent.parent.parent / "docs" / "api.md"


@commands.command("api")
def api(
    page: Annotated[bool, typer.Option("--page", help="as the page docs/api.md")] = False,
    check: Annotated[bool, typer.Option("--check", help="is docs/api.md what the code does?")] = False,
) -> None:
    """Print the HTTP API as OpenAPI, or as a page."""
    from router.databases import Databases
    from router.http.api import Api
    from router.http.page import describe, to_page
    from router.rate_limits import RateLimits

    nowhere = Databases(platform_url="", ops_url="", resolve_secret=str)
    told = describe(Api(databases=nowhere, limits=RateLimits(None)))
    if check:
        if PAGE.read_text() != to_page(told):
            fail("docs/api.md is not what the code does: soko api --page > docs/api.md")
        typer.echo("docs/api.md is up to date")
        return
    typer.echo(to_page(told) if page else json.dumps(told, indent=2), nl=not page)
