"""The one ladder on which every message is understood."""

from typing import cast

import pytest

from conversation.authoring.load import build_bundle, build_unchecked
from conversation.engine.events import Said
from conversation.services import CATALOGUE
from tests.conversation.engine.shop import Shop
from tests.conversation.engine.small import bundle_of, files_of


def test_a_tap_is_understood_before_anything_else() -> None:
    shop = Shop().say("2 unga").tap("Confirm")
    assert (shop.rung(), shop.state) == ("choice", "pay")


def test_a_title_spelled_out_counts_as_the_tap() -> None:
    shop = Shop().say("2 unga").say("add more!")
    assert (shop.rung(), shop.state) == ("choice", "browse")


def test_state_words_stand_above_commands_and_entities() -> None:
    shop = Shop().say("2 unga").say("Sawa 👍")
    assert (shop.rung(), shop.state) == ("state_words", "pay")


def test_a_command_must_be_the_whole_message() -> None:
    shop = Shop().say("hi").say("cancel culture book")
    assert (shop.rung(), shop.state) == ("unmatched", "browse")
    assert Shop().say("hi").say("CANCEL!").ended == ["cancelled"]


@pytest.mark.parametrize("language", ["en", "sw"])
def test_words_of_every_language_are_understood_at_once(language: str) -> None:
    flow = """
flow: a
starts_when: [{words: {en: [hi], sw: [habari]}}]
commands: {help: {words: {en: [help], sw: [msaada]}, say: Here., then: resume}}
states:
  x: {ask: Well?, replies: [{words: {en: [fine], sw: [sawa]}, go: y}]}
  y: {end: said}
"""
    for hi, help_, fine in [("hi", "msaada", "fine"), ("habari", "help", "sawa")]:
        shop = Shop(bundle=bundle_of(flow), language=language).say(hi).say(help_)
        assert shop.texts == ["Here.", "Well?"]
        assert shop.say(fine).ended == ["said"]


def test_an_entity_comes_after_commands() -> None:
    shop = Shop().say("hi").say("2 sukari")
    assert (shop.rung(), shop.basket) == ("entities", {"1": 2})


def test_a_tap_without_a_reply_of_its_own_is_read_by_its_title() -> None:
    shop = Shop().say("hi").tap("Unga 2kg")
    assert shop.state == "quantity"
    shop.tap("3")
    assert (shop.basket, shop.state) == ({"0": 3}, "cart")


def test_the_trace_says_which_rung_matched_and_why_not_the_others() -> None:
    shop = Shop().say("hi").say("2 sukari")
    matched = next(entry for entry in shop.trace if entry["what"] == "matched")
    assert matched["by"] == "basket_edit"
    assert [str(why).split(":")[0] for why in matched["passed"]] == ["choice", "consent", "state_words", "commands"]  # type: ignore[union-attr]


@pytest.mark.parametrize("what", ["image", "sticker", "location"])
def test_what_has_no_words_matches_nothing(what: str) -> None:
    shop = Shop().say("hi").share(what)
    assert (shop.rung(), shop.state, shop.places) == ("unmatched", "browse", ["app.no_words"])


@pytest.mark.parametrize("text", ["", " ", "🔥🔥", "!!!", "\u200d", "\ufe0f"])
def test_a_message_without_letters_matches_no_words(text: str) -> None:
    assert Shop().say("hi").say(text).rung() == "unmatched"


def test_an_idle_conversation_starts_by_words_then_by_an_order_then_by_anything() -> None:
    assert Shop().say("habari").places[0] == "shop.greet.say"
    assert Shop().say("3 mkate na maziwa mbili").basket == {"4": 3, "2": 2}
    assert Shop().say("?").places[0] == "shop.greet.say"


def test_an_old_button_is_no_words_for_an_idle_conversation() -> None:
    shop = Shop().tap_id("shop.cart:4:cancel", "2 unga")
    assert (shop.state, shop.basket) == ("browse", {})


