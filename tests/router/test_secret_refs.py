from pathlib import Path

import pytest

from router.errors import Refused
from router.secret_refs import MOST_BYTES, open_secret

CANARY = "s3cr3t-canary"


def refusal(reference: str, *, allow_plain: bool = True) -> Refused:
    with pytest.raises(Refused) as refused:
        open_secret(reference, allow_plain=allow_plain)
    assert CANARY not in str(refused.value)
    return refused.value


@pytest.mark.security(25)
def test_plain_opens_in_development_and_is_refused_in_production() -> None:
    assert open_secret(f"plain:{CANARY}:x", allow_plain=True) == f"{CANARY}:x"
    assert refusal(f"plain:{CANARY}", allow_plain=False).code == "secret_plain_refused"


def test_env_reads_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOKO_TEST_SECRET", CANARY)
    assert open_secret("env:SOKO_TEST_SECRET", allow_plain=False) == CANARY
    monkeypatch.setenv("SOKO_TEST_SECRET", "")
    assert "SOKO_TEST_SECRET" in str(refusal("env:SOKO_TEST_SECRET"))


def test_file_reads_a_file_without_its_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{CANARY}\n")
    assert open_secret(f"file:{tmp_path}/secret", allow_plain=False) == CANARY


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", CANARY.encode() * MOST_BYTES])
def test_a_file_that_holds_no_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "secret").write_bytes(content)
    refused = refusal(f"file:{tmp_path}/secret")
    assert (refused.code, str(tmp_path) in str(refused)) == ("secret_missing", True)


@pytest.mark.parametrize("reference", [f"env:{CANARY}", "env:", "file:relative/path", "file:/no/such/file", "file:/", "plain:"])
def test_a_reference_that_leads_nowhere_is_missing(reference: str) -> None:
    assert refusal(reference).code == "secret_missing"


@pytest.mark.parametrize("reference", [CANARY, f"{CANARY}:x", "", f"PLAIN:{CANARY}"])
def test_another_kind_is_refused_without_repeating_it(reference: str) -> None:
    assert refusal(reference).code == "secret_kind_unsupported"
