"""What transcripts cover of flows: states, replies, outcomes, commands, timers, ways and, language by language, texts.

Counted from what the engine noted in each turn. A line of a flow that ends in
`# no transcript of NAME, NAME: why` leaves out what stands there and has one of these names.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Final, TypeAlias

from conversation.authoring.draw import BoxKind, Drawing
from conversation.authoring.way_names import NOT_UNDERSTOOD, Way, edges_of, locate_ways, taken_ways
from conversation.engine.flow import At, Bundle, CallFlow, CallService, Flow, Form, Line, State, Text
from conversation.engine.values import JSON

Entry: TypeAlias = Mapping[str, JSON]
KINDS: Final = ("states", "replies", "outcomes", "commands", "timers", "ways")
EXCUSE: Final = re.compile(r"#.*\bno transcript of ([\w, -]+?):\s*(.+?)\s*$")


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing to cover. `kind` is one of KINDS, or "texts in LANGUAGE"; `excuse` says why no transcript can."""

    kind: str
    name: str
    at: At
    count: int = 0
    excuse: str | None = None


@dataclass(frozen=True, kw_only=True)
class Heard:
    """One turn: what the engine noted, and the places of the texts that were said, in which language."""

    trace: Sequence[Entry]
    language: str
    places: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """Every item with how often it was met; `ways` and `states` once more, for drawing."""

    items: tuple[Item, ...]
    ways: Mapping[Way, int]
    states: Mapping[str, int]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds there are, in the order they are told."""
        return tuple(dict.fromkeys(item.kind for item in self.items))

    def sums(self, kind: str) -> tuple[int, int]:
        """How many of a kind are covered, of how many; what is excused counts only when it was met all the same."""
        counted = [item for item in self.items if item.kind == kind and (item.excuse is None or item.count)]
        return sum(item.count > 0 for item in counted), len(counted)

    def percent(self, kind: str) -> float:
        """100 when there is nothing of the kind."""
        covered, of = self.sums(kind)
        return 100 * covered / of if of else 100.0

    @property
    def least(self) -> float:
        """The percent of the kind that is covered least."""
        return min((self.percent(kind) for kind in self.kinds), default=100.0)

    @property
    def missing(self) -> list[Item]:
        """What no transcript meets, by file and line."""
        return _by_place(item for item in self.items if not item.count and item.excuse is None)

    @property
    def excused(self) -> list[Item]:
        """What no transcript can meet, by file and line."""
        return _by_place(item for item in self.items if not item.count and item.excuse is not None)


def measure(bundle: Bundle, turns: Iterable[Heard], *, line_of: Callable[[At], str] = lambda _at: "") -> Coverage:
    """Count what these turns met. `line_of` gives the line of a file, for its excuse."""
    ways = locate_ways(bundle, list(bundle.flows))
    met: Counter[tuple[str, str]] = Counter()
    known = frozenset(ways)
    for turn in turns:
        met.update(met_in(turn.trace, known))
        met.update((f"texts in {turn.language}", place) for place in turn.places)
    declared = {(item.kind, item.name): item for item in _declared(bundle, ways)}
    items = [replace(item, count=met[key], excuse=_excuse(item, line_of(item.at))) for key, item in declared.items()]
    return Coverage(
        items=tuple(items),
        ways={way: met["ways", str(way)] for way in ways},
        states={name: count for (kind, name), count in met.items() if kind == "states"},
    )


def _excuse(item: Item, line: str) -> str | None:
    found = EXCUSE.search(line)
    named = found is not None and {name.strip() for name in found[1].split(",")} & set(re.split(r"[^\w-]+", item.name))
    return found[2] if found and named else None


def _by_place(items: Iterable[Item]) -> list[Item]:
    return sorted(items, key=lambda item: (item.at.file, item.at.line, item.kind, item.name))


# ---------------------------------------------------------------- what there is


def _declared(bundle: Bundle, ways: Mapping[Way, At]) -> Iterator[Item]:
    for kind in KINDS[:-1]:
        for flow in bundle.flows.values():
            for name, at in _of_flow(bundle, flow, kind):
                yield Item(kind=kind, name=name, at=at)
    for way, at in ways.items():
        yield Item(kind="ways", name=str(way), at=at)
    for language in bundle.languages:
        for flow in bundle.flows.values():
            for text in _texts(flow):
                yield Item(kind=f"texts in {language}", name=text.place, at=text.at)


def _of_flow(bundle: Bundle, flow: Flow, kind: str) -> Iterator[tuple[str, At]]:
    if kind == "replies":
        for start in flow.starts:
            rung = "entities" if start.entity else "anything" if start.anything else "words" if start.words else None
            if rung is not None:
                yield f"{flow.name}: {rung}", start.at
    for state in flow.states.values():
        place = f"{flow.name}.{state.name}"
        match kind:
            case "states":
                yield place, state.at
            case "replies":
                yield from ((f"{place}: {name}", at) for name, at in _replies(state))
            case "outcomes":
                yield from ((f"{place}: {name}", at) for name, at in _outcomes(bundle, state))
            case "commands":
                yield from ((f"{place}: {command.name}", command.at) for command in state.commands if state.waits)
            case _:
                yield from ((f"{place}: {name}", at) for name, at in _timers(flow, state))


def _replies(state: State) -> Iterator[tuple[str, At]]:
    for reply in state.replies:
        yield reply.name, reply.at
    for field in state.form.fields if state.form is not None else ():
        yield field.name, field.at
    if state.unmatched is not None:
        yield NOT_UNDERSTOOD, state.unmatched.at


def _outcomes(bundle: Bundle, state: State) -> Iterator[tuple[str, At]]:
    for action in state.do:
        if isinstance(action, CallService):
            for outcome in bundle.catalogue.calls[action.call].outcomes:
                edge = action.otherwise.get(outcome)
                yield f"{action.call} {outcome}", edge.at if edge is not None else action.at
        elif isinstance(action, CallFlow):
            for result in bundle.flows[action.flow].results:
                edge = action.otherwise.get(result)
                yield f"{action.flow} {result}", edge.at if edge is not None else action.at
    if state.wait is not None:
        for outcome, edge in state.wait.outcomes.items():
            yield f"{state.wait.event} {outcome}", edge.at


def _timers(flow: Flow, state: State) -> Iterator[tuple[str, At]]:
    yield from ((after.name, after.at) for after in state.after)
    if state.asks and flow.expiry is not None:
        yield "silence", flow.expiry.at
    if flow.reminder is not None and state.name in flow.reminder.states:
        yield "reminder", flow.reminder.at


def _texts(flow: Flow) -> Iterator[Text]:
    """What can be said in messages of their own; titles stand on the questions."""
    found: dict[str, Text] = {}
    for state in flow.states.values():
        for text in chain(_said(_lines(state)), _asked(state)):
            found.setdefault(text.place, text)
    if flow.reminder is not None:
        found |= {text.place: text for text in _said(flow.reminder.say)}
    if flow.on_leave is not None:
        found |= {text.place: text for text in _said(flow.on_leave.say)}
    yield from found.values()


def _said(lines: Iterable[Line]) -> Iterator[Text]:
    return (line.text for line in lines)


def _lines(state: State) -> Iterator[Line]:
    yield from state.say
    for _, edge in edges_of(state):
        yield from edge.say
    if state.unmatched is not None:
        yield from state.unmatched.say


def _asked(state: State) -> Iterator[Text]:
    if state.ask is not None:
        yield state.ask.text
    yield from (reply.check.otherwise for reply in state.replies if reply.check is not None)
    if state.form is not None:
        yield from _of_form(state.form)


def _of_form(form: Form) -> Iterator[Text]:
    for field in form.fields:
        yield field.ask.text
        if field.check is not None:
            yield field.check.otherwise
    yield from (text for text in (form.changed, form.which) if text is not None)


# ---------------------------------------------------------------- what was met


def met_in(trace: Sequence[Entry], ways: frozenset[Way]) -> Iterator[tuple[str, str]]:
    """What one turn met, (kind, name), as its trace tells; `ways` are those that there are."""
    for entry in trace:
        yield from _met(entry)
    yield from (("ways", str(way)) for way in taken_ways(ways, trace))


def _met(entry: Entry) -> Iterator[tuple[str, str]]:
    """Read one note of the engine: (kind, name)."""
    place = str(entry.get("place", ""))
    match entry.get("what"):
        case "entered":
            yield "states", place
        case "matched":
            rung, by = str(entry.get("rung")), str(entry.get("by", ""))
            if "." not in place:
                yield "replies", f"{place}: {rung}"
            elif rung == "commands":
                yield "commands", f"{place}: {by}"
            else:
                yield "replies", f"{place}: {NOT_UNDERSTOOD if rung == 'unmatched' else by}"
        case "returned":
            yield "outcomes", f"{place}: {entry.get('call')} {entry.get('outcome')}"
        case "ended" if entry.get("back"):
            yield "outcomes", f"{entry.get('back')}: {place} {entry.get('result')}"
        case "event":
            yield "outcomes", f"{place}: {entry.get('name')} {entry.get('outcome')}"
        case "timer":
            yield "timers", f"{place}: {entry.get('name')}"
        case "expired":
            yield "timers", f"{place}: silence"
        case "reminded":
            yield "timers", f"{place}: reminder"
        case _:
            pass


# ---------------------------------------------------------------- drawn


def with_counts(drawing: Drawing, coverage: Coverage) -> Drawing:
    """Write on each box how often it was entered, and on each arrow how often it was taken."""
    taken: Counter[tuple[str, str]] = Counter()
    for way, count in coverage.ways.items():
        taken[way.source, way.target] += count
    flow = drawing.flow
    own = {box.name for box in drawing.boxes if box.kind not in (BoxKind.START, BoxKind.FLOW)}
    boxes = [
        box if box.name not in own else replace(box, lines=(*box.lines, _times(coverage.states.get(f"{flow}.{box.name}", 0))))
        for box in drawing.boxes
    ]
    arrows = [
        replace(arrow, labels=(*arrow.labels, _times(taken[f"{flow}.{arrow.source}", f"{flow}.{arrow.target}"])))
        if {arrow.source, arrow.target} <= own
        else arrow
        for arrow in drawing.arrows
    ]
    return replace(drawing, boxes=tuple(boxes), arrows=tuple(arrows))


def _times(count: int) -> str:
    return f"{count}x" if count else "NEVER"
