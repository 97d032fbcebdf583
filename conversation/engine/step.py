"""One step of a conversation: event in, new snapshot and effects out."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from conversation.engine import forms, schedule, silence
from conversation.engine.context import Context
from conversation.engine.effects import Consent, Effect, TraceEntry
from conversation.engine.events import (
    Event,
    FromCustomer,
    Happened,
    PersonLeft,
    PersonSaid,
    Returned,
    Said,
    Shared,
    Tapped,
    TimerFired,
)
from conversation.engine.flow import VENDOR, Bundle, Start
from conversation.engine.match import Match, is_consent_word, is_open, match
from conversation.engine.normalise import normalise
from conversation.engine.running import Running
from conversation.engine.snapshot import MOVED_ENTER, Snapshot, Wait
from conversation.engine.speaking import read_path
from conversation.engine.values import JSON
from conversation.errors import Broken

PERSON: Final = "person"  # the place of what people write


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one step did. When the last effect is a Call, the turn is not over: run it and step again with Returned."""

    snapshot: Snapshot
    effects: tuple[Effect, ...]
    trace: tuple[TraceEntry, ...]


def step(bundle: Bundle, snapshot: Snapshot, event: Event, context: Context) -> Step:
    """Take one event. Pure: the same four arguments give the same Step, on any machine, in any year.

    Each outer event (all but Returned) counts snapshot.turn up by one, except a timer whose fence is over: that one
    changes nothing at all. A consent lives within one turn: it is minted by rung 2 of the ladder and by nothing else.

    Raises: ContractBroken, LimitCrossed, Broken. Then nothing of this turn may be kept but the event and the error.
    """
    running: Running | None
    match event:
        case Returned():
            running = _returned(bundle, snapshot, event, context)
        case TimerFired():
            running = _timer(bundle, snapshot, event, context)
        case Happened():
            running = _happened(bundle, snapshot, event, context)
        case PersonSaid():
            running = _begin(bundle, snapshot, event.at, context)
            running.send(PERSON, event.text)
        case PersonLeft():
            running = _given_back(bundle, snapshot, event, context)
        case Said() | Tapped() | Shared():
            running = _message(bundle, snapshot, event, context)
    if running is None:
        stale = TraceEntry(what="stale timer", detail={"name": event.name if isinstance(event, TimerFired) else ""})
        return Step(snapshot=snapshot, effects=(), trace=(stale,))
    if running.pending is None:
        silence.arm(running)
    return Step(snapshot=running.to_snapshot(), effects=tuple(running.effects), trace=tuple(running.trace))


def _begin(bundle: Bundle, snapshot: Snapshot, at: datetime, context: Context) -> Running:
    if snapshot.pending is not None:
        raise Broken(f"{snapshot.pending.call} has not answered yet")
    running = Running(bundle, snapshot, context, turn=snapshot.turn + 1, at=at)
    lost = [
        frame for frame in snapshot.frames if frame.flow not in bundle.flows or frame.state not in bundle.flows[frame.flow].states
    ]
    if lost:  # the place was edited away: begin again rather than leave the customer nowhere
        running.note("lost", f"{lost[0].flow}.{lost[0].state}")
        running.frames = []
    return running


def _returned(bundle: Bundle, snapshot: Snapshot, event: Returned, context: Context) -> Running:
    if snapshot.pending is None:
        raise Broken(f"nothing was called, and {event.outcome} came back")
    running = Running(bundle, snapshot, context, turn=snapshot.turn, at=event.at)
    running.run(running.returned(snapshot.pending, event.outcome, event.value))
    return running


def _timer(bundle: Bundle, snapshot: Snapshot, event: TimerFired, context: Context) -> Running | None:
    if event.name.startswith(schedule.SCHEDULE):
        running = _begin(bundle, snapshot, event.at, context)
        return running if schedule.fire(running, event.name, event.turn) else None
    if snapshot.waiting_turn is None or snapshot.waiting_turn != event.turn:
        return None
    running = _begin(bundle, snapshot, event.at, context)
    if not running.frames or running.top.wait is None:
        return None
    if event.name.startswith((silence.EXPIRES, silence.REMIND)):
        return running if silence.fire(running, event.name) else None
    after = next((after for after in running.state.after if after.name == event.name), None)
    if after is None or event.name not in running.top.wait.timers:
        return None
    running.note("timer", f"{running.top.flow}.{running.top.state}", name=event.name)
    running.run(running.take(after.edge))
    return running


def _happened(bundle: Bundle, snapshot: Snapshot, event: Happened, context: Context) -> Running:
    running = _begin(bundle, snapshot, event.at, context)
    spec = bundle.catalogue.events.get(event.name)
    if spec is None or event.outcome not in spec.outcomes:
        raise Broken(f"the catalogue has no event {event.name} that ends in {event.outcome}")
    carried: dict[str, JSON] = {**dict.fromkeys(spec.carries.fields), **event.carries, "outcome": event.outcome}
    if event.outcome in running.settled.get(event.key, ()):
        running.note("echo", name=event.name, outcome=event.outcome)
        return running
    running.settle(event.key, (event.outcome,))
    for index in reversed(range(len(running.frames))):
        frame = running.frames[index]
        state = bundle.flows[frame.flow].states[frame.state]
        if frame.wait and state.wait and state.wait.event == event.name and frame.wait.key == event.key:
            running.unwind_to(index)
            running.note("event", f"{frame.flow}.{frame.state}", name=event.name, outcome=event.outcome)
            running.run(running.take(state.wait.outcomes[event.outcome], {"event": carried}))
            return running
    running.note("event nobody waits for", spec.when_nobody_waits, name=event.name, outcome=event.outcome)
    if spec.when_nobody_waits in bundle.flows:  # flows that ask for no money have nobody to tell
        running.run(running.push(spec.when_nobody_waits, visiting=bool(running.frames), event=carried))
    return running


