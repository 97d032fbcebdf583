"""Texts, buttons and lists within WhatsApp's limits, and nothing ever cut silently."""

from hypothesis import given
from hypothesis import strategies as st

from conversation.engine.effects import Button, Menu, Message, Row
from conversation.engine.render import measure, render, split


def test_a_short_text_is_one_message() -> None:
    assert render("Hi") == (Message(text="Hi"),)


def test_a_long_plain_text_is_split_at_paragraphs() -> None:
    first, second = "a" * 3000, "b" * 2000
    assert [message.text for message in render(f"{first}\n\n{second}")] == [first, second]


def test_what_is_too_long_beside_buttons_goes_ahead_as_plain_text() -> None:
    lines = [f"line {number} of the basket" for number in range(100)]
    *ahead, last = render("\n".join(lines), buttons=[Button(id="x", title="OK")])
    assert all(not message.buttons for message in ahead)
    assert last.buttons == (Button(id="x", title="OK"),)
    assert measure(last.text) <= 1024
    assert "\n".join(message.text for message in (*ahead, last)).split("\n") == lines


def test_a_long_row_title_keeps_its_first_words_and_moves_the_rest() -> None:
    row = Row(id="1", title="Mafuta ya kupikia ya alizeti safi", about="KES 320 / 1L")
    (message,) = render("Pick", menu=Menu(button="See", rows=(row,)))
    assert message.menu is not None
    assert message.menu.rows[0] == Row(id="1", title="Mafuta ya kupikia ya", about="alizeti safi · KES 320 / 1L")


def test_what_has_no_room_in_a_row_is_spelled_out_in_the_text() -> None:
    row = Row(id="1", title="Unga", about="b" * 90)
    (message,) = render("Pick", menu=Menu(button="See", rows=(row,)))
    assert message.text == f"Pick\n\n• Unga: {'b' * 90}"


@given(st.text(min_size=1, max_size=300), st.integers(3, 40))
def test_splitting_loses_nothing_but_space_and_keeps_every_limit(text: str, longest: int) -> None:
    parts = split(text, longest)
    assert all(measure(part) <= longest for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())
