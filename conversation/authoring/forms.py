"""Reading a form: several things asked one after the other, each into a slot of its own."""

from collections.abc import Mapping
from typing import Final

from conversation.authoring.nodes import Map, Node, Scalar
from conversation.authoring.parts import PartReader
from conversation.authoring.problems import suggest
from conversation.authoring.questions import Asked, QuestionReader
from conversation.authoring.reading import Reader
from conversation.engine.flow import Check, Form, FormField, Slot, Text
from conversation.engine.lexicon import build_lexicon
from conversation.engine.render import BUTTON_TITLE, MOST_ROWS
from conversation.engine.types import OneOf, OrNone, Type, describe, fits
from conversation.engine.types import Scalar as ScalarType

FIELD: Final = ("type", "ask", "buttons", "list", "check", "skip", "title")
LONGEST: Final = 4096  # characters of one WhatsApp message
CHANGED: Final = "Changed to {{ value }}."
WHICH: Final = "Which one shall I change?"
_NO_PRODUCTS: Final = build_lexicon(())


def form_slots(reader: PartReader, states: Map, slots: Mapping[str, Slot], reserved: frozenset[str]) -> dict[str, Slot]:
    """The slots that the forms of a flow declare, beside those under `slots`."""
    found: dict[str, Slot] = {}
    for _, state in states.entries:
        form = state.get("form") if isinstance(state, Map) else None
        for key, node in form.entries if isinstance(form, Map) else ():
            kind = field_type(reader, node)
            if kind is None:
                reader.names.misread.add(key.text)
            if key.text in reserved or not key.text.isidentifier() or key.text.startswith("_"):
                reader.add("Y2", key, f"`{key.text}` cannot be the name of a slot")
            elif key.text in found or (key.text in slots and (slots[key.text].has_default or slots[key.text].type != kind)):
                reader.add("Y2", key, f"the slot `{key.text}` is there already", "a form asks for slots that nothing else fills")
            elif kind is not None and key.text not in slots:
                found[key.text] = Slot(name=key.text, type=kind, has_default=False, default=None, at=key.at)
    return found


def field_type(reader: Reader, node: Node) -> Type | None:
    """The type of a form's slot: what its entity reads, a text, or one of its choices. What may be skipped may be none."""
    if not isinstance(node, Map):
        reader.add("Y2", node, "an entry of a form is written as {type: …, ask: …}")
        return None
    kind = _bare_type(reader, node)
    return OrNone(type=kind) if kind is not None and node.get("skip") is not None else kind


def _bare_type(reader: Reader, node: Map) -> Type | None:
    menu = node.get("list")
    rows = menu.get("rows") if isinstance(menu, Map) else None
    each = isinstance(rows, Map) and rows.get("each") is not None
    choices = node.get("buttons") or (rows if not each else None)
    if node.get("type") is None and isinstance(choices, Map):
        return OneOf(values=tuple(key.text for key, _ in choices.entries))
    word = reader.word(reader.need(node, "type", "an entry of a form"), "`type`")
    if word is None:
        return None
    if word.text in reader.catalogue.entities:
        return reader.catalogue.entities[word.text].type
    if word.text.partition(" ")[0] == "string" or each:
        return reader.type(word)
    known = ["string 200", *reader.catalogue.entities]
    reader.add("C3", word, f"a form cannot read `{word.text}` out of a message", suggest(word.text, known))
    return None


