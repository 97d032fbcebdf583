"""Money, phones and places."""

import pytest

from bench.entities.run import shop
from conversation.engine.lexicon import build_lexicon
from conversation.engine.money import read_money
from conversation.engine.phones import read_phone
from conversation.engine.places import read_place

NONE = build_lexicon(())


@pytest.mark.parametrize(
    ("text", "phone"),
    [
        ("0712345678", "254712345678"),
        ("+254 712 345 678", "254712345678"),
        ("\u0660\u0667\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668", "254712345678"),  # Arabic digits
        ("2 unga, 0712345678", "254712345678"),
        ("0202345678", None),  # a landline
        ("0800723253", None),  # toll free
        ("+255712345678", None),
        ("+255 712 345 678", None),  # its last nine digits are no Kenyan number
        ("+44 7400 123456", None),
        ("0712345678 0722000111", None),
        ("0712345678 and +254712345678", "254712345678"),
        ("25471234567", None),
        ("1" * 200, None),
        ("0712345678 " * 200, None),
    ],
)
def test_phones(text: str, phone: str | None) -> None:
    assert read_phone(text, NONE) == phone


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1500", 1500),
        ("KES1,500", 1500),
        ("1,500.00/=", 1500),
        ("1500.50", None),
        ("1.5k", 1500),
        ("1.2345k", None),
        ("0", None),
        ("-5 bob", None),
        ("soo", 100),
        ("a message", None),
        ("I have 2 children", None),
        ("2 bob", 2),
        ("100 100", 100),
        ("100 or 200", None),
        ("99999999999", None),
        ("elfu kumi na mbili mia tano na hamsini", 12550),
        ("two thousand and fifty", 2050),
    ],
)
def test_money(text: str, amount: int | None) -> None:
    assert read_money(text, NONE) == amount


def test_a_place_is_told_with_its_name() -> None:
    assert read_place("niko Rongai", shop()) == {"place": {"id": "rongai", "name": "Ongata Rongai"}, "candidates": []}


def test_two_places_are_told_both() -> None:
    assert read_place("Rongai or Kiambu", shop()) == {
        "place": None,
        "candidates": [{"id": "rongai", "name": "Ongata Rongai"}, {"id": "kiambu", "name": "Kiambu"}],
    }


def test_a_shop_without_places_reads_none() -> None:
    assert read_place("Rongai", NONE) is None
