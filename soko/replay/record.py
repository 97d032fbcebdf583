"""Writing down a conversation that took place as a transcript that passes, with stand-ins for everything private.

The acts come from the recorded events, `clock:` from their times, `mpesa:` from what M-Pesa was asked. The transcript is
played before it is handed over: what it leads to must be what the conversation led to, turn by turn.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final, Literal, cast
from uuid import UUID

from conversation.authoring.draws import draws_in
from conversation.authoring.matching import Reply
from conversation.authoring.read_transcripts import MEDIA, parse_transcripts
from conversation.authoring.redact import Redaction
from conversation.authoring.rerun import Rerun, Taken
from conversation.authoring.stand_ins import NAME, Disguise, find_phones, find_receipts
from conversation.authoring.transcripts import (
    Act,
    ClockMoves,
    CustomerSends,
    CustomerShares,
    CustomerTaps,
    CustomerWrites,
    Given,
    GivenOrder,
    GivenProduct,
    MpesaTells,
    Outcome,
    PersonIsDone,
    PersonWrites,
    PushAnswer,
    PushOutcome,
    QueryAnswer,
    Transcript,
)
from conversation.engine.events import Happened, PersonLeft, PersonSaid, Said, Shared, Tapped, TimerFired
from conversation.engine.flow import Bundle
from conversation.engine.lexicon import Lexicon
from conversation.engine.values import JSON
from conversation.recorded import RecordedTurn
from router.catalog import CatalogItem
from router.ids import IntentId
from router.payment_intents.trail import list_noted
from router.work import Work
from soko.replay.play import Watched
from soko.replay.stage import Stage
from soko.replay.write_transcript import write_transcript

PERSON_SAYS: Final = "A person writes something."
CITY: Final = (-1.2864, 36.8172)  # the middle of Nairobi, wherever the customer was
PUSH: Final = "payments.stk_push"
RESULT: Final = "payments.result"
PROGRESS: Final = "payments.progress"
PATIENCE: Final = timedelta(minutes=10)
LOOK: Final = timedelta(seconds=30)
PENDING: Final = QueryAnswer(line=1, answer="pending")


class CannotRecord(Exception):
    """This conversation cannot be written down as a transcript that passes.

    moved: the turn at which a publish moved it to the flows it was played with, when it goes another way on these.
    """

    def __init__(self, why: str, *, moved: int | None = None) -> None:
        super().__init__(why)
        self.moved = moved


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a conversation's turns do not hold: who the customer is, and what M-Pesa answered to each prompt, by attempt.

    `products` are what the vendor sells now, given when replays do not know this vendor by its name and with these products.
    """

    name: str
    pushes: Mapping[str, PushOutcome]
    products: tuple[GivenProduct, ...] = ()


@dataclass(kw_only=True)
class _Act:
    act: Act
    turns: list[Taken] = field(default_factory=list)


def record(
    turns: Sequence[RecordedTurn],
    *,
    told: Told,
    bundle: Bundle,
    lexicons: Mapping[str, Lexicon],
    stage: Stage,
    file: str,
    name: str,
) -> str:
    """Write one document. `file` is where it will stand: the flows above it are those it is played with.

    Errors: CannotRecord, with the turn and the reason.
    """
    taken = list(Rerun(bundle=bundle, lexicons=lexicons).take(turns))
    if not taken:
        raise CannotRecord("no turn is kept at which no flow ran: there is no beginning to write down from")
    names = frozenset(word for word in told.name.split() if len(word) > 1)
    writer = _Writer(taken, told, Redaction(bundle=bundle, disguise=Disguise(names=names)), lexicons, stage, file)
    text = writer.write(name)
    _refuse_private(text, names)
    (transcript,) = parse_transcripts(text, file=file)
    failure = stage.play(transcript).failure
    if failure is not None:
        raise CannotRecord(f"the transcript does not pass:\n{failure.report}")
    return text


