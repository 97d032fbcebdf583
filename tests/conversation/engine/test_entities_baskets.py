"""What a basket does with amounts that are not whole, names that several products share, and words that take things out."""

from collections import Counter
from typing import Any

import pytest

from bench.entities.run import kiosk, shop
from conversation.engine.baskets import MOST_GUESSES, MOST_TOKENS
from conversation.engine.entities import read_basket_edit
from conversation.engine.lexicon import Lexicon


def read(text: str, lexicon: Lexicon | None = None) -> Any:
    return read_basket_edit(text, lexicon or shop())


def added(text: str) -> dict[str, int]:
    return {line["product"]: line["qty"] for line in read(text)["add"]}


def asked(text: str, lexicon: Lexicon | None = None) -> list[tuple[str, list[str]]]:
    found = read(text, lexicon)
    assert found["add"] == found["remove"] == []
    return [(entry["why"], [candidate["product"] for candidate in entry["candidates"]]) for entry in found["ambiguous"]]


def test_a_tie_is_told_with_what_was_said_and_all_it_could_be() -> None:
    assert read("toa maziwa mbili", kiosk()) == {
        "add": [],
        "remove": [],
        "clear": False,
        "ambiguous": [
            {
                "words": "maziwa mbili",
                "why": "which",
                "qty": 2,
                "removing": True,
                "candidates": [
                    {"product": "brookside", "name": "Maziwa Brookside 500ml"},
                    {"product": "kcc", "name": "Maziwa KCC 500ml"},
                ],
            }
        ],
        "missing": [],
        "unknown": ["maziwa (Maziwa Brookside 500ml or Maziwa KCC 500ml)"],
    }


def test_what_is_missing_is_apart_from_what_is_asked_back() -> None:
    found = read("2 maziwa na 1 kuku", kiosk())
    assert found["missing"] == ["kuku"]
    assert found["unknown"] == ["maziwa (Maziwa Brookside 500ml or Maziwa KCC 500ml)", "kuku"]


@pytest.mark.parametrize(
    "text",
    [
        "nusu kilo sukari",
        "sukari nusu",
        "1.5 kg sukari",
        "½ sukari",
        "sukari kilo moja na nusu",
        "sukari mbili na nusu",
        "250g sugar",
    ],
)
def test_a_part_of_a_unit_is_asked_back_and_never_rounded(text: str) -> None:
    assert asked(text) == [("how_many", ["sukari-1kg"])]


@pytest.mark.parametrize(
    ("text", "qty"),
    [("2kg unga", 1), ("unga 2 kg", 1), ("4kg unga", 2), ("unga kilo sita", 3), ("2 unga 2kg", 2), ("unga 2kg, tatu", 3)],
)
def test_a_measure_is_the_size_of_the_unit_or_so_many_units(text: str, qty: int) -> None:
    assert added(text) == {"unga-2kg": qty}


def test_a_count_with_a_size_that_is_not_sold_is_asked_back() -> None:
    assert asked("3 unga 1kg") == asked("3 unga 4kg") == [("how_many", ["unga-2kg"])]


def test_a_measure_of_another_kind_is_asked_back() -> None:
    assert asked("lita mbili za sukari") == [("how_many", ["sukari-1kg"])]
    assert asked("kilo mbili za mayai") == [("how_many", ["mayai-tray"])]


def test_a_bare_number_that_is_the_size_on_the_label_is_the_size() -> None:
    assert added("maziwa 500") == {"maziwa-500ml": 1}
    assert added("maziwa 50") == {"maziwa-500ml": 50}
    assert added("unga 2") == {"unga-2kg": 2}


@pytest.mark.parametrize("text", ["sukari ya 50", "sukari ya hamsini", "50 bob sugar", "sukari ksh 50", "sugar worth 100"])
def test_goods_for_so_much_money_are_asked_back(text: str) -> None:
    assert asked(text) == [("how_many", ["sukari-1kg"])]


@pytest.mark.parametrize("text", ["mayai 30", "mayai 60", "mayai dazeni", "tissue 4", "a carton of eggs"])
def test_pieces_of_a_pack_are_asked_back(text: str) -> None:
    assert [why for why, _ in asked(text)] == ["how_many"]


def test_fewer_than_a_pack_holds_are_packs() -> None:
    assert added("mayai 2, tissue 3") == {"mayai-tray": 2, "tissue-4": 3}


def test_a_unit_word_of_the_product_itself_is_no_bulk() -> None:
    assert added("box mbili za kiberiti") == {"kiberiti": 2}
    assert asked("box mbili za maziwa") == [("how_many", ["maziwa-500ml"])]


