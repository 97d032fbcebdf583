"""Every move out of a situation. Guards that the order's status does not decide are taken both ways.

P1, P2, P4, P5 and the T4 of flows within themselves are met on the way, and reported with the story of how it came there.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from conversation.authoring.check.situations import AGAIN, DONE, ENTER, SAY, WAIT, Came, Move, Place, Situation
from conversation.authoring.problems import Problems
from conversation.engine.catalogue import CallSpec, Outcome
from conversation.engine.flow import (
    At,
    Branch,
    Bundle,
    CallFlow,
    CallService,
    Condition,
    Edge,
    Line,
    State,
)

PAYABLE, PAID = "CONFIRMED", "PAID"  # money can turn the one into the other at any moment


class Moves:
    """What can happen next, whatever the situation."""

    def __init__(self, bundle: Bundle, by_clock: Sequence[str], problems: Problems, came: Came) -> None:
        self.bundle = bundle
        self.problems = problems
        self.came = came
        self.by_clock = by_clock
        self._counted: dict[int, int] = {}
        self._entries = {
            (flow.name, state.name): ENTER if state.visits is not None or state.redirects else _first_call(state, 0)
            for flow in bundle.flows.values()
            for state in flow.states.values()
        }

    def state(self, here: Situation) -> State:
        """The state a situation is in."""
        return self.bundle.flows[here.top.flow].states[here.top.state]

    def _count(self, lines: Sequence[Line]) -> int:
        counted = self._counted.get(id(lines))  # the bundle keeps them, so no other lines get this name
        if counted is None:
            counted = self._counted[id(lines)] = count_messages(lines)
        return counted

    def entry(self, flow: str, state: str) -> int:
        """The point at which a state is entered: that of its first action where nothing can lead elsewhere before."""
        return self._entries[flow, state]

    def out_of(self, here: Situation) -> Iterator[Move]:
        """Every move out of a situation."""
        state = self.state(here)
        match here.point:
            case point if point == ENTER:
                yield from self._enter(here, state, here.but(point=_first_call(state, 0)))
            case point if point == AGAIN:
                yield from self._redirected(here, state, here.but(point=WAIT), says=1)
            case point if point == WAIT:
                yield from self._leave(here, state)
            case point if point == SAY:
                yield from self._after_actions(here, state)
            case point if point == DONE:
                yield from self._go_on(here, state)
            case index:
                yield from self._act(here, state, index)

    def _enter(self, here: Situation, state: State, inside: Situation) -> Iterator[Move]:
        if state.visits is not None:
            yield self._to(here, state.visits.then, "it was here too often", state.visits.at)
        yield from self._redirected(here, state, inside)

    def _redirected(self, here: Situation, state: State, inside: Situation, says: int = 0) -> Iterator[Move]:
        for redirect in state.redirects:
            holds = self._holds(redirect.condition, here)
            if holds is not False:
                yield from self._edge(here, redirect.edge, f"{redirect.condition.expression.source} holds")
            if holds is True:
                return
        yield Move(told="", at=None, to=inside, says=says)

    def _act(self, here: Situation, state: State, index: int) -> Iterator[Move]:
        action = state.do[index]
        match action:
            case CallService():
                yield from self._call(here, state, action, index)
            case CallFlow():
                below = here.top._replace(action=index)
                if self._may_stack(here, action.flow, action.at):
                    begun = self._begin(here.but(stack=(*here.stack[:-1], below), held=False), action.flow, visiting=False)
                    yield Move(told=f"{action.flow} begins", at=action.at, to=begun)

    def _begin(self, here: Situation, flow: str, *, visiting: bool = True) -> Situation:
        """Another flow begins above those that run."""
        first = self.bundle.flows[flow].first
        return here.but(stack=(*here.stack, Place(flow, first, visiting)), point=self._entries[flow, first])

    def _may_stack(self, here: Situation, flow: str, at: At) -> bool:
        if any(place.flow == flow for place in here.stack):
            self.problems.add("T4", at, f"`{flow}` runs already: a flow cannot be within itself")
            return False
        if len(here.stack) >= self.bundle.limits.frames:
            self.problems.add("T4", at, f"more than {self.bundle.limits.frames} flows within one another")
            return False
        return True

    def _call(self, here: Situation, state: State, action: CallService, index: int) -> Iterator[Move]:
        spec = self.bundle.catalogue.calls[action.call]
        possible = [outcome for outcome in spec.outcomes.values() if outcome.orders is None or here.order in outcome.orders]
        if not self._may_call(here, spec, action, possible):
            return
        held = here.held and not spec.moves_money and not spec.revokes
        for outcome in possible:
            order = outcome.becomes or here.order
            in_flight = self._in_flight(here, spec, outcome) and order != PAID
            after = here.but(order=order, held=held, in_flight=in_flight)
            if outcome.continues:
                yield Move(told=f"{spec.name}: {outcome.name}", at=action.at, to=after.but(point=_first_call(state, index + 1)))
            else:
                edge = action.otherwise[outcome.name]
                self._check_then(spec, outcome, edge)
                yield from self._edge(after, edge, f"{spec.name}: {outcome.name}")

    @staticmethod
    def _in_flight(here: Situation, spec: CallSpec, outcome: Outcome) -> bool:
        if outcome.settles:
            return False
        moving = spec.moves_money and (outcome.continues or outcome.then is not None or outcome.name == "busy")
        return here.in_flight or moving

    def _may_call(self, here: Situation, spec: CallSpec, action: CallService, possible: Sequence[Outcome]) -> bool:
        if spec.moves_money and not here.held:
            at = self.came.last_edge(here) or action.at
            self.problems.add(
                "P1",
                at,
                f"{spec.name} can run without the customer having just replied PAY",
                f"leads to {spec.name} (line {action.at.line})",
                notes=(
                    f"how it can happen:  {self.came.story(here)}",
                    "fix: go to the question that takes the consent, which asks again",
                ),
            )
            return False
        wanted = [outcome for outcome in possible if outcome.continues] if spec.moves_money else possible
        if not wanted:
            needed = sorted({state for outcome in spec.outcomes.values() if outcome.continues for state in outcome.orders or ()})
            self.problems.add(
                "P2",
                action.at,
                f"`{spec.name}` can be called when the order is {here.order}; it needs {' or '.join(needed)}",
                notes=(
                    f"how it can happen:  {self.came.story(here)}",
                    "fix: redirect before this, e.g. {if: order.is_paid, to: …}",
                ),
            )
            return False
        if spec.revokes and here.in_flight:
            self.problems.add(
                "P4",
                self.came.last_edge(here) or action.at,
                f"this walks away from a live M-Pesa prompt: `{spec.name}` would change the order while the money may be moving",
                f"leads to {spec.name} (line {action.at.line})",
                notes=(
                    f"how it can happen:  {self.came.story(here)}",
                    "fix: narrow with commands: {only: [...]}, or ask M-Pesa first",
                ),
            )
            return False
        return True

    def _check_then(self, spec: CallSpec, outcome: Outcome, edge: Edge) -> None:
        """P5: an unknown outcome is asked about straight away, before anything is said."""
        if outcome.then is None:
            return
        straight = len(edge.go) == 1 and not edge.say and not edge.do
        flows = [flow for flow in self.bundle.flows.values() if flow.at.file == edge.at.file]
        first = flows[0].states[edge.go[0].to].do[:1] if edge.go else ()
        asks = any(isinstance(action, CallService) and action.call == outcome.then for action in first)
        if not straight or not asks:
            self.problems.add(
                "P5",
                edge.at,
                f"after `{outcome.name}` nobody knows whether the money moved: this must lead straight to {outcome.then}",
                f"go to a state that begins with call: {outcome.then}, and say nothing before",
            )

    def _after_actions(self, here: Situation, state: State) -> Iterator[Move]:
        says = self._count(state.say)
        if state.waits:
            asked = says + (state.ask is not None)
            yield Move(told="", at=None, to=here.but(point=WAIT, held=False), says=asked)
        if state.form is not None:  # all of it may be known already
            yield Move(told="", at=None, to=here.but(point=DONE), says=says)
        if not state.waits:
            yield from self._go_on(here, state, says)

    def _go_on(self, here: Situation, state: State, says: int = 0) -> Iterator[Move]:
        if state.end is not None:
            yield from (move._replace(says=move.says + says) for move in self._end(here, state.end))
        else:
            yield from self._branches(here, state.go, "", says)

    def _end(self, here: Situation, result: str) -> Iterator[Move]:
        if len(here.stack) == 1:
            yield Move(told=f"ends: {result}", at=None, to=None)
            return
        below = here.but(stack=here.stack[:-1], held=False)
        if here.top.visiting:
            yield Move(told=f"{here.top.flow} ends", at=None, to=below.but(point=AGAIN))
            return
        state = self.state(below)
        action = state.do[below.top.action]
        if isinstance(action, CallFlow) and result in action.otherwise:
            yield from self._edge(below, action.otherwise[result], f"{here.top.flow}: {result}")
        else:
            yield Move(told=f"{here.top.flow}: {result}", at=None, to=below.but(point=_first_call(state, below.top.action + 1)))

    # --- leaving a wait

    def _leave(self, waiting: Situation, state: State) -> Iterator[Move]:
        for here in self._meanwhile(waiting):
            yield from self._heard(here, state)
            for after in state.after:
                yield from self._edge(here, after.edge, f"{after.name.removeprefix('after:')} pass")
            if state.asks:
                yield from self._expired(here)
            yield from self._late(here)
            yield from self._scheduled(here, state)
        yield from self._awaited(waiting, state)

    def _expired(self, here: Situation) -> Iterator[Move]:
        """The expiry of the running flow, else of the nearest one under it: those above are left."""
        for depth in range(len(here.stack), 0, -1):
            expiry = self.bundle.flows[here.stack[depth - 1].flow].expiry
            if expiry is not None:
                left = here.but(stack=here.stack[:depth])
                yield self._to(left, expiry.to, "the customer says nothing for long", expiry.at)
                return

    @staticmethod
    def _meanwhile(here: Situation) -> Iterator[Situation]:
        """The money may arrive before the conversation hears of it."""
        yield here
        if here.order == PAYABLE:
            yield here.but(order=PAID, in_flight=False)

    def _heard(self, here: Situation, state: State) -> Iterator[Move]:
        if state.form is not None:
            yield Move(told="customer answers everything", at=None, to=here.but(point=DONE, held=False))
        if state.people is not None and state.people.back is not None:
            yield from self._edge(here, state.people.back, "a person gives the conversation back")
        for reply in state.replies:
            told = f"customer replies {reply.name}" if reply.consent is None else "customer replies PAY"
            yield from self._edge(here.but(held=reply.consent is not None), reply.edge, told)
        for command in state.commands:
            yield from self._edge(here, command.edge, f"customer types {min(command.words, default=command.name)}")
        if state.unmatched is not None and state.unmatched.then is not None:
            yield self._to(here, state.unmatched.then, "nothing the customer types is understood", state.unmatched.at)

    def _awaited(self, here: Situation, state: State) -> Iterator[Move]:
        """The event this state waits for: the prompt's last word."""
        if state.wait is None:
            return
        for outcome, edge in state.wait.outcomes.items():
            spec = self.bundle.catalogue.events[state.wait.event]
            becomes = spec.outcomes[outcome]
            order = becomes if becomes is not None and here.order == PAYABLE else here.order
            after = here.but(order=order, in_flight=here.in_flight and not spec.last_word)
            yield from self._edge(after, edge, f"{state.wait.event} says {outcome}")

    def _late(self, here: Situation) -> Iterator[Move]:
        """An event of an earlier prompt: it says nothing about the one that may be on the phone now."""
        for spec in self.bundle.catalogue.events.values():
            home = spec.when_nobody_waits
            if home in self.bundle.flows and not any(place.flow == home for place in here.stack):
                yield Move(told=f"a late {spec.name} comes", at=None, to=self._begin(here, home))

    def _scheduled(self, here: Situation, state: State) -> Iterator[Move]:
        """A flow that starts by the clock; not while people have the chat."""
        for flow in self.by_clock if state.people is None else ():
            if not any(place.flow == flow for place in here.stack) and len(here.stack) < self.bundle.limits.frames:
                yield Move(told=f"{flow} starts by the clock", at=None, to=self._begin(here.but(held=False), flow))

    # --- edges

    def _edge(self, here: Situation, edge: Edge, told: str) -> Iterator[Move]:
        if edge.visit is not None:
            if self._may_stack(here, edge.visit, edge.at):
                to = self._begin(here.but(held=False), edge.visit)
                yield Move(told=told, at=edge.at, to=to, says=self._count(edge.say))
        elif edge.resume:
            yield Move(told=told, at=edge.at, to=here.but(point=AGAIN, held=False), says=self._count(edge.say))
        else:
            yield from self._branches(here, edge.go, told, self._count(edge.say))

    def _branches(self, here: Situation, branches: Sequence[Branch], told: str, says: int = 0) -> Iterator[Move]:
        for branch in branches:
            holds = None if branch.condition is None else self._holds(branch.condition, here)
            if branch.condition is not None and holds is False:
                continue
            why = f"{branch.condition.expression.source} holds" if branch.condition is not None else ""
            yield self._to(here, branch.to, told or why, branch.at, says)
            if branch.share is None and (branch.condition is None or holds is True):
                return

    def _to(self, here: Situation, state: str, told: str, at: At, says: int = 0) -> Move:
        top = here.stack[-1]
        stack = (*here.stack[:-1], Place(top.flow, state, top.visiting))
        point = self._entries[top.flow, state]
        return Move(told, at, Situation(stack, point, here.order, here.held, here.in_flight), says)

    def _holds(self, condition: Condition, here: Situation) -> bool | None:
        """Whether a guard holds for this order status, as far as the order's flags decide it."""
        source = condition.expression.source.strip()
        negated = source.startswith("not ")
        status = self.bundle.catalogue.order_flags.get(source.removeprefix("not ").strip())
        if status is None:
            return None
        return (here.order == status) != negated


def _first_call(state: State, index: int) -> int:
    """The point of the next action, from this one on, that leads anywhere else: the others are done in passing."""
    calls = (n for n in range(index, len(state.do)) if isinstance(state.do[n], CallService | CallFlow))
    return next(calls, SAY)


_EQUALS: Final = re.compile(r"""([\w.]+) == ('[^']*'|"[^"]*"|\d+)""")  # of two words for one thing, one holds


def count_messages(lines: Sequence[Line]) -> int:
    """How many of the lines can be said at once: of those that exclude each other, one."""
    if all(line.condition is None for line in lines):
        return len(lines)
    sources = [line.condition.expression.source.strip() for line in lines if line.condition is not None]
    pairs = sum(1 for source in set(sources) if source.startswith("not ") and source.removeprefix("not ") in sources)
    equal = [(found[1], found[2]) for source in sources if (found := _EQUALS.fullmatch(source))]
    at_once = {path: max(Counter(word for other, word in equal if other == path).values()) for path, _ in equal}
    return len(lines) - pairs - (len(equal) - sum(at_once.values()))
