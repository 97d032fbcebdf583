"""One turn: one message or event in, one transaction on the vendor's ops database, one commit.

The only file that knows both the engine and the router. Everything that enters a conversation enters here: a
message from the webhook, a payment result or a timer from the worker.
"""

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from time import perf_counter
from typing import Final, assert_never
from uuid import uuid4

import structlog
from structlog.contextvars import bound_contextvars

from conversation import context, hearing, recorded, services
from conversation.context import Shelf
from conversation.engine.context import to_slug
from conversation.engine.effects import Call, Emit, Ended, HandOff, Message, Schedule, Send, SetTimer, SwitchLanguage
from conversation.engine.events import (
    Event,
    FromCustomer,
    Returned,
    TimerFired,
)
from conversation.engine.snapshot import Snapshot
from conversation.engine.step import Step, step
from conversation.engine.values import JSON
from conversation.floods import Floods, Verdict
from conversation.live_flows import Chosen, LiveFlows
from conversation.recorded import Move, Recorder, name_state
from conversation.whatsapp.inbound import (
    Incoming,
    OtherUpdate,
    StatusUpdate,
    Text,
    Update,
    Utterance,
    read_again,
)
from router import channels, conversations, customers, events, inbox, outbox, timers, vendors
from router.channels import Channel
from router.conversations import Conversation
from router.customers import Customer
from router.databases import Databases
from router.errors import Broken, Unavailable
from router.events import EventType
from router.ids import ConversationId, OrderId, VendorId
from router.inbox import EntryKind, InboxEntry, NewEntry
from router.orders.status import is_terminal
from router.outbox import NewMessage
from router.rate_limits import RateLimits
from router.timers import Timer
from router.turns import NewTurn
from router.wakeups import Job, Wakeups
from router.work import Work, unit_of_work

log = structlog.get_logger(__name__)

# What WhatsApp delivers later than this counts from when it was written: an old PAY is no PAY.
LATE: Final = timedelta(minutes=1)

SHELF_STORED: Final = timedelta(hours=1)  # for so long a process takes a shelf that it stored for stored


@dataclass(frozen=True, kw_only=True)
class CallReport:
    """One service call of a turn, as it went."""

    name: str
    args: Mapping[str, JSON]
    outcome: str


@dataclass(frozen=True, kw_only=True)
class TurnReport:
    """What one turn did, for whoever watches: a replay, a log, a trace."""

    vendor_id: VendorId
    conversation_id: ConversationId
    turn: int
    calls: tuple[CallReport, ...]
    messages: tuple[Send, ...]
    state: str | None  # "shop.pay"; None when no flow runs
    ended: str | None
    trace: tuple[Mapping[str, JSON], ...]
    snapshot: Snapshot
    language: str  # that the shop spoke at the end of it


