"""`soko chat`: a shop in the terminal on the real turn, and what it saves passes."""

import logging
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
import structlog
from psycopg import sql
from typer.testing import CliRunner, Result

from conversation.authoring.matching import ChatLine, Reply
from conversation.authoring.read_transcripts import parse_act, read_transcripts
from conversation.authoring.transcript_yaml import Wrong
from conversation.authoring.transcripts import ClockMoves, CustomerWrites, PushAnswer, PushOutcome
from router.databases import Databases
from soko.cli import app
from soko.embedded import Urls
from soko.replay.chat import CannotDo, Chat, new_start
from soko.replay.stage import Stage
from tests.operator import operating

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 2, 6, 15, 42, tzinfo=UTC)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the flows, to be loaded once, with two transcripts: `/at` plays all there are."""
    flows = tmp_path_factory.mktemp("chat") / "flows"
    shutil.copytree(ROOT / "flows", flows, ignore=shutil.ignore_patterns("tests"))
    (flows / "tests").mkdir()
    documents = (ROOT / "flows" / "tests" / "pays.test.yaml").read_text().split("---\n")
    (flows / "tests" / "pays.test.yaml").write_text("---\n".join(documents[1:3]))
    return flows


@pytest.fixture
def flows(copied: Path) -> Iterator[Path]:
    """Give the copied flows; what a test saves beside them is gone after it."""
    yield copied
    for saved in (copied / "tests").iterdir():
        if saved.name != "pays.test.yaml":
            saved.unlink()


@pytest.fixture
def chat(transcript_stage: Stage, flows: Path) -> Chat:
    return Chat(transcript_stage, new_start(flow="shop", vendor="mama-duka", language="en", now=NOW), flows=flows)


def say(chat: Chat, text: str) -> list[str]:
    return texts(chat.do(CustomerWrites(line=1, text=text)))


def texts(scene: Sequence[ChatLine]) -> list[str]:
    return [line.text for line in scene if isinstance(line, Reply)]


def test_a_number_picks_the_choice_it_stands_on(chat: Chat) -> None:
    say(chat, "2 unga")
    titles = [choice.title for choice in chat.choices]

    scene = chat.tap(titles.index("Confirm") + 1)

    assert "Reply *PAY*" in texts(scene)[0]


@pytest.mark.parametrize("number", [0, 4])
def test_a_number_without_a_choice_changes_nothing(chat: Chat, number: int) -> None:
    say(chat, "2 unga")

    with pytest.raises(CannotDo, match="3 can be tapped"):
        chat.tap(number)

    assert chat.seen is not None
    assert len(chat.seen.scenes) == 1


def test_going_back_undoes_the_last_step(chat: Chat) -> None:
    say(chat, "2 unga")
    say(chat, "1 sukari")
    chat.back()

    assert "Total KES 430" in " ".join(say(chat, "cart"))


def test_the_beginning_has_nothing_to_undo(chat: Chat) -> None:
    with pytest.raises(CannotDo, match="beginning"):
        chat.back()


def test_what_cannot_be_done_leaves_the_chat_as_it_was(chat: Chat) -> None:
    say(chat, "2 unga")

    with pytest.raises(CannotDo, match="no prompt 1"):
        chat.do(parse_act("event: {payments.result: {attempt: 1, outcome: paid}}"))

    assert chat.seen is not None
    assert chat.seen.states == ("shop.cart",)


def test_a_new_language_starts_over_in_it(chat: Chat) -> None:
    say(chat, "2 unga")
    chat.begin_again("sw")

    assert chat.seen is None
    assert "Jumla KES 430" in " ".join(say(chat, "2 unga"))


@pytest.mark.parametrize("state", ["shop.pay", "waiting"])
def test_a_chat_can_begin_in_any_state_a_transcript_reaches(chat: Chat, flows: Path, state: str) -> None:
    chat.go_to(state)

    assert chat.seen is not None
    assert chat.seen.states[-1].endswith(state)
    assert chat.save(flows / "tests" / "on-the-way.test.yaml").failure is None


def test_a_state_nobody_reaches_is_answered_with_those_that_are(chat: Chat) -> None:
    with pytest.raises(CannotDo, match=r"no transcript reaches shop\.nowhere; they reach .*shop\.pay"):
        chat.go_to("shop.nowhere")


@pytest.mark.parametrize("text", ["bot: hello", "", "expect: {state: pay}"])
def test_only_somebody_who_does_something_makes_an_act(text: str) -> None:
    with pytest.raises(Wrong):
        parse_act(text)


def test_an_act_is_read_as_a_transcript_has_it() -> None:
    assert isinstance(parse_act("clock: +30m"), ClockMoves)


def test_nothing_of_a_chat_stays(chat: Chat, databases: Databases) -> None:
    def count() -> int:
        with operating(databases, ops=True) as ops:
            counts = [
                ops.execute(sql.SQL("SELECT count(*) AS n FROM {}").format(sql.Identifier(name))).fetchone()
                for name in ("inbox", "outbox", "orders", "conversations", "customers")
            ]
            return sum(row["n"] for row in counts if row is not None)

    before = count()
    say(chat, "2 unga")

    assert count() == before


# ---------------------------------------------------------------- saving


TEXTS = ["Habari", "2 unga na 1 kuku", "sawa nitalipa", "toa 1 unga", "msaada", "~what?", "/hm/", "nothing", "no", "..."]
STEPS = (
    "clock: +1h30m",
    "clock: 18:02",
    "customer: {image: {caption: hii}}",
    "customer: {location: {lat: -1.28, lon: 36.8}}",
    "vendor: {stock: {Unga 2kg: 1}, stops: [Mkate 400g]}",
)


def test_a_saved_chat_passes_at_once(chat: Chat, flows: Path) -> None:
    for text in TEXTS:
        say(chat, text)
    for step in STEPS:
        chat.do(parse_act(step))

    played = chat.save(flows / "tests" / "a-long-one.test.yaml")

    assert played.failure is None, played.failure.report
    assert played.transcript.name == "a long one"


def test_a_saved_payment_lists_what_m_pesa_was_asked(chat: Chat, flows: Path) -> None:
    say(chat, "2 unga")
    chat.tap(1)
    say(chat, "pay")
    chat.do(parse_act("clock: +2m"))
    chat.do(parse_act("event: {payments.result: {attempt: 1, outcome: paid}, after: 3s}"))
    chat.do(parse_act("event: same"))

    played = chat.save(flows / "tests" / "paid.test.yaml")

    assert played.failure is None, played.failure.report
    assert [push.answer for push in played.transcript.pushes] == ["accepted"]
    assert {query.answer for query in played.transcript.queries} == {"pending"}
    assert not re.search(r"\bS\d{4}\b", (flows / "tests" / "paid.test.yaml").read_text())


@pytest.mark.parametrize(("answer", "waits"), [("busy", "7m"), ("rejected", "1s"), ("unknown", "1s")])
def test_how_m_pesa_takes_the_next_prompt_can_be_chosen(chat: Chat, flows: Path, answer: str, waits: str) -> None:
    chat.answer_next(PushAnswer(line=1, answer=cast("PushOutcome", answer)))
    say(chat, "2 unga")
    chat.tap(1)
    say(chat, "pay")
    chat.do(parse_act(f"clock: +{waits}"))

    played = chat.save(flows / "tests" / "chosen.test.yaml")

    assert played.failure is None, played.failure.report
    assert [push.answer for push in played.transcript.pushes] == [answer]


def test_a_chat_that_would_not_pass_is_not_kept(chat: Chat, flows: Path) -> None:
    say(chat, "hi")
    path = flows / "tests" / "broken.test.yaml"
    assert chat.seen is not None
    first, *rest = chat.seen.scenes[0]
    chat.seen = replace(chat.seen, scenes=((first, *rest[:-1]),))

    with pytest.raises(CannotDo, match="is not written, because it would not pass"):
        chat.save(path)

    assert not path.exists()


def test_a_file_that_exists_is_not_written_over(chat: Chat, flows: Path) -> None:
    say(chat, "hi")
    there = flows / "tests" / "pays.test.yaml"
    before = there.read_text()

    with pytest.raises(CannotDo, match="exists already"):
        chat.save(there)

    assert there.read_text() == before


def test_what_cannot_be_written_is_told_and_the_chat_goes_on(chat: Chat, flows: Path) -> None:
    say(chat, "hi")

    with pytest.raises(CannotDo, match="cannot be written: File exists; name another place"):
        chat.save(flows / "app.yaml" / "it.test.yaml")

    assert chat.save(flows / "tests" / "null.test.yaml").transcript.name == "null"


def test_m_pesa_repeats_only_what_it_posted(chat: Chat) -> None:
    with pytest.raises(CannotDo, match="posted no result yet"):
        chat.do(parse_act("event: same"))


def test_an_empty_chat_is_not_saved(chat: Chat, flows: Path) -> None:
    with pytest.raises(CannotDo, match="nothing was said"):
        chat.save(flows / "tests" / "empty.test.yaml")


# ---------------------------------------------------------------- the command


@pytest.fixture
def piped(servers: Urls, flows: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Run `soko chat` on a script, beside the copied flows; logging is put back afterwards."""
    monkeypatch.chdir(flows.parent)
    servers_of = {"SOKO_PLATFORM_URL": servers.platform, "SOKO_OPS_URL": servers.ops, "SOKO_REDIS_URL": servers.redis}
    root, handler = logging.getLogger(), signal.getsignal(signal.SIGTERM)
    before = (root.handlers, root.level, logging.raiseExceptions)
    yield lambda script, *arguments: CliRunner().invoke(app, ["chat", *arguments], input=script, env=servers_of)
    signal.signal(signal.SIGTERM, handler)
    root.handlers, level, logging.raiseExceptions = before
    root.setLevel(level)
    structlog.reset_defaults()


