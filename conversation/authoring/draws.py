"""What a conversation draws at each `split`, and a seed that makes it draw what a transcript says."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from conversation.authoring.way_names import edges_of
from conversation.engine.flow import Branch, Bundle
from conversation.engine.running import draw_branch
from conversation.engine.values import JSON

MOST_SEEDS: Final = 10_000


def splits_of(bundle: Bundle) -> list[tuple[str, Sequence[Branch]]]:
    """Every split with the state it stands in, "shop.offer"."""
    return [
        (f"{flow.name}.{state.name}", branches)
        for flow in bundle.flows.values()
        for state in flow.states.values()
        for branches in (state.go, *(edge.go for _, edge in edges_of(state)))
        if branches and branches[0].share is not None
    ]


def targets_of(bundle: Bundle) -> dict[str, list[str]]:
    """What can be drawn, by state."""
    found: dict[str, list[str]] = {}
    for place, branches in splits_of(bundle):
        found.setdefault(place, []).extend(branch.to for branch in branches if branch.share)
    return found


def find_seed(bundle: Bundle, draws: Mapping[str, str]) -> str | None:
    """A seed with which a conversation draws this. None when no split does."""
    asked = [
        (place, branches, draws[place])
        for place, branches in splits_of(bundle)
        if draws.get(place) in {branch.to for branch in branches if branch.share}
    ]
    if {place for place, _, _ in asked} != draws.keys():
        return None
    seeds = (f"drawn-{number}" for number in range(MOST_SEEDS))
    return next((seed for seed in seeds if all(draw_branch(seed, place, branches) == to for place, branches, to in asked)), None)


def draws_in(traces: Iterable[Iterable[Mapping[str, JSON]]]) -> dict[str, str]:
    """What was drawn in these turns."""
    return {str(entry["place"]): str(entry["to"]) for trace in traces for entry in trace if entry["what"] == "split"}