class Turns:
    """Takes turns. Keeps nothing between them: any number of processes may do this at once."""

    def __init__(
        self,
        *,
        databases: Databases,
        flows: LiveFlows,
        wakeups: Wakeups,
        clock: Callable[[], datetime],
        observe: Callable[[TurnReport], None] = lambda _report: None,
        classify: Callable[[str], str | None] = lambda _text: None,
        shelves: context.Shelves | None = None,
        limits: RateLimits | None = None,
    ) -> None:
        """`classify` tells the intent of a text, or None; the flows read it on the last rung but one.

        `shelves` are those of another Turns on the same databases: making them anew takes as long as a turn. `limits` says how
        much a customer may write; None: as much as they like.
        """
        self._databases = databases
        self._flows = flows
        self._wakeups = wakeups
        self._clock = clock
        self._observe = observe
        self._classify = classify
        self._shelves = shelves or context.Shelves()
        self._floods = Floods(limits)
        self._shelved: dict[tuple[VendorId, str], datetime] = {}  # shelves that this process has stored, and when

    def accept(self, updates: Sequence[Update]) -> None:
        """Take in what the webhook was sent, one transaction an update. Unavailable: send it again later."""
        for update in updates:
            channel = channels.find_channel(self._databases, update.phone_number_id) if update.phone_number_id else None
            if channel is None:
                kind = update.kind if isinstance(update, OtherUpdate) else type(update).__name__
                log.warning("update_for_nobody", phone_number_id=update.phone_number_id, kind=kind)
                channels.keep_stray(
                    self._databases, phone_number_id=update.phone_number_id, kind=kind, body=update.raw, now=self._clock()
                )
                continue
            match update:
                case Incoming():
                    self._accept_message(channel, update)
                case StatusUpdate():
                    self._accept_status(channel, update)
                case OtherUpdate():
                    self._keep_other(channel, update)
                case _:
                    assert_never(update)

    def handle(self, vendor_id: VendorId, entry_id: int) -> None:
        """Let a conversation hear an inbox entry: a service's event, or a message once more after a repair."""
        entry: InboxEntry | None = None
        event: Event | None = None
        try:
            with unit_of_work(self._databases, vendor_id) as work:
                entry = inbox.get_for_turn(work, entry_id)
                if entry is None or entry.conversation_id is None:
                    return  # another worker was first
                conversation = conversations.get(work, entry.conversation_id)
                with bound_contextvars(conversation_id=str(conversation.id)):
                    now = self._now(conversation)
                    customer = customers.get(work, conversation.customer_id)
                    if entry.kind is EntryKind.MESSAGE and entry.intent is None:
                        entry = replace(entry, intent=self._intent_of(read_again(entry.body)))
                    event = hearing.event_of(entry, at=now)
                    turn = self._take(work, conversation, customer, event, pay_message_id=entry.id)
                    inbox.mark_handled(work, entry.id, turn=turn.snapshot.turn, now=now)
        except Unavailable:
            raise
        except Exception as error:
            if entry is None or entry.conversation_id is None:
                raise
            self._keep_failed_entry(vendor_id, entry, entry.conversation_id, event, error)
        else:
            self._finish(vendor_id, turn)

    def fire(self, vendor_id: VendorId, timer: Timer) -> None:
        """Let a conversation hear that a timer came due. The engine ignores one whose wait is over."""
        with bound_contextvars(conversation_id=str(timer.conversation_id)):
            try:
                with unit_of_work(self._databases, vendor_id) as work:
                    # The conversation first, as every turn does: two turns that lock in another order wait for ever.
                    conversation = conversations.get(work, timer.conversation_id)
                    if timers.get_for_turn(work, timer.id) is None:
                        return  # it fired, or a turn dropped it
                    now = self._now(conversation)
                    timers.mark_fired(work, timer.id, now)
                    customer = customers.get(work, conversation.customer_id)
                    turn = self._take(work, conversation, customer, TimerFired(at=now, name=timer.name, turn=timer.turn))
            except Unavailable:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is: an operator sees it in the log
                self._drop_failed_timer(vendor_id, timer, error)
            else:
                self._finish(vendor_id, turn)

    def _accept_message(self, channel: Channel, update: Incoming) -> None:
        vendor_id = channel.vendor_id
        new = NewEntry(
            kind=EntryKind.MESSAGE,
            source_id=update.wamid,
            body=update.raw,
            text=hearing.words_of(update.utterance),
            category=hearing.kind_of(update.utterance),
            received_at=self._clock(),
        )
        verdict = self._floods.judge(vendor_id, update)
        if verdict is not Verdict.HEAR:
            log.warning("customer_writes_too_fast", verdict=verdict.name)
            if verdict is Verdict.TELL:
                self._tell_too_fast(channel, update, new)
            return
        try:
            with unit_of_work(self._databases, vendor_id) as work:
                customer, conversation = self._meet(work, channel, update, now=new.received_at)
                with bound_contextvars(conversation_id=str(conversation.id)):
                    now = self._now(conversation)
                    intent = self._intent_of(update.utterance)
                    heard_at = now if now - update.sent_at <= LATE else update.sent_at
                    new = replace(
                        new, customer_id=customer.id, conversation_id=conversation.id, received_at=heard_at, intent=intent
                    )
                    entry_id = inbox.accept(work, new, turn=conversation.turn + 1)
                    if entry_id is None:
                        return  # delivered before: it has had its effect
                    event = hearing.to_event(update.utterance, entry_id=str(entry_id), at=now, intent=intent)
                    turn = self._take(work, conversation, customer, event, pay_message_id=entry_id)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is: the message is kept, an operator sees it
            self._keep_failed_message(channel, update, new, error)
        else:
            self._finish(vendor_id, turn)

    def _accept_status(self, channel: Channel, update: StatusUpdate) -> None:
        entry = NewEntry(
            kind=EntryKind.STATUS,
            source_id=f"{update.wamid}:{update.status}",
            body=update.raw,
            text=None,
            received_at=self._clock(),
        )
        with unit_of_work(self._databases, channel.vendor_id) as work:
            entry_id = inbox.accept(work, entry)
            if entry_id is not None:
                outbox.record_status(
                    work, wamid=update.wamid, tracker=update.tracker, status=update.status, error=update.error, at=update.at
                )
                inbox.mark_handled(work, entry_id, turn=None, now=entry.received_at)

    def _keep_other(self, channel: Channel, update: OtherUpdate) -> None:
        entry = NewEntry(kind=EntryKind.OTHER, source_id=update.source_id, body=update.raw, text=None, received_at=self._clock())
        log.info("update_of_unknown_kind", kind=update.kind)
        with unit_of_work(self._databases, channel.vendor_id) as work:
            inbox.accept(work, entry)

    def _intent_of(self, utterance: Utterance) -> str | None:
        """Ask the classifier, once a message: its answer is kept with the message, so that a retry hears the same."""
        return self._classify(utterance.text) or "" if isinstance(utterance, Text) else None

    def _meet(self, work: Work, channel: Channel, update: Incoming, *, now: datetime) -> tuple[Customer, Conversation]:
        """Recognise the customer and lock the conversation: from here to the commit nobody else writes it."""
        customer = customers.recognise(work, phone=update.sender_phone, bsuid=update.sender_bsuid, name=update.name, now=now)
        return customer, conversations.lock(work, customer_id=customer.id, phone_number_id=channel.phone_number_id, now=now)

    def _now(self, conversation: Conversation) -> datetime:
        """Tell the time of this turn. A clock that is behind another machine's must not turn a conversation back."""
        now = self._clock()
        return now if conversation.last_turn_at is None else max(now, conversation.last_turn_at)

    def _see(self, work: Work, customer: Customer, turn: "_Turn", event: Event) -> context.Seen:
        language = turn.snapshot.language
        return context.load(work, self._shelves, customer=customer, order_id=turn.order_id, language=language, now=event.at)

    def _take(
        self, work: Work, conversation: Conversation, customer: Customer, event: Event, *, pay_message_id: int | None = None
    ) -> "_Turn":
        """Run the engine until the turn is over, each local call in between in this same transaction, and write it all down."""
        chosen = self._flows.choose(_snapshot_of(conversation), event, event.at)
        turn = _Turn(snapshot=chosen.snapshot, order_id=conversation.order_id)
        if chosen.say is not None:
            turn.sends.append(Send(place="migration", message=Message(text=chosen.say)))
        seen = self._see(work, customer, turn, event)
        if turn.snapshot.idle and seen.order_status is not None and is_terminal(seen.order_status):
            turn.order_id = OrderId(uuid4())  # the old order's story is over: the next run gets a new one
            seen = self._see(work, customer, turn, event)
        recorder = Recorder(event, turn.snapshot, moved=_move_of(chosen))
        taken = step(chosen.bundle, turn.snapshot, event, seen.context)
        recorder.stepped(seen.context, taken)
        while (call := turn.add(taken)) is not None:
            desk = services.Desk(
                work=work,
                now=event.at,
                customer=customer,
                conversation_id=conversation.id,
                order_id=turn.order_id,
                pay_message_id=pay_message_id,
            )
            began = perf_counter()
            answer = services.run(call, desk)
            recorder.answered(answer.outcome, answer.value, (perf_counter() - began) * 1000)
            turn.heard(call, answer)
            seen = self._see(work, customer, turn, event)
            taken = step(
                chosen.bundle, turn.snapshot, Returned(at=event.at, outcome=answer.outcome, value=answer.value), seen.context
            )
            recorder.stepped(seen.context, taken)
        if turn.snapshot.turn > conversation.turn:  # a timer whose wait is over took no turn
            turn.keep = self._to_keep(work.vendor_id, seen.shelf, turn.snapshot, recorder, now=event.at)
        self._write(work, conversation, customer, turn, event)
        language = turn.snapshot.language or str(seen.context.customer["language"])
        report = turn.report(work.vendor_id, conversation.id, language=language)
        log.info("turn_taken", turn=report.turn, cause=type(event).__name__, state=report.state, replies=len(report.messages))
        self._observe(report)
        return turn

    def _to_keep(self, vendor_id: VendorId, shelf: Shelf, after: Snapshot, recorder: Recorder, *, now: datetime) -> NewTurn:
        stored_at = self._shelved.get((vendor_id, shelf.digest))
        items = None if stored_at is not None and now - stored_at < SHELF_STORED else shelf.items
        return NewTurn(bundle=after.bundle, shelf=shelf.digest, items=items, record=recorder.to_json(after))

    def _write(self, work: Work, conversation: Conversation, customer: Customer, turn: "_Turn", event: Event) -> None:
        """Put everything the turn decided into the transaction: what is to be sent, timers, facts, the new snapshot."""
        snapshot, now = turn.snapshot, event.at
        outbox.add(work, _to_messages(turn, conversation, customer, now=now))
        waiting = {timer.name: timer.due_at for timer in turn.set_timers if timer.turn == snapshot.waiting_turn}
        timers.set_all(work, conversation.id, turn=snapshot.waiting_turn, due=waiting)
        for later in turn.schedules:
            timers.schedule(work, conversation.id, flow=later.flow, turn=later.turn, due_at=later.due_at)
        if turn.language is not None:
            customers.set_language(work, customer.id, turn.language)
        for fact in turn.hand_offs:
            data = {"queue": fact.queue, "note": fact.note, "conversation_id": str(conversation.id)}
            events.append(work, type=EventType.HANDOFF_REQUESTED, subject=str(conversation.id), data=data, now=now)
        for metric in turn.metrics:
            counted = {"name": metric.name, "place": metric.place, "value": metric.value}
            events.append(work, type=EventType.METRIC_EMITTED, subject=str(conversation.id), data=counted, now=now)
        spoke = isinstance(event, FromCustomer)
        _save(work, conversation, turn, last_inbound_at=now if spoke else conversation.last_inbound_at, now=now)

    def _finish(self, vendor_id: VendorId, turn: "_Turn") -> None:
        """After the commit: wake who has work now."""
        if turn.keep is not None and turn.keep.items is not None:
            self._shelved[(vendor_id, turn.keep.shelf)] = self._clock()
        jobs = turn.wakes | ({Job.SEND} if turn.sends else set())
        self._wakeups.wake(sorted(jobs), vendor_id)

    def _tell_too_fast(self, channel: Channel, update: Incoming, new: NewEntry) -> None:
        """Keep a message that is not heard, and ask to wait: what the customer writes until then is dropped."""
        with unit_of_work(self._databases, channel.vendor_id) as work:
            customer, conversation = self._meet(work, channel, update, now=new.received_at)
            now, before = self._now(conversation), _snapshot_of(conversation)
            entry = replace(new, customer_id=customer.id, conversation_id=conversation.id, received_at=now)
            if inbox.accept(work, entry, turn=before.turn + 1) is None:
                return  # heard before
            text = self._flows.bundle.too_fast_text(before.language or customer.language, self._slug_of(channel.vendor_id))
            self._interject(work, conversation, customer, place="too_fast", text=text, last_inbound_at=now, now=now)
        self._wakeups.wake([Job.SEND], channel.vendor_id)

    def _slug_of(self, vendor_id: VendorId) -> str:
        return to_slug(vendors.get_vendor(self._databases, vendor_id).name)

    def _keep_failed_message(self, channel: Channel, update: Incoming, new: NewEntry, error: Exception) -> None:
        """Our bug: the turn is rolled back, the message is kept for a retry, and the customer is not left in silence."""
        with unit_of_work(self._databases, channel.vendor_id) as work:
            customer, conversation = self._meet(work, channel, update, now=self._clock())
            entry = replace(new, customer_id=customer.id, conversation_id=conversation.id)
            now = self._now(conversation)
            event = hearing.to_event(update.utterance, entry_id=new.source_id, at=now, intent=new.intent)
            self._keep_failed(work, conversation, customer, entry, event, error)
        self._wakeups.wake([Job.SEND], channel.vendor_id)

    def _keep_failed_entry(
        self, vendor_id: VendorId, entry: InboxEntry, conversation_id: ConversationId, event: Event | None, error: Exception
    ) -> None:
        with unit_of_work(self._databases, vendor_id) as work:
            conversation = conversations.get(work, conversation_id)
            customer = customers.get(work, conversation.customer_id)
            self._keep_failed(work, conversation, customer, hearing.to_new(entry), event, error)
        self._wakeups.wake([Job.SEND], vendor_id)

    def _keep_failed(
        self,
        work: Work,
        conversation: Conversation,
        customer: Customer,
        entry: NewEntry,
        event: Event | None,
        error: Exception,
    ) -> None:
        """A failed turn has its number too, and says one thing: the trouble text."""
        log.error("turn_failed", conversation_id=str(conversation.id), error=repr(error), exc_info=error)
        now = self._now(conversation)
        inbox.keep_failed(work, entry, error=repr(error), trace=_trace_of(error), now=now)
        before, live, keep = _snapshot_of(conversation), self._flows.bundle, None
        if event is not None:
            keep = NewTurn(bundle=live.hash, shelf="", items=None, record=recorded.failed(event, before, repr(error)))
        trouble = live.trouble_text(before.language or customer.language, self._slug_of(work.vendor_id))
        heard_at = conversation.last_inbound_at
        self._interject(work, conversation, customer, place="trouble", text=trouble, last_inbound_at=heard_at, now=now, keep=keep)

    def _interject(
        self,
        work: Work,
        conversation: Conversation,
        customer: Customer,
        *,
        place: str,
        text: str | None,
        last_inbound_at: datetime | None,
        now: datetime,
        keep: NewTurn | None = None,
    ) -> None:
        """Say one thing, which no flow says, and leave the conversation where it is: a turn of its own number all the same."""
        before = _snapshot_of(conversation)
        turn = _Turn(snapshot=replace(before, turn=before.turn + 1), order_id=conversation.order_id, keep=keep)
        if text is not None:
            turn.sends.append(Send(place=place, message=Message(text=text)))
        outbox.add(work, _to_messages(turn, conversation, customer, now=now))
        _save(work, conversation, turn, last_inbound_at=last_inbound_at, now=now)

    def _drop_failed_timer(self, vendor_id: VendorId, timer: Timer, error: Exception) -> None:
        """A timer that breaks a turn fires once: firing it again would break it again. The customer's next message goes on."""
        log.error("timer_failed", timer=timer.name, error=repr(error), exc_info=error)
        with unit_of_work(self._databases, vendor_id) as work:
            timers.mark_fired(work, timer.id, self._clock())


