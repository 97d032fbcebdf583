"""A turn while it runs: states are entered, acted and left until a wait, a call or an end."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from conversation.engine.catalogue import CallSpec
from conversation.engine.effects import (
    Call,
    Consent,
    Emit,
    Ended,
    HandOff,
    Schedule,
    SetTimer,
    SwitchLanguage,
)
from conversation.engine.flow import (
    Branch,
    CallFlow,
    CallService,
    ChangeLanguage,
    Edge,
    EmitMetric,
    SetSlots,
    SmallAction,
    StartLater,
    State,
)
from conversation.engine.snapshot import Frame, Pending, Snapshot, Wait
from conversation.engine.speaking import NO_NAMES, Speaking, read_path
from conversation.engine.values import JSON, Record
from conversation.errors import Broken, ContractBroken, LimitCrossed

LEFT: Final = "left"  # the result of a flow that was walked away from
SETTLED_KEPT: Final = 5


class Running(Speaking):
    """A turn that moves. It is built from a snapshot, and turned back into one by `to_snapshot`."""

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
