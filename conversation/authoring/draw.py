"""A flow as a drawing: boxes for its states, arrows for the ways between them; and that as Mermaid and DOT.

The start stands on top, states that end the flow at the bottom. States that wait and states that move money are marked.
Commands and expiry work in every question: they are written once beside the drawing, not drawn from each box.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from conversation.engine.flow import Action, Branch, Bundle, CallFlow, CallService, Command, Edge, EmitMetric, Flow, Start, State

START: Final = "*"
_LONGEST: Final = 34  # characters of a guard on an arrow


class BoxKind(StrEnum):
    """What a box is."""

    START = "start"
    ASK = "ask"
    WAIT = "wait"
    ACT = "act"
    DONE = "done"
    FLOW = "flow"  # another flow


class ArrowKind(StrEnum):
    """Why one goes along an arrow. CONSENT: the customer's own PAY. ELSE: a way that is not the usual one."""

    WAY = "way"
    CONSENT = "consent"
    ELSE = "else"


@dataclass(frozen=True, kw_only=True)
class Box:
    """One box. `lines` say what the state does; `money`: it makes the call that moves money."""

    name: str
    kind: BoxKind
    lines: tuple[str, ...] = ()
    money: bool = False


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """One arrow; several ways between the same two boxes share one."""

    source: str
    target: str
    labels: tuple[str, ...]
    kind: ArrowKind

    @property
    def label(self) -> str:
        """What stands on it."""
        return " | ".join(label for label in self.labels if label)


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A flow. `anywhere` are the ways out of every question, one a line."""

    flow: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    anywhere: tuple[str, ...]


def draw(bundle: Bundle, flow: Flow) -> Drawing:
    """Make the drawing of one flow."""
    ways = [*_from_starts(flow), *(way for state in flow.states.values() for way in _from_state(bundle, flow, state))]
    others = sorted({way.target for way in ways} - set(flow.states))
    boxes = [
        Box(name=START, kind=BoxKind.START, lines=()),
        *(_to_box(bundle, state) for state in flow.states.values()),
        *(Box(name=name, kind=BoxKind.FLOW, lines=("a flow of its own",)) for name in others),
    ]
    return Drawing(flow=flow.name, boxes=tuple(boxes), arrows=tuple(_joined(ways)), anywhere=tuple(_anywhere(flow)))


def _to_box(bundle: Bundle, state: State) -> Box:
    money = any(isinstance(action, CallService) and bundle.catalogue.calls[action.call].moves_money for action in state.do)
    lines = [line for action in state.do for line in _of_action(action)]
    kind = BoxKind.ACT
    if state.people is not None:
        kind = BoxKind.WAIT if state.waits else BoxKind.DONE
        lines.append(f"with people: {state.people.queue}" if state.waits else f"to people: {state.people.queue}")
    elif state.form is not None:
        kind = BoxKind.ASK
        lines.append(f"asks for {', '.join(field.name for field in state.form.fields)}")
        lines += ["answers can be corrected"] if state.form.correct else []
    elif state.ask is not None:
        kind = BoxKind.ASK
        lines.append("asks")
    elif state.wait is not None:
        kind = BoxKind.WAIT
        lines.append(f"waits for {state.wait.event}")
    elif state.end is not None:
        kind = BoxKind.DONE
    if state.end is not None and state.people is None:
        lines.append(f"ends: {state.end}")
    return Box(name=state.name, kind=kind, lines=tuple(lines), money=money)


def _of_action(action: Action) -> Iterator[str]:
    match action:
        case CallService():
            yield action.call
        case CallFlow():
            yield f"flow {action.flow}"
        case EmitMetric():
            yield f"counts {action.name}"
        case _:
            pass


# ---------------------------------------------------------------- ways


def _from_starts(flow: Flow) -> Iterator[Arrow]:
    for start in flow.starts:
        yield _arrow(START, start.go or flow.first, _start_label(start))
    if not flow.starts:
        yield _arrow(START, flow.first, "called")


def _start_label(start: Start) -> str:
    if start.words:
        return "words"
    return start.entity or start.event or (f"link {start.link}" if start.link is not None else "anything")


def _arrow(source: str, target: str, label: str, kind: ArrowKind = ArrowKind.WAY) -> Arrow:
    return Arrow(source=source, target=target, labels=(label,), kind=kind)


def _from_state(bundle: Bundle, flow: Flow, state: State) -> Iterator[Arrow]:
    name = state.name
    for redirect in state.redirects:
        yield from _along(name, redirect.edge, _short(redirect.condition.expression.source), ArrowKind.ELSE)
    yield from _branches(name, state.go, _usual(bundle, state), ArrowKind.WAY)
    for action in state.do:
        if isinstance(action, CallFlow):
            yield _arrow(name, action.flow, "")
        if isinstance(action, CallService | CallFlow):
            for outcome, edge in action.otherwise.items():
                yield from _along(name, edge, outcome)
    for reply in state.replies:
        consent = reply.consent is not None
        meant = f"meaning {reply.intent}" if reply.intent is not None else reply.name
        yield from _along(name, reply.edge, reply.name.upper() if consent else meant, _kind(consent=consent))
    if state.wait is not None:
        for outcome, edge in state.wait.outcomes.items():
            yield from _along(name, edge, outcome)
    if state.people is not None and state.people.back is not None:
        yield from _along(name, state.people.back, "given back")
    for after in state.after:
        yield from _along(name, after.edge, f"after {after.name.removeprefix('after:')}", ArrowKind.ELSE)
    for command in state.commands:
        if _is_own(flow, state, command):
            yield from _along(name, command.edge, f"“{command.name}”")
    if state.unmatched is not None and state.unmatched.then is not None:
        yield _arrow(name, state.unmatched.then, f"not understood {state.unmatched.tries}x", ArrowKind.ELSE)
    if state.visits is not None:
        yield _arrow(name, state.visits.then, f"over {state.visits.most} visits", ArrowKind.ELSE)


def _usual(bundle: Bundle, state: State) -> str:
    """The outcome with which the state's last call goes on."""
    calls = [bundle.catalogue.calls[action.call] for action in state.do if isinstance(action, CallService)]
    return "/".join(outcome.name for outcome in calls[-1].outcomes.values() if outcome.continues) if calls else ""


