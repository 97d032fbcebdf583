"""`soko record`: a conversation that took place, as a transcript."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from soko.cli.failures import FAILED, fail

if TYPE_CHECKING:
    from soko.settings import Settings

commands = typer.Typer()
BAD_USAGE: Final = 2
SUFFIX: Final = ".test.yaml"


@commands.command()
def record(
    conversation: Annotated[UUID, typer.Argument(help="the conversation's id, as `soko conversation list` shows it")],
    out: Annotated[Path | None, typer.Option(help="a new *.test.yaml below the flows' folder; without it: stdout")] = None,
    begin: Annotated[int, typer.Option("--from", help="leave out the turns before this one")] = 1,
    end: Annotated[int | None, typer.Option("--to", help="leave out the turns after this one")] = None,
    flows: Annotated[Path, typer.Option(help="the folder with app.yaml")] = Path("flows"),
) -> None:
    """Write a conversation down as a transcript that passes, with stand-ins for everything private in it.

    Phones, names, places, receipts and words that no reply understood become stand-ins; what M-Pesa answered becomes its
    `mpesa:`, the time between turns its `clock:`. Exit 1: it cannot be written down, and nothing was.
    """
    from conversation.authoring.problems import FlowErrors
    from conversation.kept_turns import find_vendor, read_conversation, read_lexicons
    from router import conversations, customers
    from router.ids import ConversationId
    from router.work import unit_of_work
    from soko.assembly import load_flows, open_databases
    from soko.embedded import engines
    from soko.logs import configure
    from soko.replay.record import CannotRecord, Told, push_answers
    from soko.replay.record import record as write_down
    from soko.replay.stage import open_stage_at
    from soko.settings import load_settings

    configure(stream=sys.stderr, level="CRITICAL")
    file = _place(out, flows)
    settings, conversation_id = load_settings(), ConversationId(conversation)
    try:
        bundle = load_flows(flows)
    except FlowErrors as errors:
        fail(str(errors))
    with engines(settings) as urls, open_databases(settings, urls) as databases:
        vendor_id = find_vendor(databases, conversation_id)
        with unit_of_work(databases, vendor_id) as work:
            kept = read_conversation(work, conversation_id)
            turns = [turn for turn in kept if begin <= turn.turn <= (end or turn.turn)]
            if not turns:
                fail(f"turns {kept[0].turn} to {kept[-1].turn} are kept, and none of those that are asked for", BAD_USAGE)
            lexicons = read_lexicons(work)
            customer = customers.get(work, conversations.get(work, conversation_id).customer_id)
            told = Told(name=customer.name or "", pushes=push_answers(work, turns))
    if turns[-1].bundle != bundle.hash:
        typer.echo(f"soko: it was last taken with flows {turns[-1].bundle}; {flows} holds {bundle.hash}", err=True)
    name = f"recorded {turns[0].at:%Y-%m-%d}, {str(conversation_id)[:8]}"
    with engines(_for_stage(settings)) as urls, open_stage_at(urls) as stage:
        try:
            text = write_down(turns, told=told, bundle=bundle, lexicons=lexicons, stage=stage, file=str(file), name=name)
        except CannotRecord as error:
            fail(f"this conversation cannot be written down: {error}", FAILED)
    if out is None:
        typer.echo(text, nl=False)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
        typer.echo(f"wrote {out}; it passes")


def _place(out: Path | None, flows: Path) -> Path:
    """Where the transcript will stand. Exit 2 when it cannot stand there."""
    if not (flows / "app.yaml").is_file():
        fail(f"there is no {flows / 'app.yaml'}", BAD_USAGE)
    if out is None:
        return flows / "tests" / f"recorded{SUFFIX}"
    if not out.name.endswith(SUFFIX):
        fail(f"a transcript's name ends in {SUFFIX}; {out} does not", BAD_USAGE)
    if out.exists():
        fail(f"{out} exists already: name another one", BAD_USAGE)
    if flows.resolve() not in out.resolve().parents:
        fail(f"{out} is not below {flows}: a transcript is played with the flows that it stands beside", BAD_USAGE)
    return out


def _for_stage(settings: "Settings") -> "Settings":
    """Transcripts are played on embedded servers where this installation is production: nothing is made on the real ones."""
    if settings.is_development:
        return settings
    own = {"platform_url": None, "ops_url": None, "redis_url": None, "home": settings.home / "replay"}
    return settings.model_copy(update={"env": "development", **own})
