"""Every way from one state to another, and what is read and set on it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from conversation.engine.flow import (
    Action,
    Ask,
    At,
    Branch,
    CallFlow,
    CallService,
    ChangeLanguage,
    Condition,
    Edge,
    EmitMetric,
    Flow,
    Line,
    SetSlots,
    StartLater,
    State,
    Text,
)


@dataclass(frozen=True, kw_only=True)
class Read:
    """Names read at a place, by slots that are set there for certain."""

    names: frozenset[str]
    at: At
    after: frozenset[str]  # slots set in this state before it, for certain


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way on to `to`; `sets` are slots set in this state by then, for certain."""

    to: str
    sets: frozenset[str]
    at: At


class Ways:
    """Walks one state once, and lists its ways on and its readings."""

    def __init__(self, flow: Flow, state: State) -> None:
        self.flow = flow
        self.on: list[Way] = []
        self.reads: list[Read] = []
        self._state(state)

    def _state(self, state: State) -> None:
        none = frozenset[str]()
        if state.visits is not None:
            self.on.append(Way(to=state.visits.then, sets=none, at=state.visits.at))
        for redirect in state.redirects:
            self._condition(redirect.condition, none)
            self._edge(redirect.edge, none)
        if self.flow.expiry is not None and any(isinstance(action, CallFlow) for action in state.do):
            self.on.append(Way(to=self.flow.expiry.to, sets=none, at=self.flow.expiry.at))  # while the called flow asks
        sets = none
        for action in state.do:
            sets = self._action(action, sets)
        self._say(state.say, sets)
        sets = self._form(state, sets)
        self._wait(state, sets)
        if state.people is not None:
            self._text(state.people.note, sets)
            if state.people.back is not None:
                self._edge(state.people.back, sets)
        self._go(state.go, sets)

    def _action(self, action: Action, sets: frozenset[str]) -> frozenset[str]:
        match action:
            case SetSlots():
                for slot, value in action.values:
                    self._condition(value, sets)
                    sets |= {slot}
            case CallService() | CallFlow():
                for _, value in action.args:
                    self._condition(value, sets)
                for edge in action.otherwise.values():
                    self._edge(edge, sets)
                sets |= {action.into} if action.into else frozenset()
            case EmitMetric():
                if action.value is not None:
                    self._condition(action.value, sets)
            case StartLater():
                if action.date is not None:
                    self._condition(action.date, sets)
            case ChangeLanguage():
                pass
        return sets

    def _form(self, state: State, sets: frozenset[str]) -> frozenset[str]:
        """Ask for one thing after the other: each may read those before it, and a check its own answer too."""
        before = sets
        for field in state.form.fields if state.form is not None else ():
            self._ask(field.ask, sets)
            sets |= {field.name}
            if field.check is not None:
                self._condition(field.check.condition, sets)
                self._text(field.check.otherwise, sets)
        if state.form is not None:
            self._leave(state, before)
        return sets

    def _ask(self, ask: Ask, sets: frozenset[str]) -> None:
        for text in _texts_of(ask):
            self._text(text, sets)
        if ask.each is not None:
            self._condition(ask.each.items, sets)
        if ask.more is not None and ask.more.condition is not None:
            self._condition(ask.more.condition, sets)

    def _wait(self, state: State, sets: frozenset[str]) -> None:
        if state.ask is not None:
            self._ask(state.ask, sets)
        for reply in state.replies:
            known = sets | ({reply.into} if reply.into else frozenset())
            if reply.check is not None:
                self._condition(reply.check.condition, known)
                self._text(reply.check.otherwise, known)
            self._edge(reply.edge, known)
        if state.wait is not None:
            self._condition(state.wait.key, sets)
            for edge in state.wait.outcomes.values():
                self._edge(edge, sets)
        if state.waits and state.form is None:
            self._leave(state, sets)

    def _leave(self, state: State, sets: frozenset[str]) -> None:
        """What ends any wait but its own answers."""
        if state.unmatched is not None:
            self._say(state.unmatched.say, sets)
            if state.unmatched.then is not None:
                self.on.append(Way(to=state.unmatched.then, sets=sets, at=state.unmatched.at))
        for command in state.commands:
            self._edge(command.edge, sets)
        for after in state.after:
            self._edge(after.edge, sets)
        self._silence(state, sets)

    def _silence(self, state: State, sets: frozenset[str]) -> None:
        if state.asks and self.flow.expiry is not None:
            self.on.append(Way(to=self.flow.expiry.to, sets=sets, at=self.flow.expiry.at))
        if self.flow.reminder is not None and state.name in self.flow.reminder.states:
            self._say(self.flow.reminder.say, sets)

    def _edge(self, edge: Edge, sets: frozenset[str]) -> None:
        for action in edge.do:
            sets = self._action(action, sets)
        self._say(edge.say, sets)
        self._go(edge.go, sets)

    def _go(self, branches: Sequence[Branch], sets: frozenset[str]) -> None:
        for branch in branches:
            if branch.condition is not None:
                self._condition(branch.condition, sets)
            self.on.append(Way(to=branch.to, sets=sets, at=branch.at))

    def _say(self, lines: Sequence[Line], sets: frozenset[str]) -> None:
        for line in lines:
            if line.condition is not None:
                self._condition(line.condition, sets)
            self._text(line.text, sets)
            for value in line.template.values if line.template is not None else ():
                self._condition(value, sets)

    def _condition(self, condition: Condition, sets: frozenset[str]) -> None:
        self.reads.append(Read(names=condition.expression.names, at=condition.at, after=sets))

    def _text(self, text: Text, sets: frozenset[str]) -> None:
        names = frozenset(name for template in text.templates.values() for name in template.names)
        self.reads.append(Read(names=names, at=text.at, after=sets))


def _texts_of(ask: Ask) -> Iterator[Text]:
    yield ask.text
    for choice in (*ask.buttons, *ask.fixed):
        yield choice.title
        if choice.about is not None:
            yield choice.about
    for text in (ask.menu_button, ask.more.title if ask.more else None):
        if text is not None:
            yield text
    if ask.each is not None:
        for part in (ask.each.title, ask.each.about):
            if isinstance(part, Text):
                yield part