def _kind(*, consent: bool) -> ArrowKind:
    return ArrowKind.CONSENT if consent else ArrowKind.WAY


def _along(source: str, edge: Edge, label: str, kind: ArrowKind = ArrowKind.WAY) -> Iterator[Arrow]:
    if edge.visit is not None:
        yield _arrow(source, edge.visit, label, kind)
    yield from _branches(source, edge.go, label, kind)


def _branches(source: str, branches: Sequence[Branch], label: str, kind: ArrowKind) -> Iterator[Arrow]:
    shares = sum(branch.share or 0 for branch in branches)
    for branch in branches:
        guard = f"if {_short(branch.condition.expression.source)}" if branch.condition is not None else ""
        drawn = f"{branch.share / shares:.0%} drawn" if branch.share is not None else ""
        yield _arrow(source, branch.to, f"{label} {guard}{drawn}".strip(), kind)


def _short(source: str) -> str:
    words = " ".join(source.split())
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"


def _is_own(flow: Flow, state: State, command: Command) -> bool:
    """Whether a state answers a command in its own way: then it is written between this state and the next one."""
    before = [each for each in flow.states.values() if each.at.line <= command.at.line]
    return bool(before) and max(before, key=lambda each: each.at.line).name == state.name


def _anywhere(flow: Flow) -> Iterator[str]:
    told: set[str] = set()
    for state in flow.states.values():
        for command in state.commands:
            if command.name not in told and not _is_own(flow, state, command):
                told.add(command.name)
                yield f"“{command.name}” {_whither(command.edge)}"
    if flow.expiry is not None:
        yield f"after {_time(flow.expiry.seconds)} of silence → {flow.expiry.to}"
    if flow.reminder is not None:
        where = ", ".join(sorted(flow.reminder.states))
        yield f"after {_time(flow.reminder.seconds)} of silence in {where}: a reminder, {flow.reminder.times}x"
    for action in flow.on_leave.do if flow.on_leave is not None else ():
        yield from (f"when it is left: {line}" for line in _of_action(action))


def _whither(edge: Edge) -> str:
    if edge.visit is not None:
        return f"→ {edge.visit}, and back"
    return "→ " + " or ".join(branch.to for branch in edge.go) if edge.go else "is answered, and the question asked again"


def _time(seconds: int) -> str:
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _joined(ways: Iterable[Arrow]) -> list[Arrow]:
    """Put ways of one kind between the same two boxes on one arrow."""
    found: dict[tuple[str, str, ArrowKind], Arrow] = {}
    for way in ways:
        key = (way.source, way.target, way.kind)
        known = found.get(key)
        labels = tuple(dict.fromkeys((*(known.labels if known else ()), *way.labels)))
        found[key] = Arrow(source=way.source, target=way.target, labels=labels, kind=way.kind)
    return list(found.values())