class _Writer:
    """Turns recorded turns into acts, one after the other."""

    def __init__(
        self,
        taken: Sequence[Taken],
        told: Told,
        redaction: Redaction,
        lexicons: Mapping[str, Lexicon],
        stage: Stage,
        file: str,
    ) -> None:
        first = taken[0].turn
        self.taken, self.told, self.redaction, self.lexicons, self.stage = taken, told, redaction, lexicons, stage
        self.begin = first.at
        self.clock = timedelta(0)  # how far the transcript's clock has moved
        self.acts: list[_Act] = []
        self.attempts: list[str] = []
        self.queries: list[QueryAnswer] = []
        self.seen: list[Mapping[str, Any]] = []  # every message sent so far, as it is kept
        self.transcript = Transcript(
            file=file,
            line=1,
            name="recorded",
            flow=next((frame.flow for each in taken for frame in each.after.frames[:1]), next(iter(redaction.bundle.flows))),
            given=self._given(first),
            pushes=(),
            queries=(),
            chat=(),
        )

    def write(self, name: str) -> str:
        for each in self.taken:
            self._add(each)
        transcript = self._so_far()
        watched = self.stage.watch(transcript)
        if watched.problem is not None:
            raise CannotRecord(f"the transcript cannot be played: {watched.problem}")
        self._compare(watched)
        return write_transcript(transcript, watched, name=name)

    def _given(self, first: RecordedTurn) -> Given:
        step = first.steps[0]
        customer, order = cast("Mapping[str, Any]", step.customer), cast("Mapping[str, Any]", step.order)
        status: Literal["CONFIRMED", "DRAFT"] = "CONFIRMED" if order["is_confirmed"] else "DRAFT"
        lines = {line["name"]: line["qty"] for line in order["lines"]} if not order["is_paid"] else {}
        return Given(
            now=first.at.replace(second=0, microsecond=0),
            phone=self.redaction.disguise.phone(customer["phone"] or "254"),
            first_name=NAME if customer["first_name"] else None,
            language=customer["language"],
            vendor=str(step.vendor["name"]) if self.told.products else "-".join(str(step.vendor["name"]).lower().split()),
            products=self.told.products,
            order=GivenOrder(line=1, status=status, lines=lines) if lines else None,
            stock={},
            draws=draws_in(each.turn.trace for each in self.taken),
        )

    # ------------------------------------------------------------ one turn

    def _add(self, each: Taken) -> None:
        event, at = each.turn.event, each.turn.at - self.begin
        since = timedelta(seconds=math.floor(at.total_seconds()))
        match event:
            case TimerFired():
                since = timedelta(seconds=math.ceil(at.total_seconds()))
                if since > self.clock or not self.acts:
                    self._move(since)
            case Happened():
                self._happened(each, event, since)
            case Said():
                self._move(since)
                text = self.redaction.text(event, each, self.lexicons[each.turn.shelf])
                self.acts.append(_Act(act=CustomerWrites(line=1, text=text, intent=event.intent)))
            case Tapped():
                self._move(since)
                self.acts.append(_Act(act=self._tap(each.turn, event)))
            case Shared(what="location"):
                self._move(since)
                self.acts.append(_Act(act=CustomerShares(line=1, latitude=CITY[0], longitude=CITY[1])))
            case Shared(what=what):
                self._move(since)
                kind = what if what in MEDIA else "document"  # anything without words leads to the same
                self.acts.append(_Act(act=CustomerSends(line=1, kind=kind)))
            case PersonSaid():
                self._move(since)
                self.acts.append(_Act(act=PersonWrites(line=1, text=PERSON_SAYS)))
            case PersonLeft():
                self._move(since)
                self.acts.append(_Act(act=PersonIsDone(line=1)))
        self.acts[-1].turns.append(each)
        self.seen += [cast("Mapping[str, Any]", effect) for effect in each.turn.effects if effect["effect"] == "Send"]
        self.attempts += find_attempts([each.turn])

    def _move(self, until: timedelta) -> None:
        if until > self.clock:
            self.acts.append(_Act(act=ClockMoves(line=1, by=until - self.clock)))
            self.clock = until

    def _tap(self, turn: RecordedTurn, event: Tapped) -> CustomerTaps:
        """The tap by its title; by place and number too where a newer message shows the same title."""
        showing = [message for message in self.seen if event.title in _titles(message).values()]
        tapped = next((message for message in self.seen if event.choice_id in _titles(message)), None)
        if tapped is None:
            raise CannotRecord(f"turn {turn.turn} taps on a message that is older than what is kept")
        if showing[-1] is tapped:
            return CustomerTaps(line=1, choice=event.title)
        of = [message for message in self.seen if message["place"] == tapped["place"]]
        nth = next(n for n, message in enumerate(of, 1) if message is tapped)
        return CustomerTaps(line=1, choice=event.title, of=tapped["place"], nth=nth)

    def _happened(self, each: Taken, event: Happened, since: timedelta) -> None:
        if event.name == PROGRESS:
            self._move(since)  # how a prompt stands comes of what M-Pesa answered to it, or of the clock
            return
        if event.name != RESULT or event.key not in self.attempts:
            raise CannotRecord(f"turn {each.turn.turn} hears of {event.name} from before what is kept")
        receipt = event.carries.get("receipt")
        if self.told.pushes.get(event.key) == "rejected" and self.acts:
            return  # M-Pesa's own answer to the push: nothing has to be done for it
        if event.outcome == "paid" and receipt is None:
            self._move(since - timedelta(seconds=1))
            self._ask_mpesa(each)
            return
        told = MpesaTells(
            line=1,
            attempt=self.attempts.index(event.key) + 1,
            outcome=cast("Outcome", event.carries.get("why") or event.outcome),
            receipt=self.redaction.disguise.receipt(str(receipt)) if receipt is not None else None,
            after=max(since - self.clock, timedelta(0)),
        )
        self.clock = max(self.clock, since)
        self.acts.append(_Act(act=told))

    def _ask_mpesa(self, each: Taken) -> None:
        """No callback came: the answer is that of the next query, whenever it is made."""
        asked = self.stage.watch(self._so_far()).queries
        self.queries = [*self.queries, *[PENDING] * (asked - len(self.queries)), QueryAnswer(line=1, answer="paid")]
        begin = self.clock
        while self.clock - begin < PATIENCE:
            self._move(self.clock + LOOK)
            if self.stage.watch(self._so_far()).queries > asked:
                return
        raise CannotRecord(f"turn {each.turn.turn} hears from a query of M-Pesa that nobody makes in a transcript")

    def _so_far(self) -> Transcript:
        pushes = [PushAnswer(line=1, answer=self.told.pushes.get(attempt, "accepted")) for attempt in self.attempts]
        return replace(
            self.transcript,
            pushes=tuple(pushes),
            queries=(*self.queries, *[PENDING] * 500),
            chat=tuple(each.act for each in self.acts),
        )

    # ------------------------------------------------------------ what it leads to

    def _compare(self, watched: Watched) -> None:
        """What the transcript leads to must be what the conversation led to, by places and states."""
        state = "none"
        for each, scene, now in zip(self.acts, watched.scenes, watched.states, strict=True):
            then = [reply.place for one in each.turns for reply in one.then.replies]
            places = [line.place for line in scene if isinstance(line, Reply)]
            state = (each.turns[-1].then.state or "none") if each.turns else state
            if then != places or state != now:
                number = each.turns[-1].turn.turn if each.turns else "between turns"
                moved = next((one.turn.turn for one in self.taken[1:] if one.turn.moved is not None), None)
                raise CannotRecord(
                    f"played again, turn {number} goes another way: it said {', '.join(then) or 'nothing'} and went to {state};"
                    f" now it says {', '.join(places) or 'nothing'} and goes to {now}",
                    moved=moved,
                )


