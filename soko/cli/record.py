"""`soko record`: a conversation that took place, as a transcript."""

import sys
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import typer

from soko.cli.failures import FAILED, fail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from conversation.recorded import RecordedTurn
    from soko.replay.stage import Stage
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
    """Write a conversation down as a transcript that passes on the flows that were live, with stand-ins for everything private.

    Phones, names, places, receipts and words that no reply understood become stand-ins; what M-Pesa answered becomes its
    `mpesa:`, the time between turns its `clock:`; what the vendor sells comes along where replays know no such shop.
    A transcript is played on one version of the flows: a chat that a publish moved to another one is written down until there,
    unless it goes the same way on both; `--from` writes down what it began after that.
    Exit 1: it cannot be written down, and nothing was.
    """
    from conversation.authoring.problems import FlowErrors
    from conversation.kept_turns import find_vendor, read_conversation, read_lexicons
    from conversation.publishing.bundles import build_kept
    from router import catalog, conversations, customers, publications
    from router.ids import ConversationId
    from router.work import unit_of_work
    from soko.assembly import open_databases
    from soko.embedded import engines
    from soko.logs import configure
    from soko.replay.record import CannotRecord, Told, push_answers, to_products
    from soko.replay.record import record as write_down
    from soko.replay.stage import open_stage_at
    from soko.settings import load_settings

    configure(stream=sys.stderr, level="CRITICAL")
    file = _place(out, flows)
    settings, conversation_id = load_settings(), ConversationId(conversation)
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
        shelf = to_products(catalog.read_items(databases, vendor_id))
        lived = {turn.bundle: publications.get_files(databases, turn.bundle) for turn in turns}
    name = f"recorded {turns[0].at:%Y-%m-%d}, {str(conversation_id)[:8]}"
    with engines(_for_stage(settings)) as urls, open_stage_at(urls) as stage:
        vendor = next((str(turn.steps[0].vendor["name"]) for turn in turns if turn.steps), "")
        if shelf != to_products(stage.sells(vendor)):
            told = replace(told, products=shelf)

        def write(turns: "Sequence[RecordedTurn]") -> str:
            files = lived[turns[-1].bundle]
            with _live_then(files, flows) as then:
                if files is not None:
                    stage.take(then, build_kept(files))
                bundle, at = stage.flows_in(then), str(then / "tests" / file.name)
                return write_down(turns, told=told, bundle=bundle, lexicons=lexicons, stage=stage, file=at, name=name)

        left = ""
        try:
            try:
                text = write(turns)
            except CannotRecord as error:
                moved = error.moved
                if moved is None:
                    raise
                turns = [turn for turn in turns if turn.turn < moved]
                left = f"a publish moved turn {moved} to other flows, and this ends before it; "
                text = write(turns)
        except FlowErrors as errors:
            fail(f"the flows of this conversation, {turns[-1].bundle}, do not load in this program:\n{errors}")
        except CannotRecord as error:
            fail(f"this conversation cannot be written down: {error}", FAILED)
        passes = left + _tell_whether_it_passes(stage, text, file, turns[-1].bundle)
    if out is None:
        typer.echo(text, nl=False)
        typer.echo(f"soko: {passes}", err=True)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
        typer.echo(f"wrote {out}; {passes}")


@contextmanager
def _live_then(files: "Mapping[str, bytes] | None", flows: Path) -> "Iterator[Path]":
    """The folder of the flows that were live: those kept with the publication, or the given ones when none are kept."""
    if files is None:
        yield flows
        return
    with tempfile.TemporaryDirectory(prefix="soko-record-") as folder:
        for name, data in files.items():
            file = Path(folder) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        yield Path(folder) / next(iter(files)).partition("/")[0]


def _tell_whether_it_passes(stage: "Stage", text: str, file: Path, bundle: str) -> str:
    """It passes on the flows that were live. On those it will stand beside it need not: then it tells what has changed."""
    from conversation.authoring.problems import FlowErrors
    from conversation.authoring.read_transcripts import parse_transcripts

    (transcript,) = parse_transcripts(text, file=str(file))
    try:
        if stage.bundle(transcript).hash == bundle:
            return "it passes"
        failure = stage.play(transcript).failure
    except FlowErrors as errors:
        return f"it passes on flows {bundle}, which were live; the flows beside it do not load:\n{errors}"
    if failure is None:
        return f"it passes on flows {bundle}, which were live, and on those beside it"
    return f"it passes on flows {bundle}, which were live, and not on those beside it:\n{failure.report}"


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
