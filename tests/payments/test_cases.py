from tests.payments.cases import CASES, HAND, PAGE, find_tests, render


def test_every_case_that_is_built_has_a_test_and_the_page_is_true() -> None:
    assert list(CASES) == list(range(1, 65))
    without = {number for number, tests in find_tests().items() if not tests}
    assert without == {number for number, (_, outcome) in CASES.items() if outcome == HAND}
    assert PAGE.read_text() == render(), "write it anew: python -m tests.payments.cases"
