from tests.payments.cases import CASES, LIST


def test_every_case_has_a_test_and_the_page_is_true() -> None:
    assert list(CASES) == list(range(1, 65))
    assert [number for number, tests in LIST.find_tests().items() if not tests] == []
    assert LIST.page.read_text() == LIST.render(), "write it anew: python -m tests.payments.cases"
