"""The ways of flows by name, as they are written and as a trace shows that they were taken."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from conversation.engine.flow import At, Bundle, CallFlow, CallService, Edge, Flow, State
from conversation.engine.running import LEFT
from conversation.engine.values import JSON

NOT_UNDERSTOOD: Final = "not understood"
TOO_OFTEN: Final = "too often"
SILENCE: Final = "silence"
GIVEN_BACK: Final = "given back"


@dataclass(frozen=True, kw_only=True, order=True)
class Way:
    """From one state to another. `by`: the reply, command, outcome or timer; "" when the state goes on by itself."""

    source: str
    by: str
    target: str

    def __str__(self) -> str:
        """One line, e.g. "shop.pay -- cancel --> shop.cancel"."""
        return f"{self.source} -- {self.by} --> {self.target}" if self.by else f"{self.source} --> {self.target}"


def declared_ways(bundle: Bundle, flows: Sequence[str]) -> tuple[Way, ...]:
    """Every way these flows are written with, sorted."""
    return tuple(sorted(locate_ways(bundle, flows)))


def locate_ways(bundle: Bundle, flows: Sequence[str]) -> dict[Way, At]:
    """Every way these flows are written with, and where."""
    found: dict[Way, At] = {}
    for name in flows:
        for state in bundle.flows[name].states.values():
            for way, at in _of(bundle.flows[name], state, bundle):
                found.setdefault(way, at)
    return found


def _of(flow: Flow, state: State, bundle: Bundle) -> Iterator[tuple[Way, At]]:
    def to(target: str, at: At, by: str = "") -> tuple[Way, At]:
        return Way(source=f"{flow.name}.{state.name}", by=by, target=f"{flow.name}.{target}"), at

    for by, edge in edges_of(state):
        yield from (to(branch.to, branch.at, by) for branch in edge.go)
    yield from (to(branch.to, branch.at) for branch in state.go)
    if state.unmatched is not None and state.unmatched.then is not None:
        yield to(state.unmatched.then, state.unmatched.at, NOT_UNDERSTOOD)
    if state.visits is not None:
        yield to(state.visits.then, state.visits.at, TOO_OFTEN)
    called = [bundle.flows[action.flow] for action in state.do if isinstance(action, CallFlow)]
    if flow.expiry is not None and (state.asks or any(each.expiry is None and _asks(each) for each in called)):
        yield to(flow.expiry.to, flow.expiry.at, SILENCE)


def _asks(flow: Flow) -> bool:
    return any(state.asks for state in flow.states.values())


def edges_of(state: State) -> Iterator[tuple[str, Edge]]:
    """Every edge of a state, with the reply, command, outcome or timer that leads along it; "" where a guard does."""
    yield from (("", redirect.edge) for redirect in state.redirects)
    for action in state.do:
        if isinstance(action, CallService | CallFlow):
            yield from action.otherwise.items()
    yield from ((reply.name, reply.edge) for reply in state.replies)
    if state.waits:
        yield from ((command.name, command.edge) for command in state.commands)
    yield from ((after.name, after.edge) for after in state.after)
    if state.wait is not None:
        yield from state.wait.outcomes.items()
    if state.people is not None and state.people.back is not None:
        yield GIVEN_BACK, state.people.back


def taken_ways(declared: frozenset[Way], trace: Iterable[Mapping[str, JSON]]) -> Iterator[Way]:
    """The ways among `declared` that one turn took, as its trace tells."""
    source, by = "", ""
    for entry in trace:
        what, place = str(entry["what"]), str(entry["place"])
        match what:
            case "entered":
                known = [way for cause in (by, "") if (way := Way(source=source, by=cause, target=place)) in declared]
                yield from known[:1]
                source, by = place, ""
            case "matched" | "returned" | "timer" | "event" | "expired" | "visits used up" | "tries used up":
                source, by = place, _cause(what, entry)
            case "given back":
                source, by = place, GIVEN_BACK
            case "ended":  # the flow under it goes on; what made it leave this one is still the cause
                source, by = str(entry.get("back", "")), by if entry["result"] == LEFT else str(entry["result"])
            case "started":
                source, by = "", ""
            case _:
                pass


def _cause(what: str, entry: Mapping[str, JSON]) -> str:
    match what:
        case "matched":
            return str(entry.get("by", ""))
        case "returned" | "event":
            return str(entry["outcome"])
        case "timer":
            return str(entry["name"])
        case "expired":
            return SILENCE
        case "visits used up":
            return TOO_OFTEN
        case _:
            return NOT_UNDERSTOOD
