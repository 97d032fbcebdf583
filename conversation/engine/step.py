"""One step of a conversation: event in, new snapshot and effects out."""

from dataclasses import dataclass

from conversation.engine.context import Context
from conversation.engine.effects import Effect, TraceEntry
from conversation.engine.events import Event
from conversation.engine.flow import Bundle
from conversation.engine.snapshot import Snapshot


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one step did. When the last effect is a Call, the turn is not over: run it and step again with Returned."""

    snapshot: Snapshot
    effects: tuple[Effect, ...]
    trace: tuple[TraceEntry, ...]


def step(bundle: Bundle, snapshot: Snapshot, event: Event, context: Context) -> Step:
    """Take one event. Pure: the same four arguments give the same Step, on any machine, in any year.

    Raises: ContractBroken, LimitCrossed, Broken. Then nothing of this turn may be kept but the event and the trace.
    """
    raise NotImplementedError
