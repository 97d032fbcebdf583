"""H3 and H4: tests that do not test. S1 and H5 hold for test files, too."""

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from conversation.authoring.check.hygiene import check_size
from conversation.authoring.check.private import check_file
from conversation.authoring.problems import Problems, Source
from conversation.engine.flow import At

_ASSERTS = frozenset({"bot", "expect"})


def check_tests(sources: list[Source], problems: Problems) -> None:
    """Warn of two tests with one name and of tests without one reply or expectation that must come."""
    named: dict[str, At] = {}
    for source in sources:
        check_size(source, problems)
        check_file(source, problems)
        for root in _documents(source, problems):
            name = _value(root, "test")
            if isinstance(name, ScalarNode):
                _check_test(source, root, name, named, problems)


def _documents(source: Source, problems: Problems) -> list[Node]:
    try:
        return [root for root in YAML(typ="rt", pure=True).compose_all(source.text) if root is not None]
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        problems.add("Y1", At(file=source.file, line=line, column=column), "this is not valid YAML")
        return []


def _check_test(source: Source, root: Node, name: ScalarNode, named: dict[str, At], problems: Problems) -> None:
    mark = name.start_mark
    at = At(file=source.file, line=mark.line + 1, column=mark.column + 1, width=len(str(name.value)))
    first = named.setdefault(str(name.value), at)
    if first is not at:
        problems.warn("H3", at, f"there is a test of this name already ({first.file}:{first.line})")
    chat = _value(root, "chat")
    steps = chat.value if isinstance(chat, SequenceNode) else []
    if not any(_asserts(step) for step in steps):
        problems.warn("H4", at, "this test passes whatever the shop says", "write what the shop must reply: `- bot: …`")


def _asserts(step: Node) -> bool:
    if not isinstance(step, MappingNode):
        return False
    return any(
        key.value in _ASSERTS and not (isinstance(value, ScalarNode) and value.value == "...") for key, value in step.value
    )


def _value(node: Node, name: str) -> Node | None:
    if not isinstance(node, MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)
