"""H1 to H5: what does no harm today and misleads whoever edits next. Warnings, all of them."""

from collections.abc import Iterator, Mapping
from typing import Final

from conversation.authoring.check.finding import Parts, entries
from conversation.authoring.nodes import Items, Map, Node, Scalar
from conversation.authoring.problems import Problems, Source
from conversation.engine.flow import At, Bundle, Condition, Flow, Text
from conversation.engine.normalise import normalise

LONGEST_FILE: Final = 400


def check_hygiene(bundle: Bundle, parts: Parts, roots: Mapping[str, Node], problems: Problems) -> None:
    """Warn of slots that nothing reads, words written twice, and files that are too long to overlook."""
    for flow in bundle.flows.values():
        _check_slots(flow, parts, problems)
    for root in roots.values():
        for key, value in entries(root):
            if key.text == "words":
                _check_twice(value, problems)
    for source in problems.sources:
        check_size(source, problems)


def check_size(source: Source, problems: Problems) -> None:
    """Warn of a file that nobody reads to the end."""
    count = len(source.lines)
    if count > LONGEST_FILE + 1:
        at = At(file=source.file, line=LONGEST_FILE + 1, column=1)
        problems.warn("H5", at, f"this file has {count - 1} lines: split it into flows that call one another")


def _check_slots(flow: Flow, parts: Parts, problems: Problems) -> None:
    read = set(_read(flow, parts))
    given = flow.gives[0] if flow.gives is not None else None
    for slot in flow.slots.values():
        if slot.name not in read and slot.name != given and slot.name not in flow.takes:
            problems.warn("H1", slot.at, f"nothing reads the slot `{slot.name}`", "take it out, or use it")


def _read(flow: Flow, parts: Parts) -> Iterator[str]:
    for condition in parts.of(flow.name, Condition):
        yield from condition.expression.names
    for text in parts.of(flow.name, Text):
        for template in text.templates.values():
            yield from template.names


def _check_twice(node: Node, problems: Problems) -> None:
    lists = [node] if not isinstance(node, Map) else [value for _, value in node.entries]
    seen: set[str] = set()
    for each in lists:
        for item in each.items if isinstance(each, Items) else ():
            if isinstance(item, Scalar):
                word = normalise(item.text)
                if word in seen:
                    problems.warn("H2", item.at, f"`{word}` is written twice: capitals and marks make no difference")
                seen.add(word)
