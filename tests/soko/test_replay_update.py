"""`soko replay --update`: what differs is rewritten, and nothing else in the file moves by a byte."""

import shutil
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from typer import Exit

from conversation.authoring.read_transcripts import read_transcripts
from soko.cli import replay_update
from soko.replay.stage import Stage

ROOT = Path(__file__).parents[2]
HEAD = """\
# A comment on top, with a bracket ] and a "quote".
test:   is laid out by hand      # two spaces, three
flow: shop
given: {now: 2026-03-02 09:15,   customer: {phone: "+254700000099", first_name: Mteja},
        vendor: mama-duka}       # and a line break
chat:
"""
RIGHT = """\
---
test: is right, and untouched    # even where it could be shorter
flow: shop
given: {now: 2026-03-02 09:15, customer: {phone: "+254700000099", first_name: Mteja}, vendor: mama-duka}
chat:
  - customer: 1 sukari
  - bot: {text: [~Total KES 160],    buttons: [Confirm,   ...]}
"""

Update = Callable[[str], str]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file beside flows that are loaded once."""
    flows = tmp_path_factory.mktemp("update") / "flows"
    shutil.copytree(ROOT / "flows", flows, ignore=shutil.ignore_patterns("tests"))
    (flows / "tests").mkdir()
    return flows / "tests" / "own.test.yaml"


@pytest.fixture
def update(transcript_stage: Stage, file: Path) -> Update:
    """Update a chat, and return it as it is then; the transcripts pass afterwards, and what surrounds the chat is as it was."""

    def run(chat: str) -> str:
        file.write_bytes((HEAD + chat + RIGHT).encode())
        updated = replay_update.update_files(transcript_stage, read_transcripts(file), yes=True)
        assert [one.failure.report for one in map(transcript_stage.play, updated) if one.failure is not None] == []
        after = file.read_bytes().decode()
        assert (after[: len(HEAD)], after[-len(RIGHT) :]) == (HEAD, RIGHT)
        return after[len(HEAD) : -len(RIGHT)]

    return run


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("- bot:   ~Total KES 9     # the sum\n", '- bot:   "[TOTAL]"     # the sum\n'),
        ("- bot: {text:  ~Total KES 9, at: cart.ask} # both\n", "- bot: {at: cart.ask, text: [TOTAL]} # both\n"),
        ("- bot: {at: pay.ask}   # the place alone\n", "- bot: {at: cart.ask}   # the place alone\n"),
        (
            "- bot: {text: ~KES 430, buttons: [Confirm]}\n",
            '- bot: {text: "~KES 430", buttons: [Confirm, Add more, Cancel order]}\n',
        ),
        ("- bot:\n      at: pay.ask   # a block\n", "- bot:\n      {at: cart.ask}   # a block\n"),
        ("- bot: ~Karibu\n  # between the lines\n  - bot: {at: cart.ask}\n", "# between the lines\n  - bot: {at: cart.ask}\n"),
        ("- bot: nothing             # so I thought\n", None),
        (
            "- bot: ...\n  - expect: {state:  pay,   order: CONFIRMED}   # x\n",
            "- bot: ...\n  - expect: {state:  cart,   order: DRAFT}   # x\n",
        ),
        (
            '- bot: ...\n  - expect:\n      slots:\n        edit.unknown: ["kuku"]   # y\n      effects: orders.confirm\n',
            "- bot: ...\n  - expect:\n      slots:\n        edit.unknown: []   # y\n      effects: [orders.edit]\n",
        ),
        (
            "- bot: ...\n  - expect: {effects_total: {orders.edit: 3}}\n",
            "- bot: ...\n  - expect: {effects_total: {orders.edit: 1}}\n",
        ),
    ],
)
def test_only_what_differs_is_rewritten(update: Update, before: str, after: str | None) -> None:
    text = "🧺 *Your basket* 2 x Unga wa mahindi 2kg KES 430 *Total KES 430* To take something out, type e.g. *toa 1 sukari*."
    act = "  # who speaks first\n  - customer: 2 unga      # two\n  "
    buttons = '{text: "[TOTAL]", buttons: [Confirm, Add more, Cancel order]}'
    wanted = (
        (after or f"- bot: {buttons}             # so I thought\n")
        .replace('"[TOTAL]"', f'"{text}"')
        .replace("[TOTAL]", f'"{text}"')
    )

    assert update(act + before) == act + wanted


def test_replies_that_nobody_wrote_down_are_added_in_their_order(update: Update) -> None:
    lines = update("    - customer: hi   # indented by four\n\n    - customer: cancel\n    - bot: ~Your order\n").splitlines()

    assert lines[0] == "    - customer: hi   # indented by four"
    assert lines[1] == '    - bot: "Karibu *Mama Duka*, Mteja! 🛒"'
    assert lines[2].startswith('    - bot: {text: "What would you like? ')
    assert lines[3:] == ["", "    - customer: cancel", "    - bot: ~Your order"]


def test_a_reply_that_is_gone_leaves_nothing_or_no_line(update: Update) -> None:
    chat = "- customer: 2 unga\n- bot: {at: cart.ask}\n- clock: +1m\n- bot: ~One\n- bot: ~Two   # both\n"

    assert update(chat) == "- customer: 2 unga\n- bot: {at: cart.ask}\n- clock: +1m\n- bot: nothing\n"


def test_effects_are_for_a_person_to_look_at(transcript_stage: Stage, file: Path) -> None:
    chat = "- customer: 2 unga\n- bot: {at: cart.ask}\n- expect: {no_effect: orders.edit, effect: orders.confirm}\n"
    file.write_text(HEAD + chat)
    (updated,) = replay_update.update_files(transcript_stage, read_transcripts(file), yes=True)

    assert file.read_text() == HEAD + chat
    assert transcript_stage.play(updated).failure is not None


def test_nothing_is_written_unless_agreed(
    transcript_stage: Stage, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = HEAD + "- customer: 2 unga\n- bot: {at: pay.ask}\n"
    file.write_text(before)
    monkeypatch.setattr("sys.stdin", StringIO("n\n"))
    replay_update.update_files(transcript_stage, read_transcripts(file), yes=False)

    assert file.read_text() == before
    assert "-- bot: {at: pay.ask}\n+- bot: {at: cart.ask}" in capsys.readouterr().err


@pytest.mark.parametrize(("value", "refused"), [("true", True), ("1", True), ("false", False), ("", False)])
def test_ci_is_refused(monkeypatch: pytest.MonkeyPatch, value: str, refused: bool) -> None:  # noqa: FBT001 - a row of a table
    monkeypatch.setenv("CI", value)
    if refused:
        with pytest.raises(Exit):
            replay_update.refuse_in_ci()
    else:
        replay_update.refuse_in_ci()
