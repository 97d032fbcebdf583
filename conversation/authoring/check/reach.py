"""T2: states that nobody can reach. C7: events that have no home."""

from collections import deque

from conversation.authoring.check.finding import Parts
from conversation.authoring.check.ways import Ways
from conversation.authoring.problems import Problems
from conversation.engine.flow import Bundle, CallFlow, Edge, Flow, StartLater


def check_reach(bundle: Bundle, flow: Flow, parts: Parts, problems: Problems) -> None:
    """Report states without a way in, and a flow without one."""
    reached = {flow.first, *(start.go for start in flow.starts if start.go is not None)}
    queue = deque(reached)
    while queue:
        for way in Ways(flow, flow.states[queue.popleft()]).on:
            if way.to not in reached:
                reached.add(way.to)
                queue.append(way.to)
    for state in flow.states.values():
        if state.name not in reached:
            problems.add("T2", state.at, f"nobody can reach `{state.name}`", "no `go`, `to`, `then` or outcome leads here")
    if not flow.starts and not any(flow.name in _called(other, parts) for other in bundle.flows):
        problems.add("T2", flow.at, f"nothing starts the flow `{flow.name}`", "give it `starts_when`, or call it")


def _called(flow: str, parts: Parts) -> set[str]:
    called: set[str] = set()
    for part in parts.of(flow, object):
        if isinstance(part, CallFlow | StartLater):
            called.add(part.flow)
        elif isinstance(part, Edge) and part.visit is not None:
            called.add(part.visit)
    return called


def check_events(bundle: Bundle, problems: Problems) -> None:
    """Report awaited events whose flow for "nobody waits" is missing: they come late, and twice."""
    for flow in bundle.flows.values():
        for state in flow.states.values():
            if state.wait is None:
                continue
            home = bundle.catalogue.events[state.wait.event].when_nobody_waits
            starts = bundle.flows[home].starts if home in bundle.flows else ()
            if not any(start.event == state.wait.event for start in starts):
                problems.add(
                    "C7",
                    state.wait.at,
                    f"`{state.wait.event}` may come when nobody waits for it, and no flow takes it then",
                    f"add flows/{home}.yaml with starts_when: [{{event: {state.wait.event}}}]",
                )
