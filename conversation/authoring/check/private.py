"""S1: phone numbers and secrets in files, and a customer's own words in a note to people."""

import re
from typing import Final

from conversation.authoring.check.finding import Parts, written_paths
from conversation.authoring.problems import Problems, Source
from conversation.authoring.reading import Shared
from conversation.authoring.stand_ins import FIRST_PHONE, NAME, PHONES, find_phones, find_receipts, stand_in_receipt
from conversation.engine.flow import At, Flow, ToPeople
from conversation.engine.types import ListOf, OrNone, Scalar, Type

_NAMED: Final = re.compile(r"(?i)\b(?:password|passkey|secret|api[_-]?key|token|bearer)\b[\"']?\s*[:= ]\s*[\"']?([\w+/=-]{12,})")
_FIRST_NAME: Final = re.compile(r"""^(?!\s*#).*\bfirst_name:\s*["']?([^\s"',}#][^"',}#\n]*?)["']?\s*(?:[,}#]|$)""")
_OPAQUE: Final = re.compile(r"\b(?=[A-Za-z0-9+/]{32})(?=[\w+/]*\d)(?=[\w+/]*[a-z])(?=[\w+/]*[A-Z])[A-Za-z0-9+/]{32,}\b")


def check_files(problems: Problems) -> None:
    """Report phone numbers of real people and what looks like a secret, in any file, comments too."""
    for source in problems.sources:
        check_file(source, problems)


def check_file(source: Source, problems: Problems) -> None:
    """The same for one file."""
    patterns = [pattern for pattern in (_NAMED, _OPAQUE) if pattern.search(source.text)]
    for number, line in enumerate(source.lines, 1):
        for phone in find_phones(line):
            hint = f"use a stand-in: +{FIRST_PHONE} to +{FIRST_PHONE + PHONES - 1}"
            _report(problems, source, number, (phone.start, phone.end), "this is somebody's phone number", hint)
        for pattern in patterns:
            for found in pattern.finditer(line):
                hint = "change it where it is used, and keep it out of files"
                where = found.span(found.lastindex or 0)
                _report(problems, source, number, where, "this looks like a secret: files are read by many", hint)


def check_transcripts(source: Source, problems: Problems) -> None:
    """Report M-Pesa receipts and customers' names in a file of transcripts: each belongs to somebody."""
    for number, line in enumerate(source.lines, 1):
        for receipt in find_receipts(line):
            hint = f"use a stand-in, such as {stand_in_receipt(1)}"
            _report(problems, source, number, (receipt.start, receipt.end), "this is the receipt of somebody's payment", hint)
        for name in _FIRST_NAME.finditer(line):
            if name[1] != NAME:
                _report(problems, source, number, name.span(1), "this is somebody's name", f"use the stand-in, {NAME}")


def _report(problems: Problems, source: Source, line: int, where: tuple[int, int], message: str, hint: str) -> None:
    at = At(file=source.file, line=line, column=where[0] + 1, width=where[1] - where[0])
    problems.add("S1", at, message, hint)


def check_notes(flow: Flow, parts: Parts, shared: Shared) -> None:
    """Report notes that carry what the customer typed, or their number: notes are kept, and shown to more people."""
    filled = {reply.into for state in flow.states.values() for reply in state.replies} | {start.into for start in flow.starts}
    for people in parts.of(flow.name, ToPeople):
        for language, template in shared.parsed[people.note.place].items():
            for path in written_paths(template):
                root = path.partition(".")[0]
                if path == "customer.phone" or (root in filled and _free(flow.slots[root].type, path)):
                    at = people.note.at if language == people.note.base else people.at
                    hint = "whoever takes over sees the chat itself"
                    shared.problems.add("S1", shared.problems.find(at, path), f"`{path}` does not belong in a note", hint)


def _free(kind: Type, path: str) -> bool:
    """Whether a path ends in text that the customer typed as it was."""
    for part in path.split(".")[1:]:
        kind = getattr(kind, "fields", {}).get(part, kind)
    inner = kind.type if isinstance(kind, OrNone) else kind
    inner = inner.item if isinstance(inner, ListOf) else inner
    return isinstance(inner, Scalar) and inner.name in ("string", "phone")
