"""W4: messages that a timer could send when the customer has been silent for 24 hours. WhatsApp takes only templates then.

Every path of timers is added up: a wait's timers count from the moment it began, however long the customer had been
silent by then. What another person or M-Pesa starts is not a timer, and is refused by WhatsApp at its own time.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from conversation.authoring.check.finding import each_of
from conversation.authoring.check.ways import Ways
from conversation.authoring.problems import Problems
from conversation.engine.flow import At, Edge, Flow, State

WINDOW: Final = 24 * 3600
_ROUNDS: Final = 300  # a circle of timers that grows this often has no end
_DAY_MINUTES: Final = 24 * 60


def check_window(flow: Flow, problems: Problems) -> None:
    """Report timers after which something is said too late."""
    silent = _silence(flow)
    for state in flow.states.values():
        since = silent[state.name]
        for seconds, to, at, says in _timers(flow, state):
            if since + seconds >= WINDOW and (says or _speaks(flow, to)):
                _report(problems, at, since + seconds)
        reminder = flow.reminder
        if reminder is not None and state.name in reminder.states:
            shift = (_DAY_MINUTES - (reminder.latest - reminder.earliest)) * 60
            longest = since + reminder.times * (reminder.seconds + shift)
            if longest >= WINDOW:
                _report(problems, reminder.at, longest)


def _report(problems: Problems, at: At, seconds: float) -> None:
    hours = int(seconds // 3600)
    problems.add(
        "W4",
        at,
        "what is said here can come more than 24 hours after the customer's last message: WhatsApp takes only templates then",
        "say it sooner, or end here without a word",
        notes=(f"how: up to {hours} hours of silence add up on the way here",),
    )


def _silence(flow: Flow) -> dict[str, float]:
    """For how long the customer may have been silent when a state is entered, in seconds; 24 hours stand for more, too."""
    silent = dict.fromkeys(flow.states, 0.0)
    rounds = dict.fromkeys(flow.states, 0)
    queue = deque(flow.states)
    while queue:
        state = flow.states[queue.popleft()]
        for seconds, to in _onward(flow, state):
            total = min(silent[state.name] + seconds, float(WINDOW))
            visits = flow.states[to].visits
            if total <= silent[to] or (visits is not None and rounds[to] >= visits.most):
                continue
            rounds[to] += 1
            silent[to] = total if rounds[to] < _ROUNDS else float(WINDOW)
            queue.append(to)
    return silent


def _onward(flow: Flow, state: State) -> Iterator[tuple[float, str]]:
    if state.ask is None and state.wait is None:
        for way in Ways(flow, state).on:
            yield 0.0, way.to
        return
    for seconds, to, _, _ in _timers(flow, state):
        yield seconds, to
    if state.wait is not None and state.after:
        for edge in state.wait.outcomes.values():
            for branch in edge.go:
                yield float(min(after.seconds for after in state.after)), branch.to


def _timers(flow: Flow, state: State) -> Iterator[tuple[float, str, At, bool]]:
    for after in state.after:
        for branch in after.edge.go:
            yield float(after.seconds), branch.to, after.at, bool(after.edge.say)
    if state.ask is not None and flow.expiry is not None:
        yield float(flow.expiry.seconds), flow.expiry.to, flow.expiry.at, False


def _speaks(flow: Flow, first: str) -> bool:
    """Whether anything is said in this state or on from it, before the customer speaks."""
    seen, queue = {first}, deque([first])
    while queue:
        state = flow.states[queue.popleft()]
        if state.say or state.ask is not None or any(edge.say for edge in each_of((state.redirects, state.do), Edge)):
            return True
        if state.wait is None:
            onward = {way.to for way in Ways(flow, state).on} - seen
            seen |= onward
            queue.extend(onward)
    return False