SCRIPT = """\
# a comment
/help
2 unga
1
PAY
/trace
/mpesa paid
/mpesa again
/save paid-here.test.yaml
/quit
never said
"""


def test_a_script_is_played_and_saved(piped: Callable[..., Result], flows: Path) -> None:
    done = piped(SCRIPT)

    assert done.exit_code == 0, done.output
    assert "[1 Confirm] [2 Add more] [3 Cancel order]" in done.output
    assert "call      payments.stk_push" in done.output
    assert "Paid KES 430" in done.output
    assert "paid-here.test.yaml is written, and passes" in done.output
    assert "never said" not in done.output
    assert "\x1b" not in done.output
    assert len(read_transcripts(flows / "tests" / "paid-here.test.yaml")) == 1


def test_a_chat_can_be_begun_in_a_state_and_a_language(piped: Callable[..., Result]) -> None:
    done = piped("/clock 30s\n/as en\n2 unga\n/say 2\n/back\n/mpesa no-funds\n", "--as", "sw", "--at", "shop.pay")

    assert "Jibu *PAY*" in done.output
    assert "a new chat, in en" in done.output
    assert "has to reply PAY first" in done.output
    assert done.exit_code == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/clok 3m", "there is no /clok: did you mean `/clock`?"),
        ("/mpesa rich", "/mpesa is one of paid"),
        ("/as fr", "these flows speak en, sw, not fr"),
        ("/save it.yaml", "a transcript is called NAME.test.yaml"),
        ("/clock soon", "/clock needs a duration such as 90s or 1h30m, or a time of day such as 18:02, not soon"),
        ("/clock 9999999d", "/clock needs a duration"),
        ("/save /tmp/a.test.yaml", "is not below"),
        ("/location 99 200", "no such place: `lat` is from -90 to 90"),
        ("/event", "/event needs a name and its data"),
        ("/event payments.result {attempt: 1, outcome: maybe}", "outcome"),
        ("/outcome bussy", "/outcome is one of accepted, rejected, unknown, busy"),
        ("/at", "/at needs a state"),
        ("/say", "/say needs what the customer writes"),
    ],
)
def test_a_script_stops_at_what_cannot_be_done(piped: Callable[..., Result], line: str, told: str) -> None:
    done = piped(f"{line}\nnever said\n")

    assert told in done.output
    assert done.exit_code == 1
    assert "never said" not in done.output


