import re

import pytest

from tests.numbered import ROOT
from tests.security.checks import LIST


def test_every_check_has_a_test_and_the_page_is_true() -> None:
    assert list(LIST.entries) == list(range(1, 33))
    assert [number for number, tests in LIST.find_tests().items() if not tests] == []
    assert LIST.page.read_text() == LIST.render(), "write it anew: python -m tests.security.checks"


@pytest.mark.security(32)
@pytest.mark.parametrize("lock", ["requirements.lock", "tools.lock"])
def test_every_package_is_pinned_by_its_hash(lock: str) -> None:
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    packages = [line for line in text.splitlines() if re.match(r"[a-z0-9]", line)]
    assert packages
    assert [line for line in packages if not re.match(r"\S+==\S+.*--hash=sha256:[0-9a-f]{64}", line)] == []
