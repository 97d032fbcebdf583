"""Play one transcript: do what the customer does, hold each reply against the next lines, and say where it went another way."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from time import perf_counter
from typing import Final, assert_never
from zoneinfo import ZoneInfo

from conversation.authoring.coverage import Heard
from conversation.authoring.draws import draws_in
from conversation.authoring.matching import ChatLine, Choice, Mismatch, Reply, Spoken, compare, is_at, show_chat
from conversation.authoring.transcripts import (
    Act,
    ClockMoves,
    CustomerSends,
    CustomerShares,
    CustomerTaps,
    CustomerWrites,
    Expect,
    MpesaRepeats,
    MpesaTells,
    PersonIsDone,
    PersonWrites,
    Said,
    Transcript,
    VendorChanges,
)
from conversation.engine.flow import Bundle
from conversation.engine.values import JSON
from router.databases import Databases
from router.errors import Broken, Refused
from router.rehearsal import OrderSeen, Rehearsal, rehearse
from soko.replay.expectations import as_it_is, differences, slots_of, state_of, to_text
from soko.replay.invariants import message_faults, payment_faults, silence_faults
from soko.replay.places import find_place
from soko.replay.world import Impossible, Props, World

NAIROBI: Final = ZoneInfo("Africa/Nairobi")
LONGEST_VALUE: Final = 160


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Where a transcript and the shop part ways. `report` shows the whole chat so far."""

    line: int
    headline: str
    report: str


