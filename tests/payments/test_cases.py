from tests.payments.cases import CASES, HAND, LIST


def test_every_case_that_is_built_has_a_test_and_the_page_is_true() -> None:
    assert list(CASES) == list(range(1, 65))
    without = {number for number, tests in LIST.find_tests().items() if not tests}
    assert without == {number for number, (_, outcome) in CASES.items() if outcome == HAND}
    assert LIST.page.read_text() == LIST.render(), "write it anew: python -m tests.payments.cases"
