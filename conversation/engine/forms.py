"""Filling a form: one message may answer several of its questions, and correct an answer that was given before."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from conversation.engine.effects import Button, Menu, Row
from conversation.engine.events import FromCustomer
from conversation.engine.flow import Form, FormField
from conversation.engine.match import NEXT_PAGE, PICKED, hear
from conversation.engine.normalise import normalise
from conversation.engine.render import MOST_BUTTONS
from conversation.engine.running import Running
from conversation.engine.snapshot import Wait
from conversation.engine.values import JSON
from conversation.errors import Broken

MOST_WORDS: Final = 24  # a longer message answers its own question only
_ABOVE: Final = {"choice": 0, "state_words": 2}  # rungs of the ladder above these; above the others a form has four
_PARTS_END: Final = (",", ";", ".")
_JOINERS: Final = frozenset({"na", "and", "&", "+"})
_MARKS: Final = frozenset(
    {"no", "hapana", "sorry", "samahani", "pole", "actually", "not", "si", "wait", "ngoja", "change", "badilisha"}
)

Values: TypeAlias = Mapping[str, JSON]


@dataclass(frozen=True, kw_only=True)
class _Open:
    """The open question of a form, and what the customer has answered it with."""

    wait: Wait
    form: Form
    field: FormField
    text: str
    passed: tuple[str, ...]


def answer(running: Running, wait: Wait, event: FromCustomer, passed: tuple[str, ...]) -> str | None:
    """Take a message that is not a command; return the state to enter next. The rungs are those of the one ladder.

    `passed`: why the rungs above commands did not take it, and commands.
    """
    state = running.state
    if state.form is None or wait.asks_for is None:
        raise Broken(f"{running.top.flow}.{state.name} has no form")
    heard = hear(event, running.top.flow, wait)
    here = _Open(wait=wait, form=state.form, field=state.form.field(wait.asks_for), text=heard.text, passed=passed)
    if heard.choice is not None and heard.choice in wait.doubt:
        _note(running, "choice", here)
        return _correct(running, here, heard.choice, wait.doubt[heard.choice])
    if wait.doubt:  # the customer did not say which, but something else
        here = replace(here, wait=replace(wait, doubt={}))
        running.top = replace(running.top, wait=here.wait)
    if heard.choice == NEXT_PAGE:
        _note(running, "choice", here)
        running.top = replace(running.top, wait=replace(here.wait, page=here.wait.page + 1))
        return running.ask_again()
    value = _chosen(here, heard.choice)
    if value is not None:
        _note(running, "choice", here)
        return _fill(running, here, {here.field.name: value})
    if normalise(here.text) in here.field.skip:
        _note(running, "state_words", here)
        return _fill(running, here, {here.field.name: None})
    return _read(running, here)


def is_sure(running: Running, wait: Wait, event: FromCustomer) -> bool:
    """Whether a message is an answer by the rungs above commands: one of the choices, or a word for nothing."""
    heard = hear(event, running.top.flow, wait)
    form = running.state.form
    skip = form.field(wait.asks_for).skip if form is not None and wait.asks_for is not None else frozenset[str]()
    return heard.choice is not None or heard.words in skip


def _note(running: Running, rung: str, here: _Open) -> None:
    above = _ABOVE.get(rung, len(here.passed))
    place = f"{running.top.flow}.{here.wait.state}"
    running.note("matched", place, rung=rung, by=here.field.name, passed=here.passed[:above])


def _chosen(here: _Open, choice: str | None) -> JSON:
    """The value of a tapped choice. One that stands for an entity is read by its title, as if it had been written."""
    if choice is None:
        return None
    if choice.startswith(PICKED):
        return here.wait.rows[choice.removeprefix(PICKED)]
    if here.field.entity is not None or choice not in here.wait.choices:
        return None
    return here.wait.choices[choice] if here.field.longest is not None else choice


def _read(running: Running, here: _Open) -> str | None:
    """Entities, and free text: a correction that says it is one, an answer, a correction that can be nothing else."""
    rest, marked = _unmarked(here.text)
    fits = _corrections(running, here, rest) if here.form.correct and here.text else {}
    values = _answers(running, here, rest if marked and here.field.longest is None else here.text)
    rung = "entities" if fits or values else "unmatched"
    _note(running, rung, here)
    if fits and (marked or not values):
        return _change(running, here, fits)
    return _fill(running, here, values) if values else running.unmatched()


def _unmarked(text: str) -> tuple[str, bool]:
    """ "No, Kiambu" without the word that says it is a correction."""
    words = text.split()
    while words and normalise(words[0]) in _MARKS:
        words = words[1:]
    return (" ".join(words), True) if words and len(words) < len(text.split()) else (text, False)


# --- reading


def _answers(running: Running, here: _Open, text: str) -> Values:
    """What a message answers, by slot, in the form's order: the open question, and questions that come after it."""
    words = text.split()
    if here.field.longest is not None:
        fits = bool(text.strip()) and len(text) <= here.field.longest
        return {here.field.name: text.strip()} if fits else {}
    fields = [here.field, *_unknown(running, here)]
    if len(fields) == 1 or len(words) > MOST_WORDS:
        value = _read_by(running, here.field, text)
        return {here.field.name: value} if value is not None else {}
    return _share_out(fields, words, lambda field, part: _read_by(running, field, part))