# ---------------------------------------------------------------- Mermaid and DOT

_MERMAID_SHAPES: Final = {
    BoxKind.START: ("((", "))"),
    BoxKind.ASK: ("([", "])"),
    BoxKind.WAIT: ("{{", "}}"),
    BoxKind.ACT: ("[", "]"),
    BoxKind.DONE: ("[[", "]]"),
    BoxKind.FLOW: ("[/", "/]"),
}
_MERMAID_ARROWS: Final = {ArrowKind.WAY: "-->", ArrowKind.CONSENT: "==>", ArrowKind.ELSE: "-.->"}
_MERMAID_CLASSES: Final = (
    "classDef ask fill:#e8f1fb,stroke:#2c6aa0",
    "classDef wait fill:#fff4e0,stroke:#b97a10",
    "classDef act fill:#ffffff,stroke:#777777",
    "classDef done fill:#eeeeee,stroke:#555555",
    "classDef flow fill:#f4ecfa,stroke:#7a4ca0",
    "classDef start fill:#333333,color:#ffffff",
    "classDef money fill:#fff0b8,stroke:#b8860b,stroke-width:3px",
)


def to_mermaid(drawing: Drawing) -> str:
    """Write a drawing as a Mermaid flowchart."""
    lines = ["flowchart TD"]
    for box in drawing.boxes:
        left, right = _MERMAID_SHAPES[box.kind]
        kind = "money" if box.money else box.kind.value
        lines.append(f'  {_id(box.name)}{left}"{_mermaid("<br/>".join(_says(box)))}"{right}:::{kind}')
    for arrow in drawing.arrows:
        label = f'|"{_mermaid(arrow.label)}"|' if arrow.label else ""
        lines.append(f"  {_id(arrow.source)} {_MERMAID_ARROWS[arrow.kind]}{label} {_id(arrow.target)}")
    lines += [f"  %% in every question: {way}" for way in drawing.anywhere]
    return "\n".join([*lines, *(f"  {each}" for each in _MERMAID_CLASSES)]) + "\n"


def _says(box: Box) -> list[str]:
    return ["start"] if box.kind is BoxKind.START else [("KES " if box.money else "") + box.name, *box.lines]


def _id(name: str) -> str:
    """`end` and the like are words of Mermaid and DOT, so every name gets a letter before it."""
    return "s_" + ("start" if name == START else name.replace(".", "_"))


def _mermaid(text: str) -> str:
    return text.replace('"', "#quot;")


_DOT_SHAPES: Final = {
    BoxKind.START: "shape=circle style=filled fillcolor=black fontcolor=white",
    BoxKind.ASK: 'shape=box style="rounded,filled" fillcolor="#e8f1fb"',
    BoxKind.WAIT: 'shape=hexagon style=filled fillcolor="#fff4e0"',
    BoxKind.ACT: "shape=box",
    BoxKind.DONE: 'shape=box style=filled fillcolor="#eeeeee" peripheries=2',
    BoxKind.FLOW: 'shape=parallelogram style=filled fillcolor="#f4ecfa"',
}
_DOT_ARROWS: Final = {ArrowKind.WAY: "", ArrowKind.CONSENT: " penwidth=3 color=darkgreen", ArrowKind.ELSE: " style=dashed"}


def to_dot(drawing: Drawing) -> str:
    """Write a drawing as a graph for Graphviz."""
    lines = [
        f"digraph {_id(drawing.flow)} {{",
        "  rankdir=TB",
        '  node [fontname="sans-serif"]',
        '  edge [fontname="sans-serif"]',
    ]
    for box in drawing.boxes:
        money = ' penwidth=3 color="#b8860b"' if box.money else ""
        lines.append(f"  {_id(box.name)} [label={_dot(_says(box))} {_DOT_SHAPES[box.kind]}{money}]")
    done = " ".join(_id(box.name) for box in drawing.boxes if box.kind is BoxKind.DONE)
    lines += [f"  {{ rank=source {_id(START)} }}", f"  {{ rank=sink {done} }}"]
    for arrow in drawing.arrows:
        label = f"label={_dot([arrow.label])}"
        lines.append(f"  {_id(arrow.source)} -> {_id(arrow.target)} [{label}{_DOT_ARROWS[arrow.kind]}]")
    if drawing.anywhere:
        lines.append(f"  label={_dot(['in every question:', *drawing.anywhere])}")
    return "\n".join([*lines, "}"]) + "\n"


def _dot(lines: Sequence[str]) -> str:
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'
