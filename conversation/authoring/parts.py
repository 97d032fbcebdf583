"""Reading what stands inside a state: `go`, `say`, `do`, and the edges that lead out of a wait or a call."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from conversation.authoring.expression_types import Scope
from conversation.authoring.nodes import Items, Map, Node, Scalar
from conversation.authoring.problems import Source, nearest, suggest, suggest_place
from conversation.authoring.reading import Reader, Shared
from conversation.engine.catalogue import CallSpec
from conversation.engine.flow import (
    Action,
    At,
    Branch,
    CallFlow,
    CallService,
    ChangeLanguage,
    Condition,
    Edge,
    EmitMetric,
    Line,
    SetSlots,
    Slot,
    SmallAction,
    StartLater,
    WhatsAppTemplate,
)
from conversation.engine.types import MONEY, STRING, OneOf, OrNone, Type, describe, fits

RESUME = "resume"
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_WORD: Final = re.compile(r"[^\W\d]\w*")
_TEMPLATE: Final = re.compile(r"[a-z0-9_]{1,512}")
_METRIC: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(kw_only=True)
class Signature:
    """What is known of a flow before its states are read: enough to call it."""

    name: str
    takes: Mapping[str, Type]
    gives: tuple[str, Type] | None
    results: frozenset[str]
    at: At


@dataclass(kw_only=True)
class FlowNames:
    """The names of the flow being read."""

    flow: str
    states: Mapping[str, At]
    slots: Mapping[str, Slot]
    flows: Mapping[str, Signature]
    aimed: dict[str, int] = field(default_factory=dict)  # how often each state is a target
    mistaken: dict[str, At] = field(default_factory=dict)  # state that a wrong target was meant to be -> where
    misread: set[str] = field(default_factory=set)  # slots whose type is told to be wrong: nothing more is to be said of them


class PartReader(Reader):
    """Reads the parts of states."""

    def __init__(self, shared: Shared, source: Source, names: FlowNames) -> None:
        super().__init__(shared, source)
        self.names = names

    def is_misread(self, name: str) -> bool:
        return name in self.names.misread

    def target(self, node: Node | None) -> str | None:
        """The name of a state of this flow."""
        word = self.word(node, "the state to go to")
        if word is None:
            return None
        if word.text not in self.names.states:
            self.add("T1", word, f"there is no state `{word.text}`", suggest_place(word.text, self.names.states))
            close = nearest(word.text, self.names.states)
            if close:
                self.names.mistaken.setdefault(close, word.at)
            return None
        self.names.aimed[word.text] = self.names.aimed.get(word.text, 0) + 1
        return word.text

    def go(self, node: Node, scope: Scope) -> tuple[Branch, ...]:
        """`go: state`, `go: {split: {a: 50, b: 50}}`, or a list of {if, to} whose last entry has no `if`."""
        if isinstance(node, Map):
            self.map(node, "`go`", ("split",))
            return self._split(node.get("split"))
        if not isinstance(node, Items):
            to = self.target(node)
            return (Branch(condition=None, to=to, at=node.at),) if to else ()
        branches: list[Branch] = []
        for index, item in enumerate(node.items):
            last = index == len(node.items) - 1
            if isinstance(item, Map):
                self.map(item, "an entry of `go`", ("if", "to"))
                condition = self.condition(item.get("if"), scope)
                to = self.target(self.need(item, "to", "an entry of `go`"))
                conditional = item.get("if") is not None
            else:
                condition, to, conditional = None, self.target(item), False
            if last and conditional:
                self.add("T3", item, "the last entry of `go` must have no `if`", "add a last entry: where to go otherwise")
            if not last and not conditional:
                self.add("X5", item, "this entry takes everything: what follows is never reached")
            if to is not None and (condition is not None or not conditional):
                branches.append(Branch(condition=condition[0] if condition else None, to=to, at=item.at))
        if not node.items:
            self.add("T3", node, "`go` is empty")
        return tuple(branches)

    def _split(self, node: Node | None) -> tuple[Branch, ...]:
        found = self.map(node, "`split`")
        branches: list[Branch] = []
        for key, value in found.entries if found else ():
            to, share = self.target(key), self.number(value, "a share", least=1, most=1000)
            if to and share:
                branches.append(Branch(condition=None, to=to, at=key.at, share=share))
        if found is not None and len(found.entries) < 2:
            self.add("X5", found, "a split has at least two ways", "e.g. split: {short: 50, long: 50}")
        return tuple(branches)

    def say(self, node: Node | None, place: str, scope: Scope) -> tuple[Line, ...]:
        """One message, or a list of them, each a text or {if, text}."""
        if node is None:
            return ()
        if isinstance(node, Items):
            lines = [self._line(item, f"{place}.{index}", scope) for index, item in enumerate(node.items, 1)]
        else:
            lines = [self._line(node, place, scope)]
        return tuple(line for line in lines if line is not None)

    def _line(self, node: Node, place: str, scope: Scope) -> Line | None:
        if isinstance(node, Map):
            self.map(node, "a message", ("if", "text", "template"))
            condition = self.condition(node.get("if"), scope)
            inner = scope.given(condition[1]) if condition else scope
            text = self.text(self.need(node, "text", "a message"), place, inner)
            template = self._template_named(node.get("template"), inner)
            return Line(condition=condition[0] if condition else None, text=text, template=template) if text else None
        text = self.text(node, place, scope)
        return Line(condition=None, text=text) if text else None

    def _template_named(self, node: Node | None, scope: Scope) -> WhatsAppTemplate | None:
        """`template: order_waiting`, or {name, with: [order.number, order.total | kes]}."""
        if node is None:
            return None
        values: list[Condition] = []
        word: Node | None = node
        if isinstance(node, Map):
            self.map(node, "`template`", ("name", "with"))
            word = self.need(node, "name", "`template`")
            for item in self.items(node.get("with"), "`with`"):
                read = self.value(item, scope, "a template's value")
                if read is not None and not any(fits(read[1], kind) for kind in (STRING, MONEY)):
                    self.add("C3", item, f"a template's value is a text or a number; this is {describe(read[1])}")
                values += [read[0]] if read is not None else []
        name = self.word(word, "the template's name")
        if name is not None and _TEMPLATE.fullmatch(name.text) is None:
            self.add("Y2", name, "a template is named as Meta has it: with a-z, 0-9 and _")
        return WhatsAppTemplate(name=name.text, values=tuple(values)) if name is not None else None

    def set_slots(self, node: Node | None, scope: Scope) -> SetSlots | None:
        """`set: {slot: expression}`."""
        found = self.map(node, "`set`")
        if found is None:
            return None
        values: list[tuple[str, Condition]] = []
        for key, value in found.entries:
            slot = self.slot(key)
            read = self._argument(value, key.text, slot.type, scope) if slot else None
            if slot and read:
                values.append((slot.name, read))
        return SetSlots(values=tuple(values))

    def slot(self, word: Scalar | None) -> Slot | None:
        """A declared slot of this flow."""
        if word is None:
            return None
        if self.is_misread(word.text):
            return None
        if word.text not in self.names.slots:
            self.add("X2", word, f"there is no slot `{word.text}`", suggest(word.text, self.names.slots))
            return None
        return self.names.slots[word.text]

    def fill(self, node: Node | None, given: Type | None, what: str) -> str | None:
        """`as: slot` for a value of type `given`."""
        word = self.word(node, "`as`")
        slot = self.slot(word)
        if word is None or slot is None:
            return None
        if given is None:
            self.add("C3", word, f"{what} gives nothing to keep")
            return None
        if not fits(given, slot.type):
            self.add("C3", word, f"{what} gives {describe(given)}; the slot `{slot.name}` is {describe(slot.type)}")
            return None
        return slot.name

    def small_actions(self, node: Node | None, scope: Scope) -> tuple[SmallAction, ...]:
        """The `do` of an edge: slots, language and metrics. Calls have a state of their own."""
        actions: list[SmallAction] = []
        for item in self.items(node, "`do`"):
            action = self._small(item, scope)
            if action is not None:
                actions.append(action)
        return tuple(actions)

    def _small(self, item: Node, scope: Scope) -> SmallAction | None:
        if isinstance(item, Scalar) and item.text == "switch_language":
            return ChangeLanguage(to=None)
        if isinstance(item, Map) and item.get("call") is not None:
            self.add("Y2", item.key("call"), "a call stands under a state's `do`, not here", "go to a state that makes the call")
            return None
        found = self.map(item, "an entry of `do`", ("set", "switch_language", "emit", "schedule"))
        if found is None or len(found.entries) != 1:
            if found is not None:
                self.add("Y2", item, "an entry of `do` is one thing: `call`, `set`, `switch_language`, `emit` or `schedule`")
            return None
        if found.get("set") is not None:
            return self.set_slots(found.get("set"), scope)
        if found.get("emit") is not None:
            return self._emit(found.get("emit"), scope)
        if found.get("schedule") is not None:
            return self._schedule(found.get("schedule"), scope)
        to = self.name(found.get("switch_language"), "language", self.shared.languages)
        return ChangeLanguage(to=to) if to else None

    def _emit(self, node: Node | None, scope: Scope) -> EmitMetric | None:
        """`emit: name`, or {name, value}."""
        value: tuple[Condition, Type] | None = None
        word = node
        if isinstance(node, Map):
            self.map(node, "`emit`", ("name", "value"))
            word = self.need(node, "name", "`emit`")
            value = self.value(node.get("value"), scope, "`value`", MONEY)
        name = self.word(word, "`emit`")
        if name is not None and _METRIC.fullmatch(name.text) is None:
            self.add("Y2", name, "a metric is named with a-z, 0-9 and _, at most 40 of them")
        return EmitMetric(name=name.text, value=value[0] if value else None, at=name.at) if name else None

    def _schedule(self, node: Node | None, scope: Scope) -> StartLater | None:
        """`schedule: {flow, after, between}`, or {flow, date, at}: the date is written out, or in a slot."""
        found = self.map(node, "`schedule`", ("flow", "after", "date", "at", "between"))
        if found is None:
            return None
        word = self.need(found, "flow", "`schedule`")
        flow = self.name(word, "flow", self.names.flows, "T1")
        if (found.get("after") is None) == (found.get("date") is None):
            self.add("Y2", found, "a flow starts `after` so long, or on a `date`", "one of the two")
            return None
        seconds = self.duration(found.get("after"), "`after`")
        day = self._date(found.get("date"), scope)
        hours = self.hours(found)
        minute = self.minute(self.need(found, "at", "a `date`"), "`at`") if found.get("date") is not None else 0
        if found.get("date") is None and found.get("at") is not None:
            self.add("Y2", found.key("at"), "`at` belongs to `date`")
        if flow is None or hours is None or minute is None or (seconds is None and day is None):
            return None
        if not self._visitable(word, flow):
            return None
        return StartLater(flow=flow, seconds=seconds, date=day, minute=minute, hours=hours, at=found.at)

    def _date(self, node: Node | None, scope: Scope) -> Condition | None:
        if not isinstance(node, Scalar) or _DATE.fullmatch(node.text) is None:
            read = self.value(node, scope, "`date`", STRING)
            return read[0] if read else None
        try:
            date.fromisoformat(node.text)
        except ValueError:
            self.add("Y2", node, f"there is no day {node.text}")
            return None
        return self.constant(node, node.text)

    EDGE = ("do", "say", "go", "then", "call")

    def edge(self, node: Node, place: str, scope: Scope, more: Iterable[str] = ()) -> Edge | None:
        """A target, or {do, say, go | then: resume | call: flow}."""
        if isinstance(node, Scalar):
            to = self.target(node)
            return Edge(do=(), say=(), go=(Branch(condition=None, to=to, at=node.at),), at=node.at) if to else None
        found = self.map(node, "this", (*self.EDGE, *more))
        if found is None:
            return None
        do = self.small_actions(found.get("do"), scope)
        say = self.say(found.get("say"), f"{place}.say", scope)
        ways = [key for key in ("go", "then", "call") if found.get(key) is not None]
        if len(ways) != 1:
            self.add("T3", node, "this needs one way on: `go: a_state`, `then: resume` or `call: a_flow`")
            return None
        way = found.get(ways[0])
        match ways[0]:
            case "go" if way is not None:
                go = self.go(way, scope)
                return Edge(do=do, say=say, go=go, at=way.at) if go else None
            case "then":
                resume = self.name(way, "way on", (RESUME,))
                return Edge(do=do, say=say, go=(), resume=True, at=node.at) if resume else None
            case _:
                visit = self.name(way, "flow", self.names.flows, "T1")
                return Edge(do=do, say=say, go=(), visit=visit, at=node.at) if visit and self._visitable(way, visit) else None

    def _visitable(self, node: Node | None, flow: str) -> bool:
        takes = self.names.flows[flow].takes
        if takes and node is not None:
            self.add("C2", node, f"`{flow}` takes {', '.join(takes)}: it can only be called under a state's `do`, with `with`")
        return not takes

    def actions(self, node: Node | None, place: str, scope: Scope, entered: Scope) -> tuple[Action, ...]:
        """A state's `do`. What the redirects have shown (`entered`) is sure for its first entry: that one may change it."""
        actions: list[Action] = []
        for index, item in enumerate(self.items(node, "`do`")):
            now = entered if index == 0 else scope
            action: Action | None
            if isinstance(item, Map) and item.get("call") is not None:
                action = self._call(item, place, scope, now)
            else:
                action = self._small(item, now)
            if action is not None:
                actions.append(action)
        return tuple(actions)

    def _call(self, node: Map, place: str, scope: Scope, now: Scope) -> Action | None:
        self.map(node, "a call", ("call", "with", "as", "else"))
        word = self.word(node.get("call"), "the call")
        if word is None:
            return None
        if word.text in self.catalogue.calls:
            return self._call_service(node, self.catalogue.calls[word.text], word, place, scope, now)
        if word.text in self.names.flows:
            return self._call_flow(node, self.names.flows[word.text], word, place, scope, now)
        known = [*self.catalogue.calls, *self.names.flows]
        self.add("C1", word, f"there is no call `{word.text}`", suggest(word.text, known))
        return None

    def _call_service(self, node: Map, spec: CallSpec, word: Scalar, place: str, scope: Scope, now: Scope) -> CallService | None:
        args = self._arguments(node, word, spec.takes, now, spec.must_equal)
        into = self.fill(node.get("as"), spec.returns, f"`{spec.name}`") if node.get("as") is not None else None
        listed = {name for name, outcome in spec.outcomes.items() if not outcome.continues}
        otherwise: dict[str, Edge] = {}
        seen: set[str] = set()
        for key, name, value in self.outcomes(node.get("else"), "`else`"):
            if not self._outcome(key, name, seen, listed, f"`{spec.name}`", set(spec.outcomes)):
                continue
            carries = spec.outcomes[name].carries
            edge = self.edge(value, f"{place}.{spec.name}.{name}", scope.plus({"result": carries} if carries else {}))
            if edge is not None:
                otherwise[name] = edge
        missing = sorted(listed - seen)
        if missing:
            self.add("C6", word, f"`{spec.name}` can also end in {' and '.join(missing)}", "add it under `else`")
        return CallService(call=spec.name, args=args, into=into, otherwise=otherwise, at=word.at)

    def _call_flow(self, node: Map, flow: Signature, word: Scalar, place: str, scope: Scope, now: Scope) -> CallFlow | None:
        args = self._arguments(node, word, flow.takes, now, {})
        into = None
        if node.get("as") is not None:
            into = self.fill(node.get("as"), flow.gives[1] if flow.gives else None, f"`{flow.name}`")
        seen: set[str] = set()
        otherwise: dict[str, Edge] = {}
        for key, name, value in self.outcomes(node.get("else"), "`else`"):
            if self._outcome(key, name, seen, set(flow.results), f"`{flow.name}`", set(flow.results)):
                edge = self.edge(value, f"{place}.{flow.name}.{name}", scope)
                if edge is not None:
                    otherwise[name] = edge
        return CallFlow(flow=flow.name, args=args, into=into, otherwise=otherwise, at=word.at)

    def _outcome(self, key: Scalar, name: str, seen: set[str], listed: set[str], what: str, known: set[str]) -> bool:
        if name in seen:
            self.add("C6", key, f"`{name}` is handled twice")
        elif name in known - listed:
            self.add("C6", key, f"after `{name}` the state goes on by itself: it is not listed here")
        elif name not in listed:
            self.add("C6", key, f"{what} never ends in `{name}`", suggest(name, sorted(listed)))
        else:
            seen.add(name)
            return True
        return False

    def _arguments(
        self, node: Map, word: Scalar, takes: Mapping[str, Type], scope: Scope, must_equal: Mapping[str, str]
    ) -> tuple[tuple[str, Condition], ...]:
        given = self.map(node.get("with"), "`with`") if node.get("with") is not None else None
        args: list[tuple[str, Condition]] = []
        meant = set[str | None]()  # by what is misspelt: it is not missing too
        for key, value in given.entries if given else ():
            if key.text not in takes:
                self.add("C2", key, f"`{word.text}` takes no `{key.text}`", suggest(key.text, takes))
                meant.add(nearest(key.text, takes))
                continue
            read = self._argument(value, key.text, takes[key.text], scope)
            if read is not None:
                args.append((key.text, read))
            if key.text in must_equal and isinstance(value, Scalar) and value.text.strip() != must_equal[key.text]:
                self.add(
                    "C5",
                    value,
                    f"`{key.text}` of `{word.text}` must be exactly `{must_equal[key.text]}`",
                    f"write {key.text}: {must_equal[key.text]}",
                )
        named = {key.text for key, _ in given.entries} if given else set[str]()
        missing = [name for name in takes if name not in named | meant]
        if missing:
            self.add("C2", word, f"`{word.text}` also needs {', '.join(missing)}", "add it under `with`")
        return tuple(args)

    def _argument(self, node: Node, name: str, wanted: Type, scope: Scope) -> Condition | None:
        inner = wanted.type if isinstance(wanted, OrNone) else wanted
        known_as = scope.names.get(node.text) if isinstance(node, Scalar) else None
        meant = known_as is None or not fits(known_as, wanted)  # where a choice is wanted, a bare word is one
        if isinstance(inner, OneOf) and isinstance(node, Scalar) and _WORD.fullmatch(node.text) and meant:
            if node.text not in inner.values:
                known = list(inner.values)
                self.add("C4", node, f"`{name}` is {describe(inner)}; `{node.text}` is none of them", suggest(node.text, known))
                return None
            return self.constant(node, node.text)
        read = self.value(node, scope, f"`{name}`", wanted)
        return read[0] if read else None
