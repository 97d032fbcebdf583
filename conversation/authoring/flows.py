"""Reading one flow file: slots, starts, commands, what the customer's silence does, and its states."""

from collections.abc import Mapping
from typing import Final

from conversation.authoring.expression_types import Scope
from conversation.authoring.forms import form_slots
from conversation.authoring.nodes import Map, Node, Scalar
from conversation.authoring.parts import FlowNames, PartReader, Signature
from conversation.authoring.problems import Source
from conversation.authoring.reading import Reader, Shared
from conversation.authoring.states import StateReader
from conversation.engine.context import WEEKDAYS
from conversation.engine.flow import VENDOR, Command, Expiry, Farewell, Flow, Reminder, Slot, Start, State
from conversation.engine.normalise import normalise
from conversation.engine.types import BOOL, INT, MONEY, STRING, Fields, OneOf, OrNone, Type
from conversation.engine.types import Scalar as ScalarType
from conversation.engine.values import JSON

FLOW: Final = ("flow", "starts_when", "takes", "gives", "slots", "conversation", "commands", "on_leave", "states")
RESERVED: Final = frozenset({"vendor", "customer", "order", "conversation", "now", "event", "result", "it"})


def read_signature(shared: Shared, source: Source, root: Node) -> Signature | None:
    """Read what a caller needs to know: the flow's name, what it takes and gives, and how it can end."""
    reader = Reader(shared, source)
    found = reader.map(root, "a flow", FLOW)
    if found is None:
        return None
    name = reader.word(reader.need(found, "flow", "a flow file"), "the flow's name")
    takes = reader.map(found.get("takes"), "`takes`") if found.get("takes") is not None else None
    gives = reader.map(found.get("gives"), "`gives`") if found.get("gives") is not None else None
    states = reader.map(found.get("states"), "`states`") if found.get("states") is not None else None
    if name is None:
        return None
    given = [(key.text, reader.type(value)) for key, value in (gives.entries if gives else ())]
    if len(given) > 1 and gives is not None:
        reader.add("Y2", gives, "a flow gives one thing")
    ends = [state.get("end") for _, state in (states.entries if states else ()) if isinstance(state, Map)]
    return Signature(
        name=name.text,
        takes={key.text: kind for key, value in (takes.entries if takes else ()) if (kind := reader.type(value)) is not None},
        gives=(given[0][0], given[0][1]) if given and given[0][1] is not None else None,
        results=frozenset(end.text for end in ends if isinstance(end, Scalar)),
        at=name.at,
    )


