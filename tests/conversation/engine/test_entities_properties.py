"""Whatever a customer sends, every entity answers, and answers the same again."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.entities.run import LONG, long_message, moment, phrases, shop
from conversation.engine.baskets import MOST
from conversation.engine.tokens import to_tokens
from conversation.services import CATALOGUE
from conversation.services.shapes import BasketEdit, PlaceRead, When

NAMES = sorted(CATALOGUE.entities)
WORDS = sorted({token for phrase in phrases() for token in (*to_tokens(phrase.text), *phrase.text.split())})
MESSAGES = st.text(max_size=300) | st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)


@given(MESSAGES)
@example("1/0 kg unga")
@example("² unga ⅔ ⑦")
@example("0/0")
@example("½" * 50)
@example("saa 99:99 99/99/9999 0000-00-00")
@example("\x00\ud7ff\U0010ffff")
@settings(max_examples=300, deadline=None)
def test_no_message_breaks_an_entity(text: str) -> None:
    for name in NAMES:
        read = CATALOGUE.entities[name].read
        value = read(text, shop(), moment())
        assert value == read(text, shop(), moment())
        assert json.loads(json.dumps(value)) == value


@given(MESSAGES)
@settings(max_examples=300, deadline=None)
def test_a_reading_has_the_declared_shape(text: str) -> None:
    edit = CATALOGUE.entities["basket_edit"].read(text, shop(), moment())
    if edit is not None:
        read = BasketEdit.model_validate(edit)
        assert all(0 < line.qty <= MOST * 40 for line in read.add)
        assert all(line.qty is None or line.qty > 0 for line in read.remove)
        assert all(len(unclear.candidates) > 1 or unclear.why == "how_many" for unclear in read.ambiguous)
        assert set(read.missing) <= set(read.unknown)
    for name, shape in (("when", When), ("place", PlaceRead)):
        value = CATALOGUE.entities[name].read(text, shop(), moment())
        assert value is None or shape.model_validate(value)


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_a_phone_is_always_twelve_digits_of_kenya(text: str) -> None:
    phone = CATALOGUE.entities["phone"].read(text + " 0712345678", shop(), moment())
    assert phone is None or (isinstance(phone, str) and phone.startswith("254") and len(phone) == 12 and phone.isascii())


@pytest.mark.parametrize("piece", LONG.values(), ids=list(LONG))
def test_the_longest_message_is_answered(piece: str) -> None:
    for name in NAMES:
        assert json.dumps(CATALOGUE.entities[name].read(long_message(piece), shop(), moment()))
