"""What may happen next in a situation: everything that a customer, the vendor's people, time and M-Pesa may do."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from conversation.authoring.check.ways import Ways
from conversation.authoring.pretend import NONSENSE, START, Pretend, World, phrases_for, read_phrases, sample, shortest_match
from conversation.engine.catalogue import EventSpec
from conversation.engine.events import Event, Happened, PersonLeft, PersonSaid, Said, Tapped, TimerFired
from conversation.engine.flow import VENDOR, Ask, Bundle, Flow, FormField, State
from conversation.engine.match import PICKED, to_choice_id
from conversation.engine.schedule import SCHEDULE
from conversation.engine.silence import EXPIRES, REMIND
from conversation.engine.snapshot import Frame, Snapshot, Wait
from conversation.engine.types import OneOf
from conversation.engine.values import JSON

MOST_TRIES: Final = 30
_LONG_TEXT: Final = "x"


@dataclass(frozen=True, kw_only=True)
class Move:
    """What happens next, outside: `told` for people; `written` is the transcript's step, None where none can say it."""

    told: str
    event: Event
    world: World
    written: Mapping[str, JSON] | None
    times: int = 1  # until the state changes, at most so often
    consents: bool = False
    speaks: bool = False  # the customer says something, and expects an answer


@dataclass(frozen=True, kw_only=True)
class Place:
    """A situation between two turns. `start` is when its conversation began: each turn is a minute.

    `later` holds, by flow, how long after it was scheduled the clock starts it.
    """

    snapshot: Snapshot
    world: World
    timers: Mapping[str, datetime]
    later: Mapping[str, timedelta]
    depth: int
    start: datetime


