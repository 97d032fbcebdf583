"""What machines read: one JSON object, SARIF 2.1.0, and GitHub's workflow commands."""

import json

from conversation.authoring import reports
from conversation.authoring.codes import CODES
from conversation.authoring.problems import Problem
from conversation.engine.flow import At

AT = At(file="flows/shop.yaml", line=7, column=3, width=4)
WRONG = Problem(code="T1", message="there is no state `100%`", at=AT, hint="did you mean `a`?", notes=("how: so",))
WARNING = Problem(code="H1", message="nothing reads it", at=AT, warns=True)


def test_sarif_has_the_shape_that_the_standard_asks_for() -> None:
    log = json.loads(reports.to_sarif([WRONG, WARNING]))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == list(CODES)
    assert all(rule["shortDescription"]["text"] and rule["help"]["text"] for rule in rules)
    for result, problem in zip(run["results"], (WRONG, WARNING), strict=True):
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == problem.code
        assert result["message"]["text"].startswith(problem.message)
        (location,) = result["locations"]
        assert location["physicalLocation"]["artifactLocation"] == {"uri": "flows/shop.yaml"}
        assert location["physicalLocation"]["region"] == {"startLine": 7, "startColumn": 3, "endColumn": 7}
    assert [result["level"] for result in run["results"]] == ["error", "warning"]


def test_github_shows_a_message_beside_its_line() -> None:
    assert reports.to_github(WRONG) == (
        "::error file=flows/shop.yaml,line=7,col=3,endColumn=7,title=T1::there is no state `100%25`%0Adid you mean `a`?%0Ahow: so"
    )
    assert reports.to_github(WARNING).startswith("::warning file=flows/shop.yaml,line=7")


def test_json_is_one_object_with_everything_in_it() -> None:
    passed: list[dict[str, str | int]] = [{"folder": "flows", "bundle": "abc", "flows": 1, "states": 2}]
    told = json.loads(reports.to_json([WRONG, WARNING], passed))
    assert (told["schema"], told["passed"]) == (1, passed)
    assert [(each["code"], each["severity"], each["line"]) for each in told["problems"]] == [
        ("T1", "error", 7),
        ("H1", "warning", 7),
    ]


def test_a_warning_says_that_it_is_one() -> None:
    assert str(WARNING).startswith("flows/shop.yaml:7:3  H1  warning: nothing reads it")
    assert "warning" not in str(WRONG)
