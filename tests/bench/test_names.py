"""`./run bench` tells what can be measured."""

from pathlib import Path

import pytest

from bench.__main__ import main, measurements

ROOT = Path(__file__).parents[2]


def test_every_measurement_is_listed_with_what_it_is_about() -> None:
    assert measurements().keys() >= {"checks", "engine", "entities", "mutants", "turns"}
    assert all(about.endswith(".") for about in measurements().values())


@pytest.mark.parametrize(("given", "told"), [([], "name what to measure"), (["nope"], "there is no measurement nope")])
def test_no_name_and_an_unknown_one_end_with_what_there_is(
    given: list[str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert told in said
    assert all(f"  {name}" in said for name in measurements())
