"""How much of what people really did transcripts meet, and what busiest part of it none does. From kept turns; pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from conversation.authoring.coverage import KINDS, Coverage, Item, met_in
from conversation.recorded import RecordedTurn

STEPS: Final = frozenset(KINDS) - {"states"}


@dataclass(frozen=True, kw_only=True)
class Untested:
    """A step that people took and no transcript meets: in how many conversations, how often."""

    item: Item
    people: int
    times: int


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """The steps that people took (replies, outcomes, commands, timers, ways), and those that no transcript meets."""

    conversations: int
    times: int
    untested: tuple[Untested, ...]

    @property
    def tested(self) -> int:
        """How many of the steps a transcript meets as well."""
        return self.times - sum(each.times for each in self.untested)

    @property
    def percent(self) -> float:
        """100 when nobody took a step."""
        return 100 * self.tested / self.times if self.times else 100.0


def weigh(coverage: Coverage, conversations: Iterable[Sequence[RecordedTurn]]) -> Traffic:
    """Hold what people did against what transcripts meet. A step that the flows no longer have does not count."""
    items = {(item.kind, item.name): item for item in coverage.items if item.kind in STEPS}
    ways = frozenset(coverage.ways)
    times: Counter[tuple[str, str]] = Counter()
    people: Counter[tuple[str, str]] = Counter()
    held = 0
    for turns in conversations:
        steps = Counter(step for turn in turns for step in met_in(turn.trace, ways) if step in items)
        held += 1
        times += steps
        people.update(steps.keys())
    untested = [
        Untested(item=items[step], people=people[step], times=count) for step, count in times.items() if not items[step].count
    ]
    return Traffic(
        conversations=held,
        times=times.total(),
        untested=tuple(sorted(untested, key=lambda each: (-each.people, -each.times, each.item.name))),
    )