@pytest.mark.parametrize(
    "text",
    ["  *Ｈｅｌｐ*!! 🙏", "HELP", "(help)…", "help me", "help   me", "he\u200dlp", "ﬁne"],  # noqa: RUF001  # full-width letters, a ligature
)
def test_words_are_read_past_case_emoji_and_other_forms(text: str) -> None:
    flow = """
flow: a
starts_when: [{any: true}]
commands: {help: {words: [help, help me, fine], say: Here., then: resume}}
states:
  x: {ask: Well?, replies: [{words: [b], go: y}]}
  y: {end: z}
"""
    assert Shop(bundle=bundle_of(flow)).say("hi").say(text).texts == ["Here.", "Well?"]


@pytest.mark.parametrize("text", ["12", "１２", "١٢", "۱۲", "१२"])  # noqa: RUF001
def test_digits_of_every_script_are_digits(text: str) -> None:
    flow = """
flow: a
starts_when: [{any: true}]
states:
  x: {ask: Well?, replies: [{words: ["12"], go: y}]}
  y: {end: twelve}
"""
    assert Shop(bundle=bundle_of(flow)).say("hi").say(text).ended == ["twelve"]


RUNGS = {
    "choice": "{choice: five, go: out}",
    "state_words": '{words: ["5"], go: out}',
    "commands": "",
    "entities": "{entity: number, go: out}",
    "patterns": '{pattern: "[0-9]", go: out}',
    "intents": "{intent: five, go: out}",
    "any": "{any: true, go: out}",
}


@pytest.mark.parametrize("rung", RUNGS)
def test_each_rung_stands_above_all_below_it(rung: str) -> None:
    """A message that all rungs could take, in a state that has this one and those below it, written the other way round."""
    left = list(RUNGS)[list(RUNGS).index(rung) :]
    replies = ", ".join(RUNGS[each] for each in reversed(left) if RUNGS[each])
    flow = f"""
flow: a
starts_when: [{{words: [hi]}}]
{'commands: {five: {words: ["5"], go: out}}' if "commands" in left else ""}
states:
  x:
    ask: {{text: Well?, {'buttons: {five: "5"}' if rung == "choice" else ""}}}
    replies: [{replies}]
  out: {{end: out}}
"""
    files = files_of(flow)
    files["flows/app.yaml"] += b"\nintents: [five]\n"
    shop = Shop(bundle=build_unchecked(files, CATALOGUE)).say("hi")  # the check refuses a word that means two things
    shop.take(Said(id="9", at=shop.tick(), text="5", intent="five"))
    assert (shop.rung(), shop.ended) == (rung, ["out"])


def test_entities_are_tried_in_the_order_they_are_written() -> None:
    flow = """
flow: a
starts_when: [{words: [hi]}]
slots: {n: {type: int}, p: {type: money}}
states:
  x: {ask: Well?, replies: [%s]}
  y: {end: number}
  z: {end: money}
"""
    number, money = "{entity: number, as: n, go: y}", "{entity: money, as: p, go: z}"
    for order, ended in (([number, money], "number"), ([money, number], "money")):
        bundle = build_bundle(files_of(flow % ", ".join(order)), CATALOGUE)
        assert Shop(bundle=bundle).say("hi").say("500").ended == [ended]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("confrm", "choice: not one of the open question's choices; nearest is `confirm`"),
        ("thibitsha", "state_words: none is the whole message; nearest is `thibitisha`"),
        ("cancle", "commands: none is the whole message; nearest is `cancel`"),
        ("xyzzy", "commands: none is the whole message"),
    ],
)
def test_the_trace_says_what_came_nearest(text: str, why: str) -> None:
    shop = Shop().say("2 unga").say(text)
    (passed,) = [cast("list[str]", entry["passed"]) for entry in shop.trace if entry["what"] == "matched"]
    assert why in passed
