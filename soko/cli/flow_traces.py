"""`soko flow explain` and `soko flow diff`: what conversations did, and what they would do on other flows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from soko.cli.counting import count
from soko.cli.failures import FAILED, fail
from soko.cli.flow import BAD_USAGE, commands
from soko.cli.flow_tools import FLOWS, Folder

if TYPE_CHECKING:
    from conversation.authoring.differences import Compared, Difference
    from conversation.authoring.matching import ChatLine
    from conversation.engine.flow import Bundle
    from conversation.engine.values import JSON
    from conversation.recorded import RecordedTurn

DURATION: Final = "7d, 12h or 30m"


@commands.command()
def explain(
    conversation: Annotated[UUID, typer.Argument(help="the conversation's id, as `soko conversation list` shows it")],
    turn: Annotated[int | None, typer.Argument(help="one turn in full; without it all turns in short")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a line, a turn each")] = False,
) -> None:
    """Tell what happened in a conversation: how each message was understood and why not otherwise, what decided, what was done.

    Phone numbers are masked.
    """
    from conversation.authoring.explain import brief, to_json
    from conversation.authoring.explain import explain as explain_turn
    from conversation.authoring.stand_ins import mask_phones

    kept = _read(conversation)
    if turn is not None:
        wanted = [each for each in kept if each.turn == turn]
        if not wanted:
            fail(f"turn {turn} is not kept: there is {kept[0].turn} to {kept[-1].turn}")
        kept = wanted
    for each in kept:
        if as_json:
            typer.echo(json.dumps(_masked(to_json(each)), ensure_ascii=False))
        else:
            typer.echo(mask_phones((brief if turn is None else explain_turn)(each)) + "\n")


def _masked(value: "JSON") -> "JSON":
    from conversation.authoring.stand_ins import mask_phones

    match value:
        case str():
            return mask_phones(value)
        case Mapping():
            return {name: _masked(inner) for name, inner in value.items()}
        case Sequence():
            return [_masked(inner) for inner in value]
        case _:
            return value


def _read(conversation: UUID) -> "list[RecordedTurn]":
    from conversation.kept_turns import find_vendor, read_conversation
    from router.ids import ConversationId
    from router.work import unit_of_work
    from soko.assembly import open_databases
    from soko.embedded import engines
    from soko.settings import load_settings

    settings, conversation_id = load_settings(), ConversationId(conversation)
    with engines(settings) as urls, open_databases(settings, urls) as databases:
        vendor_id = find_vendor(databases, conversation_id)
        with unit_of_work(databases, vendor_id) as work:
            return read_conversation(work, conversation_id)


@commands.command()
def diff(
    since: Annotated[str, typer.Option(metavar="AGE", help=f"conversations with a turn since then: {DURATION}")] = "7d",
    flow: Annotated[Path | None, typer.Option(help="a flow file to take instead of the one of its name")] = None,
    folder: Folder = FLOWS,
    vendor: Annotated[UUID | None, typer.Option(help="this vendor's conversations only")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one object on stdout")] = False,
) -> None:
    """Take recent conversations again on the flows as they are written now, and show those that would go another way.

    Nothing is sent or written: each call answers what it answered then. Exit 1 when what is charged differs anywhere;
    2: there is nothing to compare, or the flows do not load.
    """
    from conversation.authoring.differences import compare
    from conversation.authoring.transcript_yaml import to_duration
    from conversation.kept_turns import read_since
    from router.ids import VendorId
    from soko.assembly import open_databases
    from soko.clock import utc_now
    from soko.embedded import engines
    from soko.settings import load_settings

    age = to_duration(since)
    if not age:
        fail(f"--since is an age such as {DURATION}, not {since}", BAD_USAGE)
    bundle, settings = _load(folder, flow), load_settings()
    with engines(settings) as urls, open_databases(settings, urls) as databases:
        began = perf_counter()
        vendor_id = VendorId(vendor) if vendor is not None else None
        compared = compare(read_since(databases, utc_now() - age, vendor_id=vendor_id), bundle)
        seconds = perf_counter() - began
    if not compared.conversations:
        fail(f"no turn of the last {since} is kept", BAD_USAGE)
    if as_json:
        typer.echo(json.dumps(_report(compared, seconds), ensure_ascii=False))
    else:
        _tell(compared, since, seconds)
    if compared.money:
        raise typer.Exit(FAILED)


def _load(folder: Path, flow: Path | None) -> "Bundle":
    """Load the flows, one file of them replaced. Exit 2 with what is wrong with them."""
    from conversation.authoring.load import load_draft
    from conversation.authoring.problems import FlowErrors
    from conversation.services import CATALOGUE

    for needed in (folder, *([flow] if flow is not None else [])):
        if not needed.exists():
            fail(f"there is no {needed}", BAD_USAGE)
    try:
        return load_draft(folder, CATALOGUE, instead=flow)
    except FlowErrors as errors:
        typer.echo(str(errors), err=True)
        raise typer.Exit(BAD_USAGE) from errors


def _tell(compared: "Compared", since: str, seconds: float) -> None:
    from conversation.authoring.matching import show_chat

    for group in compared.groups:
        example = _disguised(group.example)
        charged = typer.style(f"  {group.money} of them in what is charged", fg="red") if group.money else ""
        typer.echo(f"{group.count} x  {typer.style(group.what, bold=True)}{charged}")
        typer.echo(f"    for example conversation {example.conversation_id}, turn {example.turn}:")
        parts = [show_chat(example.chat)]
        for name, replies in (("then", example.then), ("now", example.now)):
            parts += [f"  {name}:", show_chat(replies) or "    (nothing)"]
        typer.echo("\n".join(f"    {line}" for part in parts for line in part.splitlines()) + "\n")
    left_out = f", {compared.skipped} left out: they began before" if compared.skipped else ""
    typer.echo(
        f"{count(compared.conversations, 'conversation')} of the last {since},"
        f" {count(compared.turns, 'turn')} taken again in {seconds:.1f} s:"
        f" {compared.differ} differ, {compared.money} in what is charged{left_out}"
    )


def _report(compared: "Compared", seconds: float) -> dict[str, Any]:
    return {
        "schema": 1,
        "conversations": compared.conversations,
        "turns": compared.turns,
        "skipped": compared.skipped,
        "differ": compared.differ,
        "money": compared.money,
        "seconds": round(seconds, 3),
        "groups": [
            {
                "what": group.what,
                "count": group.count,
                "money": group.money,
                "example": {
                    "conversation": group.example.conversation_id,
                    "turn": group.example.turn,
                    **{part: [_line(line) for line in lines] for part, lines in _parts(_disguised(group.example)).items()},
                },
            }
            for group in compared.groups
        ],
    }


def _parts(example: "Difference") -> "dict[str, Sequence[ChatLine]]":
    return {"chat": example.chat, "then": example.then, "now": example.now}


def _line(line: "ChatLine") -> dict[str, str]:
    from conversation.authoring.matching import Spoken

    return {"who": line.who, "text": line.text} if isinstance(line, Spoken) else {"place": line.place, "text": line.text}


def _disguised(example: "Difference") -> "Difference":
    """The example with stand-ins for phones, receipts and the customer's name: an author need not know who it was."""
    from conversation.authoring.stand_ins import Disguise

    disguise = Disguise(names=example.names)
    changed = {
        part: tuple(replace(line, text=disguise.text(line.text)) for line in lines) for part, lines in _parts(example).items()
    }
    return replace(example, **changed)  # type: ignore[arg-type]  # each part keeps its kind of lines