@dataclass(kw_only=True)
class _Turn:
    """One turn while it runs: what its steps have added up to."""

    snapshot: Snapshot
    order_id: OrderId
    sends: list[Send] = field(default_factory=list)
    set_timers: list[SetTimer] = field(default_factory=list)
    schedules: list[Schedule] = field(default_factory=list)
    hand_offs: list[HandOff] = field(default_factory=list)
    metrics: list[Emit] = field(default_factory=list)
    calls: list[CallReport] = field(default_factory=list)
    trace: list[Mapping[str, JSON]] = field(default_factory=list)
    wakes: set[Job] = field(default_factory=set)
    language: str | None = None
    ended: str | None = None
    keep: NewTurn | None = None

    def add(self, taken: Step) -> Call | None:
        """Take over what one step decided; the call it stopped at, if it did."""
        self.snapshot = taken.snapshot
        self.trace += [entry.to_json() for entry in taken.trace]
        for effect in taken.effects:
            match effect:
                case Send():
                    self.sends.append(effect)
                case SetTimer():
                    self.set_timers.append(effect)
                case Schedule():
                    self.schedules.append(effect)
                case HandOff():
                    self.hand_offs.append(effect)
                case Ended(result=result):
                    self.ended = result
                case SwitchLanguage(language=language):
                    self.language = language
                case Emit():
                    self.metrics.append(effect)
                case Call():
                    return effect
                case _:
                    assert_never(effect)
        return None

    def heard(self, call: Call, answer: services.Answer) -> None:
        """Take over what a local call answered."""
        self.calls.append(CallReport(name=call.name, args=call.args, outcome=answer.outcome))
        self.order_id = answer.order_id or self.order_id
        self.wakes |= answer.wakes

    def report(self, vendor_id: VendorId, conversation_id: ConversationId, *, language: str) -> TurnReport:
        """Tell what the turn did."""
        snapshot = self.snapshot
        return TurnReport(
            vendor_id=vendor_id,
            conversation_id=conversation_id,
            turn=snapshot.turn,
            calls=tuple(self.calls),
            messages=tuple(self.sends),
            state=None if snapshot.idle else f"{snapshot.flow}.{snapshot.state}",
            ended=self.ended,
            trace=tuple(self.trace),
            snapshot=snapshot,
            language=language,
        )


