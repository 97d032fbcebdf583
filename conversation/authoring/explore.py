"""Every path of a conversation, up to a depth: the pure engine is played against each answer, reply, timer and event.

Found are: turns that break, charges nobody asked for, customers met with silence, waits without a way on, and waits
from which the conversation can never come to an end. Situations that differ only in what no guard asks count as one.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from conversation.authoring.draws import MOST_SEEDS, splits_of
from conversation.authoring.explore_moves import Move, Moves, Place
from conversation.authoring.live_slots import live_slots
from conversation.authoring.pretend import START, Ending, Pretend, World, shape
from conversation.authoring.way_names import Way, declared_ways, taken_ways
from conversation.engine.effects import Call, Effect, Schedule, Send, SetTimer
from conversation.engine.events import Event, Returned
from conversation.engine.expressions import ExpressionError
from conversation.engine.flow import Bundle
from conversation.engine.running import draw_branch
from conversation.engine.snapshot import Frame, Snapshot
from conversation.engine.step import step
from conversation.engine.values import JSON
from conversation.errors import Broken, ContractBroken, LimitCrossed

SILENCE: Final = "silence"  # the one finding that is a matter of taste
DEPTH: Final = 40
MOST: Final = 20_000
AGAIN: Final = 2
SUNDAY_NIGHT: Final = datetime(2026, 3, 1, 18, 15, tzinfo=UTC)  # for flows that look at the clock
_FEW: Final = 4  # visits that are counted one by one
Key: TypeAlias = tuple[object, ...]


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One move that was played to its end. `natural`: no call ended in a fault, so the real shop does the same."""

    told: tuple[str, ...]
    written: tuple[Mapping[str, JSON], ...] | None
    snapshot: Snapshot
    world: World
    trace: tuple[Mapping[str, JSON], ...]
    timers: Mapping[str, datetime]
    later: Mapping[str, timedelta]
    start: datetime
    said: bool
    consents: bool
    pushed: int = 0  # calls that move money
    prompts: int = 0  # of these, those that put a prompt on the phone


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something that must not be, told as a customer's story."""

    kind: str
    what: str
    story: tuple[str, ...]

    def __str__(self) -> str:
        """One paragraph."""
        return f"{self.kind}: {self.what}\n   how it can happen:  {' -> '.join(self.story) or 'at once'}"


@dataclass(kw_only=True)
class Explored:
    """What an exploration saw. `shortest`: for each way that was taken, the shortest path of turns that ends with it."""

    situations: int = 0
    steps: int = 0
    depth: int = 0
    complete: bool = True
    findings: list[Finding] = field(default_factory=list)
    declared: tuple[Way, ...] = ()
    taken: set[Way] = field(default_factory=set)
    shortest: dict[Way, tuple[Turn, ...]] = field(default_factory=dict)

    @property
    def never(self) -> list[Way]:
        """Ways that no path took."""
        return [way for way in self.declared if way not in self.taken]


def explore(bundle: Bundle, *, depth: int = DEPTH, flows: Sequence[str] = (), faultless: bool = False) -> Explored:
    """Explore all flows of a bundle from an idle conversation. `flows` limits the ways that are counted.

    `faultless`: only what a transcript can say, with services that do what they are asked.
    """
    return _Explorer(bundle, depth, flows or tuple(bundle.flows), faultless=faultless).run()


