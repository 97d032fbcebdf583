"""A turn's working memory, and what it says: expressions, texts, questions, within the turn's budget."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from conversation.engine.context import WEEKDAYS, Context, to_slug
from conversation.engine.effects import (
    Button,
    Consent,
    Effect,
    Filled,
    Menu,
    Row,
    Send,
    TraceEntry,
)
from conversation.engine.expressions import is_written
from conversation.engine.flow import (
    Ask,
    Bundle,
    Choice,
    Condition,
    EachRow,
    Flow,
    Line,
    State,
    Text,
    WhatsAppTemplate,
)
from conversation.engine.match import NEXT_PAGE, PICKED, to_choice_id
from conversation.engine.render import CHOICE_ID, MOST_BUTTONS, MOST_ROWS, render
from conversation.engine.snapshot import Frame, Pending, Snapshot, Wait
from conversation.engine.values import JSON, Record
from conversation.errors import Broken, LimitCrossed

WINDOW: Final = timedelta(hours=24)
NOT_SENT: Final = "not sent"  # in the trace: 24 hours have passed, and it has no template
NO_NAMES: Final[Record] = {}


class Speaking:
    """One turn's working memory, built from a snapshot, and all that speaks out of it."""

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
