"""The messages that the sources report with a code, as patterns: the author's words stand in the gaps of their texts."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from conversation.authoring.codes import CODES

AUTHORING = Path(__file__).parents[3] / "conversation" / "authoring"


def messages_in_sources() -> Iterator[tuple[str, str]]:
    """Code and pattern of each."""
    for path in sorted(AUTHORING.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                yield from _reported(function)


def _reported(function: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    named = _named(function)
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and call.args and getattr(call.args[0], "value", None) in CODES:
            found = (list(_patterns(arg, named)) for arg in call.args[1:3])  # of (code, message) or (code, place, message)
            yield from ((ast.literal_eval(call.args[0]), pattern) for pattern in next(filter(None, found), []))


def _named(function: ast.FunctionDef) -> dict[str, list[ast.expr]]:
    """What a function gives each of its names."""
    named: dict[str, list[ast.expr]] = {}
    for each in ast.walk(function):
        if isinstance(each, ast.Assign):
            names, values = (side.elts if isinstance(side, ast.Tuple) else [side] for side in (each.targets[0], each.value))
            for name, value in zip(names, values, strict=False):
                named.setdefault(ast.unparse(name), []).append(value)
    return named


def _patterns(text: ast.expr, named: dict[str, list[ast.expr]]) -> Iterator[str]:
    match text:
        case ast.Constant(value=str(said)):
            yield re.escape(said)
        case ast.JoinedStr(values=parts):
            yield "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in parts)
        case ast.IfExp(body=one, orelse=other):
            yield from (*_patterns(one, named), *_patterns(other, named))
        case ast.Name(id=name):
            for each in named.get(name, []):
                yield from _patterns(each, {})
