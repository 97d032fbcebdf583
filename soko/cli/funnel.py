"""`soko flow funnel`: how far people come in the flows, from the turns that are kept."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from soko.cli.counting import count
from soko.cli.failures import fail
from soko.cli.flow import BAD_USAGE, commands

if TYPE_CHECKING:
    from conversation.recorded import RecordedTurn
    from router.databases import Databases

AGE: Final = "7d, 12h or 30m"


class By(StrEnum):
    """What a funnel is split by."""

    VENDOR = "vendor"
    LANGUAGE = "language"
    ARM = "arm"


@commands.command()
def funnel(
    since: Annotated[str, typer.Option(metavar="AGE", help=f"conversations with a turn since then: {AGE}")] = "7d",
    by: Annotated[By | None, typer.Option(help="one funnel for each vendor, language, or what a split drew")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Count in how many conversations each state was entered, in how many the last turn ended there, and how flows ended."""
    from conversation.authoring.funnel import measure_funnel

    with kept_since(since) as (_, conversations):
        found = measure_funnel(conversations, by=by)
    if not found:
        fail(f"no turn of the last {since} is kept", BAD_USAGE)
    if as_json:
        groups = [{"group": group, **each.to_json()} for group, each in found.items()]
        typer.echo(json.dumps({"schema": 1, "by": by, "groups": groups}, ensure_ascii=False))
        return
    for group, each in found.items():
        of = f" of {by} {group or '-'}" if by is not None else ""
        typer.echo(f"{count(each.conversations, 'conversation')}{of} in the last {since}")
        for state, entered in each.ranked:
            stayed = f"  {each.stayed[state]} stayed" if each.stayed[state] else ""
            typer.echo(f"  {entered:>6} {entered / each.conversations:>5.0%}  {state}{stayed}")
        for end, ended in each.ends.most_common():
            typer.echo(f"  {ended:>6}        ended {end}")


def to_age(since: str) -> timedelta:
    """Read what --since says. Exit 2 when it is no age."""
    from conversation.authoring.transcript_yaml import to_duration

    age = to_duration(since)
    if not age:
        fail(f"--since is an age such as {AGE}, not {since}", BAD_USAGE)
    return age


@contextmanager
def kept_since(since: str) -> "Iterator[tuple[Databases, Iterator[list[RecordedTurn]]]]":
    """Give the kept turns since an age, conversation by conversation. Exit 2 when it is none."""
    from conversation.kept_turns import read_since
    from soko.assembly import open_databases
    from soko.clock import utc_now
    from soko.embedded import engines
    from soko.settings import load_settings

    age = to_age(since)
    settings = load_settings()
    with engines(settings) as urls, open_databases(settings, urls) as databases:
        yield databases, (turns for turns, _ in read_since(databases, utc_now() - age))
