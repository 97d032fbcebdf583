"""YAML as nodes that know their line, and small readers that refuse what they do not know.

YAML 1.2: `no` and `yes` are words. A repeated key, a merge key and a tag are refused.
"""

import re
from collections.abc import Collection, Sequence
from datetime import time, timedelta
from difflib import get_close_matches
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from conversation.authoring.nodes import find_too_much
from conversation.authoring.problems import Source
from conversation.authoring.yaml_errors import explain
from conversation.engine.values import JSON

_CORE: Final = "tag:yaml.org,2002:"
_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
LONGEST: Final = timedelta(days=3660)
_DURATION: Final = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")


class Wrong(Exception):
    """Something in a YAML file cannot be used. Lines and columns count from 1."""

    def __init__(self, text: str, *, line: int, column: int) -> None:
        super().__init__(text)
        self.line, self.column = line, column


def wrong_at(node: Node, text: str) -> Wrong:
    """Say what is wrong with a node."""
    return Wrong(text, line=line_of(node), column=node.start_mark.column + 1)


def line_of(node: Node) -> int:
    """Line of a node, counted from 1."""
    return int(node.start_mark.line) + 1


def compose(text: str) -> list[Node]:
    """Read the documents of a YAML text; empty ones are left out. Errors: Wrong."""
    source = Source(file="", text=text, lines=tuple(text.split("\n")))
    too_much = find_too_much(source)
    if too_much is not None:
        raise Wrong(too_much.message, line=too_much.at.line, column=too_much.at.column)
    try:
        return [node for node in YAML(typ="rt", pure=True).compose_all(text) if not is_null(node)]
    except RecursionError as error:
        raise Wrong("nested too deeply", line=1, column=1) from error
    except YAMLError as error:
        said = explain(error, source.file, source.lines)
        hint = f" ({said.hint})" if said.hint else ""
        raise Wrong(f"{said.message}{hint}", line=said.at.line, column=said.at.column) from error


def is_null(node: Node) -> bool:
    """Tell an empty value, `null` or a bare `~`."""
    return bool(node.tag == f"{_CORE}null")


def is_mapping(node: Node) -> bool:
    """Tell `{…}` or lines of `key: value`."""
    return isinstance(node, MappingNode)


def is_sequence(node: Node) -> bool:
    """Tell `[…]` or lines that start with `-`."""
    return isinstance(node, SequenceNode)


def read_pairs(node: Node, what: str) -> list[tuple[str, Node]]:
    """Read a mapping whose keys the author chooses. Errors: Wrong when a key is repeated or is no plain word."""
    if not isinstance(node, MappingNode):
        raise wrong_at(node, f"{what} is written as `key: value` here")
    _refuse_tag(node, "map")
    pairs: list[tuple[str, Node]] = []
    for key, value in node.value:
        if key.tag == f"{_CORE}merge":
            raise wrong_at(key, "merge keys (`<<`) are not used here: write the lines out")
        name = read_text(key)
        if any(name == known for known, _ in pairs):
            raise wrong_at(key, f"`{name}` is here twice")
        pairs.append((name, value))
    return pairs


def read_mapping(node: Node, allowed: Collection[str], what: str, *, required: Sequence[str] = ()) -> dict[str, Node]:
    """Read a mapping with these keys only. Errors: Wrong at the key that is unknown or missing."""
    pairs = read_pairs(node, what)
    for (name, value), (key, _) in zip(pairs, node.value, strict=True):
        if name not in allowed and is_null(value):
            raise wrong_at(key, f"`{name}` stands alone here: inside {{…}} a text with a comma in it needs quotes")
        if name not in allowed:
            raise wrong_at(key, f"{what} has no `{name}`{did_you_mean(name, allowed)}")
    found = dict(pairs)
    for name in required:
        if name not in found:
            raise wrong_at(node, f"{what} needs `{name}:`")
    return found


def read_sequence(node: Node, what: str) -> list[Node]:
    """Read a list."""
    if not isinstance(node, SequenceNode):
        raise wrong_at(node, f"{what} is a list here: `[a, b]`, or lines that start with `-`")
    _refuse_tag(node, "seq")
    return list(node.value)


def read_text(node: Node) -> str:
    """Take a scalar as it stands in the file: `2` is the text "2", `no` is "no"."""
    if not isinstance(node, ScalarNode):
        raise wrong_at(node, "a text belongs here")
    if is_null(node):
        raise wrong_at(node, "nothing is written here (a bare `~` is YAML's word for nothing: put a text after it, or quote it)")
    _refuse_tag(node, "str", "int", "float", "bool", "timestamp")
    return str(node.value)


def read_int(node: Node, what: str, *, least: int) -> int:
    """Take a whole number that is at least `least`."""
    text = read_text(node)
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < least:
        raise wrong_at(node, f"{what} is a whole number from {least} up, not `{text}`")
    return int(text)


def read_float(node: Node, what: str) -> float:
    """Take a decimal number."""
    text = read_text(node)
    if not re.fullmatch(r"-?\d+(\.\d+)?", text):
        raise wrong_at(node, f"{what} is a number, not `{text}`")
    return float(text)


def read_word(node: Node, allowed: Sequence[str], what: str) -> str:
    """Take one of these words."""
    text = read_text(node)
    if text not in allowed:
        raise wrong_at(node, f"{what} is not `{text}`{did_you_mean(text, allowed)}")
    return text


def read_duration(node: Node, what: str) -> timedelta:
    """Take `90s`, `30m`, `1h30m`, `12h`, `2d`."""
    text = read_text(node)
    duration = to_duration(text)
    if duration is None:
        raise wrong_at(node, f"{what} is written as 90s, 30m, 1h30m, 12h or 2d, not `{text}`")
    return duration


def to_duration(text: str) -> timedelta | None:
    """Read `90s`, `30m`, `1h30m`, `12h`, `2d`, up to ten years; None for anything else."""
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        return None
    seconds = sum(int(number or 0) * seconds for number, seconds in zip(found.groups(), _UNITS.values(), strict=True))
    return timedelta(seconds=seconds) if seconds <= LONGEST.total_seconds() else None


def read_time(node: Node, what: str) -> time:
    """Take a time of day, `18:02`."""
    text = read_text(node)
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text)
    if found is None:
        raise wrong_at(node, f"{what} is a time of day such as 18:02, not `{text}`")
    return time(int(found[1]), int(found[2]))


def read_json(node: Node) -> JSON:
    """Take any value, as YAML 1.2 reads it."""
    if isinstance(node, SequenceNode):
        return [read_json(item) for item in read_sequence(node, "this")]
    if isinstance(node, MappingNode):
        return {name: read_json(value) for name, value in read_pairs(node, "this")}
    if is_null(node):
        return None
    text = read_text(node)
    match str(node.tag).removeprefix(_CORE):
        case "int":
            return int(text.replace("_", ""), 0) if not re.fullmatch(r"[-+]?\d+", text) else int(text)
        case "float":
            return float(text)
        case "bool":
            return text.lower() == "true"
        case _:
            return text


def did_you_mean(word: str, known: Collection[str]) -> str:
    """Offer the nearest known word, or else list them all."""
    near = get_close_matches(word, known, n=1, cutoff=0.6)
    return f": did you mean `{near[0]}`?" if near else f": it can be {', '.join(known)}"


def _refuse_tag(node: Node, *kinds: str) -> None:
    if node.tag not in [f"{_CORE}{kind}" for kind in kinds]:
        raise wrong_at(node, f"tags such as `{node.tag}` are not used here")
