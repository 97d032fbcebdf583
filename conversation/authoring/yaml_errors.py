"""What the YAML parser says, in the words of somebody who writes flows, and at the place of the cause."""

import re
from collections.abc import Sequence
from typing import Final

from ruamel.yaml.error import MarkedYAMLError, YAMLError

from conversation.authoring.problems import Problem
from conversation.engine.flow import At

QUOTES: Final = "text with `,` `:` `?` `{` needs quotes inside { }"
_ESCAPE: Final = re.compile(r"found unknown escape character '(.)'")
_LINE_WITHOUT_COLON: Final = "could not find expected ':'"


def explain(error: YAMLError, file: str, lines: Sequence[str]) -> Problem:
    """Say what is wrong, where the author would mend it."""
    if not isinstance(error, MarkedYAMLError) or error.problem_mark is None:
        return Problem(code="Y1", message="not valid YAML: this cannot be read", at=At(file=file, line=1, column=1))
    said, during = error.problem or "this cannot be read", error.context or ""
    mark, began = error.problem_mark, error.context_mark or error.problem_mark
    line = lines[mark.line] if mark.line < len(lines) else ""
    message, hint, where = f"not valid YAML: {said}", QUOTES if "{" in line or "[" in line else "", mark
    if "'\\t'" in said:
        message, hint = "a tab stands here: YAML is indented with spaces", ""
    elif said == _LINE_WITHOUT_COLON:
        message, hint, where = "there is no `:` after this", "write `key: value`", began
    elif said.startswith("mapping values"):
        message, hint = "a second `:` on this line", "a text with `: ` in it needs quotes"
    elif escape := _ESCAPE.match(said):
        message, hint = f"`\\{escape[1]}` means nothing inside double quotes", f"write `\\\\{escape[1]}`, or use single quotes"
    elif "end of stream" in said and "quoted" in during:
        message, hint, where = "this quote is never closed", "", began
    elif during.startswith("while parsing a flow") and began.line != mark.line:
        message, hint, where = f"this `{_char_at(lines, began)}` is not closed", QUOTES, began
    elif during.startswith("while parsing a flow"):
        message = "a comma is missing before this, or a text needs quotes"
    elif said.startswith("expected <block end>") and line[: mark.column].strip():
        message, hint = "a text has ended before this", "is there a quote too many, or one missing, here or above?"
    elif said.startswith("expected <block end>"):
        message = "this line is not indented like the lines it belongs to"
        hint = f"those begin in column {began.column + 1}, from line {began.line + 1} on"
    at = At(file=file, line=where.line + 1, column=where.column + 1)
    return Problem(code="Y1", message=message, at=at, line=lines[where.line] if where.line < len(lines) else "", hint=hint)


def _char_at(lines: Sequence[str], mark: object) -> str:
    line, column = getattr(mark, "line", 0), getattr(mark, "column", 0)
    return lines[line][column : column + 1] if line < len(lines) else "{"
