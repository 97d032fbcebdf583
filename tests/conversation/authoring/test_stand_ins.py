"""What may not stand in a committed file, and what stands there instead."""

from pathlib import Path

import pytest

from conversation.authoring.load import check_files
from conversation.authoring.stand_ins import Disguise, find_phones, find_receipts, mask_phones
from conversation.services import CATALOGUE

FLOWS = Path(__file__).parents[3] / "flows"


WRITTEN = ["0712345678", "+254 712 345 678", "254712345678", "0712-345-678", "0110 123 456", "020 2222222"]
NOBODYS = [
    "+254700000001",
    "0700 000 099",
    "2026-03-02 09:15",
    "36.8219462, -1.2864389",
    "KES 430",
    "+255712345678",
    "100000000001",
]


@pytest.mark.parametrize("written", WRITTEN)
def test_kenyan_numbers_are_found_however_they_are_written(written: str) -> None:
    (found,) = find_phones(f"call {written} now")
    assert found.value.startswith("254")
    assert f"call {written} now"[found.start : found.end] == written


@pytest.mark.parametrize("text", NOBODYS)
def test_stand_ins_and_other_numbers_are_nobodys_phone(text: str) -> None:
    assert list(find_phones(text)) == []


def test_receipts_are_ten_capitals_and_digits() -> None:
    text = "UKN7IKCAXR, SBC0001XYZ, CHECKOUTED, 1234567890, UKN7IKCAXRS, ws_CO_UKN7IKCAXR"
    assert [found.value for found in find_receipts(text)] == ["UKN7IKCAXR"]


def test_the_same_gets_the_same_stand_in_and_keeps_its_form() -> None:
    disguise = Disguise(names=frozenset({"Wanjiku"}))
    said = disguise.text("WANJIKU here: 0712 345 678, not +254722000111. Paid UKN7IKCAXR; wanjikus")
    assert said == "Mteja here: 0700 000 002, not +254700000001. Paid SBC0001XYZ; wanjikus"
    assert disguise.text("0712345678 UKN7IKCAXR") == "0700000002 SBC0001XYZ"


def test_a_masked_number_shows_its_ends() -> None:
    assert mask_phones("call 0712 345 678, or 254722000111") == "call 0712 *** 678, or 254722***111"


def test_a_transcript_with_a_phone_a_receipt_or_a_name_is_refused_with_its_place() -> None:
    files = {f"flows/{path.relative_to(FLOWS).as_posix()}": path.read_bytes() for path in FLOWS.rglob("*.yaml")}
    flows = {file: data for file, data in files.items() if not file.endswith(".test.yaml")}
    text = "test: a\nchat:\n  - customer: 0712 345 678\n  - bot: ~UKN7IKCAXR\n  - bot: ~SBC0001XYZ to 0700 000 001\n"
    text += 'given: {customer: {first_name: Wanjiku, language: sw}}\ngiven: {customer: {first_name: "Mteja"}}\n'

    found = check_files(flows, CATALOGUE, tests={"flows/tests/a.test.yaml": text.encode()}).problems

    assert [(problem.code, problem.at.line, problem.at.column, problem.warns) for problem in found if problem.code == "S1"] == [
        ("S1", 3, 15, False),
        ("S1", 4, 11, False),
        ("S1", 6, 32, False),
    ]
