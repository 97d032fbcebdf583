"""The whole memory of a conversation between two turns. It goes through JSON without loss."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from conversation.engine.effects import Consent
from conversation.engine.values import JSON, Record

MOVED_ASK: Final = "ask"
MOVED_ENTER: Final = "enter"


@dataclass(frozen=True, kw_only=True)
class Wait:
    """An open wait. `turn` is the turn it began in: the fence that its timers and its choice ids carry.

    Repeating the question (nothing matched, a digression, a tap on an old menu) keeps the wait, its number and its
    due times. A new wait has a new number, because one turn begins at most one wait.
    """

    turn: int
    state: str
    key: str | None = None  # which event is waited for
    choices: Mapping[str, str] = field(default_factory=dict)  # choice -> title, as the customer sees them
    rows: Mapping[str, JSON] = field(default_factory=dict)  # picked id -> the whole item behind the row
    page: int = 1  # of a list longer than WhatsApp's ten rows
    shows: Mapping[str, JSON] = field(default_factory=dict)  # what a consent question was showing, by expression
    tries: int = 0
    since: int = 0  # turn of the customer's last message to it, or in which it began: the fence of silence timers
    reminded: int = 0
    timers: Mapping[str, str] = field(default_factory=dict)  # name -> due, ISO 8601 UTC
    asks_for: str | None = None  # of a form: which slot is asked for
    doubt: Mapping[str, JSON] = field(default_factory=dict)  # slot -> new value, while it is asked which to correct


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A running flow. Frames under the top one are interrupted (visit) or have called it (subflow)."""

    flow: str
    state: str
    slots: Record = field(default_factory=dict)
    visits: Mapping[str, int] = field(default_factory=dict)
    came_from: str = ""  # the state that last waited
    wait: Wait | None = None
    event: Record = field(default_factory=dict)  # of a flow that an event started
    visiting: bool = False  # when it ends, the question below is asked again
    action: int = -1  # index of the `do` entry that called the frame above; -1 when none did
    moved: str = ""  # by a publish: MOVED_ASK or MOVED_ENTER is due with the customer's next message, which answered what is gone


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A turn that stopped at a Call and goes on with Returned. Never set between two turns."""

    call: str
    args: Record
    action: int
    states: int
    messages: int
    cost: int
    consent: Consent | None


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """One conversation: one customer with one vendor, for ever.

    bundle    hash of the bundle that made it
    frames    the running flow last, under it those it interrupted or was called by; none when idle
    language  what the customer switched to in this conversation, else None (the context's customer.language holds)
    settled   key of an event -> the outcomes that the customer knows of already; the latest few
    scheduled flow that starts later -> the turn that said so: the fence of its timer
    spoke_*   the customer's last message: its turn and its time, ISO 8601 UTC
    """

    seed: str
    turn: int = 0
    bundle: str = ""
    frames: tuple[Frame, ...] = ()
    language: str | None = None
    spoke_turn: int = 0
    spoke_at: str | None = None
    result: str | None = None
    settled: Mapping[str, Sequence[str]] = field(default_factory=dict)
    scheduled: Mapping[str, int] = field(default_factory=dict)
    pending: Pending | None = None

    @classmethod
    def fresh(cls, seed: str) -> "Snapshot":
        """A conversation in which nothing has been said. `seed` is constant for its life, e.g. the conversation's id."""
        return cls(seed=seed)

    @property
    def idle(self) -> bool:
        """No flow is running."""
        return not self.frames

    @property
    def flow(self) -> str | None:
        """Name of the running flow, for display."""
        return self.frames[-1].flow if self.frames else None

    @property
    def state(self) -> str | None:
        """Name of the state the customer is in, for display."""
        return self.frames[-1].state if self.frames else None

    @property
    def waiting_turn(self) -> int | None:
        """Number of the open wait: the only one whose timers may still fire. None when nothing waits."""
        wait = self.frames[-1].wait if self.frames else None
        return wait.turn if wait else None

    def to_json(self) -> dict[str, JSON]:
        """Plain JSON with a fixed order of keys."""
        # Not dataclasses.asdict: it copies every slot deeply, and a page of products is a slot.
        frames = [{**vars(frame), "wait": vars(frame.wait) if frame.wait else None} for frame in self.frames]
        pending = self.pending
        consent = pending.consent.to_json() if pending and pending.consent else None
        return {**vars(self), "frames": frames, "pending": {**vars(pending), "consent": consent} if pending else None}

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> "Snapshot":
        """The inverse of to_json. Raises TypeError or KeyError for anything else."""
        fields = dict(data)
        frames = tuple(_to_frame(frame) for frame in cast("list[dict[str, JSON]]", fields.pop("frames")))
        pending = cast("dict[str, JSON] | None", fields.pop("pending"))
        return cls(**fields, frames=frames, pending=_to_pending(pending) if pending else None)  # type: ignore[arg-type]  # checked by field name


def _to_frame(data: Mapping[str, JSON]) -> Frame:
    fields = dict(data)
    wait = cast("dict[str, JSON] | None", fields.pop("wait"))
    return Frame(**fields, wait=Wait(**wait) if wait else None)  # type: ignore[arg-type]  # checked by field name


def _to_pending(data: Mapping[str, JSON]) -> Pending:
    fields = dict(data)
    consent = cast("dict[str, JSON] | None", fields.pop("consent"))
    return Pending(**fields, consent=Consent(**consent) if consent else None)  # type: ignore[arg-type]  # checked by field name
