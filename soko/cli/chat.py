"""`soko chat`: talk to the shop in the terminal."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, cast, get_args

import typer

from soko.cli.failures import FAILED, fail

if TYPE_CHECKING:
    from conversation.authoring.matching import ChatLine, Reply
    from conversation.authoring.transcripts import Act, PushAnswer, PushOutcome
    from soko.replay.chat import Chat

commands = typer.Typer()
BAD_USAGE: Final = 2
RESULTS: Final = ("paid", "cancelled", "no-funds", "wrong-pin", "timed-out", "failed", "silent")
HELP: Final = """\
Write what the customer writes; a number picks the button or row of that number. Besides:
  /say 2                  writes 2 instead of picking it
  /image  /audio          sends a picture, a voice note (also /video, /document, /sticker)
  /location LAT LON NAME  shares a place
  /clock 30m              lets time pass, also until a time of day: /clock 18:02
  /mpesa paid             the result of the last prompt: paid, cancelled, no-funds, wrong-pin, timed-out, failed;
                          silent: none comes for two minutes
  /mpesa again            M-Pesa posts the same result once more
  /event NAME {DATA}      an event as a transcript has it: /event payments.result {attempt: 1, outcome: expired}
  /outcome busy           how M-Pesa will take the next prompt: accepted, rejected, unknown, busy
  /as sw                  starts over with a customer who speaks Swahili, or another language of the flows
  /at shop.pay            starts over in this state
  /trace                  how the last message was understood
  /back                   undoes the last step
  /save NAME.test.yaml    writes the chat as a transcript that passes
  /quit                   leaves, as Ctrl-D does"""
WORDS: Final = [
    "/say",
    "/image",
    "/audio",
    "/video",
    "/document",
    "/sticker",
    "/location",
    "/clock",
    "/mpesa",
    "/event",
    "/outcome",
    "/as",
    "/at",
    "/trace",
    "/back",
    "/save",
    "/help",
    "/quit",
]


@commands.command()
def chat(
    language: Annotated[str | None, typer.Option("--as", metavar="LANGUAGE", help="the customer's language, such as sw")] = None,
    at: Annotated[str | None, typer.Option(metavar="STATE", help="begin in this state, such as shop.pay")] = None,
    flows: Annotated[Path, typer.Option(help="the folder with app.yaml")] = Path("flows"),
    flow: Annotated[
        str | None, typer.Option(help="the flow whose places a saved transcript may shorten; without it: the first in app.yaml")
    ] = None,
    vendor: Annotated[str, typer.Option(help="the vendor's name in small letters with dashes")] = "mama-duka",
) -> None:
    """Talk to the shop. Nothing is sent, nothing stays in a database. /help lists what else you can do.

    Piped from a file it takes one line after another; exit 1: the shop or the chat could not do a line.
    """
    from conversation.authoring.problems import FlowErrors
    from soko.clock import utc_now
    from soko.logs import configure
    from soko.replay.chat import Chat, new_start
    from soko.replay.stage import open_own_stage
    from soko.settings import load_settings

    configure(stream=sys.stderr, level="ERROR")
    if not (flows / "app.yaml").is_file():
        fail(f"there is no {flows / 'app.yaml'}", BAD_USAGE)
    settings = load_settings()
    with open_own_stage(settings, draft=True) as stage:
        try:
            bundle = stage.flows_in(flows)
        except FlowErrors as errors:
            fail(str(errors))
        if language is not None and language not in bundle.languages:
            fail(f"--as is one of {', '.join(bundle.languages)}, not {language}", BAD_USAGE)
        start = new_start(flow=flow or next(iter(bundle.flows)), vendor=vendor, language=language, now=utc_now())
        talk = Chat(stage, start, flows=flows)
        if at is not None:
            _run(talk, f"/at {at}", flows, stop=True)
        somebody_types = sys.stdin.isatty()
        for line in _typed(settings.home / "chat_history", bundle.languages) if somebody_types else _piped():
            if line == "/quit":
                break
            _run(talk, line, flows, stop=not somebody_types)


def _run(talk: "Chat", line: str, flows: Path, *, stop: bool) -> None:
    """Do one line. `stop`: leave with exit 1 when it cannot be done, as a script should."""
    from conversation.authoring.problems import FlowErrors
    from conversation.authoring.read_transcripts import BadTranscripts
    from conversation.authoring.transcript_yaml import Wrong
    from soko.replay.chat import CannotDo

    try:
        _do(talk, line, flows)
    except (CannotDo, Wrong, FlowErrors, BadTranscripts) as error:
        _echo(typer.style(f"✗ {error}", fg="red"), err=True)
        if stop:
            raise typer.Exit(FAILED) from error


def _do(talk: "Chat", line: str, flows: Path) -> None:
    from conversation.authoring.transcripts import CustomerWrites
    from soko.replay.chat import CannotDo

    word, _, rest = line.partition(" ")
    rest = rest.strip()
    match word:
        case "/help":
            _echo(HELP)
        case "/trace":
            _echo(talk.seen.description if talk.seen is not None else "nothing was said yet")
        case "/back":
            talk.back()
            _show_last(talk)
        case "/as":
            talk.begin_again(rest)
            _echo(_dim(f"a new chat, in {rest}"))
        case "/at":
            talk.go_to(rest)
            _show_last(talk)
        case "/save":
            _save(talk, rest, flows)
        case "/outcome":
            talk.answer_next(_push_answer(rest))
            _echo(_dim(f"M-Pesa will answer the next prompt: {rest}"))
        case "/say":
            if not rest:
                raise CannotDo("/say needs what the customer writes, such as /say 2")
            _show(talk, talk.do(CustomerWrites(line=1, text=rest)))
        case _ if line.isdecimal() and talk.choices:
            _show(talk, talk.tap(int(line)))
        case _ if word.startswith("/"):
            _show(talk, talk.do(_to_act(talk, word, rest)))
        case _:
            _show(talk, talk.do(CustomerWrites(line=1, text=line)))


def _to_act(talk: "Chat", word: str, rest: str) -> "Act":
    """Read a command as the step a transcript has for it."""
    from conversation.authoring.read_transcripts import parse_act
    from conversation.authoring.transcript_yaml import did_you_mean, to_duration
    from soko.replay.chat import CannotDo

    match word:
        case "/clock":
            moves = ":" in rest or to_duration(rest.removeprefix("+"))
            if not moves:
                raise CannotDo(
                    f"/clock needs a duration such as 90s or 1h30m, or a time of day such as 18:02, not {rest or 'nothing'}"
                )
            return parse_act(f"clock: {json.dumps(rest if ':' in rest else '+' + rest.removeprefix('+'))}")
        case "/mpesa":
            return parse_act(_mpesa(talk, rest))
        case "/event":
            name, _, data = rest.partition(" ")
            if not data:
                raise CannotDo("/event needs a name and its data, such as /event payments.result {attempt: 1, outcome: paid}")
            return parse_act(f"event: {{{name}: {data}}}")
        case "/image" | "/audio" | "/video" | "/document" | "/sticker":
            return parse_act(f"customer: {{{word[1:]}: true}}")
        case "/location":
            latitude, longitude, name = [*rest.split(maxsplit=2), "", "", ""][:3]
            named = f", name: {json.dumps(name)}" if name else ""
            return parse_act(f"customer: {{location: {{lat: {json.dumps(latitude)}, lon: {json.dumps(longitude)}{named}}}}}")
        case _:
            raise CannotDo(f"there is no {word}{did_you_mean(word, WORDS)} (/help lists what there is)")


def _mpesa(talk: "Chat", result: str) -> str:
    from soko.replay.chat import CannotDo

    if result == "again":
        return "event: same"
    if result not in RESULTS:
        raise CannotDo(f"/mpesa is one of {', '.join(RESULTS)}, again")
    prompts = talk.seen.prompts if talk.seen is not None else 0
    if prompts == 0:
        raise CannotDo("M-Pesa was not asked for anything yet: the customer has to reply PAY first")
    if result == "silent":
        return "clock: +2m"
    return f"event: {{payments.result: {{attempt: {prompts}, outcome: {result.replace('-', '_')}}}}}"


def _push_answer(word: str) -> "PushAnswer":
    from conversation.authoring import transcripts
    from soko.replay.chat import CannotDo

    known = get_args(transcripts.PushOutcome)
    if word not in known:
        raise CannotDo(f"/outcome is one of {', '.join(known)}: how M-Pesa takes the next prompt")
    return transcripts.PushAnswer(line=1, answer=cast("PushOutcome", word))


def _save(talk: "Chat", name: str, flows: Path) -> None:
    from soko.replay.chat import CannotDo

    if not name.endswith(".test.yaml"):
        raise CannotDo("a transcript is called NAME.test.yaml")
    path = Path(name) if "/" in name else flows / "tests" / name
    talk.save(path)
    _echo(typer.style(f"✓ {path} is written, and passes", fg="green"))


# ---------------------------------------------------------------- the terminal


def _piped() -> Iterator[str]:
    for line in sys.stdin:
        text = line.strip()
        if text and not text.startswith("#"):
            _echo(f"> {text}")
            yield text


def _typed(history: Path, languages: Sequence[str]) -> Iterator[str]:
    """Ask for lines, with the arrow keys for older ones and Tab for commands."""
    import readline

    def complete(begun: str, n: int) -> str | None:
        known = [*WORDS, *(f"/mpesa {result}" for result in RESULTS), *(f"/as {language}" for language in languages)]
        found = [word for word in known if word.startswith(begun)]
        return found[n] if n < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims("")
    readline.parse_and_bind("tab: complete")
    with suppress(OSError):
        readline.read_history_file(history)
    _echo(_dim("Write as the customer; a number picks a button; /help; Ctrl-D leaves."))
    try:
        while True:
            text = input("> ").strip()
            if text:
                yield text
    except EOFError:
        _echo("")
    finally:
        with suppress(OSError):
            readline.write_history_file(history)


def _show_last(talk: "Chat") -> None:
    if talk.seen is None:
        _echo(_dim("the beginning"))
    else:
        _show(talk, talk.seen.scenes[-1])


def _show(talk: "Chat", scene: "Sequence[ChatLine]") -> None:
    """Show what one act led to; the numbers stand on the newest message that has anything to tap."""
    from conversation.authoring.matching import Spoken

    for line in scene:
        if isinstance(line, Spoken):
            _echo(_dim(f"{line.who:<9}{line.text}"))
        else:
            _show_reply(line, numbered=bool(line.choices) and line.choices == talk.choices)
    if len(scene) == 1:
        _echo(_dim(f"{'shop':<9}(nothing)"))


def _show_reply(reply: "Reply", *, numbered: bool) -> None:
    for n, text in enumerate(reply.text.rstrip().splitlines() or [""]):
        who = "shop" if n == 0 else ""
        _echo(f"{typer.style(f'{who:<9}', fg='green')}{text}")
    numbers = [f"{n} " if numbered else "" for n in range(1, len(reply.choices) + 1)]
    if reply.buttons:
        labels = [f"[{number}{button.title}]" for number, button in zip(numbers, reply.buttons, strict=False)]
        _echo(f"{'':<9}{typer.style(' '.join(labels), fg='cyan')}")
    if reply.menu_button is not None:
        _echo(f"{'':<9}{typer.style(f'≡ {reply.menu_button}', fg='cyan')}")
        for number, row in zip(numbers[len(reply.buttons) :], reply.menu_rows, strict=True):
            about = typer.style(f"  {row.about}", dim=True) if row.about else ""
            _echo(f"{'':<9}{number:>4}{typer.style(row.title, fg='cyan')}{about}")


def _dim(text: str) -> str:
    return typer.style(text, dim=True)


def _echo(text: str, *, err: bool = False) -> None:
    """Write one line: in colour on a terminal, unless NO_COLOR is set."""
    typer.echo(text, err=err, color=False if os.environ.get("NO_COLOR") else None)
