"""What a new bundle means for people who are in a state of an old one, and the move itself. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Final

from conversation.authoring.check.assigned import sure_slots
from conversation.engine.flow import Bundle, Flow
from conversation.engine.snapshot import MOVED_ASK, MOVED_ENTER, Frame, Snapshot
from conversation.engine.values import JSON
from conversation.errors import Broken
from conversation.publishing.fingerprints import entry_of, question_of, shape_of, wording_of
from conversation.publishing.migrations import KEEP_OLD, Migration, same_type


class Fate(StrEnum):
    """What happens to people in a state, the mildest first."""

    SAME = "same"
    WORDS = "texts changed"
    ROUND = "other parts changed"
    ASK = "replies changed"
    ENTER = "entered anew"
    KEPT = KEEP_OLD
    PINNED = "pinned (money in flight)"
    BLOCKED = "blocked"


STAYS: Final = frozenset({Fate.KEPT, Fate.PINNED, Fate.BLOCKED})
_ORDER: Final = tuple(Fate)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`to`: the state they enter. `say`: what they are told before. `why`: of BLOCKED, in words."""

    fate: Fate
    to: str | None = None
    say: str | None = None
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Moved:
    """A snapshot that the new bundle can go on with, and what to say first."""

    snapshot: Snapshot
    say: str | None


def graver(one: Fate, other: Fate) -> Fate:
    """The one of the two that changes more for people."""
    return max(one, other, key=_ORDER.index)


class Comparison:
    """One old bundle beside the new one, judged once and asked often."""

    def __init__(self, old: Bundle, new: Bundle, migrations: Mapping[str, Migration]) -> None:
        self.old = old
        self.new = new
        self.migrations = migrations

    @cached_property
    def verdicts(self) -> Mapping[tuple[str, str], Verdict]:
        """What happens to people in each state of the old bundle, by flow and state."""
        return {(flow.name, state): self._judge(flow, state) for flow in self.old.flows.values() for state in flow.states}

    def of(self, places: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], Verdict]:
        """The verdict for a conversation whose flows stand at these places, the running one last: the gravest rules."""
        found = [(place, self.verdicts.get(place, Verdict(fate=Fate.BLOCKED, why="unknown"))) for place in places]
        return max(reversed(found), key=lambda each: _ORDER.index(each[1].fate))

    def lead(self, places: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        """Where a conversation at these places stands afterwards; those above a flow that begins anew are gone."""
        after: list[tuple[str, str]] = []
        for flow, state in places:
            verdict = self.verdicts[flow, state]
            after.append((flow, verdict.to or state))
            if verdict.fate is Fate.ENTER:
                break
        return after

    def move(self, snapshot: Snapshot) -> Moved | None:
        """Bring a conversation over. None when it must stay: it is pinned, kept, or the new version lacks what it knows.

        The lowest flow that has to begin anew loses the flows above it: they cannot come back to where they were called.
        """
        _, worst = self.of([(frame.flow, frame.state) for frame in snapshot.frames])
        if worst.fate in STAYS:
            return None
        frames: list[Frame] = []
        say = None
        for index, frame in enumerate(snapshot.frames):
            verdict = self.verdicts[frame.flow, frame.state]
            slots = self._slots(frame)
            state = verdict.to or frame.state
            if slots is None or not self._needed[frame.flow].get(state, frozenset()) <= slots.keys():
                return None
            moved = replace(frame, slots=slots)
            if verdict.fate is Fate.ENTER:
                frames.append(replace(moved, state=state, wait=None, action=-1, moved=MOVED_ENTER))
                say = verdict.say
                break
            asks = verdict.fate is Fate.ASK and index == len(snapshot.frames) - 1 and frame.moved != MOVED_ENTER
            frames.append(replace(moved, moved=MOVED_ASK) if asks else moved)
        return Moved(snapshot=replace(snapshot, frames=tuple(frames), bundle=self.new.hash), say=say)

    @cached_property
    def _needed(self) -> Mapping[str, Mapping[str, frozenset[str]]]:
        """By flow and state, the slots that the new version takes for set there."""
        return {flow.name: sure_slots(flow) for flow in self.new.flows.values()}

    @cached_property
    def _known(self) -> Mapping[str, Mapping[str, frozenset[str]]]:
        return {flow.name: sure_slots(flow) for flow in self.old.flows.values()}

    def _judge(self, flow: Flow, name: str) -> Verdict:
        if (flow.name, name) in self.new.publishing.pinned or flow.states[name].wait is not None:
            return Verdict(fate=Fate.PINNED)
        migration = self.migrations.get(flow.name, Migration(flow=flow.name))
        rule, after = migration.states.get(name), self.new.flows.get(flow.name)
        if rule is not None and rule.to is None:
            return Verdict(fate=Fate.KEPT)
        if after is None:
            return Verdict(fate=Fate.BLOCKED, why=f"the flow `{flow.name}` is gone")
        if rule is None and name not in after.states:
            return Verdict(fate=Fate.BLOCKED, why=f"gone: add `{name}: <state>` or `{name}: {KEEP_OLD}` to a migration")
        state = rule.to if rule is not None and rule.to is not None else name
        lacking = self._lacking(flow, after, migration, name, state)
        if lacking:
            return Verdict(fate=Fate.BLOCKED, why=lacking)
        if rule is not None:
            return Verdict(fate=Fate.ENTER, to=rule.to, say=rule.say)
        return Verdict(fate=self._compare(flow, after, name))

    def _lacking(self, flow: Flow, after: Flow, migration: Migration, name: str, state: str) -> str:
        """Why nobody can go on with what they know, in words; empty when they can."""
        retyped = [slot for slot in {*flow.slots, *flow.takes} - migration.slots.keys() if not same_type(slot, flow, after)]
        if retyped:
            return f"the slot `{min(retyped)}` changed its type: add a rule for it under `slots` to a migration"
        dropped = {slot for slot, rule in migration.slots.items() if rule.to != slot}
        given = {rule.to for rule in migration.slots.values() if rule.to is not None}
        defaults = {slot.name for slot in after.slots.values() if slot.has_default}
        known = (self._known[flow.name].get(name, frozenset()) - dropped) | given | defaults
        unknown = self._needed[flow.name].get(state, frozenset()) - known
        return f"the slot `{min(unknown)}` is not known yet to those who are here: give it a default" if unknown else ""

    @staticmethod
    def _compare(flow: Flow, after: Flow, name: str) -> Fate:
        old, new = flow.states[name], after.states[name]
        if entry_of(old) != entry_of(new):
            return Fate.ENTER
        if question_of(old) != question_of(new):
            return Fate.ASK
        if shape_of(old) != shape_of(new):
            return Fate.ROUND
        return Fate.SAME if wording_of(old) == wording_of(new) else Fate.WORDS

    def _slots(self, frame: Frame) -> Mapping[str, JSON] | None:
        after, migration = self.new.flows[frame.flow], self.migrations.get(frame.flow, Migration(flow=frame.flow))
        kept = {slot: value for slot, value in frame.slots.items() if slot not in migration.slots}
        made: dict[str, JSON] = {}
        for slot, rule in migration.slots.items():
            if rule.to is None or rule.value is None or slot not in frame.slots:
                continue
            try:
                made[rule.to] = rule.value.evaluate({"old": dict(frame.slots)})
            except Broken:
                return None  # it reads a slot that this customer has not filled
        defaults = {slot.name: slot.default for slot in after.slots.values() if slot.has_default}
        return {**defaults, **{slot: value for slot, value in kept.items() if slot in after.slots or slot in after.takes}, **made}
