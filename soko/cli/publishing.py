"""`soko flow publish|rollback|published`: make flows live without stranding anyone who is in the middle of them."""

import getpass
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from soko.cli.counting import count
from soko.cli.failures import fail
from soko.cli.flow import commands
from soko.cli.flow_tools import FLOWS, Folder

if TYPE_CHECKING:
    from conversation.publishing.publish import Proposal
    from router.databases import Databases

PlanOption = Annotated[bool, typer.Option("--plan", help="show what it would do to whom, and change nothing")]
JsonOption = Annotated[bool, typer.Option("--json", help="one object on stdout")]
ByOption = Annotated[str | None, typer.Option("--by", help="who publishes; your user name when not given")]


@commands.command()
def publish(folder: Folder = FLOWS, *, plan: PlanOption = False, by: ByOption = None, as_json: JsonOption = False) -> None:
    """Make the flows of a folder live. Exit 1, with --plan too, when the check refuses them or somebody would be stranded."""
    from conversation.authoring.load import read_published
    from conversation.authoring.problems import FlowErrors

    try:
        files, migrations = read_published(folder)
    except FlowErrors as errors:
        fail(str(errors))
    with _databases() as databases:
        _publish(databases, files, migrations, plan=plan, by=by, as_json=as_json)


@commands.command()
def rollback(
    bundle: Annotated[
        str | None, typer.Argument(help="the bundle to go back to; the one before the live one when not given")
    ] = None,
    *,
    folder: Folder = FLOWS,
    plan: PlanOption = False,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish an earlier bundle again, by the same rules: migrations for leaving the live one are read from the folder.

    Exit 1, with --plan too, while somebody would be stranded.
    """
    from conversation.authoring.load import read_migration_files
    from router import publications

    migrations = read_migration_files(folder)
    with _databases() as databases:
        history = publications.list_publications(databases)
        live = history[-1].bundle_hash if history else ""
        earlier = [each.bundle_hash for each in history if each.bundle_hash != live and each.bundle_hash.startswith(bundle or "")]
        if not earlier:
            fail(f"there is no earlier bundle{f' {bundle}' if bundle else ''} to go back to; `soko flow published` lists them")
        files = publications.get_files(databases, earlier[-1])
        if files is None:
            fail(f"the files of bundle {earlier[-1]} are gone")
        _publish(databases, files, migrations, plan=plan, by=by, as_json=as_json)


@commands.command()
def published(*, as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line")] = False) -> None:
    """List what was published, the live one last."""
    from router import publications

    with _databases() as databases:
        history = publications.list_publications(databases)
    for each in history:
        told: dict[str, Any] = {
            "number": each.id,
            "bundle": each.bundle_hash,
            "by": each.published_by,
            "at": each.published_at.isoformat(timespec="seconds"),
            "live": each is history[-1],
        }
        line = f"{each.id:>4}  {each.bundle_hash}  {told['at']}  {each.published_by}{'  live' if told['live'] else ''}"
        typer.echo(json.dumps(told) if as_json else line)
    if not history and not as_json:
        typer.echo("Nothing is published yet: the first start of Soko publishes the flows it comes with.", err=True)


def _publish(
    databases: "Databases",
    files: Mapping[str, bytes],
    migrations: Mapping[str, bytes],
    *,
    plan: bool,
    by: str | None,
    as_json: bool,
) -> None:
    from conversation.authoring.problems import FlowErrors
    from conversation.publishing import publish as publishing
    from soko.clock import utc_now

    try:
        proposal = publishing.propose(databases, files, migrations)
    except FlowErrors as errors:
        fail(f"nothing is published, the check refuses this:\n{errors}")
    number = None
    if not plan and not proposal.plan.blocked and not proposal.is_live:
        number = publishing.publish(databases, proposal, by=by or getpass.getuser(), now=utc_now())
    typer.echo(json.dumps(_to_json(proposal, number)) if as_json else _to_text(proposal, number, plan=plan))
    if proposal.plan.blocked:
        raise typer.Exit(1)


def _to_json(proposal: "Proposal", number: int | None) -> dict[str, Any]:
    rows = [
        {"place": row.place, "bundle": row.bundle_hash, "people": row.people, "fate": row.fate.value, "what": row.what}
        for row in proposal.plan.rows
    ]
    return {"bundle": proposal.bundle.hash, "published": number, "blocked": bool(proposal.plan.blocked), "plan": rows}


def _to_text(proposal: "Proposal", number: int | None, *, plan: bool) -> str:
    widest = max((len(row.place) for row in proposal.plan.rows), default=0)
    lines = [
        f"{row.place:<{widest}}  {count(row.people, 'person', 'people'):>11}  {row.fate.value:<24}-> {row.what}"
        for row in proposal.plan.rows
    ]
    lines = lines or ["nobody is in the middle of anything"]
    blocked = sum(row.people for row in proposal.plan.blocked)
    if blocked:
        lines.append(
            f"V1  {count(blocked, 'person', 'people')} would be stranded: nothing is published."
            " `soko flow check --explain V1` says what to do"
        )
    elif proposal.is_live:
        lines.append(f"bundle {proposal.bundle.hash} is live already")
    elif number is None:
        lines.append(f"bundle {proposal.bundle.hash} can be published" + (": run it without --plan" if plan else ""))
    else:
        lines.append(f"bundle {proposal.bundle.hash} is live as number {number}; running processes take it up within seconds")
    return "\n".join(lines)


@contextmanager
def _databases() -> Iterator["Databases"]:
    from soko.assembly import open_databases
    from soko.embedded import engines
    from soko.settings import load_settings

    settings = load_settings()
    with engines(settings) as urls, open_databases(settings, urls) as databases:
        yield databases