class _Explorer:
    def __init__(self, bundle: Bundle, depth: int, flows: Sequence[str], *, faultless: bool) -> None:
        self.faultless = faultless
        self.bundle = bundle
        self.depth = depth
        self.pretend = Pretend(bundle.catalogue)
        self.moves = Moves(bundle, self.pretend)
        self.live = {name: live_slots(flow) for name, flow in bundle.flows.items()}
        self.seen = Explored(declared=declared_ways(bundle, flows))
        self.declared = frozenset(self.seen.declared)
        self.came: dict[Key, tuple[Key, Turn] | None] = {}
        self.places: dict[Key, Place] = {}
        self.next: dict[Key, set[Key]] = {}
        self.told: set[tuple[str, str]] = set()
        self.broken: set[Key] = set()  # what follows from a turn that breaks is no second finding

    def run(self) -> Explored:
        queue: deque[Key] = deque()
        for start in (START, SUNDAY_NIGHT) if self.moves.clocked else (START,):
            for seed in _seeds(self.bundle):
                first = Place(
                    snapshot=Snapshot.fresh(seed), world=self.pretend.begin(), timers={}, later={}, depth=0, start=start
                )
                key = self._key(first)
                self.came[key], self.places[key] = None, first
                queue.append(key)
        while queue:
            here = queue.popleft()
            place = self.places[here]
            self.seen.depth = max(self.seen.depth, place.depth)
            if place.depth >= self.depth or len(self.places) > MOST:
                self.seen.complete = False
                continue
            following = self.next.setdefault(here, set())
            for move in self.moves.of(place):
                if self.faultless and move.written is None:
                    continue
                for turn in self._play(here, place, move):
                    for there, told in self._arrive(here, place, turn):
                        following.add(there)
                        if there not in self.came:
                            self.came[there] = (here, told)
                            queue.append(there)
        self.seen.situations = len(self.places)
        self._check_ends()
        return self.seen

    def _arrive(self, here: Key, place: Place, turn: Turn) -> Iterator[tuple[Key, Turn]]:
        for way in taken_ways(self.declared, turn.trace):
            self.seen.taken.add(way)
            if way not in self.seen.shortest:
                self.seen.shortest[way] = (*self._path(here), turn)
        for after in (turn, *self._much_later(turn)):
            world = self.pretend.renewed(after.world) if after.snapshot.idle else after.world
            there = Place(
                snapshot=after.snapshot,
                world=world,
                timers=after.timers,
                later=after.later,
                depth=place.depth + 1,
                start=place.start,
            )
            key = self._key(there)
            self.places.setdefault(key, there)
            yield key, after

    def _much_later(self, turn: Turn) -> Iterator[Turn]:
        """A state that was come back to once can be come back to until its `visits` are used up."""
        frames = tuple(
            replace(frame, visits={name: self._many(frame, name, count) for name, count in frame.visits.items()})
            for frame in turn.snapshot.frames
        )
        if frames != turn.snapshot.frames and not self.faultless:
            told = (*turn.told, "and so on, until it has been here as often as it may")
            yield replace(turn, told=told, snapshot=replace(turn.snapshot, frames=frames), written=None)

    def _many(self, frame: Frame, state: str, count: int) -> int:
        limit = self._limit(frame, state)
        return limit - 1 if limit and count == AGAIN else count

    def _path(self, here: Key) -> tuple[Turn, ...]:
        path: list[Turn] = []
        came = self.came[here]
        while came is not None:
            path.append(came[1])
            came = self.came[came[0]]
        return tuple(reversed(path))

    def _report(self, kind: str, what: str, here: Key, more: Sequence[str]) -> None:
        if (kind, what) not in self.told:
            self.told.add((kind, what))
            story = [told for turn in self._path(here) for told in turn.told]
            self.seen.findings.append(Finding(kind=kind, what=what, story=(*story, *more)))

    # --- playing one turn

    def _play(self, here: Key, place: Place, move: Move) -> Iterator[Turn]:
        if move.times == 1:
            yield from self._once(here, place.snapshot, place, move, move.world)
            return
        snapshot, timers, turns = place.snapshot, place.timers, list[Turn]()
        for number in range(move.times):
            at = replace(place, snapshot=snapshot, timers=timers)
            event = replace(move.event, at=move.event.at + timedelta(minutes=number))  # a minute a turn, as everywhere
            turns = list(self._once(here, snapshot, at, replace(move, event=event, times=1), move.world))
            if len(turns) != 1:
                break
            snapshot, timers = turns[0].snapshot, turns[0].timers
        for turn in turns:
            written = tuple(turn.written or ()) * move.times if turn.written is not None else None
            yield replace(turn, told=(move.told, *turn.told[1:]), written=written)

    def _once(self, here: Key, snapshot: Snapshot, place: Place, move: Move, world: World) -> Iterator[Turn]:
        base = Turn(
            told=(move.told,),
            written=(move.written,) if move.written is not None else None,
            snapshot=snapshot,
            world=world,
            trace=(),
            timers=dict(place.timers),
            later=place.later,
            start=place.start,
            said=False,
            consents=move.consents,
        )
        for turn in self._step(here, base, move.event):
            if move.speaks and not turn.said and not any(entry["what"] == "with a person" for entry in turn.trace):
                self._report(SILENCE, f"the customer writes in `{_where(snapshot)}` and gets no answer", here, turn.told)
            yield turn

    def _step(self, here: Key, turn: Turn, event: Event) -> Iterator[Turn]:
        self.seen.steps += 1
        try:
            taken = step(self.bundle, turn.snapshot, event, self.pretend.context(turn.world))
        except ContractBroken as error:
            self.broken.add(here)
            self._report("unasked charge", str(error), here, turn.told)
            return
        except (Broken, LimitCrossed, ExpressionError) as error:
            self.broken.add(here)
            self._report("breaks", str(error), here, turn.told)
            return
        waiting = taken.snapshot.waiting_turn
        turn = replace(
            turn,
            trace=(*turn.trace, *(entry.to_json() for entry in taken.trace)),
            snapshot=taken.snapshot,
            timers=_timers_after(turn.timers, taken.effects, waiting, fresh=waiting != turn.snapshot.waiting_turn),
            later={**turn.later, **{each.flow: each.due_at - event.at for each in taken.effects if isinstance(each, Schedule)}},
            said=turn.said or any(isinstance(effect, Send) for effect in taken.effects),
        )
        call = taken.effects[-1] if taken.effects else None
        if not isinstance(call, Call):
            yield turn
            return
        spec = self.bundle.catalogue.calls[call.name]
        if spec.moves_money and (not turn.consents or turn.pushed):
            self._report("unasked charge", f"{call.name} runs, and the customer has not just replied PAY", here, turn.told)
            return
        pushed = turn.pushed + spec.moves_money
        for ending in self.pretend.endings(spec, call.args, turn.world):
            if self.faultless and not ending.natural:
                continue
            yield from self._step(here, _ended(turn, call.name, ending, pushed), _returned(event, ending))

    # --- what the whole of it shows

    def _key(self, place: Place) -> Key:
        frames = tuple(
            (
                frame.flow,
                frame.state,
                frame.visiting,
                frame.action,
                self._slots(frame),
                tuple(
                    (name, seen) for name, count in frame.visits.items() if (seen := _visited(count, self._limit(frame, name)))
                ),
                frame.wait is not None
                and (
                    frame.wait.page,
                    frame.wait.reminded,
                    tuple(frame.wait.choices),
                    frame.wait.key == place.world.key,
                    frame.wait.asks_for,
                    tuple(frame.wait.doubt),
                ),
            )
            for frame in place.snapshot.frames
        )
        world = replace(place.world, attempt=min(place.world.attempt, 2))
        timers = frozenset((*(name.partition("@")[0] for name in place.timers), *place.snapshot.scheduled))
        return place.start, place.snapshot.seed, frames, world, timers

    def _slots(self, frame: Frame) -> str:
        live = self.live[frame.flow][frame.state]
        return repr(sorted((name, shape(value)) for name, value in frame.slots.items() if name in live))

    def _limit(self, frame: Frame, state: str) -> int:
        visits = self.bundle.flows[frame.flow].states[state].visits
        return visits.most + 1 if visits is not None else 0

    def _check_ends(self) -> None:
        """Waits that nothing leads out of, and waits from which no path comes to an end."""
        before: dict[Key, set[Key]] = {}
        for here, following in self.next.items():
            for there in following:
                before.setdefault(there, set()).add(here)
        ends = {key for key, place in self.places.items() if place.snapshot.idle}
        # What was not looked into may well come to an end.
        ends |= {key for key in self.places if key not in self.next} | self.broken
        queue = deque(ends)
        while queue:
            for here in before.get(queue.popleft(), ()):
                if here not in ends:
                    ends.add(here)
                    queue.append(here)
        for key, place in self.places.items():
            if key not in ends:
                states = {_where(self.places[there].snapshot) for there in self.next[key]}
                where = _where(place.snapshot)
                if states <= {where}:
                    self._report("dead end", f"nothing leads out of `{where}`", key, ())
                else:
                    self._report("never ends", f"no customer who is in `{where}` can come to an end", key, ())