class FlowReader(PartReader):
    """Reads one flow."""

    def __init__(self, shared: Shared, source: Source, root: Map, flows: Mapping[str, Signature], signature: Signature) -> None:
        states = root.get("states")
        known = {key.text: key.at for key, _ in states.entries} if isinstance(states, Map) else {}
        super().__init__(shared, source, FlowNames(flow=signature.name, states=known, slots={}, flows=flows))
        self.root = root
        self.signature = signature

    def flow(self) -> Flow | None:
        """Read it whole. None when it is not even a flow."""
        states = self.map(self.need(self.root, "states", "a flow"), "`states`")
        if states is None or not states.entries:
            return None
        slots = self._slots(self.root.get("slots"))
        slots |= form_slots(self, states, slots, RESERVED)
        self.names.slots = slots
        starts = self._starts(self.root.get("starts_when"))
        scope = self._scope(starts)
        conversation = self.map(self.root.get("conversation"), "`conversation`", ("expires", "remind"))
        commands = self._commands(self.root.get("commands"), scope)
        read = StateReader(self.shared, self.source, self.names, commands, scope)
        found = {key.text: state for key, value in states.entries if (state := read.state(key, value)) is not None}
        expiry = self._expiry(conversation.get("expires")) if conversation else None
        reminder = self._reminder(conversation.get("remind"), scope) if conversation else None
        self._check_reminded(conversation, found)
        self._fold_mistakes()
        return Flow(
            name=self.names.flow,
            first=states.entries[0][0].text,
            states=found,
            starts=starts,
            slots=slots,
            takes=self.signature.takes,
            gives=self.signature.gives,
            expiry=expiry,
            reminder=reminder,
            at=self.signature.at,
            on_leave=self._farewell(self.root.get("on_leave"), scope),
            results=self.signature.results,
        )

    def _check_reminded(self, conversation: Map | None, states: Mapping[str, State]) -> None:
        """Refuse to remind where nothing is asked: it would never be said."""
        written = self.root.get("states")
        remind = self.map(conversation.get("remind"), "`remind`") if conversation and conversation.get("remind") else None
        for item in self.items(remind.get("in") if remind else None, "`in`"):
            state = states.get(self.target(item) or "")
            node = written.get(state.name) if state is not None and isinstance(written, Map) else None
            tries = isinstance(node, Map) and any(node.get(wait) is not None for wait in ("ask", "form"))
            if state is not None and not state.asks and not tries:
                self.add("Y2", item, f"`{state.name}` asks nothing, so nobody is reminded there")

    def _scope(self, starts: tuple[Start, ...]) -> Scope:
        names: dict[str, Type] = dict(self.catalogue.context)
        language = OneOf(values=self.shared.languages)
        clock: dict[str, Type] = {"hour": INT, "minute": INT, "weekday": OneOf(values=WEEKDAYS)}
        names["now"] = Fields(name="now", fields=clock)  # the wall clock, in the app's time zone
        names["conversation"] = Fields(name="conversation", fields={"came_from": STRING, "language": language})
        events = [start.event for start in starts if start.event is not None]
        if events:
            spec = self.catalogue.events[events[0]]
            fields = {**spec.carries.fields, "outcome": OneOf(values=tuple(spec.outcomes))}
            names["event"] = Fields(name=spec.name, fields=fields)
        return Scope(names=names | {slot.name: slot.type for slot in self.names.slots.values()})

    def _slots(self, node: Node | None) -> dict[str, Slot]:
        found = self.map(node, "`slots`") if node is not None else None
        slots: dict[str, Slot] = {
            name: Slot(name=name, type=kind, has_default=False, default=None, at=self.signature.at)
            for name, kind in self.signature.takes.items()
        }
        for key, value in found.entries if found else ():
            if key.text in RESERVED or not key.text.isidentifier() or key.text.startswith("_"):
                self.add("Y2", key, f"`{key.text}` cannot be the name of a slot")
                continue
            entry = self.map(value, "a slot", ("type", "default"))
            kind = self.type(self.need(entry, "type", "a slot")) if entry else None
            if entry is None or kind is None:
                self.names.misread.add(key.text)
                continue
            default = self._default(entry.get("default"), kind)
            has_default = entry.get("default") is not None or isinstance(kind, OrNone)
            slots[key.text] = Slot(name=key.text, type=kind, has_default=has_default, default=default, at=key.at)
        return slots

    def _default(self, node: Node | None, kind: Type) -> JSON:
        word = self.word(node, "`default`")
        if word is None:
            return None
        inner = kind.type if isinstance(kind, OrNone) else kind
        if inner in (INT, MONEY) and word.text.lstrip("-").isdecimal():
            return int(word.text)
        if inner == BOOL and word.text in ("true", "false"):
            return word.text == "true"
        if isinstance(inner, ScalarType) and inner.name == "string":
            return word.text
        self.add("C3", word, "this default is not of the slot's type")
        return None

    def _starts(self, node: Node | None) -> tuple[Start, ...]:
        starts: list[Start] = []
        for item in self.items(node, "`starts_when`"):
            found = self.map(item, "a start", ("words", "link", "entity", "as", "event", "any", "go"))
            if found is None:
                continue
            kinds = [kind for kind in ("words", "link", "entity", "event", "any") if found.get(kind) is not None]
            if len(kinds) != 1:
                self.add("Y2", item, "a start is one of `words`, `link`, `entity`, `event` or `any: true`")
                continue
            if kinds == ["any"] and not self.flag(found.get("any"), "`any`"):
                self.add("Y2", item, "a start that is never taken: write `any: true`, or leave it out")
                continue
            entity = self.name(found.get("entity"), "entity", self.catalogue.entities, "C1")
            event = self.name(found.get("event"), "event", self.catalogue.events, "C1")
            into = self.fill(found.get("as"), self.catalogue.entities[entity].type, f"`{entity}`") if entity else None
            starts.append(
                Start(
                    at=item.at,
                    words=self.words(found.get("words"), "`words`")[0],
                    link=self._link(found.get("link")),
                    entity=entity,
                    into=into,
                    event=event,
                    anything=self.flag(found.get("any"), "`any`"),
                    go=self.target(found.get("go")),
                )
            )
        return tuple(starts)

    def _link(self, node: Node | None) -> str | None:
        word = self.word(node, "`link`")
        plain = word.text.replace(VENDOR, "") if word else ""
        if word is not None and (not normalise(plain) or "{" in plain or "}" in plain):
            self.add("Y2", word, "`link` is the text of a wa.me link; it may hold {vendor}", "e.g. shop-{vendor}")
            return None
        return word.text if word else None

    def _commands(self, node: Node | None, scope: Scope) -> dict[str, Command]:
        found = self.map(node, "`commands`") if node is not None else None
        commands: dict[str, Command] = {}
        for key, value in found.entries if found else ():
            entry = self.map(value, "a command", ("words", *self.EDGE))
            words = self.words(self.need(entry, "words", "a command"), "`words`") if entry else (frozenset[str](), [])
            edge = self.edge(value, f"{self.names.flow}.commands.{key.text}", scope, ("words",)) if entry else None
            if edge is not None:
                commands[key.text] = Command(name=key.text, words=words[0], edge=edge, at=key.at)
        return commands

    def _expiry(self, node: Node | None) -> Expiry | None:
        found = self.map(node, "`expires`", ("after", "to")) if node is not None else None
        if found is None:
            return None
        seconds = self.duration(self.need(found, "after", "`expires`"), "`after`")
        to = self.target(self.need(found, "to", "`expires`"))
        return Expiry(seconds=seconds, to=to, at=found.at) if seconds and to else None

    def _reminder(self, node: Node | None, scope: Scope) -> Reminder | None:
        found = self.map(node, "`remind`", ("after", "in", "times", "between", "say")) if node is not None else None
        if found is None:
            return None
        seconds = self.duration(self.need(found, "after", "`remind`"), "`after`")
        states = [self.target(item) for item in self.items(self.need(found, "in", "`remind`"), "`in`")]
        times = self.number(found.get("times"), "`times`", least=1, most=10) if found.get("times") is not None else 1
        hours = self.hours(found)
        say = self.say(self.need(found, "say", "`remind`"), f"{self.names.flow}.conversation.remind.say", scope)
        if not seconds or not times or not say or hours is None:
            return None
        return Reminder(
            seconds=seconds,
            times=times,
            states=frozenset(state for state in states if state is not None),
            hours=hours,
            say=say,
            at=found.at,
        )

    def _farewell(self, node: Node | None, scope: Scope) -> Farewell | None:
        """`on_leave`: it may come at any wait, so it can only read what is always set."""
        found = self.map(node, "`on_leave`", ("do", "say")) if node is not None else None
        if found is None:
            return None
        unsure = {slot.name for slot in self.names.slots.values() if not slot.has_default} - self.signature.takes.keys()
        sure = Scope(names={name: kind for name, kind in scope.names.items() if name not in unsure})
        say = self.say(found.get("say"), f"{self.names.flow}.on_leave.say", sure)
        return Farewell(do=self.small_actions(found.get("do"), sure), say=say)

    def _fold_mistakes(self) -> None:
        """A state that only a misspelled target leads to is not a second mistake: say so beside the first."""
        first = next(iter(self.names.states), None)
        for state, at in self.names.mistaken.items():
            if state != first and not self.names.aimed.get(state):
                self.problems.note(at, f"Because of this, nobody can reach `{state}`.")
