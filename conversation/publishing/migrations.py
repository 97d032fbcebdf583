"""flows/migrations/*.yaml: where people go whose state a publish takes away, and what becomes of their slots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from conversation.authoring.expression_types import Scope
from conversation.authoring.nodes import Map, Node, Scalar, parse_yaml
from conversation.authoring.problems import Problems
from conversation.authoring.reading import Reader, Shared
from conversation.engine.expressions import Expression, make_environment
from conversation.engine.flow import Bundle, Flow
from conversation.engine.types import Fields, fits

KEEP_OLD: Final = "keep_old"
DROP: Final = "drop"
SHORTEST_FROM: Final = 7


@dataclass(frozen=True, kw_only=True)
class Rule:
    """People in a state that is gone: they go on in `to`, after hearing `say`; `to` None keeps them on the old version."""

    to: str | None
    say: str | None = None


@dataclass(frozen=True, kw_only=True)
class SlotRule:
    """A slot of the old version becomes `to` with the value of `value` over `old`; without `to` it is dropped."""

    to: str | None = None
    value: Expression | None = None


@dataclass(frozen=True, kw_only=True)
class Migration:
    """The rules for one flow of one bundle that is replaced."""

    flow: str
    states: Mapping[str, Rule] = field(default_factory=dict)
    slots: Mapping[str, SlotRule] = field(default_factory=dict)


def read_migrations(files: Mapping[str, bytes], old: Bundle, new: Bundle) -> dict[str, Migration]:
    """Read those for leaving `old`, by flow. Raises FlowErrors for what does not fit the two bundles."""
    problems = Problems()
    found: dict[str, Migration] = {}
    for file, data in sorted(files.items()):
        source, root = parse_yaml(file, data, problems)
        shared = Shared(
            catalogue=new.catalogue,
            environment=make_environment({name: each.run for name, each in new.catalogue.functions.items()}),
            problems=problems,
            languages=new.languages,
            translations={},
        )
        migration = _Migration(Reader(shared, source), root, old, new).read()
        if migration is not None:
            found[migration.flow] = migration
    problems.stop_if_any()
    return found


class _Migration:
    """Reads one file."""

    def __init__(self, read: Reader, root: Node, old: Bundle, new: Bundle) -> None:
        self.read_node = read
        self.old = old
        self.new = new
        self.root = read.map(root, "a migration", ("migrate", "from", "states", "slots")) or Map(entries=(), at=root.at)

    def read(self) -> Migration | None:
        """The rules, or None when they are for leaving another bundle."""
        read, root = self.read_node, self.root
        leaves = read.word(read.need(root, "from", "a migration"), "the bundle that is replaced")
        if leaves is not None and len(leaves.text) < SHORTEST_FROM:
            read.add(
                "Y2", leaves, f"`from` is at least the first {SHORTEST_FROM} digits of a bundle: `soko flow published` lists them"
            )
        if leaves is None or not self.old.hash.startswith(leaves.text):
            return None
        name = read.name(read.need(root, "migrate", "a migration"), "flow of the old version", self.old.flows, "T1")
        if name is None:
            return None
        before, after = self.old.flows[name], self.new.flows.get(name)
        states = read.map(root.get("states"), "`states`")
        slots = read.map(root.get("slots"), "`slots`")
        return Migration(
            flow=name,
            states={
                key.text: rule
                for key, value in (states.entries if states else ())
                if self._is_of(key, before.states, "state") and (rule := self._rule(value, after)) is not None
            },
            slots={
                key.text: slot
                for key, value in (slots.entries if slots else ())
                if self._is_of(key, [*before.slots, *before.takes], "slot")
                and (slot := self._slot(value, before, after)) is not None
            },
        )

    def _is_of(self, key: Scalar, known: Sequence[str] | Mapping[str, object], what: str) -> bool:
        return self.read_node.name(key, f"{what} of the old version", known, "T1") is not None

    def _rule(self, value: Node, after: Flow | None) -> Rule | None:
        if isinstance(value, Scalar) and value.text == KEEP_OLD:
            return Rule(to=None)
        known = after.states if after is not None else {}
        if isinstance(value, Scalar):
            to = self.read_node.name(value, "state", known, "T1")
            return Rule(to=to) if to else None
        rule = self.read_node.map(value, "a rule", ("to", "say"))
        if rule is None:
            return None
        to = self.read_node.name(self.read_node.need(rule, "to", "a rule"), "state", known, "T1")
        say = self.read_node.word(rule.get("say"), "the message")
        return Rule(to=to, say=say.text if say else None) if to else None

    def _slot(self, value: Node, before: Flow, after: Flow | None) -> SlotRule | None:
        if isinstance(value, Scalar):
            return SlotRule() if self.read_node.name(value, "rule for a slot", (DROP,)) else None
        rule = self.read_node.map(value, "a rule for a slot", ("to", "with"))
        slots = after.slots if after is not None else {}
        to = self.read_node.name(rule.get("to") if rule else None, "slot", slots, "T1")
        if rule is None or to is None:
            return None
        old = Fields(name="old", fields={**before.takes, **{name: slot.type for name, slot in before.slots.items()}})
        known = Scope(names={"old": old})
        found = self.read_node.value(self.read_node.need(rule, "with", "a rule for a slot"), known, "`with`", slots[to].type)
        return SlotRule(to=to, value=found[0].expression) if found else None


def same_type(name: str, before: Flow, after: Flow) -> bool:
    """Whether a value of the old slot may stand in the new one of the same name; a slot that is gone holds nothing."""
    kinds = [{**flow.takes, **{slot.name: slot.type for slot in flow.slots.values()}} for flow in (before, after)]
    return name not in kinds[0] or name not in kinds[1] or fits(kinds[0][name], kinds[1][name])
