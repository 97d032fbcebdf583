"""X4: slots that are read on some path before anything has set them."""

from conversation.authoring.check.ways import Ways
from conversation.authoring.problems import Problems
from conversation.engine.flow import Flow


def sure_slots(flow: Flow) -> dict[str, frozenset[str]]:
    """For each state the slots that are set on every path to it."""
    return _sure(flow, {name: Ways(flow, state) for name, state in flow.states.items()})[0]


def check_assigned(flow: Flow, problems: Problems) -> None:
    """Report the first reading of each slot that some path reaches with the slot unset."""
    ways = {name: Ways(flow, state) for name, state in flow.states.items()}
    sure, story = _sure(flow, ways)
    for name, found in ways.items():
        if name not in sure:
            continue
        for read in found.reads:
            for slot in sorted((read.names & flow.slots.keys()) - sure[name] - read.after):
                at = problems.find(read.at, slot)
                problems.add(
                    "X4",
                    at,
                    f"`{slot}` may not be set yet here",
                    notes=(
                        f"how: {_tell(name, slot, sure, story)}",
                        f"fix: give `{slot}` a default, or set it on that way",
                    ),
                )


def _sure(flow: Flow, ways: dict[str, Ways]) -> tuple[dict[str, frozenset[str]], dict[tuple[str, str], str]]:
    """For each state the slots set on every path to it, and for a slot that is not, one state it comes unset from."""
    always = frozenset(slot.name for slot in flow.slots.values() if slot.has_default) | frozenset(flow.takes)
    everything = frozenset(flow.slots)
    sure: dict[str, frozenset[str]] = {}
    story: dict[tuple[str, str], str] = {}
    todo: list[tuple[str, frozenset[str], str]] = [(flow.first, always, "")]
    for start in flow.starts:
        if start.go is not None or start.into is not None:
            todo.append((start.go or flow.first, always | ({start.into} if start.into else frozenset()), ""))
    while todo:
        name, given, came_from = todo.pop()
        before = sure.get(name)
        now = given if before is None else before & given
        if now == before:
            continue
        for slot in (before if before is not None else everything) - now:
            story[(name, slot)] = came_from
        sure[name] = now
        todo.extend((way.to, now | way.sets, name) for way in ways[name].on)
    return sure, story


def _tell(name: str, slot: str, sure: dict[str, frozenset[str]], story: dict[tuple[str, str], str]) -> str:
    path = [name]
    while story.get((path[-1], slot)) and story[(path[-1], slot)] not in path:
        path.append(story[(path[-1], slot)])
    return " -> ".join(reversed(path))