def _titles(message: Mapping[str, Any]) -> dict[str, str]:
    """What can be tapped on a kept message: ids with their titles."""
    shown = message["message"]
    rows = [*shown.get("buttons", ()), *(shown.get("list") or {}).get("rows", ())]
    return {row["id"]: row["title"] for row in rows}


def _refuse_private(text: str, names: frozenset[str]) -> None:
    """The last wall: nothing private stands in what is handed over. Errors: CannotRecord.

    A customer's name may be a word of the shop's own ("Mama"), so names are looked for in the customer's lines alone.
    """
    said = "\n".join(line for line in text.splitlines() if line.startswith("  - customer:"))
    found = [*find_phones(text), *find_receipts(text)]
    if found or Disguise(names=names - {NAME}).text(said) != said:
        raise CannotRecord("something private would stand in the transcript")


def to_products(items: Sequence[CatalogItem]) -> tuple[GivenProduct, ...]:
    """What a vendor sells, as a transcript gives it: how much is left is not told, for it was another number then."""
    return tuple(
        GivenProduct(
            name=item.name,
            price=item.price,
            short_name=item.short_name,
            unit=item.unit,
            category=item.category,
            also=item.aliases,
        )
        for item in items
    )


def push_answers(work: Work, turns: Sequence[RecordedTurn]) -> dict[str, PushOutcome]:
    """What M-Pesa answered to each prompt of these turns, by attempt, as the audit trail has it."""
    answers: dict[str, PushOutcome] = {}
    for attempt in find_attempts(turns):
        moved = {noted.to_status for noted in list_noted(work, IntentId(UUID(attempt)))}
        answers[attempt] = "rejected" if "rejected" in moved else "unknown" if "ambiguous" in moved else "accepted"
    return answers


def find_attempts(turns: Sequence[RecordedTurn]) -> list[str]:
    """The attempts that these turns led to, in order."""
    return [
        str(cast("Mapping[str, JSON]", step.answer.value)["attempt"])
        for turn in turns
        for step in turn.steps
        if step.answer is not None and step.answer.outcome == "sent" and step.effects[-1]["name"] == PUSH
    ]
