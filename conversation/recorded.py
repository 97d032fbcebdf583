"""A turn as it is kept: what came in, what every step read, decided and asked for, and what each call answered.

With the flows of its version and the shop's words of its day it can be taken again without a database. Shape of the JSON:

{"event": {…}, "from": "shop.pay" | null, "to": …, "before": {…}, "steps": [
  {"context": {"vendor": {…}, "customer": {…}, "order": {…}}, "trace": [{…}], "effects": [{…}],
   "answer": {"outcome": "ok", "value": …, "ms": 0.8}}]}

`before` is the snapshot that the turn began with; it is kept where no flow ran, and where a publish had just moved the
conversation: there a chat can be taken again from. Such a turn has "moved": {"left": bundle, "from": "shop.which", "say": …}. A
step's context holds what differs from the step before; an answer is there when the step ended in a call. A turn that
failed has `error` and no steps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from conversation.engine import effects, events
from conversation.engine.context import Context
from conversation.engine.events import Event
from conversation.engine.lexicon import Lexicon
from conversation.engine.snapshot import Snapshot
from conversation.engine.step import Step
from conversation.engine.values import JSON, Record

PARTS: Final = ("vendor", "customer", "order")


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What a call came back with, and how long it took."""

    outcome: str
    value: JSON
    milliseconds: float


@dataclass(frozen=True, kw_only=True)
class RecordedStep:
    """One step: the vendor, customer and order it read, what it noted, what it asked for; effects as plain JSON."""

    vendor: Record
    customer: Record
    order: Record
    trace: Sequence[Mapping[str, JSON]]
    effects: Sequence[Mapping[str, JSON]]
    answer: Answered | None

    def context(self, lexicon: Lexicon) -> Context:
        """What the engine was given."""
        return Context(vendor=self.vendor, customer=self.customer, order=self.order, lexicon=lexicon)


@dataclass(frozen=True, kw_only=True)
class Move:
    """A publish moved the conversation here at the beginning of a turn: out of which bundle and state, and what it was told."""

    left: str
    came_from: str | None
    say: str | None


@dataclass(frozen=True, kw_only=True)
class RecordedTurn:
    """One turn. `bundle` and `shelf` name the flows and the shop's words it was taken with; no steps: it failed with `error`."""

    conversation_id: str
    turn: int
    at: datetime
    bundle: str
    shelf: str
    event: Event
    came_from: str | None
    state: str | None
    before: Snapshot | None
    steps: tuple[RecordedStep, ...]
    moved: Move | None = None
    error: str | None = None

    @property
    def effects(self) -> list[Mapping[str, JSON]]:
        """Everything the turn asked for, in order."""
        return [effect for step in self.steps for effect in step.effects]

    @property
    def trace(self) -> list[Mapping[str, JSON]]:
        """Everything the turn noted, in order."""
        return [entry for step in self.steps for entry in step.trace]


class Recorder:
    """Writes down one turn while it is taken."""

    def __init__(self, event: Event, before: Snapshot, *, moved: Move | None = None) -> None:
        self._event, self._before, self._moved = event, before, moved
        self._steps: list[dict[str, Any]] = []
        self._seen: dict[str, Record] = {}

    def stepped(self, context: Context, taken: Step) -> None:
        """Add what one step did."""
        read = {part: getattr(context, part) for part in PARTS}
        new = {part: value for part, value in read.items() if self._seen.get(part) != value}
        self._seen = read
        self._steps.append(
            {
                "context": new,
                "trace": [entry.to_json() for entry in taken.trace],
                "effects": [effects.to_json(effect) for effect in taken.effects],
            }
        )

    def answered(self, outcome: str, value: JSON, milliseconds: float) -> None:
        """Add what the call at the end of the last step came back with."""
        self._steps[-1]["answer"] = {"outcome": outcome, "value": value, "ms": round(milliseconds, 3)}

    def to_json(self, after: Snapshot) -> dict[str, JSON]:
        """The turn as it is kept."""
        shape = {**_frame(self._event, self._before, after), "steps": self._steps}
        if self._moved is None:
            return shape
        told: JSON = {"left": self._moved.left, "from": self._moved.came_from, "say": self._moved.say}
        return {**shape, "before": self._before.to_json(), "moved": told}


def failed(event: Event, before: Snapshot, error: str) -> dict[str, JSON]:
    """A turn that was rolled back, as it is kept."""
    return {**_frame(event, before, before), "error": error, "steps": []}


def read(record: Mapping[str, JSON], *, conversation_id: str, turn: int, at: datetime, bundle: str, shelf: str) -> RecordedTurn:
    """Read what is kept. Raises KeyError or TypeError for anything else."""
    kept = cast("Mapping[str, Any]", record)
    seen: dict[str, Record] = {}
    steps: list[RecordedStep] = []
    for each in kept["steps"]:
        seen = {**seen, **each["context"]}
        answer = each.get("answer")
        steps.append(
            RecordedStep(
                vendor=seen["vendor"],
                customer=seen["customer"],
                order=seen["order"],
                trace=each["trace"],
                effects=each["effects"],
                answer=Answered(outcome=answer["outcome"], value=answer["value"], milliseconds=answer["ms"]) if answer else None,
            )
        )
    moved = kept.get("moved")
    return RecordedTurn(
        conversation_id=conversation_id,
        turn=turn,
        at=at,
        bundle=bundle,
        shelf=shelf,
        event=events.from_json(kept["event"]),
        came_from=kept["from"],
        state=kept["to"],
        before=Snapshot.from_json(kept["before"]) if "before" in kept else None,
        steps=tuple(steps),
        moved=Move(left=moved["left"], came_from=moved["from"], say=moved["say"]) if moved else None,
        error=kept.get("error"),
    )


def name_state(snapshot: Snapshot) -> str | None:
    """ "shop.pay"; None when no flow runs."""
    return None if snapshot.idle else f"{snapshot.flow}.{snapshot.state}"


def _frame(event: Event, before: Snapshot, after: Snapshot) -> dict[str, JSON]:
    shape: dict[str, JSON] = {"event": events.to_json(event), "from": name_state(before), "to": name_state(after)}
    return {**shape, "before": before.to_json()} if before.idle else shape