def _save(work: Work, conversation: Conversation, turn: _Turn, *, last_inbound_at: datetime | None, now: datetime) -> None:
    conversations.save(
        work,
        conversation.id,
        snapshot=turn.snapshot.to_json(),
        turn=turn.snapshot.turn,
        before_turn=conversation.turn,
        order_id=turn.order_id,
        flow=turn.snapshot.flow,
        state=turn.snapshot.state,
        last_inbound_at=last_inbound_at,
        now=now,
        keep=turn.keep,
    )


def _move_of(chosen: Chosen) -> Move | None:
    """The move by a publish that this turn begins with, as it is kept."""
    if chosen.left is None:
        return None
    return Move(left=chosen.left.bundle, came_from=name_state(chosen.left), say=chosen.say)


def _snapshot_of(conversation: Conversation) -> Snapshot:
    if conversation.snapshot is None:
        return Snapshot.fresh(seed=str(conversation.id))
    return Snapshot.from_json(conversation.snapshot)


def _to_messages(turn: _Turn, conversation: Conversation, customer: Customer, *, now: datetime) -> list[NewMessage]:
    recipient = customer.phone or customer.bsuid
    if recipient is None:
        raise Broken(f"customer {customer.id} has neither a phone nor a business-scoped id")
    return [
        NewMessage(
            conversation_id=conversation.id,
            phone_number_id=conversation.phone_number_id,
            recipient=recipient,
            turn=turn.snapshot.turn,
            n=n,
            place=send.place,
            message=send.message.to_json(),
            due_at=now,
        )
        for n, send in enumerate(turn.sends)
    ]


def _trace_of(error: Exception) -> Mapping[str, JSON]:
    return {"error": type(error).__name__, "where": traceback.format_exception(error)[-3:]}