def _unknown(running: Running, here: _Open) -> list[FormField]:
    known = {*running.top.slots, here.field.name}
    return [field for field in here.form.fields if field.entity is not None and field.name not in known]


def _read_by(running: Running, field: FormField, text: str) -> JSON:
    if field.entity is None or not text:
        return None
    return running.bundle.read_entity(field.entity, text, running.context.lexicon, running.at)


def _share_out(fields: Sequence[FormField], words: list[str], read: Callable[[FormField, str], JSON]) -> Values:
    """Give each question its words: none is read twice. The first question chooses first."""
    left: list[list[str]] = [words]
    found: dict[str, JSON] = {}
    for index, field in enumerate(fields):
        shared = any(other.entity == field.entity for other in fields[index + 1 :])
        for at, stretch in enumerate(left):
            parts = _parts(stretch)
            candidates = [*parts, stretch] if shared and len(parts) > 1 else [stretch, *parts]
            taken = next((part for part in candidates if read(field, " ".join(part)) is not None), None)
            if taken is not None:
                found[field.name] = read(field, " ".join(taken))
                left[at : at + 1] = _without(stretch, _narrow(field, taken, read))
                break
    return found


def _parts(words: list[str]) -> list[list[str]]:
    """Cut "Rongai, saa mbili" at commas and at "and"."""
    parts: list[list[str]] = [[]]
    for word in words:
        if normalise(word) in _JOINERS:
            parts.append([])
            continue
        parts[-1].append(word)
        if word.endswith(_PARTS_END):
            parts.append([])
    return [part for part in parts if part]


def _narrow(field: FormField, words: list[str], read: Callable[[FormField, str], JSON]) -> list[str]:
    """The fewest words that still read as the same."""
    value = read(field, " ".join(words))
    while len(words) > 1 and read(field, " ".join(words[1:])) == value:
        words = words[1:]
    while len(words) > 1 and read(field, " ".join(words[:-1])) == value:
        words = words[:-1]
    return words


def _without(words: list[str], taken: list[str]) -> list[list[str]]:
    """What is left of `words` on both sides of `taken`."""
    at = next(at for at in range(len(words)) if words[at : at + len(taken)] == taken)
    return [side for side in (words[:at], words[at + len(taken) :]) if side]


# --- filling


def _fill(running: Running, here: _Open, values: Values) -> str | None:
    """Keep the answers that pass their checks; say why others do not; ask for what is missing."""
    refused = False
    for field in here.form.fields:
        if field.name not in values or not _can_check(running, field):
            continue
        if _passes(running, field, values[field.name]):
            running.set_slot(field.name, values[field.name])
            continue
        refused = refused or field is here.field
        if field is here.field and not running.has_a_try():
            return running.give_up()
        _tell_why(running, field, values[field.name])
    if refused:
        return None
    if here.field.name not in running.top.slots:
        return running.ask_again()
    return running.fill_form(running.state)


def _can_check(running: Running, field: FormField) -> bool:
    """A check may read what is asked before it; an answer given ahead of that is asked for again."""
    reads = field.check.condition.expression.names if field.check is not None else frozenset[str]()
    return all(name in running.top.slots for name in reads & running.flow.slots.keys() - {field.name})


