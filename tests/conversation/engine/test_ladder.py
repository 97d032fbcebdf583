"""The one ladder on which every message is understood."""

import pytest

from tests.conversation.engine.shop import Shop


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


def test_words_are_read_past_case_emoji_and_other_forms() -> None:
    assert Shop().say("hi").say("  *Ｈｅｌｐ*!! 🙏").rung() == "commands"  # noqa: RUF001  # full-width letters


def test_an_idle_conversation_starts_by_words_then_by_an_order_then_by_anything() -> None:
    assert Shop().say("habari").places[0] == "shop.greet.say"
    assert Shop().say("3 mkate na maziwa mbili").basket == {"4": 3, "2": 2}
    assert Shop().say("?").places[0] == "shop.greet.say"


def test_an_old_button_is_no_words_for_an_idle_conversation() -> None:
    shop = Shop().tap_id("shop.cart:4:cancel", "2 unga")
    assert (shop.state, shop.basket) == ("browse", {})