class FormReader(QuestionReader):
    """Reads the forms of a flow."""

    def form(self, state: Map, place: str) -> Form | None:
        """`form:` with an entry for each slot, in the order they are asked."""
        found = self.map(state.get("form"), "`form`")
        if found is None:
            return None
        correct, changed = self._correct(state.get("correct"), f"{place}.form")
        fields = [
            field for key, node in found.entries if (field := self._field(key, node, f"{place}.form.{key.text}", correct=correct))
        ]
        if not found.entries:
            self.add("Y2", found, "a form asks for something", "e.g. {name: {type: string 60, ask: What is your name?}}")
        if correct and len(found.entries) > MOST_ROWS:
            self.add("W1", found, f"a form that is corrected asks for at most {MOST_ROWS} things")
        for index, field in enumerate(fields):
            self._check_order(field, {later.name for later in fields[index + 1 :]})
        which = self._own(WHICH, f"{place}.form.which", found) if correct else None
        button = self._own("Choose", f"{place}.form.which.button", found) if correct else None
        return Form(fields=tuple(fields), correct=correct, changed=changed, which=which, button=button, at=found.at)

    def _correct(self, node: Node | None, place: str) -> tuple[bool, Text | None]:
        """`correct: true`, or {say: …} with words of the flow's own, in which `value` is the new answer."""
        if node is None:
            return False, None
        words: Node | None = node
        if isinstance(node, Map):
            self.map(node, "`correct`", ("say",))
            words = self.need(node, "say", "`correct`")
        elif not self.flag(node, "`correct`"):
            return False, None
        else:
            words = _scalar(CHANGED, node)
        scope = self.scope.plus({"value": ScalarType(name="string")})
        return True, self.text(words, f"{place}.changed", scope)

    def _own(self, words: str, place: str, node: Node) -> Text | None:
        return self.text(_scalar(words, node), place, self.scope)

    def _field(self, key: Scalar, node: Node, place: str, *, correct: bool) -> FormField | None:
        found = self.map(node, "an entry of a form", FIELD)
        slot = self.names.slots.get(key.text)
        if found is None or slot is None:
            return None
        self.need(found, "ask", "an entry of a form")
        entries = tuple((name._replace(text="text") if name.text == "ask" else name, value) for name, value in found.entries)
        asked = self.question(
            Map(entries=tuple(each for each in entries if each[0].text in ("text", "buttons", "list")), at=found.at), place
        )
        kind = slot.type.type if isinstance(slot.type, OrNone) else slot.type
        word = found.get("type")
        entity = word.text if isinstance(word, Scalar) and word.text in self.catalogue.entities else None
        title = found.get("title") or (_scalar(key.text.replace("_", " ").capitalize(), key) if correct else None)
        shown = self.text(title, f"{place}.title", self.scope, longest=BUTTON_TITLE)
        check = self._check_of(found.get("check"), place) if found.get("check") is not None else None
        if asked is None or (title is not None and shown is None):
            return None
        self._check_choices_of(asked, kind, entity)
        return FormField(
            name=key.text,
            ask=asked.ask,
            entity=entity,
            longest=(kind.longest or LONGEST) if entity is None and isinstance(kind, ScalarType) else None,
            skip=self.words(found.get("skip"), "`skip`")[0],
            check=check,
            title=shown,
            at=key.at,
        )

    def _check_of(self, node: Node | None, place: str) -> Check | None:
        found = self.map(node, "`check`", ("if", "else"))
        if found is None:
            return None
        condition = self.condition(self.need(found, "if", "`check`"), self.scope)
        otherwise = self.text(self.need(found, "else", "`check`"), f"{place}.check", self.scope)
        return Check(condition=condition[0], otherwise=otherwise) if condition and otherwise else None

    def _check_choices_of(self, asked: Asked, kind: Type, entity: str | None) -> None:
        if asked.item is not None and not fits(asked.item, kind):
            self.add("C3", asked.ask.at, f"a row is {describe(asked.item)}; the slot is {describe(kind)}")
        if asked.ask.more is not None and asked.ask.more.id is not None:
            self.add("Y2", asked.ask.more.title.at, "the list of a form turns its pages by itself: `more` has only a `title`")
        if entity is None:
            return
        read = self.catalogue.entities[entity].read
        for choice in asked.choices:
            titles = [template.constant for template in choice.title.templates.values()]
            if any(title is None or read(title, _NO_PRODUCTS) is None for title in titles):
                self.add("R3", choice.at, f"`{choice.id}` is shown and is no {entity}: nobody could answer with it")

    def _check_order(self, field: FormField, later: set[str]) -> None:
        """X4: a check or a question that reads what is only asked after it."""
        reads = [(field.ask.text.at, name) for template in field.ask.text.templates.values() for name in template.names]
        if field.check is not None:
            reads += [(field.check.condition.at, name) for name in field.check.condition.expression.names]
        for at, name in reads:
            if name in later:
                self.add("X4", self.problems.find(at, name), f"`{name}` is only asked after `{field.name}`")


def _scalar(text: str, node: Node) -> Scalar:
    return Scalar(text=text, plain=False, block=False, at=node.at, start=0, end=0)
