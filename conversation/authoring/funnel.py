"""How far people come: who entered each state, who stayed there, and how flows ended. From kept turns; pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from conversation.authoring.draws import draws_in
from conversation.engine.values import JSON
from conversation.recorded import RecordedTurn


@dataclass(frozen=True, kw_only=True)
class Funnel:
    """Of some conversations: in how many a state was entered, in how many the last turn ended there, what flows ended with."""

    conversations: int = 0
    entered: Counter[str] = field(default_factory=Counter)
    stayed: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON."""
        states: list[JSON] = [{"state": at, "entered": count, "stayed": self.stayed[at]} for at, count in self.ranked]
        ends: list[JSON] = [{"end": end, "count": count} for end, count in self.ends.most_common()]
        return {"conversations": self.conversations, "states": states, "ends": ends}

    @property
    def ranked(self) -> list[tuple[str, int]]:
        """The states, that of most conversations first."""
        return sorted(self.entered.items(), key=lambda each: (-each[1], each[0]))


def _vendor(turns: Sequence[RecordedTurn]) -> str:
    return next((str(step.vendor["name"]) for turn in turns for step in turn.steps), "")


def _language(turns: Sequence[RecordedTurn]) -> str:
    spoken = [step.customer["language"] for turn in turns for step in turn.steps]
    return str(spoken[-1] or "") if spoken else ""


def _arm(turns: Sequence[RecordedTurn]) -> str:
    return ", ".join(f"{place}: {to}" for place, to in sorted(draws_in(turn.trace for turn in turns).items()))


BY: Final[Mapping[str, Callable[[Sequence[RecordedTurn]], str]]] = {"vendor": _vendor, "language": _language, "arm": _arm}


def measure_funnel(conversations: Iterable[Sequence[RecordedTurn]], *, by: str | None = None) -> dict[str, Funnel]:
    """Count, one funnel for each group: of a vendor, a language, or what a split drew. Without `by` they are one."""
    found: dict[str, Funnel] = {}
    for turns in conversations:
        group = BY[by](turns) if by is not None else ""
        sofar = found.get(group, Funnel())
        entries = [entry for turn in turns for entry in turn.trace]
        sofar.entered.update({str(entry["place"]) for entry in entries if entry["what"] == "entered"})
        sofar.ends.update(f"{entry['place']}: {entry['result']}" for entry in entries if entry["what"] == "ended")
        if turns[-1].state is not None:
            sofar.stayed[turns[-1].state] += 1
        found[group] = Funnel(conversations=sofar.conversations + 1, entered=sofar.entered, stayed=sofar.stayed, ends=sofar.ends)
    return dict(sorted(found.items()))