@pytest.mark.parametrize("text", ["0 unga", "1000 unga", "unga elfu mbili"])
def test_a_number_nobody_can_mean_is_asked_back(text: str) -> None:
    assert asked(text) == [("how_many", ["unga-2kg"])]


@pytest.mark.parametrize("text", ["toa zote", "remove everything", "ondoa vitu vyote", "clear my basket", "futa oda yangu"])
def test_everything_goes_out_when_nothing_is_named(text: str) -> None:
    found = read(text)
    assert found["clear"] is True
    assert (found["add"], found["remove"], len(found["unknown"])) == ([], [], 1)


def test_everything_goes_out_before_something_new_comes() -> None:
    found = read("toa zote, weka mkate 2")
    assert (found["clear"], [line["qty"] for line in found["add"]], found["unknown"]) == (True, [2], [])


def test_all_of_one_thing_is_not_everything() -> None:
    found = read("toa maziwa yote")
    assert (found["clear"], found["remove"][0]["qty"]) == (False, None)


def test_taking_out_lasts_over_commas_and_ends_with_the_sentence() -> None:
    found = read("toa mkate, sukari. maziwa 2")
    assert [line["product"] for line in found["remove"]] == ["mkate-400g", "sukari-1kg"]
    assert [line["product"] for line in found["add"]] == ["maziwa-500ml"]


def test_a_list_under_the_word_remove_is_taken_out() -> None:
    assert [line["product"] for line in read("remove:\nbread\nmilk")["remove"]] == ["mkate-400g", "maziwa-500ml"]


def test_a_verb_that_comes_last_takes_out_what_came_before() -> None:
    found = read("mkate na sukari toa")
    assert ([line["product"] for line in found["remove"]], found["add"]) == (["mkate-400g", "sukari-1kg"], [])


def test_take_takes_out_only_with_out() -> None:
    assert added("I'll take 2 bread") == {"mkate-400g": 2}
    assert read("take the bread out")["remove"] == [{"product": "mkate-400g", "name": "Mkate 400g", "qty": None}]


def test_a_change_of_a_number_is_asked_back() -> None:
    assert asked("mkate iwe 3") == [("how_many", ["mkate-400g"])]


@pytest.mark.parametrize("text", ["mko na maziwa?", "bei ya unga na sukari", "where is my bread", "asante kwa maziwa"])
def test_a_question_about_a_product_is_no_order(text: str) -> None:
    assert read(text) is None


def test_an_answer_to_ones_own_question_is_an_order() -> None:
    assert added("mko na maziwa? nipe mbili") == {"maziwa-500ml": 2}


def test_a_product_word_wins_over_its_meaning_elsewhere() -> None:
    assert read("bei", kiosk()) is None
    lexicon = Lexicon(names={"bei": ("1",)}, titles={"1": "Bei"}, longest=1)
    assert read("2 bei", lexicon)["add"][0]["qty"] == 2


@pytest.mark.parametrize("word", ["price", "four", "nice", "mbili", "chukua"])
def test_a_word_with_a_meaning_of_its_own_is_never_a_misspelt_product(word: str) -> None:
    assert read(f"{word} please") is None  # "price" is near to "rice", "four" to "flour"


LOOK_UPS = Counter[str]()


class _Counting(Lexicon):
    """Counts the fuzzy look-ups, which are what a message can cost."""

    def guess(self, phrase: str) -> tuple[str, ...]:
        LOOK_UPS[phrase] += 1
        return super().guess(phrase)


def test_the_fuzzy_look_ups_of_one_message_are_bounded() -> None:
    LOOK_UPS.clear()
    lexicon = _Counting(names=shop().names, titles=shop().titles, longest=shop().longest, spelled=shop().spelled)
    letters = "bcdfghjkmp"
    words = ["".join(letters[int(digit)] for digit in f"{number:03}") + "xq" for number in range(MOST_TOKENS)]
    read(" ".join(words), lexicon)
    assert sum(LOOK_UPS.values()) == MOST_GUESSES
    LOOK_UPS.clear()
    read("sukuri unga " * (MOST_TOKENS // 2), lexicon)
    assert max(LOOK_UPS.values()) == 1


def test_a_message_longer_than_any_order_is_none() -> None:
    assert read("unga " * MOST_TOKENS) is not None
    assert read("unga " * (MOST_TOKENS + 1)) is None


@pytest.mark.parametrize(
    ("text", "add", "remove"),
    [("-3 unga", 0, 3), ("-3 unga\n-2 unga", 5, 0), ("2 unga", 2, 0)],
)
def test_a_minus_takes_out_and_dashes_before_every_line_are_a_list(text: str, add: int, remove: int) -> None:
    found = read(text)
    assert (sum(line["qty"] for line in found["add"]), sum(line["qty"] for line in found["remove"])) == (add, remove)
