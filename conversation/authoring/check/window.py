"""W4: messages that a timer could send when the customer has been silent for 24 hours. WhatsApp takes only templates then.

Every path of timers is added up, through the flows that call each other: a wait's timers count from the moment it began,
however long the customer had been silent by then. A flow that the clock starts may begin at the very end of the 24 hours.
What another person or M-Pesa starts is not a timer, and is refused by WhatsApp at its own time; so are the timers of
silence after a visit, which the engine keeps within the 24 hours.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from conversation.authoring.check.finding import each_of
from conversation.authoring.check.ways import Ways
from conversation.authoring.problems import Problems
from conversation.engine.flow import At, Bundle, CallFlow, Edge, Flow, Line, State

WINDOW: Final = 24 * 3600
_MINUTE: Final = 60
_ROUNDS: Final = 300  # a circle of timers that grows this often has no end
_DAY_MINUTES: Final = 24 * 60


@dataclass(kw_only=True)
class _Known:
    """What is known of every state, by flow and state: seconds of silence when it is entered, its ways on, the flows it calls."""

    silences: dict[str, dict[str, float]]
    onward: Mapping[tuple[str, str], tuple[str, ...]]
    calls: Mapping[tuple[str, str], tuple[str, ...]]

    def in_calls(self, flow: Flow, state: State) -> list[float]:
        """The longest silence in each flow that a state calls."""
        return [max(self.silences[called].values()) for called in self.calls[flow.name, state.name]]


def check_window(bundle: Bundle, by_clock: Sequence[str], problems: Problems) -> None:
    """Report timers after which something is said too late."""
    known = _know(bundle, by_clock)
    for flow in bundle.flows.values():
        _check_flow(flow, known, problems)
    for flow in map(bundle.flows.__getitem__, by_clock):
        if flow.reaches_out and _speaks(flow, flow.first, known):
            _report(problems, flow.states[flow.first].at, WINDOW)


def _needs_window(lines: Sequence[Line]) -> bool:
    """Whether any of it goes only within 24 hours of the customer's last message."""
    return any(line.template is None for line in lines)


def _check_flow(flow: Flow, known: _Known, problems: Problems) -> None:
    silent = known.silences[flow.name]
    for state in flow.states.values():
        since = silent[state.name]
        for total, to, at, says in _timers(flow, state, since, known):
            if total >= WINDOW and (says or _speaks(flow, to, known)):
                _report(problems, at, total)
        reminder = flow.reminder
        if reminder is not None and state.name in reminder.states and _needs_window(reminder.say):
            shift = (_DAY_MINUTES - (reminder.hours.latest - reminder.hours.earliest)) * 60
            longest = since + reminder.times * (reminder.seconds + shift)
            if longest >= WINDOW:
                _report(problems, reminder.at, longest)


def _report(problems: Problems, at: At, seconds: float) -> None:
    hours = int(seconds // 3600)
    problems.add(
        "W4",
        at,
        "what is said here can come more than 24 hours after the customer's last message: WhatsApp takes only templates then",
        "say it sooner, give each message a `template`, or end here without a word",
        notes=(f"how: up to {hours} hours of silence add up on the way here",),
    )


def _know(bundle: Bundle, by_clock: Sequence[str]) -> _Known:
    """Work it out for all flows, until none begins in a longer silence than was known."""
    states = [(flow, state) for flow in bundle.flows.values() for state in flow.states.values()]
    known = _Known(
        silences={name: dict.fromkeys(flow.states, 0.0) for name, flow in bundle.flows.items()},
        onward={(flow.name, state.name): tuple(way.to for way in Ways(flow, state).on) for flow, state in states},
        calls={
            (flow.name, state.name): tuple(action.flow for action in state.do if isinstance(action, CallFlow))
            for flow, state in states
        },
    )
    begins = dict.fromkeys(bundle.flows, 0.0)
    for name in by_clock:  # not after 24 hours, unless it may reach out
        begins[name] = float(WINDOW if bundle.flows[name].reaches_out else WINDOW - _MINUTE)
    while True:
        found = {name: _silence(flow, begins[name], known) for name, flow in bundle.flows.items()}
        later = dict(begins)
        for (name, state), called in known.calls.items():
            for flow in called:
                later[flow] = max(later[flow], found[name][state])
        if (found, later) == (known.silences, begins):
            return known
        known.silences, begins = found, later


def _silence(flow: Flow, begins: float, known: _Known) -> dict[str, float]:
    """For how long the customer may have been silent when a state is entered, in seconds; 24 hours stand for more, too."""
    silent = dict.fromkeys(flow.states, 0.0) | {flow.first: begins}
    rounds = dict.fromkeys(flow.states, 0)
    queue = deque(flow.states)
    while queue:
        state = flow.states[queue.popleft()]
        for total, to in _onward(flow, state, silent[state.name], known):
            visits = flow.states[to].visits
            if total <= silent[to] or (visits is not None and rounds[to] >= visits.most):
                continue
            rounds[to] += 1
            silent[to] = total if rounds[to] < _ROUNDS else float(WINDOW)
            queue.append(to)
    return silent


def _onward(flow: Flow, state: State, since: float, known: _Known) -> Iterator[tuple[float, str]]:
    """Where it goes on from here without a word of the customer's, and how long the silence is by then."""
    passed = known.in_calls(flow, state) + ([since] if not state.waits else [])
    for to in known.onward[flow.name, state.name] if passed else ():
        yield max(passed), to
    for total, to, _, _ in _timers(flow, state, since, known):
        yield min(total, float(WINDOW)), to
    if state.after:
        edges = [*(state.wait.outcomes.values() if state.wait is not None else ())]
        edges += [state.people.back] if state.people is not None and state.people.back is not None else []
        for edge in edges:
            for branch in edge.go:
                yield min(since + min(after.seconds for after in state.after), float(WINDOW)), branch.to


def _timers(flow: Flow, state: State, since: float, known: _Known) -> Iterator[tuple[float, str, At, bool]]:
    """When each timer of a state comes, in seconds of silence; the flow's expiry also holds while a called flow asks."""
    for after in state.after:
        for branch in after.edge.go:
            yield since + after.seconds, branch.to, after.at, _needs_window(after.edge.say)
    asked = [since] if state.asks else []
    asked += known.in_calls(flow, state)
    if asked and flow.expiry is not None:
        yield max(asked) + flow.expiry.seconds, flow.expiry.to, flow.expiry.at, False


def _speaks(flow: Flow, first: str, known: _Known) -> bool:
    """Whether anything is said in this state or on from it, before the customer speaks."""
    seen, queue = {first}, deque([first])
    while queue:
        state = flow.states[queue.popleft()]
        edges = each_of((state.redirects, state.do), Edge)
        if _needs_window(state.say) or state.asks or any(_needs_window(edge.say) for edge in edges):
            return True
        if not state.waits:
            onward = set(known.onward[flow.name, state.name]) - seen
            seen |= onward
            queue.extend(onward)
    return False
