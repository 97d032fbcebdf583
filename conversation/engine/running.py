"""A turn while it runs: states are entered, acted and left until a wait, a call or an end."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from conversation.engine.catalogue import CallSpec
from conversation.engine.context import WEEKDAYS, Context, to_slug
from conversation.engine.effects import (
    Button,
    Call,
    Consent,
    Effect,
    Emit,
    Ended,
    Filled,
    HandOff,
    Menu,
    Row,
    Schedule,
    Send,
    SetTimer,
    SwitchLanguage,
    TraceEntry,
)
from conversation.engine.expressions import is_written
from conversation.engine.flow import (
    Ask,
    Branch,
    Bundle,
    CallFlow,
    CallService,
    ChangeLanguage,
    Choice,
    Condition,
    EachRow,
    Edge,
    EmitMetric,
    Flow,
    Line,
    SetSlots,
    SmallAction,
    StartLater,
    State,
    Text,
    WhatsAppTemplate,
)
from conversation.engine.match import NEXT_PAGE, PICKED, to_choice_id
from conversation.engine.render import CHOICE_ID, MOST_BUTTONS, MOST_ROWS, render
from conversation.engine.snapshot import Frame, Pending, Snapshot, Wait
from conversation.engine.values import JSON, Record
from conversation.errors import Broken, ContractBroken, LimitCrossed

LEFT: Final = "left"  # the result of a flow that was walked away from
SETTLED_KEPT: Final = 5
WINDOW: Final = timedelta(hours=24)
NOT_SENT: Final = "not sent"  # in the trace: 24 hours have passed, and it has no template
NO_NAMES: Final[Record] = {}


class Running:
    """One turn's working memory. Built from a snapshot, turned back into one by `to_snapshot`."""

    def __init__(self, bundle: Bundle, snapshot: Snapshot, context: Context, *, turn: int, at: datetime) -> None:
        self.bundle = bundle
        self.context = context
        self.before = snapshot
        self.turn = turn
        self.at = at
        self.frames = list(snapshot.frames)
        self.language = snapshot.language
        self.spoke_turn, self.spoke_at = snapshot.spoke_turn, snapshot.spoke_at
        self.result = snapshot.result
        self.settled = snapshot.settled
        self.scheduled = snapshot.scheduled
        pending = snapshot.pending
        self.states = pending.states if pending else 0
        self.messages = pending.messages if pending else 0
        self.cost = pending.cost if pending else 0
        self.consent: Consent | None = pending.consent if pending else None
        self.pending: Pending | None = None
        self.silence_is_new = False
        self.effects: list[Effect] = []
        self.trace: list[TraceEntry] = []
        local = at.astimezone(bundle.timezone)
        self.now: Record = {"hour": local.hour, "minute": local.minute, "weekday": WEEKDAYS[local.weekday()]}

    # --- what stands where

    @property
    def top(self) -> Frame:
        """The running flow's frame."""
        return self.frames[-1]

    @top.setter
    def top(self, frame: Frame) -> None:
        self.frames[-1] = frame

    @property
    def flow(self) -> Flow:
        """The running flow."""
        return self.bundle.flows[self.top.flow]

    @property
    def state(self) -> State:
        """The state the customer is in."""
        return self.flow.states[self.top.state]

    @property
    def window_ends(self) -> datetime:
        """From when on WhatsApp takes nothing of ours: 24 hours after the customer's last message."""
        return (datetime.fromisoformat(self.spoke_at) if self.spoke_at is not None else self.at) + WINDOW

    @property
    def speaking(self) -> str:
        """The language to speak: switched to in this conversation, else the customer's, else the base."""
        language = self.language or str(self.context.customer.get("language") or self.bundle.language)
        return language if language in self.bundle.languages else self.bundle.language

    def note(self, what: str, place: str = "", **detail: JSON) -> None:
        """Add to the trace."""
        self.trace.append(TraceEntry(what=what, place=place, detail=detail))

    # --- expressions and texts

    def names(self, extra: Record = NO_NAMES) -> dict[str, JSON]:
        """Everything an expression of the running flow can see."""
        conversation: Record = {"came_from": self.top.came_from, "language": self.speaking}
        names: dict[str, JSON] = dict(self.top.slots)
        names["vendor"] = self.context.vendor
        names["customer"] = {**self.context.customer, "language": self.speaking}
        names["order"] = self.context.order
        names["conversation"] = conversation
        names["now"] = self.now
        if self.top.event:
            names["event"] = self.top.event
        names.update(extra)
        return names

    def evaluate(self, condition: Condition, extra: Record = NO_NAMES) -> JSON:
        """Work out one expression, within the turn's budget."""
        self._spend(condition.expression.cost)
        return condition.expression.evaluate(self.names(extra))

    def holds(self, what: str, condition: Condition, extra: Record = NO_NAMES) -> bool:
        """Work out a condition that decides something, and note what it read. `what`: the key it stands under."""
        expression, at = condition.expression, condition.at
        self._spend(expression.cost)
        names = self.names(extra)
        held = bool(expression.evaluate(names))
        read = {path: _short(_find(names, path)) for path in expression.paths}
        place = f"{self.top.flow}.{self.top.state}"
        self.note("guard", place, key=what, condition=expression.source, held=held, read=read, at=f"{at.file}:{at.line}")
        return held

    def write(self, text: Text, extra: Record = NO_NAMES) -> str:
        """Write one text in the customer's language, within the turn's budget."""
        template = text.in_language(self.speaking, to_slug(str(self.context.vendor.get("name", ""))))
        self._spend(template.cost)
        return template.render(self.names(extra) if template.constant is None else NO_NAMES)

    def _spend(self, cost: int) -> None:
        self.cost += cost
        if self.cost > self.bundle.limits.cost:
            raise LimitCrossed(f"the expressions of one turn cost more than {self.bundle.limits.cost}")

    # --- speaking

    def say(self, lines: Sequence[Line], extra: Record = NO_NAMES) -> None:
        """Send each line whose condition holds; a line that comes out empty is not sent."""
        for line in lines:
            if line.condition is None or self.holds("say", line.condition, extra):
                self.tell(line.text, extra, template=line.template)

    def tell(self, text: Text, extra: Record = NO_NAMES, *, template: WhatsAppTemplate | None = None) -> None:
        """Send one text, unless it comes out empty."""
        written = self.write(text, extra)
        if written and template is not None and self.at >= self.window_ends:
            self._send_template(text.place, written, template, extra)
        elif written:
            self.send(text.place, written)

    def _send_template(self, place: str, text: str, template: WhatsAppTemplate, extra: Record) -> None:
        values = [" ".join(str(self.evaluate(value, extra)).split()) for value in template.values]
        filled = Filled(name=template.name, language=self.speaking, values=tuple(value or "-" for value in values))
        self._count_message(place)
        self.effects.append(Send(place=place, message=replace(render(text)[0], template=filled)))

    def send(self, place: str, text: str, *, buttons: Sequence[Button] = (), menu: Menu | None = None) -> None:
        """Send one message, within the turn's budget. After 24 hours of silence WhatsApp would refuse it: so do we."""
        if self.at >= self.window_ends:
            self.note(NOT_SENT, place)
            return
        self._count_message(place)
        self.effects.extend(Send(place=place, message=message) for message in render(text, buttons=buttons, menu=menu))

    def _count_message(self, place: str) -> None:
        self.messages += 1
        if self.messages > self.bundle.limits.messages:
            raise LimitCrossed(f"more than {self.bundle.limits.messages} messages in one turn, at {place}")

    def ask(self, wait: Wait) -> None:
        """Ask the question of `wait`, new or again, and remember what the customer now sees."""
        state = self.flow.states[wait.state]
        ask = question_of(state, wait)
        if ask is None:
            return
        text = self.write(ask.text)
        titles = {choice.id: self.write(choice.title) for choice in (*ask.buttons, *ask.fixed)}
        if ask.menu_button is None:
            buttons = tuple(Button(id=self.choice_id(wait, choice), title=title) for choice, title in titles.items())
            self._check_buttons(ask, titles)
            self.send(ask.text.place, text, buttons=buttons)
            rows: dict[str, JSON] = {}
        else:
            menu_rows, rows, titles = self._menu_rows(ask, wait, titles)
            menu = Menu(button=self.write(ask.menu_button), rows=menu_rows) if menu_rows else None
            self.send(ask.text.place, text, menu=menu)
        self.top = replace(self.top, wait=replace(wait, choices=titles, rows=rows, shows=self._shows(state, text)))

    def _check_buttons(self, ask: Ask, titles: Mapping[str, str]) -> None:
        if len(titles) > MOST_BUTTONS or len({title.casefold() for title in titles.values()}) < len(titles):
            raise Broken(f"{ask.text.place} shows more than {MOST_BUTTONS} buttons, or two with one title")

    def choice_id(self, wait: Wait, choice: str) -> str:
        """The id of a choice of the open question."""
        choice_id = to_choice_id(self.top.flow, wait.state, wait.turn, choice)
        if len(choice_id) > CHOICE_ID:
            raise LimitCrossed(f"the choice id {choice_id[:40]}… has more than {CHOICE_ID} characters")
        return choice_id

    def _menu_rows(
        self, ask: Ask, wait: Wait, titles: Mapping[str, str]
    ) -> tuple[tuple[Row, ...], dict[str, JSON], dict[str, str]]:
        shown = [Row(id=choice.id, title=titles[choice.id], about=self._about(choice)) for choice in (*ask.buttons, *ask.fixed)]
        items: dict[str, JSON] = {}
        if ask.each is not None:
            for item in self._items(ask.each):
                key = str(self.evaluate(ask.each.id, {"it": item}))
                shown.append(Row(id=PICKED + key, title=self._part(ask.each.title, item), about=self._part(ask.each.about, item)))
                items[key] = item
        more = ask.more
        last: list[Row] = []
        if more is not None and more.id is not None and (more.condition is None or self.holds("more", more.condition)):
            last = [Row(id=more.id, title=self.write(more.title))]
        elif more is not None and more.id is None and len(shown) > MOST_ROWS:
            size = MOST_ROWS - 1
            first = (wait.page - 1) * size % (-(-len(shown) // size) * size)
            shown, last = shown[first : first + size], [Row(id=NEXT_PAGE, title=self.write(more.title))]
        if len(shown) + len(last) > MOST_ROWS:
            raise Broken(f"{ask.text.place} has {len(shown)} rows and no `more` to turn the page with")
        rows = [*shown, *last]
        items = {key: item for key, item in items.items() if any(row.id == PICKED + key for row in rows)}
        ids = tuple(Row(id=self.choice_id(wait, row.id), title=row.title, about=row.about) for row in rows)
        return ids, items, {row.id: row.title for row in rows}

    def _items(self, each: EachRow) -> list[JSON]:
        items = self.evaluate(each.items)
        if not isinstance(items, list | tuple):
            raise Broken(f"`{each.items.expression.source}` is not a list")
        return list(items)

    def _about(self, choice: Choice) -> str:
        return self.write(choice.about) if choice.about else ""

    def _part(self, part: Condition | Text | None, item: JSON) -> str:
        match part:
            case None:
                return ""
            case Text():
                return self.write(part, {"it": item})
            case Condition():
                return str(self.evaluate(part, {"it": item}))

    def _shows(self, state: State, text: str) -> dict[str, JSON]:
        """What a consent would agree to, as far as it really stands in the text that is sent."""
        consents = [reply.consent for reply in state.replies if reply.consent is not None]
        paths = [path for consent in consents for path in self.bundle.catalogue.consents[consent].must_show]
        values = {path: read_path(self.names(), path) for path in paths}
        return {path: value for path, value in values.items() if is_written(value, text)}

    # --- what is not understood

    def unmatched(self, *, wordless: bool = False) -> str | None:
        """Say so, or ask again; after the last try go on. `wordless`: it was a picture, a place… and had no words to read."""
        if not self.has_a_try():
            return self.give_up()
        if wordless and self.bundle.no_words is not None:
            self.tell(self.bundle.no_words)
            return None if self.state.unmatched is not None and self.state.unmatched.say else self.ask_again()
        if self.state.unmatched is not None and self.state.unmatched.say:
            self.say(self.state.unmatched.say)
            return None
        return self.ask_again()

    def has_a_try(self) -> bool:
        """Use up one of the open question's tries. False when there is none left."""
        wait, unmatched = self._open_wait(), self.state.unmatched
        if unmatched is not None and unmatched.tries is not None and wait.tries >= unmatched.tries:
            return False
        self.top = replace(self.top, wait=replace(wait, tries=wait.tries + 1))
        return True

    def give_up(self) -> str:
        """The state that the tries lead to."""
        unmatched = self.state.unmatched
        if unmatched is None or unmatched.then is None:
            raise Broken(f"{self.top.flow}.{self.top.state} has no way on after its tries")
        self.note("tries used up", f"{self.top.flow}.{self.top.state}", to=unmatched.then)
        return unmatched.then

    # --- moving

    def run(self, target: str | None) -> None:
        """Enter states one after the other until a wait, a call or an end."""
        while target is not None:
            target = self._enter(target)

    def _enter(self, name: str) -> str | None:
        self.states += 1
        if self.states > self.bundle.limits.states:
            raise LimitCrossed(f"more than {self.bundle.limits.states} states in one turn, at {self.top.flow}.{name}")
        self.close_wait()
        visits = {**self.top.visits, name: self.top.visits.get(name, 0) + 1}
        self.top = replace(self.top, state=name, visits=visits)
        self.note("entered", f"{self.top.flow}.{name}")
        state = self.state
        if state.visits is not None and visits[name] > state.visits.most:
            self.note("visits used up", f"{self.top.flow}.{name}", to=state.visits.then)
            return state.visits.then
        leaving = self._redirect(state)
        return self.take(leaving) if leaving is not None else self._act(state, 0)

    def close_wait(self) -> None:
        """The open wait, if any, is over; nothing of it survives but the name of its state."""
        if self.top.wait is not None:
            self.top = replace(self.top, came_from=self.top.wait.state, wait=None)

    def _redirect(self, state: State) -> Edge | None:
        return next((redirect.edge for redirect in state.redirects if self.holds("redirect", redirect.condition)), None)

    def _act(self, state: State, first: int) -> str | None:
        for index, action in enumerate(state.do[first:], first):
            match action:
                case SetSlots() | ChangeLanguage() | EmitMetric() | StartLater():
                    self._do(action)
                case CallService():
                    self._call(action, index)
                    return None
                case CallFlow():
                    return self._call_flow(action, index)
        self.say(state.say)
        if state.people is not None:
            self.effects.append(HandOff(queue=state.people.queue, note=self.write(state.people.note)))
        if state.waits and state.form is None:
            self._open(state)
            return None
        return self.fill_form(state) if state.form is not None else self._leave(state)

    def fill_form(self, state: State) -> str | None:
        """Ask for the first thing of the form that is not known yet; when all is known, go on."""
        known = self.top.slots
        missing = next((field for field in state.form.fields if field.name not in known), None) if state.form else None
        if missing is None:
            self.close_wait()
            return self._leave(state)
        self._open(state, asks_for=missing.name)
        return None

    def _leave(self, state: State) -> str | None:
        if state.end is not None:
            return self.end(state.end)
        return self._choose(state.go, NO_NAMES)

    def take(self, edge: Edge, extra: Record = NO_NAMES) -> str | None:
        """Follow an edge; return the state to enter next, or None when there is none."""
        for action in edge.do:
            self._do(action, extra)
        self.say(edge.say, extra)
        if edge.visit is not None:
            return self.push(edge.visit, visiting=True)
        if edge.resume:
            return self.ask_again()
        return self._choose(edge.go, extra)

    def _choose(self, branches: Sequence[Branch], extra: Record) -> str:
        if branches and branches[0].share is not None:
            return self._draw(branches)
        for branch in branches:
            if branch.condition is None or self.holds("go", branch.condition, extra):
                return branch.to
        raise Broken(f"no branch of `go` holds in {self.top.flow}.{self.top.state}")

    def _draw(self, branches: Sequence[Branch]) -> str:
        place = f"{self.top.flow}.{self.top.state}"
        to = draw_branch(self.before.seed, place, branches)
        self.note("split", place, to=to)
        return to

    def _do(self, action: SmallAction, extra: Record = NO_NAMES) -> None:
        match action:
            case SetSlots():
                for slot, value in action.values:
                    self.set_slot(slot, self.evaluate(value, extra))
            case ChangeLanguage():
                languages = self.bundle.languages
                self.language = action.to or languages[(languages.index(self.speaking) + 1) % len(languages)]
                self.effects.append(SwitchLanguage(language=self.language))
            case EmitMetric():
                number = self.evaluate(action.value, extra) if action.value is not None else None
                place = f"{self.top.flow}.{self.top.state}"
                self.effects.append(Emit(name=action.name, place=place, value=number if isinstance(number, int) else None))
                self.note("emitted", place, name=action.name, value=number)

            case StartLater():
                self._start_later(action, extra)

    def _start_later(self, action: StartLater, extra: Record) -> None:
        zone = self.bundle.timezone
        due = self.at + timedelta(seconds=action.seconds or 0)
        if action.date is not None:
            written = str(self.evaluate(action.date, extra))
            try:
                day = date.fromisoformat(written)
            except ValueError as error:
                raise Broken(f"`{action.date.expression.source}` is {written}, which is not a date") from error
            due = datetime.combine(day, time(action.minute // 60, action.minute % 60), tzinfo=zone).astimezone(UTC)
        due = action.hours.shift(due, zone)
        if due <= self.at:
            self.note("schedule is over", action.flow, due=self._iso(due))
            return
        self.start_at(action.flow, due)

    def start_at(self, flow: str, due: datetime) -> None:
        """Start a flow at a moment; what was said before about the same flow no longer holds."""
        self.scheduled = {**self.scheduled, flow: self.turn}
        self.effects.append(Schedule(flow=flow, due_at=due, turn=self.turn))
        self.note("scheduled", flow, due=self._iso(due))

    def set_slot(self, slot: str, value: JSON) -> None:
        """Give a slot of the running flow a value."""
        self.top = replace(self.top, slots={**self.top.slots, slot: value})

    def unset_slot(self, slot: str) -> None:
        """Forget a slot of the running flow."""
        self.top = replace(self.top, slots={name: value for name, value in self.top.slots.items() if name != slot})

    # --- calls

    def _call(self, action: CallService, index: int) -> None:
        spec = self.bundle.catalogue.calls[action.call]
        args = {name: self.evaluate(value) for name, value in action.args}
        consent = self._spend_consent(spec, args) if spec.moves_money else None
        if spec.revokes:
            self.consent = None
        self.effects.append(Call(name=action.call, args=args, consent=consent))
        self.pending = Pending(
            call=action.call,
            args=args,
            action=index,
            states=self.states,
            messages=self.messages,
            cost=self.cost,
            consent=self.consent,
        )
        self.note("called", f"{self.top.flow}.{self.top.state}", call=action.call, consent=consent is not None)

    def _spend_consent(self, spec: CallSpec, args: Record) -> Consent:
        """Hand over the consent this call needs, once. Raises ContractBroken when anything about it is not exactly so."""
        consent, self.consent = self.consent, None
        place = f"{self.top.flow}.{self.top.state}"
        if consent is None:
            raise ContractBroken(f"{place} calls {spec.name}, and the customer has not replied PAY in this turn")
        names = self.names()
        unequal = [name for name, path in spec.must_equal.items() if args.get(name) != read_path(names, path)]
        if unequal or (consent.order_id, consent.amount, consent.phone) != (
            args.get("order"),
            args.get("amount"),
            args.get("phone"),
        ):
            raise ContractBroken(f"{place} calls {spec.name} with terms the customer did not agree to")
        wanted = {state for outcome in spec.outcomes.values() if outcome.continues for state in outcome.orders or ()}
        flags = [flag for flag, state in self.bundle.catalogue.order_flags.items() if state in wanted]
        if flags and not any(read_path(names, flag) for flag in flags):
            raise ContractBroken(f"{place} calls {spec.name}, and the order is not {' or '.join(sorted(wanted))}")
        return consent

    def returned(self, pending: Pending, outcome: str, value: JSON) -> str | None:
        """Go on after a call with its answer."""
        action = self.state.do[pending.action]
        spec = self.bundle.catalogue.calls[pending.call]
        if not isinstance(action, CallService) or action.call != pending.call or outcome not in spec.outcomes:
            raise Broken(f"{pending.call} answered {outcome}, which {self.top.flow}.{self.top.state} did not ask for")
        self.note("returned", f"{self.top.flow}.{self.top.state}", call=pending.call, outcome=outcome)
        self._settle_by_call(spec, pending.args, spec.outcomes[outcome].settles)
        if not spec.outcomes[outcome].continues:
            return self.take(action.otherwise[outcome], {"result": value})
        if action.into is not None:
            self.set_slot(action.into, value)
        return self._act(self.state, pending.action + 1)

    def _settle_by_call(self, spec: CallSpec, args: Record, outcomes: Sequence[str]) -> None:
        event = self.bundle.catalogue.events.get(spec.asks_about or "")
        if event is not None and outcomes and args.get(event.key) is not None:
            self.settle(str(args[event.key]), outcomes)

    def settle(self, key: str, outcomes: Sequence[str]) -> None:
        """The customer hears now how this ended: an event that says the same later is an echo."""
        kept = {old: known for old, known in self.settled.items() if old != key}
        latest = list(kept.items())[-(SETTLED_KEPT - 1) :]
        self.settled = {**dict(latest), key: list(outcomes)}

    # --- flows within flows

    def push(
        self, name: str, *, visiting: bool, slots: Record = NO_NAMES, event: Record = NO_NAMES, start: str | None = None
    ) -> str:
        """Start a flow on top of what runs; return the state to enter. A consent never travels along."""
        if len(self.frames) >= self.bundle.limits.frames:
            raise LimitCrossed(f"more than {self.bundle.limits.frames} flows within one another")
        self.consent = None
        flow = self.bundle.flows[name]
        first = {slot.name: slot.default for slot in flow.slots.values() if slot.has_default} | dict(slots)
        state = start or flow.first
        self.frames.append(Frame(flow=name, state=state, slots=first, visiting=visiting, event=event))
        self.note("started", name)
        return state

    def _call_flow(self, action: CallFlow, index: int) -> str:
        args = {name: self.evaluate(value) for name, value in action.args}
        self.top = replace(self.top, action=index)
        return self.push(action.flow, visiting=False, slots=args)

    def end(self, result: str) -> str | None:
        """The running flow is over: go on in the one that called it, or ask the question it interrupted again."""
        flow, names = self.flow, self.names()
        gone = self.frames.pop()
        self.consent = None
        self.effects.append(Ended(flow=gone.flow, result=result))
        self._note_end(gone, result)
        if not self.frames:
            self.result = result
            return None
        if gone.visiting:
            self.silence_is_new = bool(gone.came_from)  # the host has dropped the timers under a question of the visit's
            # Whoever says nothing is not spoken to: an event or a timer ended the visit.
            return self.come_back(quietly=self.spoke_turn != self.turn and self.messages == 0)
        action = self.state.do[self.top.action]
        index = self.top.action
        self.top = replace(self.top, action=-1)
        if not isinstance(action, CallFlow):
            raise Broken(f"{self.top.flow}.{self.top.state} did not call {gone.flow}")
        if result in action.otherwise:
            return self.take(action.otherwise[result])
        if action.into is not None and flow.gives is not None:
            self.set_slot(action.into, names[flow.gives[0]])
        return self._act(self.state, index + 1)

    def _note_end(self, gone: Frame, result: str) -> None:
        below = {"back": f"{self.top.flow}.{self.top.state}"} if self.frames else {}
        self.note("ended", gone.flow, result=result, **below)

    def unwind_to(self, index: int) -> None:
        """Walk away from the flows above frame `index`."""
        while len(self.frames) > index + 1:
            farewell = self.flow.on_leave
            for action in farewell.do if farewell is not None else ():
                self._do(action)
            self.say(farewell.say if farewell is not None else ())
            gone = self.frames.pop()
            self.effects.append(Ended(flow=gone.flow, result=LEFT))
            self._note_end(gone, LEFT)
        self.top = replace(self.top, action=-1)

    # --- waiting

    def _open(self, state: State, *, asks_for: str | None = None) -> None:
        key = None
        if state.wait is not None:
            value = self.evaluate(state.wait.key)
            if value is None:
                raise Broken(f"{self.top.flow}.{state.name} waits for {state.wait.event} of nothing: its key is none")
            key = str(value)
        timers = {after.name: self._iso(self.at + timedelta(seconds=after.seconds)) for after in state.after}
        wait = Wait(turn=self.turn, state=state.name, key=key, timers=timers, since=self.turn, asks_for=asks_for)
        self.top = replace(self.top, wait=wait)
        self.ask(wait)
        self._set_timers(wait)
        self.note("waiting", f"{self.top.flow}.{state.name}", number=wait.turn)

    def ask_again(self) -> str | None:
        """Ask the open question again, unless a redirect of its state now leads elsewhere. Counts nothing.

        Where an event is waited for there is no question: what `unmatched` says stands in for it, so that nobody meets silence.
        """
        wait = self._open_wait()
        state = self.flow.states[wait.state]
        leaving = self._redirect(state)
        if leaving is not None:
            return self.take(leaving)
        if not state.asks and state.unmatched is not None and self.messages == 0:
            self.say(state.unmatched.say)
        self.ask(wait)
        return None

    def come_back(self, *, quietly: bool) -> str | None:
        """Return from a visit: its timers hold again, with their old due times. `quietly`: nothing was said meanwhile."""
        wait = self._open_wait()
        self._set_timers(wait)
        leaving = self._redirect(self.flow.states[wait.state])
        if leaving is not None:
            return self.take(leaving)
        if not quietly:
            self.ask(wait)
        return None

    def _open_wait(self) -> Wait:
        if self.top.wait is None:
            raise Broken(f"{self.top.flow}.{self.top.state} has no open question")
        return self.top.wait

    def _set_timers(self, wait: Wait) -> None:
        self.effects.extend(
            SetTimer(name=name, due_at=datetime.fromisoformat(due), turn=wait.turn) for name, due in wait.timers.items()
        )

    @staticmethod
    def _iso(moment: datetime) -> str:
        return moment.isoformat()

    def to_snapshot(self) -> Snapshot:
        """The memory to keep until the next step."""
        return Snapshot(
            seed=self.before.seed,
            turn=self.turn,
            bundle=self.bundle.hash,
            frames=tuple(self.frames),
            language=self.language,
            spoke_turn=self.spoke_turn,
            spoke_at=self.spoke_at,
            result=self.result,
            settled=self.settled,
            scheduled=self.scheduled,
            pending=self.pending,
        )


def draw_branch(seed: str, place: str, branches: Sequence[Branch]) -> str:
    """Draw a state by share. One conversation always draws the same at one place."""
    shares = [branch.share or 0 for branch in branches]
    digest = hashlib.sha256(f"{seed}:{place}".encode()).digest()
    at = int.from_bytes(digest[:8], "big") % sum(shares)
    return next(branch.to for index, branch in enumerate(branches) if at < sum(shares[: index + 1]))


def question_of(state: State, wait: Wait) -> Ask | None:
    """The open question: the state's, or that of the thing its form asks for. None where only an event is awaited."""
    return state.form.field(wait.asks_for).ask if state.form is not None and wait.asks_for is not None else state.ask


def read_path(names: Mapping[str, JSON], path: str) -> JSON:
    """Read "order.total". Raises Broken when there is no such field."""
    value: JSON = names
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            raise Broken(f"the context has no `{path}`")
        value = value[part]
    return value


def _find(names: Mapping[str, JSON], path: str) -> JSON:
    value: JSON = names
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _short(value: JSON) -> JSON:
    """A value as a trace shows it: of a list its length, of a record that it is there."""
    match value:
        case Mapping():
            return "a record"
        case list() | tuple():
            return f"{len(value)} in it"
        case _:
            return value