def _given_back(bundle: Bundle, snapshot: Snapshot, event: PersonLeft, context: Context) -> Running:
    running = _begin(bundle, snapshot, event.at, context)
    people = running.state.people if running.frames else None
    if people is None or people.back is None:
        running.note("no person had it")
        return running
    running.note("given back", f"{running.top.flow}.{running.top.state}")
    running.run(running.take(people.back))
    return running


def _message(bundle: Bundle, snapshot: Snapshot, event: FromCustomer, context: Context) -> Running:
    running = _begin(bundle, snapshot, event.at, context)
    running.spoke_turn, running.spoke_at = running.turn, event.at.isoformat()
    if not running.frames:
        running.run(_start(running, event))
        return running
    if running.top.moved:
        running.run(_moved(running))
        return running
    wait = running.top.wait
    if wait is None:
        raise Broken(f"{running.top.flow}.{running.top.state} waits for nothing")
    place = f"{running.top.flow}.{wait.state}"
    if isinstance(event, Tapped) and is_open(event.choice_id, running.top.flow, wait) is None:
        running.note("stale tap", place, choice=event.choice_id)
        running.run(running.ask_again())
        return running
    found = match(event, running.top.flow, running.state, wait, bundle, context.lexicon)
    if running.state.form is not None and (found.command is None or forms.is_sure(running, wait, event)):
        running.run(forms.answer(running, wait, event, found.passed))
        return running
    running.note("matched", place, rung=found.rung, by=_name(found), passed=found.passed, **_where(found))
    running.run(_answer(running, wait, found, event))
    return running


def _moved(running: Running) -> str | None:
    """The question that this message answers is gone: ask the one that took its place. No consent comes of such a message."""
    frame = running.top
    running.note("moved", f"{frame.flow}.{frame.state}", by=frame.moved)
    running.top = replace(frame, moved="")
    return frame.state if frame.moved == MOVED_ENTER else running.ask_again()


def _name(found: Match) -> str:
    if found.reply is not None:
        return found.reply.name
    return found.command.name if found.command is not None else ""


def _where(found: Match) -> dict[str, JSON]:
    way = found.reply or found.command
    return {"at": f"{way.edge.at.file}:{way.edge.at.line}"} if way is not None else {}


def _answer(running: Running, wait: Wait, found: Match, event: FromCustomer) -> str | None:
    if found.next_page:
        running.top = replace(running.top, wait=replace(wait, page=wait.page + 1))
        return running.ask_again()
    if found.command is not None:
        return running.take(found.command.edge)
    reply = found.reply
    if reply is None and running.state.people is not None:
        running.note("with a person", f"{running.top.flow}.{running.top.state}")
        return None
    if reply is None:
        return running.unmatched(wordless=isinstance(event, Shared))
    if reply.consent is not None and not _consent(running, wait, reply.consent, event):
        return running.ask_again()
    extra: dict[str, JSON] = {reply.into: found.value} if reply.into is not None else {}
    if reply.check is not None and not running.holds("check", reply.check.condition, extra):
        running.note("check failed", reply.check.otherwise.place)
        if not running.has_a_try():
            return running.give_up()
        running.tell(reply.check.otherwise, extra)
        return None
    if reply.into is not None and reply.into in running.flow.slots:
        running.set_slot(reply.into, found.value)
    return running.take(reply.edge, extra)


def _consent(running: Running, wait: Wait, name: str, event: FromCustomer) -> bool:
    """Mint the consent, unless what the question was showing is no longer so: then it must be asked again."""
    spec = running.bundle.catalogue.consents[name]
    names = running.names()
    changed = [path for path in spec.must_show if path not in wait.shows or wait.shows[path] != read_path(names, path)]
    if changed:
        running.note("consent refused", wait.state, changed=changed)
        return False
    said = event.text if isinstance(event, Said) else event.title if isinstance(event, Tapped) else ""
    word = next((word for word in spec.words if is_consent_word(said, (word,))), spec.words[0])
    running.consent = Consent(
        word=word,
        message_id=event.id,
        order_id=str(running.context.order["id"]),
        amount=_amount(running.context.order["total"]),
        phone=str(running.context.customer["phone"]),
    )
    return True


def _amount(value: JSON) -> int:
    if type(value) is not int:
        raise Broken("order.total is not a whole number of shillings")
    return value


def _start(running: Running, event: FromCustomer) -> str | None:
    """An idle conversation: words first, then entities, then a flow that anything starts. A tap on an old menu is no words."""
    text = event.text if isinstance(event, Said) else ""
    words = normalise(text)
    starts = [(flow.name, start) for flow in running.bundle.flows.values() for start in flow.starts]
    vendor = "-".join(str(running.context.vendor["name"]).lower().split())
    for name, start in starts:
        if words and (words in start.words or words == normalise((start.link or "").replace(VENDOR, vendor))):
            return _started(running, name, start, None, "words")
    for name, start in starts:
        if start.entity is not None and text:
            value = running.bundle.read_entity(start.entity, text, running.context.lexicon, running.at)
            if value is not None:
                return _started(running, name, start, value, "entities")
    for name, start in starts:
        if start.anything:
            return _started(running, name, start, None, "anything")
    running.note("nothing starts")
    return None


def _started(running: Running, name: str, start: Start, value: JSON, rung: str) -> str:
    running.note("matched", name, rung=rung)
    slots: dict[str, JSON] = {start.into: value} if start.into is not None else {}
    return running.push(name, visiting=False, slots=slots, start=start.go)
