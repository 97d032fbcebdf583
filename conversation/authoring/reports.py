"""What was found, in the forms that terminals, scripts, editors and code reviews read."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from conversation.authoring.codes import CODES
from conversation.authoring.problems import Problem
from conversation.engine.values import JSON

SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


def to_json(problems: Sequence[Problem], passed: Sequence[Mapping[str, str | int]]) -> str:
    """One object: {"schema": 1, "passed": [{folder, bundle, flows, states}], "problems": [{file, line, column, code…}]}."""
    return json.dumps({"schema": 1, "passed": list(passed), "problems": [problem.to_json() for problem in problems]})


def to_sarif(problems: Sequence[Problem]) -> str:
    """SARIF 2.1.0, one run with a rule for every code."""
    rules: list[JSON] = [
        {
            "id": code,
            "shortDescription": {"text": about},
            "fullDescription": {"text": about},
            "help": {"text": f"soko flow check --explain {code}"},
        }
        for code, about in CODES.items()
    ]
    driver: JSON = {"name": "soko flow check", "rules": rules}
    run: JSON = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(problem) for problem in problems],
    }
    return json.dumps({"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def _result(problem: Problem) -> JSON:
    at = problem.at
    region: JSON = {"startLine": at.line, "startColumn": at.column, "endColumn": at.column + at.width}
    return {
        "ruleId": problem.code,
        "ruleIndex": list(CODES).index(problem.code),
        "level": "warning" if problem.warns else "error",
        "message": {"text": problem.said},
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": at.file}, "region": region}}],
    }


def to_github(problem: Problem) -> str:
    """One workflow command of GitHub Actions: it shows the message beside the line."""
    kind = "warning" if problem.warns else "error"
    at = problem.at
    place = f"file={_escaped(at.file)},line={at.line},col={at.column},endColumn={at.column + at.width}"
    return f"::{kind} {place},title={problem.code}::{problem.said.replace('%', '%25').replace(chr(10), '%0A')}"


def _escaped(value: str) -> str:
    return value.replace("%", "%25").replace(",", "%2C").replace(":", "%3A")