class Moves:
    """The moves of one bundle."""

    def __init__(self, bundle: Bundle, pretend: Pretend) -> None:
        self.bundle = bundle
        self.pretend = pretend
        self.payable, self.paid = bundle.catalogue.order_states[1:3]
        self.phrases = {name: phrases_for(bundle, name) for name in bundle.catalogue.entities}
        self.read = {name: read_phrases(bundle, name) for name in bundle.catalogue.entities}

        clocked = tuple(flow.name for flow in bundle.flows.values() if _looks_at_the_clock(flow))
        # At another time of day only flows that look at the clock go on otherwise; those that others call need their callers.
        self.clocked = clocked if all(bundle.flows[name].starts for name in clocked) else tuple(bundle.flows)

    def of(self, place: Place) -> Iterator[Move]:
        """Every move."""
        snapshot, world = place.snapshot, place.world
        at = place.start + timedelta(minutes=snapshot.turn + 1)
        wait = snapshot.frames[-1].wait if snapshot.frames else None
        if wait is None:
            yield from self._beginnings(world, at, self.clocked if place.start != START else self.bundle.flows)
        else:
            frame = snapshot.frames[-1]
            state = self.bundle.flows[frame.flow].states[frame.state]
            for meanwhile in self._meanwhile(world):
                yield from self._heard(state, frame, wait, meanwhile, at)
                yield from self._timers(place, wait, meanwhile)
            if state.people is not None:
                yield from self._people(world, at)
        for flow, set_by in snapshot.scheduled.items():
            event = TimerFired(at=at, name=f"{SCHEDULE}{flow}", turn=set_by)
            # In the middle of a chat the same hours would let its own timers fire first.
            known = {"clock": f"+{round(place.later[flow].total_seconds())}s"} if wait is None else None
            yield Move(told=f"{flow} starts by the clock", event=event, world=world, written=known)
        yield from self._events(snapshot, world, at)

    def _meanwhile(self, world: World) -> Iterator[World]:
        """The money may arrive before the conversation hears of it."""
        yield world
        if world.live and world.status == self.payable:
            yield replace(world, status=self.paid)

    def _said(self, text: str, world: World, at: datetime, *, times: int = 1, intent: str | None = None) -> Move:
        told = f"customer: {text}" + (f" ({times} times)" if times > 1 else "") + self._paid_by_now(world)
        consents = any(text in spec.words for spec in self.bundle.catalogue.consents.values())
        event = Said(id="m", at=at, text=text, intent=intent)
        known = self._known(world, {"customer": text if intent is None else {"text": text, "intent": intent}})
        told += f", meaning {intent}" if intent is not None else ""
        return Move(told=told, event=event, world=world, written=known, times=times, consents=consents, speaks=True)

    def _beginnings(self, world: World, at: datetime, flows: Collection[str]) -> Iterator[Move]:
        vendor = "-".join(str(self.pretend.context(world).vendor["name"]).lower().split())
        if len(flows) == len(self.bundle.flows):
            yield self._said(NONSENSE, world, at)
        for name in flows:
            for start in self.bundle.flows[name].starts:
                if start.words:
                    yield self._said(min(start.words), world, at)
                if start.link is not None:
                    linked = self._said(start.link.replace(VENDOR, vendor), world, at)
                    yield replace(linked, written=None)  # the vendor's real name is another one
                if start.entity is not None:
                    for phrase in self.phrases[start.entity]:
                        yield self._said(phrase, world, at)

    # --- the customer answers

    def _heard(self, state: State, frame: Frame, wait: Wait, world: World, at: datetime) -> Iterator[Move]:
        for choice, title in wait.choices.items():
            if not choice.startswith(PICKED) or choice == next(each for each in wait.choices if each.startswith(PICKED)):
                yield self._tap(frame, wait, choice, title, world, at)
        texts = dict.fromkeys([*self._to_replies(state), *self._to_form(state, frame, wait)])
        texts |= {min(command.words): None for command in state.commands if command.words}
        for text in texts:
            yield self._said(text, world, at)
        for reply in state.replies:
            if reply.intent is not None:
                yield self._said(NONSENSE, world, at, intent=reply.intent)
        tries = state.unmatched.tries if state.unmatched is not None else None
        nonsense = self._nonsense(state, wait)
        yield self._said(nonsense, world, at)
        if tries is not None:
            yield self._said(nonsense, world, at, times=min(tries + 1 - wait.tries, MOST_TRIES))

    def _to_replies(self, state: State) -> Iterator[str]:
        for reply in state.replies:
            if reply.consent is not None:
                yield self.bundle.catalogue.consents[reply.consent].words[0]
            if reply.words:
                yield min(reply.words)
            if reply.entity is not None:
                yield from (self.read if reply.check is not None else self.phrases)[reply.entity]
            if reply.pattern is not None:
                yield shortest_match(reply.pattern)
            if reply.anything:
                yield NONSENSE

    def _to_form(self, state: State, frame: Frame, wait: Wait) -> Iterator[str]:
        """Answers to the open question, and to one that was answered before."""
        form = state.form
        if form is None or wait.asks_for is None:
            return
        field = form.field(wait.asks_for)
        yield from self._answers(field)
        if field.skip:
            yield min(field.skip)
        for known in form.fields if form.correct else ():
            if known.name in frame.slots and known is not field:
                yield from (f"no, {text}" for text in self._others(known, frame.slots[known.name]))

    def _answers(self, field: FormField) -> Iterator[str]:
        if field.entity is not None:
            yield from (self.read if field.check is not None else self.phrases)[field.entity]
        elif field.longest is not None:
            yield NONSENSE[: field.longest]

    def _others(self, field: FormField, known: JSON) -> list[str]:
        """One other answer to a question that was answered with `known`."""
        if field.entity is not None:
            return [phrase for phrase, value in self.read[field.entity].items() if value != known][:1]
        return [title for choice, title in _fixed_titles(field.ask) if choice != known and field.longest is None][:1]

    @staticmethod
    def _nonsense(state: State, wait: Wait) -> str:
        """What is not understood. A question for any text takes everything but what is too long."""
        field = state.form.field(wait.asks_for) if state.form is not None and wait.asks_for is not None else None
        return NONSENSE if field is None or field.longest is None else _LONG_TEXT * (field.longest + 1)

    def _tap(self, frame: Frame, wait: Wait, choice: str, title: str, world: World, at: datetime) -> Move:
        event = Tapped(id="m", at=at, choice_id=to_choice_id(frame.flow, wait.state, wait.turn, choice), title=title)
        consents = any(title in spec.words for spec in self.bundle.catalogue.consents.values())
        written: Mapping[str, JSON] = {"customer": {"tap": title}}
        told = f"customer taps {title}{self._paid_by_now(world)}"
        known = self._known(world, written)
        return Move(told=told, event=event, world=world, written=known, consents=consents, speaks=True)

    def _paid_by_now(self, world: World) -> str:
        return ", the money having come" if world.live and world.status == self.paid else ""

    def _known(self, world: World, written: Mapping[str, JSON]) -> Mapping[str, JSON] | None:
        """A transcript cannot let the money come without the conversation hearing of it."""
        return None if self._paid_by_now(world) else written

    # --- people, time, M-Pesa

    @staticmethod
    def _people(world: World, at: datetime) -> Iterator[Move]:
        said = PersonSaid(id="p", at=at, text="Hello!")
        yield Move(told="a person writes", event=said, world=world, written={"person": said.text})
        left = PersonLeft(id="p", at=at)
        yield Move(told="the people give the conversation back", event=left, world=world, written={"person": {"done": True}})

    @staticmethod
    def _timers(place: Place, wait: Wait, world: World) -> Iterator[Move]:
        now = place.start + timedelta(minutes=place.snapshot.turn)
        for name, due in place.timers.items():
            kind = "is reminded" if name.startswith(REMIND) else "says nothing for long" if name.startswith(EXPIRES) else "waits"
            seconds = max(1, round((due - now).total_seconds()))
            # While a prompt is on the phone, M-Pesa is asked by the clock too: a transcript would have to script that.
            written: Mapping[str, JSON] | None = None if world.live else {"clock": f"+{seconds}s"}
            event = TimerFired(at=due, name=name, turn=wait.turn)
            yield Move(told=f"customer {kind} ({name.partition('@')[0]})", event=event, world=world, written=written)

    def _events(self, snapshot: Snapshot, world: World, at: datetime) -> Iterator[Move]:
        """The last word of the prompt that is on the phone, and an old one's, late."""
        for spec in self.bundle.catalogue.events.values():
            for outcome, becomes in spec.outcomes.items():
                carries = _carried(spec, outcome)
                told = f"{spec.name}: {outcome}"
                if world.live and not spec.last_word:
                    event = Happened(id="e", at=at, name=spec.name, key=world.key, outcome=outcome, carries=carries)
                    if outcome not in snapshot.settled.get(world.key, ()):
                        yield Move(told=told, event=event, world=world, written=None)
                elif world.live:
                    status = becomes if becomes is not None and world.status == self.payable else world.status
                    after = replace(world, status=status, live=False)
                    event = Happened(id="e", at=at, name=spec.name, key=world.key, outcome=outcome, carries=carries)
                    written: dict[str, JSON] = {"event": {spec.name: {"attempt": world.attempt, "outcome": outcome}}}
                    yield Move(
                        told=told,
                        event=event,
                        world=after if snapshot.frames else self.pretend.renewed(after),
                        written=written if world.attempt == 1 else None,
                    )
                old = Happened(id="e", at=at, name=spec.name, key="attempt-of-old", outcome=outcome, carries=carries)
                if outcome not in snapshot.settled.get("attempt-of-old", ()):
                    yield Move(told=f"a late {told}", event=old, world=world, written=None)


def _carried(spec: EventSpec, outcome: str) -> dict[str, JSON]:
    """What an event tells beside its outcome. Words that are an outcome's own go with it."""
    carried = {name: sample(kind) for name, kind in spec.carries.fields.items()}
    for name, kind in spec.carries.fields.items():
        if isinstance(kind, OneOf) and outcome in kind.values:
            carried[name] = outcome
    return carried | {name: None for name in carried if name == "receipt" and outcome != "paid"}


def _looks_at_the_clock(flow: Flow) -> bool:
    return any("now" in read.names for state in flow.states.values() for read in Ways(flow, state).reads)


def _fixed_titles(ask: Ask) -> Iterator[tuple[str, str]]:
    for choice in (*ask.buttons, *ask.fixed):
        title = choice.title.in_language(choice.title.base).constant
        if title is not None:
            yield choice.id, title