def _passes(running: Running, field: FormField, value: JSON) -> bool:
    if field.check is None or value is None:
        return True
    return running.holds("check", field.check.condition, {field.name: value})


def _tell_why(running: Running, field: FormField, value: JSON) -> None:
    if field.check is not None:
        running.note("check failed", field.check.otherwise.place)
        running.tell(field.check.otherwise, {field.name: value})


# --- correcting


def _corrections(running: Running, here: _Open, text: str) -> dict[str, JSON]:
    """The answers given before that this message could replace, each with its new value."""
    fits: dict[str, JSON] = {}
    for field in here.form.fields:
        if field.name in running.top.slots and field is not here.field:
            value = _read_by(running, field, text) if field.entity is not None else _choice_named(running, field, text)
            if value is not None and value != running.top.slots[field.name]:
                fits[field.name] = value
    return fits


def _choice_named(running: Running, field: FormField, text: str) -> JSON:
    choices = (*field.ask.buttons, *field.ask.fixed) if field.longest is None else ()
    return next((choice.id for choice in choices if normalise(running.write(choice.title)) == normalise(text)), None)


def _change(running: Running, here: _Open, fits: Mapping[str, JSON]) -> str | None:
    if len(fits) == 1:
        ((name, value),) = fits.items()
        return _correct(running, here, name, value)
    _ask_which(running, here, fits)
    return None


def _correct(running: Running, here: _Open, name: str, value: JSON) -> str | None:
    """Replace an answer, look again at everything that was checked against it, say so, and go back to the open question."""
    field = here.form.field(name)
    running.top = replace(running.top, wait=replace(here.wait, doubt={}))
    if not _passes(running, field, value):
        if not running.has_a_try():
            return running.give_up()
        _tell_why(running, field, value)
        return running.ask_again()
    running.set_slot(name, value)
    running.note("corrected", f"{running.top.flow}.{here.wait.state}", slot=name)
    if here.form.changed is not None:
        running.tell(here.form.changed, {"value": _shown(running, field, value)})
    return running.fill_form(running.state) if _drop_what_fails(running, here.form, name) else running.ask_again()


def _drop_what_fails(running: Running, form: Form, changed: str) -> bool:
    """Forget the answers that no longer pass, and those checked against them: they are asked for again."""
    moved, dropped = {changed}, False
    for field in form.fields:
        known = running.top.slots.get(field.name)
        reads = field.check.condition.expression.names if field.check is not None else frozenset[str]()
        if known is None or field.name == changed or not reads & moved:
            continue
        if not _can_check(running, field) or not _passes(running, field, known):
            if _can_check(running, field):
                _tell_why(running, field, known)
            running.unset_slot(field.name)
            moved.add(field.name)
            dropped = True
    return dropped


def _ask_which(running: Running, here: _Open, fits: Mapping[str, JSON]) -> None:
    """Several answers could be meant: ask, and keep the new values until the customer has said which."""
    form = here.form
    if form.which is None or form.button is None:
        raise Broken(f"{running.top.flow}.{here.wait.state} takes no corrections")
    titles = {name: running.write(title) for name in fits if (title := form.field(name).title) is not None}
    ids = {name: running.choice_id(here.wait, name) for name in fits}
    if len(fits) <= MOST_BUTTONS:
        running.send(
            form.which.place,
            running.write(form.which),
            buttons=tuple(Button(id=ids[name], title=title) for name, title in titles.items()),
        )
    else:
        rows = tuple(Row(id=ids[name], title=title) for name, title in titles.items())
        running.send(form.which.place, running.write(form.which), menu=Menu(button=running.write(form.button), rows=rows))
    running.top = replace(running.top, wait=replace(here.wait, doubt=dict(fits), choices=titles, rows={}))


def _shown(running: Running, field: FormField, value: JSON) -> str:
    """An answer in the customer's words: a choice by its title, a record by its name."""
    for choice in (*field.ask.buttons, *field.ask.fixed):
        if choice.id == value:
            return running.write(choice.title)
    while isinstance(value, Mapping):
        value = next((value[key] for key in ("place", "name", "label", "title") if value.get(key) is not None), str(dict(value)))
    return str(value)
