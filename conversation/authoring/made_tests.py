"""Transcripts made from explored paths: the shortest one for each way that no transcript takes yet."""

import json
from collections.abc import Iterable, Sequence
from datetime import tzinfo
from typing import Final

from conversation.authoring.draws import draws_in
from conversation.authoring.explore import Explored, Turn
from conversation.authoring.pretend import PHONE
from conversation.authoring.way_names import Way, taken_ways
from conversation.engine.values import JSON

HEAD: Final = (
    "# yaml-language-server: $schema=../schema/test.json\n"
    "# Written by `soko flow explore --make-tests`: the shortest chat for each way that no other transcript took.\n"
    "# `...` stands for any replies: read them, and write down those that matter.\n"
)


def choose_paths(explored: Explored, covered: Iterable[Way]) -> list[tuple[Way, tuple[Turn, ...]]]:
    """The shortest path for each way not covered yet; one that an earlier path takes along needs none of its own."""
    left = [way for way in explored.declared if way in explored.shortest]
    done = set(covered)
    chosen: list[tuple[Way, tuple[Turn, ...]]] = []
    for way in sorted(left, key=lambda way: (-len(explored.shortest[way]), way)):
        if way not in done:
            path = explored.shortest[way]
            chosen.append((way, path))
            done |= {each for turn in path for each in taken_ways(frozenset(explored.declared), turn.trace)}
    return sorted(chosen, key=lambda each: each[0])


def write_tests(paths: Sequence[tuple[Way, tuple[Turn, ...]]], *, vendor: str, zone: tzinfo) -> str:
    """Write one document a path. `zone`: that of the bundle, in which transcripts tell the time."""
    return HEAD + "---\n".join(_document(way, path, vendor, zone) for way, path in paths)


def _document(way: Way, path: Sequence[Turn], vendor: str, zone: tzinfo) -> str:
    last = path[-1]
    flow = way.source.partition(".")[0]
    pushes = sum(turn.pushed for turn in path)
    given: dict[str, JSON] = {
        "now": f"{path[0].start.astimezone(zone):%Y-%m-%d %H:%M}",
        "customer": {"phone": f"+{PHONE}", "first_name": "Mteja"},
        "vendor": vendor,
    }
    draws = draws_in(turn.trace for turn in path)
    given |= {"draws": dict[str, JSON](draws)} if draws else {}
    lines = [f"test: {json.dumps(f'explored, {way}')}", f"flow: {flow}", f"given: {_flow(given)}"]
    prompts = sum(turn.prompts for turn in path)
    if prompts:
        lines.append(f"mpesa: {_flow({'push': ['accepted'] * prompts})}")
    lines.append("chat:")
    for step in (step for turn in path for step in turn.written or ()):
        lines += [f"  - {key}: {_flow(value)}" for key, value in step.items()]
        lines.append("  - bot: ...")
    state = f"{last.snapshot.flow}.{last.snapshot.state}" if last.snapshot.frames else "none"
    expect: dict[str, JSON] = {"state": state, "effects_total": {"payments.stk_push": pushes}}
    return "\n".join([*lines, f"  - expect: {_flow(expect)}"]) + "\n"


def _flow(value: JSON) -> str:
    """JSON is YAML; a space after each comma and colon keeps it readable."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {_flow(part)}" for key, part in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(_flow(part) for part in value) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)