@pytest.mark.parametrize("arguments", [("--as", "fr"), ("--flows", "nowhere")])
def test_what_cannot_be_meant_is_bad_usage(piped: Callable[..., Result], arguments: tuple[str, ...]) -> None:
    assert piped("", *arguments).exit_code == 2


# ---------------------------------------------------------------- a real terminal


class Terminal:
    """`soko chat` on a terminal of its own, as a person has it."""

    def __init__(self, flows: Path, environment: dict[str, str]) -> None:
        self._screen, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "soko", "chat", "--flows", str(flows)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, **environment, "TERM": "xterm"},
            cwd=ROOT,
            start_new_session=True,
        )
        os.close(theirs)
        self.read()

    def type(self, keys: str) -> str:
        """Type something and Enter; return what is shown until the next prompt."""
        os.write(self._screen, f"{keys}\n".encode())
        return self.read()

    def read(self) -> str:
        """Read until a prompt stands at the end."""
        shown = b""
        while not re.search(rb"(?:[\n\r]|\x1b\[\?2004h)> $", shown):
            ready, _, _ = select.select([self._screen], [], [], 30)
            assert ready, shown.decode()
            shown += os.read(self._screen, 65536)
        return shown.decode()

    def leave(self) -> int:
        """Press Ctrl-D; return the exit code."""
        os.write(self._screen, b"\x04")
        code = self._process.wait(timeout=30)
        os.close(self._screen)
        return code


@pytest.mark.slow
def test_a_terminal_has_colours_completion_and_history(servers: Urls, flows: Path, tmp_path: Path) -> None:
    servers_of = {"SOKO_PLATFORM_URL": servers.platform, "SOKO_OPS_URL": servers.ops, "SOKO_REDIS_URL": servers.redis}
    terminal = Terminal(flows, {**servers_of, "SOKO_HOME": str(tmp_path)})

    assert "\x1b[36m[1 Confirm] [2 Add more] [3 Cancel order]\x1b[0m" in terminal.type("2 unga")
    assert "/trace\r\n" in terminal.type("/tr\t")
    assert "KES 590" in terminal.type("1 sukari")
    assert "there is no /clok: did you mean `/clock`?" in terminal.type("/clok 3m")
    assert "KES 750" in terminal.type("\x1b[A\x1b[A")  # one sukari more
    assert terminal.leave() == 0
    assert "1 sukari" in (tmp_path / "chat_history").read_text()
