from collections import Counter

import pytest

from conversation.whatsapp.error_codes import KINDS, RULES, ErrorKind, describe, kind_of, rule_of


def test_no_code_stands_in_two_rows() -> None:
    counts = Counter(code for rule in RULES.values() for code in rule.codes)
    assert [code for code, count in counts.items() if count > 1] == []
    assert len(KINDS) == counts.total()


def test_every_kind_has_a_row_but_the_unlisted() -> None:
    assert set(ErrorKind) - set(RULES) == {ErrorKind.UNLISTED}


@pytest.mark.parametrize(
    ("code", "kind", "wait_seconds"),
    [
        (190, ErrorKind.TOKEN, 300),
        (200, ErrorKind.PERMISSION, 300),
        (299, ErrorKind.PERMISSION, 300),
        (131000, ErrorKind.TROUBLE, 4),
        (80007, ErrorKind.CALL_RATE, 120),
        (130429, ErrorKind.NUMBER_RATE, 3),
        (131056, ErrorKind.PAIR_RATE, 6),
        (131057, ErrorKind.MAINTENANCE, 60),
        (131048, ErrorKind.STOPPED, None),
        (131047, ErrorKind.WINDOW, None),
        (131026, ErrorKind.UNREACHABLE, None),
        (132000, ErrorKind.OUR_FAULT, None),
        (132018, ErrorKind.OUR_FAULT, None),
        (133010, ErrorKind.NUMBER_GONE, None),
        (987654, ErrorKind.UNLISTED, None),
    ],
)
def test_a_code_says_whether_to_wait(code: int, kind: ErrorKind, wait_seconds: int | None) -> None:
    assert kind_of(code) is kind
    assert rule_of(code).wait_seconds == wait_seconds


def test_a_description_repeats_nothing_and_stays_short() -> None:
    assert describe(131057, "(#131057) Account in maintenance mode", "Account in maintenance mode", None, " ") == (
        "131057 Account in maintenance mode (the number is being upgraded)"
    )
    assert describe(9) == "9 (an error code we do not know)"
    assert len(describe(9, "x" * 5000)) < 400