@dataclass(frozen=True, kw_only=True)
class Played:
    """One transcript that was played, turn by turn."""

    transcript: Transcript
    failure: Failure | None
    turns: int
    seconds: float
    heard: tuple[Heard, ...] = ()

    @property
    def traces(self) -> tuple[Sequence[Mapping[str, JSON]], ...]:
        """What the engine noted in each turn."""
        return tuple(turn.trace for turn in self.heard)


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A chat as it went, up to the first thing that could not be done: `problem` says why.

    scenes: what each act led to, the act itself first; states: where the conversation stood after it; expects: each
    `expect` of these acts as it would have to read.
    prompts: how many reached M-Pesa; pushes, queries: how many of its answers were used up; draws: where each split led.
    """

    scenes: tuple[tuple[ChatLine, ...], ...]
    states: tuple[str, ...]
    expects: tuple[Expect, ...]
    order: OrderSeen | None
    prompts: int
    pushes: int
    queries: int
    now: datetime
    description: str
    draws: Mapping[str, str]
    problem: str | None


class _Differs(Exception):
    """The shop does something else than the transcript says. `reply`: index of the reply in question."""

    def __init__(self, line: int, *reasons: str, reply: int | None = None) -> None:
        super().__init__("; ".join(reasons))
        self.line, self.reasons, self.reply = line, reasons, reply


def play(transcript: Transcript, databases: Databases, props: Props) -> Played:
    """Play one transcript. Nothing of it stays in the databases."""
    started = perf_counter()
    scene = _Scene(transcript)
    with _rehearsal_of(transcript, databases) as rehearsal:
        failure = scene.perform(rehearsal, props)
    seconds = perf_counter() - started
    return Played(transcript=transcript, failure=failure, turns=scene.turns, seconds=seconds, heard=scene.heard)


def watch(transcript: Transcript, databases: Databases, props: Props) -> Watched:
    """Do what a transcript does, whatever the shop answers; the invariants hold all the same. Nothing of it stays."""
    with _rehearsal_of(transcript, databases) as rehearsal:
        return _Scene(transcript).watch(rehearsal, props)


@contextmanager
def _rehearsal_of(transcript: Transcript, databases: Databases) -> Iterator[Rehearsal]:
    with rehearse(databases) as rehearsal:
        yield rehearsal
    if transcript.given.stock or transcript.given.products or any(isinstance(step, VendorChanges) for step in transcript.chat):
        databases.cache.forget()


class _Scene:
    """One performance: the world, and the chat as it went."""

    def __init__(self, transcript: Transcript) -> None:
        self.transcript = transcript
        self.chat: list[ChatLine] = []
        self.world: World | None = None
        self.bundle: Bundle | None = None

    @property
    def turns(self) -> int:
        return len(self.world.reports) if self.world is not None else 0

    @property
    def heard(self) -> tuple[Heard, ...]:
        return tuple(
            Heard(trace=report.trace, language=report.language, places=[send.place for send in report.messages])
            for report in (self.world.reports if self.world is not None else ())
        )

    def perform(self, rehearsal: Rehearsal, props: Props) -> Failure | None:
        line = self.transcript.line
        try:
            self.bundle = props.bundle
            self.world = World(rehearsal, props, self.transcript)
            for act, following in _segments(self.transcript):
                line = act.line
                self._act(self.world, act, following)
            left_over = self.world.mpesa.left_over()
            if left_over is not None:
                line = left_over[0]
                raise _Differs(line, left_over[1])
        except _Differs as differs:
            return self._fail(differs.line, differs.reasons, differs.reply)
        except (Impossible, Broken, Refused) as error:
            return self._fail(line, (str(error),), None)
        return None

    def watch(self, rehearsal: Rehearsal, props: Props) -> Watched:
        scenes: list[tuple[ChatLine, ...]] = []
        states: list[str] = []
        expects: list[Expect] = []
        problem: str | None = None
        try:
            self.bundle = props.bundle
            self.world = World(rehearsal, props, self.transcript)
            for act, following in _segments(self.transcript):
                before, reports = len(self.chat), len(self.world.reports)
                self._happens(self.world, act)
                expects += [
                    as_it_is(step, self.world, self.world.reports[reports:], flow=self.transcript.flow)
                    for step in following
                    if isinstance(step, Expect)
                ]
                scenes.append(tuple(self.chat[before:]))
                states.append(state_of(self.world))
        except (_Differs, Impossible, Broken, Refused) as error:
            problem = str(error)
        world = self.world
        return Watched(
            scenes=tuple(scenes),
            states=tuple(states),
            expects=tuple(expects),
            order=world.order() if world is not None else None,
            prompts=len(world.mpesa.prompts) if world is not None else 0,
            pushes=world.mpesa.used if world is not None else 0,
            queries=world.mpesa.asked if world is not None else 0,
            now=world.clock.now if world is not None else self.transcript.given.now,
            description=_describe(world, self.bundle) if world is not None and world.reports else "",
            draws=draws_in(report.trace for report in world.reports) if world is not None else {},
            problem=problem,
        )

    def _act(self, world: World, act: Act, following: "Sequence[Said | Expect]") -> None:
        reports = len(world.reports)
        answers = self._happens(world, act)
        expected = [step for step in following if isinstance(step, Said)]
        mismatch = compare(expected, answers, flow=self.transcript.flow, after_line=act.line)
        if mismatch is not None:
            raise _Differs(mismatch.line, *mismatch.reasons, reply=_in_chat(mismatch, self.chat, len(answers)))
        for step in following:
            if isinstance(step, Expect):
                wrong = differences(step, world, world.reports[reports:], flow=self.transcript.flow)
                if wrong:
                    raise _Differs(step.line, *wrong)

    def _happens(self, world: World, act: Act) -> Sequence[Reply]:
        """Do one thing, and return what the shop replies; the invariants hold."""
        replies, prompts, turns = len(world.replies), len(world.mpesa.prompts), len(world.reports)
        _do(world, act, self.chat, self.transcript.flow)
        answers = world.replies[replies:]
        self.chat += answers
        if world.mpesa.unscripted:
            raise _Differs(
                act.line, *(f"M-Pesa got one more than the transcript lists: {what}" for what in world.mpesa.unscripted)
            )
        for n, message in enumerate(world.messages[replies:]):
            faults = message_faults(message.message, silence=message.said_at - world.last_heard_at)
            if faults:
                raise _Differs(act.line, *faults, reply=len(self.chat) - len(answers) + n)
        for report in world.reports[turns:]:
            faults = silence_faults(report.trace, silence=world.clock.now - world.last_heard_at)
            if faults:
                raise _Differs(act.line, *faults)
        if len(world.mpesa.prompts) > prompts:
            faults = payment_faults(world.consents(), world.mpesa.prompts)
            if faults:
                raise _Differs(act.line, *faults)
        return answers

    def _fail(self, line: int, reasons: Sequence[str], reply: int | None) -> Failure:
        where = f"{self.transcript.file}:{line}"
        wrong = self.chat[reply] if reply is not None else None
        said_at = find_place(self.bundle, wrong.place) if isinstance(wrong, Reply) and self.bundle is not None else None
        told = [*reasons, *([f"it is written in {said_at}"] if said_at is not None else [])]
        parts = [f"{where}  {self.transcript.name}", "", show_chat(self.chat, marked=reply, reasons=told)]
        if self.world is not None and self.world.reports:
            parts += ["", _describe(self.world, self.bundle)]
        return Failure(line=line, headline=f"{where}  {reasons[0].splitlines()[0]}", report="\n".join(parts))


def _segments(transcript: Transcript) -> "list[tuple[Act, Sequence[Said | Expect]]]":
    """Cut the chat into what somebody does, each with the lines that tell what follows from it."""
    starts = [n for n, step in enumerate(transcript.chat) if isinstance(step, Act)]
    found: list[tuple[Act, Sequence[Said | Expect]]] = []
    for start, end in pairwise([*starts, len(transcript.chat)]):
        act = transcript.chat[start]
        if isinstance(act, Act):
            found.append((act, [step for step in transcript.chat[start + 1 : end] if isinstance(step, Said | Expect)]))
    return found


def _in_chat(mismatch: Mismatch, chat: Sequence[ChatLine], answers: int) -> int | None:
    return None if mismatch.reply is None else len(chat) - answers + mismatch.reply


# ---------------------------------------------------------------- what somebody does


def _do(world: World, act: Act, chat: list[ChatLine], flow: str) -> None:
    match act:
        case CustomerWrites(text=text, intent=intent):
            chat.append(Spoken(who="customer", text=text))
            world.write(text, intent)
        case CustomerTaps():
            reply, choice = _find_choice(world, act, flow)
            chat.append(Spoken(who="customer", text=f"[{choice.title}]"))
            world.tap(choice, in_list=choice in reply.menu_rows)
        case CustomerSends(kind=kind, caption=caption):
            chat.append(Spoken(who="customer", text=f"({kind})" + (f" {caption}" if caption else "")))
            world.send(kind, caption)
        case CustomerShares(latitude=latitude, longitude=longitude, name=name):
            chat.append(Spoken(who="customer", text=f"(location) {name or f'{latitude}, {longitude}'}"))
            world.share(latitude, longitude, name)
        case PersonWrites(text=text):
            chat.append(Spoken(who="person", text=text))
            world.person_writes(text)
        case PersonIsDone():
            chat.append(Spoken(who="person", text="(gives the conversation back)"))
            world.person_is_done()
        case VendorChanges(stock=stock, stops=stops):
            told = [*(f"{name}: {left} left" for name, left in stock.items()), *(f"stops {what}" for what in stops)]
            chat.append(Spoken(who="vendor", text=", ".join(told)))
            world.change_vendor(stock, stops)
        case ClockMoves():
            until = _until(world.clock.now, act)
            chat.append(Spoken(who="clock", text=f"{until.astimezone(NAIROBI):%a %d %b, %H:%M:%S}"))
            world.move_clock(until)
        case MpesaTells(outcome=outcome):
            chat.append(Spoken(who="M-Pesa", text=f"prompt {act.attempt}: {outcome}"))
            _tell(world, act)
        case MpesaRepeats():
            chat.append(Spoken(who="M-Pesa", text="the same again"))
            world.post_callback_again()
        case _:
            assert_never(act)


def _tell(world: World, act: MpesaTells) -> None:
    if act.attempt > len(world.mpesa.prompts):
        raise _Differs(act.line, f"there is no prompt {act.attempt}: {len(world.mpesa.prompts)} were pushed so far")
    world.move_clock(world.clock.now + act.after)
    prompt = world.mpesa.prompts[act.attempt - 1]
    world.post_callback(prompt, world.mpesa.callback(prompt, act.outcome, receipt=act.receipt, at=world.clock.now))


def _until(now: datetime, act: ClockMoves) -> datetime:
    if act.until is None:
        return now + (act.by or timedelta(0))
    local = now.astimezone(NAIROBI)
    until = local.replace(hour=act.until.hour, minute=act.until.minute, second=0, microsecond=0)
    return (until if until > local else until + timedelta(days=1)).astimezone(now.tzinfo)


def _find_choice(world: World, act: CustomerTaps, flow: str) -> tuple[Reply, Choice]:
    """Find what is tapped, in the newest message that shows it, or in the nth message of a place."""
    seen = [reply for reply in world.replies if act.of is None or is_at(act.of, reply.place, flow=flow)]
    if act.nth is not None:
        if act.nth > len(seen):
            raise _Differs(act.line, f"{act.of} was shown {len(seen)} times so far, not {act.nth}")
        seen = [seen[act.nth - 1]]
    for reply in reversed(seen):
        for choice in reply.choices:
            if act.choice in (choice.title, choice.id.rpartition(":")[2]):
                return reply, choice
    shown = [choice.title for reply in seen[-1:] for choice in reply.choices]
    raise _Differs(act.line, f"nothing called {act.choice!r} can be tapped" + (f": there is {', '.join(shown)}" if shown else ""))


# ---------------------------------------------------------------- showing


def _describe(world: World, bundle: Bundle | None) -> str:
    """Say where the conversation stands, and how the last turn understood what it heard."""
    last, order = world.reports[-1], world.order()
    lines = [
        f"state     {last.state or 'none'}" + (f" (ended: {last.ended})" if last.ended else "") + _at(bundle, last.state or ""),
        f"order     {f'{order.number} {order.status}' if order is not None else 'none'}",
        *(f"slot      {name} = {_cut(to_text(value))}" for name, value in slots_of(world).items()),
    ]
    lines += [f"call      {call.name} {_cut(to_text(call.args))} -> {call.outcome}" for call in last.calls]
    return "\n".join(lines + [line for entry in last.trace for line in _trace_lines(entry, bundle)])


def _at(bundle: Bundle | None, place: str) -> str:
    found = find_place(bundle, place) if bundle is not None else None
    return f"  {found}" if found is not None else ""


def _trace_lines(entry: Mapping[str, JSON], bundle: Bundle | None) -> list[str]:
    rest = {name: value for name, value in entry.items() if name not in ("what", "place", "passed") and value not in ("", None)}
    told = ", ".join(f"{name} {value if isinstance(value, str) else to_text(value)}" for name, value in rest.items())
    passed = entry.get("passed")
    reasons = [f"            not {why}" for why in passed] if isinstance(passed, Sequence) and not isinstance(passed, str) else []
    place = str(entry.get("place") or "")
    return [f"trace     {entry.get('what')} {place} {told}".rstrip() + _at(bundle, place), *reasons]


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