def _ended(turn: Turn, call: str, ending: Ending, pushed: int) -> Turn:
    written = turn.written if ending.natural else None
    told = (*turn.told, f"{call}: {ending.outcome}")
    prompts = turn.prompts + (ending.world.attempt > turn.world.attempt)
    return replace(turn, told=told, world=ending.world, written=written, pushed=pushed, prompts=prompts)


def _returned(event: Event, ending: Ending) -> Returned:
    return Returned(at=event.at, outcome=ending.outcome, value=ending.value)


def _visited(count: int, limit: int) -> int:
    """How often a state was entered, as far as anything asks: of a limit far away only its last steps."""
    return count if limit and (limit <= _FEW or count >= limit - 1) else 0


def _seeds(bundle: Bundle) -> list[str]:
    """Seeds of conversations which between them draw every branch of every split."""
    splits = splits_of(bundle)
    left = {(place, branch.to) for place, branches in splits for branch in branches if branch.share}
    seeds = [] if left else ["explore"]
    for number in range(MOST_SEEDS):
        drawn = {(place, draw_branch(f"explore-{number}", place, branches)) for place, branches in splits}
        if drawn & left:
            left -= drawn
            seeds.append(f"explore-{number}")
        if not left:
            break
    return seeds


def _where(snapshot: Snapshot) -> str:
    return f"{snapshot.flow}.{snapshot.state}" if snapshot.frames else "the start"


def _timers_after(
    before: Mapping[str, datetime], effects: Sequence[Effect], waiting: int | None, *, fresh: bool
) -> dict[str, datetime]:
    """The timers of the wait that is open now; those of silence are armed anew by every message."""
    if waiting is None:
        return {}
    armed = {effect.name: effect.due_at for effect in effects if isinstance(effect, SetTimer) and effect.turn == waiting}
    kept = {} if fresh else dict(before)
    kinds = {name.partition("@")[0] for name in armed}
    return {name: due for name, due in kept.items() if name.partition("@")[0] not in kinds} | armed
