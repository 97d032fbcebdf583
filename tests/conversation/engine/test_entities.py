"""Numbers and baskets as people write them."""

import pytest

from conversation.engine.entities import read_basket_edit, read_number
from conversation.engine.lexicon import build_lexicon
from tests.conversation.engine.shop import product, shop_lexicon


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2", 2),
        ("two please", 2),
        ("mbili", 2),
        ("MBILI!", 2),
        ("naomba tatu tafadhali", 3),
        ("tatu tafadhali", 3),
        ("moja", 1),
        ("kumi", 10),
        ("kumi na mbili", 12),
        ("ishirini na tano", 25),
        ("twenty five", 25),
        ("a dozen", 12),
        ("dazeni", 12),
        ("dazeni mbili", 24),
        ("2 dozen", 24),
        ("nusu dazeni", 6),
        ("half a dozen", 6),
        ("x3", 3),
        ("3x", 3),
        ("٣", 3),
        ("\uff13", 3),
        ("3️⃣", 3),
        ("5 pcs", 5),
        ("2 3", None),
        ("2 unga", None),
        ("two hundred thousand million", None),
        ("", None),
        ("sijui", None),
        ("-2", None),
        ("99999999999", None),
    ],
)
def test_numbers(text: str, number: int | None) -> None:
    assert read_number(text, shop_lexicon()) == number


UNGA, SUKARI, MAZIWA, LALA, MKATE, MAFUTA = range(6)


@pytest.mark.parametrize(
    ("text", "add", "remove", "unknown"),
    [
        ("2 unga na 1 sukari", {UNGA: 2, SUKARI: 1}, {}, []),
        ("2 unga na 1 sukari, toa mkate", {UNGA: 2, SUKARI: 1}, {MKATE: None}, []),
        ("add one milk", {MAZIWA: 1}, {}, []),
        ("ongeza mkate mbili", {MKATE: 2}, {}, []),
        ("toa 1 sukari", {}, {SUKARI: 1}, []),
        ("remove one milk", {}, {MAZIWA: 1}, []),
        ("ondoa mkate na sukari", {}, {MKATE: None, SUKARI: None}, []),
        ("punguza sukari 2", {}, {SUKARI: 2}, []),
        ("toa mkate ongeza sukari", {SUKARI: 1}, {MKATE: None}, []),
        ("sitaki mkate", {}, {MKATE: None}, []),
        ("no bread", {}, {MKATE: None}, []),
        ("no, 3 sukari", {SUKARI: 3}, {}, []),
        ("unga 2 sukari 3", {UNGA: 2, SUKARI: 3}, {}, []),
        ("2 unga 3 sukari", {UNGA: 2, SUKARI: 3}, {}, []),
        ("unga, sukari + mkate & oil", {UNGA: 1, SUKARI: 1, MKATE: 1, MAFUTA: 1}, {}, []),
        ("2 unga plus 2 unga", {UNGA: 4}, {}, []),
        ("cooking oil x2 and bread", {MAFUTA: 2, MKATE: 1}, {}, []),
        ("kumi na mbili unga", {UNGA: 12}, {}, []),
        ("dazeni ya mkate", {MKATE: 12}, {}, []),
        ("mkate kumi na sukari mbili", {MKATE: 10, SUKARI: 2}, {}, []),
        ("maziwa lala 2", {LALA: 2}, {}, []),
        ("mala", {LALA: 1}, {}, []),
        ("2 unga 2 kg", {UNGA: 2}, {}, []),
        ("2kg unga", {UNGA: 1}, {}, []),
        ("sugr 2 na mkatee", {SUKARI: 2, MKATE: 1}, {}, []),
        ("2 UNGA 🙏 na 1 SUKARI!!", {UNGA: 2, SUKARI: 1}, {}, []),
        ("2 unga na 1 kuku", {UNGA: 2}, {}, ["kuku"]),
        ("2 unga na nyama ya mbuzi", {UNGA: 2}, {}, ["nyama mbuzi"]),
        ("0 unga", {}, {}, ["0 x Unga 2kg"]),
        ("5000 unga", {}, {}, ["5000 x Unga 2kg"]),
    ],
)
def test_baskets(text: str, add: dict[int, int], remove: dict[int, int | None], unknown: list[str]) -> None:
    read = read_basket_edit(text, shop_lexicon())
    assert isinstance(read, dict)
    assert {int(line["product"]): line["qty"] for line in read["add"]} == add
    assert {int(line["product"]): line["qty"] for line in read["remove"]} == remove
    assert read["unknown"] == unknown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hi",
        "pay",
        "PAY",
        "sawa nitalipa",
        "do you have bread today",
        "2",
        "mbili",
        "kuku",
        "cancel",
        "na na na",
        ",,,",
        "toa",
    ],
)
def test_what_is_no_basket(text: str) -> None:
    assert read_basket_edit(text, shop_lexicon()) is None


def test_a_name_that_two_products_share_is_told_with_both() -> None:
    lexicon = build_lexicon(
        [
            {**product(0), "name": "Unga Ajab 2kg", "aliases": ["unga"]},
            {**product(1), "name": "Unga Jogoo 2kg", "aliases": ["unga"]},
        ]
    )
    read = read_basket_edit("2 unga", lexicon)
    assert isinstance(read, dict)
    assert (read["add"], read["unknown"]) == ([], ["unga (Unga Ajab 2kg or Unga Jogoo 2kg)"])


def test_an_empty_catalogue_understands_nothing() -> None:
    assert read_basket_edit("2 unga", build_lexicon([])) is None
