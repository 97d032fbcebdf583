"""P1, P2, P4, P5, T4, T5, W5: every situation a customer can be in, walked one by one.

A situation is the stack of flows with a place in each, the order's status, whether a consent is held, and whether a
prompt may be on the phone. There are few, so this is a proof and not a sample: guards the walk cannot decide are taken
both ways, an order that waits for money may turn PAID at any moment, and a consent ends with the turn it was given in.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from conversation.authoring.check.moves import Moves
from conversation.authoring.check.situations import WAIT, Came, Place, Situation
from conversation.authoring.problems import Problems
from conversation.engine.flow import Bundle

MOST: Final = 200_000
OVER: Final = -1  # in place of a situation's number: the run is over


def check_walk(bundle: Bundle, by_clock: Sequence[str], problems: Problems) -> None:
    """Walk, and report what must never happen."""
    walk = _Walk(bundle, by_clock, problems)
    walk.run()
    walk.check_leaving()
    if not walk.check_circles():
        walk.check_messages()


class _Walk:
    """Situations stand here by their numbers: they are looked up often, and are long to compare."""

    def __init__(self, bundle: Bundle, by_clock: Sequence[str], problems: Problems) -> None:
        self.bundle = bundle
        self.problems = problems
        self.came = Came()
        self.moves = Moves(bundle, by_clock, problems, self.came)
        self.next: list[list[int]] = []
        self.says: dict[tuple[int, int], int] = {}

    def run(self) -> None:
        for start in self._starts():
            self.came.number(start, OVER, None)
        for here, situation in enumerate(self.came.situations):  # grows while it is walked
            if here == MOST:
                break
            following: list[int] = []
            self.next.append(following)
            for move in self.moves.out_of(situation):
                there = OVER if move.to is None else self.came.number(move.to, here, move)
                following.append(there)
                if move.says:
                    self.says[here, there] = max(move.says, self.says.get((here, there), 0))
        self.waits = [situation.point == WAIT for situation in self.came.situations[: len(self.next)]]
        self.same_turn = [
            [] if waits else [there for there in following if there != OVER]
            for waits, following in zip(self.waits, self.next, strict=True)
        ] + [[]] * (len(self.came.situations) - len(self.next))

    def _starts(self) -> Iterator[Situation]:
        states = self.bundle.catalogue.order_states
        for name in self.moves.by_clock:
            for order in states:
                yield self._at(name, self.bundle.flows[name].first, order)
        for flow in self.bundle.flows.values():
            for start in flow.starts:
                if start.event is None:  # a closed order's conversation begins anew with a new one
                    for order in states[:2]:
                        yield self._at(flow.name, start.go or flow.first, order)
                else:
                    for order in states:
                        yield self._at(flow.name, flow.first, order)

    def _at(self, flow: str, state: str, order: str) -> Situation:
        return Situation(stack=(Place(flow=flow, state=state),), point=self.moves.entry(flow, state), order=order)

    # --- what the whole walk shows

    def check_leaving(self) -> None:
        """T5: a wait from which no path leads to an end."""
        before: dict[int, list[int]] = {}
        for here, following in enumerate(self.next):
            for there in following:
                before.setdefault(there, []).append(here)
        leads: set[int] = set()
        queue = deque([OVER])
        while queue:
            for here in before.get(queue.popleft(), ()):
                if here not in leads:
                    leads.add(here)
                    queue.append(here)
        for here, waits in enumerate(self.waits):
            if waits and here not in leads:
                state = self.moves.state(self.came.situations[here])
                self.problems.add("T5", state.at, f"no customer who is in `{state.name}` can ever come to an end of the flow")

    def check_circles(self) -> bool:
        """T4: a circle of states in which nothing ever waits. True when there is one."""
        done: set[int] = set()
        found = False
        for start, following in enumerate(self.same_turn):
            if following and start not in done:
                found = self._search_circle(start, done) or found
        return found

    def _search_circle(self, start: int, done: set[int]) -> bool:
        found = False
        open_path = [(start, iter(self.same_turn[start]))]
        on_path = {start}
        while open_path:
            here, rest = open_path[-1]
            there = next(rest, None)
            if there is None:
                open_path.pop()
                on_path.discard(here)
                done.add(here)
            elif there in on_path:
                self._report_circle(there, [number for number, _ in open_path])
                found = True
            elif there not in done:
                open_path.append((there, iter(self.same_turn[there])))
                on_path.add(there)
        return found

    def _report_circle(self, back: int, path: list[int]) -> None:
        state = self.moves.state(self.came.situations[back])
        names = [state for state, _ in groupby(self.came.situations[number].top.state for number in path)]
        circle = " -> ".join([*names[names.index(state.name) if state.name in names else 0 :], state.name])
        self.problems.add("T4", state.at, f"`{state.name}` can come back to itself without ever waiting", notes=(circle,))

    def check_messages(self) -> None:
        """W5: more messages in one turn than it may have, on some path."""
        limit = self.bundle.limits.messages
        most: dict[int, int] = {}
        for here in self._turns_in_order():
            before = 0 if self.waits[here] else most.get(here, 0)
            for there in self.next[here]:
                count = before + self.says.get((here, there), 0)
                most[there] = max(most.get(there, 0), count)
                if before <= limit < count:
                    self._report_messages(self.came.situations[here], count)

    def _report_messages(self, here: Situation, count: int) -> None:
        state = self.moves.state(here)
        self.problems.add(
            "W5",
            state.at,
            f"one turn can send {count} messages by the end of `{state.name}`; {self.bundle.limits.messages} are the most",
            "say it in fewer messages, or ask something in between",
            notes=(f"how: {self.came.story(here)}",),
        )

    def _turns_in_order(self) -> list[int]:
        """Waits first, then every situation after all those of the same turn that lead to it."""
        leads = [0] * len(self.came.situations)
        for here in range(len(self.next)):
            for there in self.same_turn[here]:
                leads[there] += 1
        order = [here for here, waits in enumerate(self.waits) if waits]
        queue = deque(here for here, waits in enumerate(self.waits) if not waits and not leads[here])
        while queue:
            here = queue.popleft()
            order.append(here)
            for there in self.same_turn[here]:
                leads[there] -= 1
                if not leads[there] and there < len(self.next) and not self.waits[there]:
                    queue.append(there)
        return order
