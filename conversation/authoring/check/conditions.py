"""X5: conditions that are always the same, and what stands behind them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from conversation.authoring.check.finding import Parts
from conversation.authoring.problems import Problems
from conversation.authoring.way_names import edges_of
from conversation.engine.catalogue import Catalogue
from conversation.engine.flow import Branch, Bundle, Check, Condition, Flow, Line, More, Redirect, Reply, Start, State
from conversation.engine.types import Fields, Type

_PATH: Final = re.compile(r"(not )?([a-z_]\w*(?:\.\w+)*)")
_ITSELF: Final = re.compile(r"(.+?) (?:==|!=|<=|>=|<|>) (.+)")


def check_conditions(bundle: Bundle, flow: Flow, parts: Parts, problems: Problems) -> None:
    """Report conditions that can only come out one way, and replies, branches and redirects that are never reached."""
    names: dict[str, Type] = {**bundle.catalogue.context, **{slot.name: slot.type for slot in flow.slots.values()}}
    for condition in _conditions(flow, parts):
        told = _always(condition.expression.source, condition.expression.names, names, bundle.catalogue)
        if told:
            problems.add("X5", condition.at, f"`{condition.expression.source}` {told}", "drop the `if`, or ask something else")
    for state in flow.states.values():
        _check_order([redirect.condition for redirect in state.redirects], problems)
        for branches in _branches(state):
            _check_order([branch.condition for branch in branches if branch.condition is not None], problems)
        _check_replies(state.replies, problems)


def check_starts(bundle: Bundle, problems: Problems) -> None:
    """Report starts that never get a message, because an earlier one takes them all."""
    taken: dict[str, str] = {}
    for flow in bundle.flows.values():
        for start in flow.starts:
            kind = _kind(start)
            if kind in taken:
                problems.add("X5", start.at, f"this is never reached: `{taken[kind]}` starts with {kind} already")
            elif kind:
                taken[kind] = flow.name


def _kind(start: Start) -> str:
    if start.anything:
        return "any message"
    return f"`{start.entity}`" if start.entity is not None else ""


def _conditions(flow: Flow, parts: Parts) -> Iterator[Condition]:
    for part in parts.of(flow.name, object):
        if isinstance(part, Branch | Line | Redirect | Check | More) and part.condition is not None:
            yield part.condition


def _branches(state: State) -> Iterator[Sequence[Branch]]:
    yield state.go
    yield from (edge.go for _, edge in edges_of(state))


def _always(source: str, used: frozenset[str], names: Mapping[str, Type], catalogue: Catalogue) -> str:
    """How a condition always comes out, or "" when it depends."""
    source = " ".join(source.split())
    if not used:
        return "is always the same: nothing in it can change"
    itself = _ITSELF.fullmatch(source)
    if itself and itself[1] == itself[2]:
        return "compares something with itself"
    flags = {part for part in source.split(" and ") if part in catalogue.order_flags}
    if len({catalogue.order_flags[flag] for flag in flags}) > 1:
        return "never holds: an order is in one state at a time"
    plain = _PATH.fullmatch(source)
    if plain and isinstance(_type_at(plain[2], names), Fields):
        return "never holds: it is always there" if plain[1] else "always holds: it is always there"
    return ""


def _type_at(path: str, names: Mapping[str, Type]) -> Type | None:
    first, *rest = path.split(".")
    kind = names.get(first)
    for part in rest:
        kind = kind.fields.get(part) if isinstance(kind, Fields) else None
    return kind


def _check_order(conditions: Sequence[Condition], problems: Problems) -> None:
    before: set[str] = set()
    for condition in conditions:
        source = " ".join(condition.expression.source.split())
        opposite = source.removeprefix("not ") if source.startswith("not ") else f"not {source}"
        if source in before:
            problems.add("X5", condition.at, f"this is never reached: `{source}` was asked before")
        elif opposite in before and _PATH.fullmatch(source):
            hint = "write it without `if`, as the last entry"
            problems.add("X5", condition.at, f"`{source}` always holds here: `{opposite}` was asked before", hint)
        before.add(source)


def _check_replies(replies: Sequence[Reply], problems: Problems) -> None:
    taken: set[str] = set()
    for reply in replies:
        if reply.entity is None and reply.consent is None and not reply.picked:
            continue
        kind = "picked" if reply.picked else reply.entity or reply.consent or ""
        if kind in taken:
            problems.add("X5", reply.at, f"this reply is never reached: an earlier one takes every `{kind}`")
        taken.add(kind)
