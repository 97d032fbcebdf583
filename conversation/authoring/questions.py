"""Reading a question: its text, its buttons, its list."""

from copy import copy
from dataclasses import dataclass
from typing import Self

from conversation.authoring.expression_types import Scope
from conversation.authoring.nodes import Map, Node, Scalar
from conversation.authoring.parts import FlowNames, PartReader
from conversation.authoring.problems import Source
from conversation.authoring.reading import Shared
from conversation.engine.flow import Ask, At, Choice, EachRow, More, Text
from conversation.engine.render import BUTTON_TITLE, MENU_BUTTON, MOST_BUTTONS, MOST_ROWS, ROW_ABOUT, ROW_TITLE
from conversation.engine.types import ListOf, Type, describe


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question, and what is needed to check its replies."""

    ask: Ask
    item: Type | None  # of `each`

    @property
    def choices(self) -> tuple[Choice, ...]:
        return (*self.ask.buttons, *self.ask.fixed)

    @property
    def ids(self) -> dict[str, At]:
        ids = {choice.id: choice.at for choice in self.choices}
        more = self.ask.more
        return ids | ({more.id: more.title.at} if more is not None and more.id is not None else {})


class QuestionReader(PartReader):
    """Reads questions, of a state or of a form."""

    def __init__(self, shared: Shared, source: Source, names: FlowNames, scope: Scope) -> None:
        super().__init__(shared, source, names)
        self.scope = scope

    def within(self, scope: Scope) -> Self:
        """The same reader, where more is known."""
        other = copy(self)
        other.scope = scope
        return other

    def question(self, node: Node | None, place: str) -> Asked | None:
        place = f"{place}.ask"
        if isinstance(node, Scalar):
            text = self.text(node, place, self.scope)
            ask = Ask(text=text, buttons=(), menu_button=None, fixed=(), each=None, more=None, at=node.at) if text else None
            return Asked(ask=ask, item=None) if ask else None
        found = self.map(node, "`ask`", ("text", "buttons", "list"))
        if found is None:
            return None
        text = self.text(self.need(found, "text", "`ask`"), place, self.scope)
        if found.get("buttons") is not None and found.get("list") is not None:
            self.add("W1", found.key("list"), "a question has `buttons` or a `list`, not both")
        buttons = self._buttons(found.get("buttons"), place)
        menu_button, fixed, each, more, item = self._list(found.get("list"), place)
        if text is None:
            return None
        if len(buttons) > MOST_BUTTONS:  # WhatsApp shows three; more become a list by themselves
            menu_button = self._own_text("Choose", f"{place}.list.button", found.at)
        ask = Ask(text=text, buttons=buttons, menu_button=menu_button, fixed=fixed, each=each, more=more, at=found.at)
        return Asked(ask=ask, item=item)

    def _own_text(self, words: str, place: str, at: At) -> Text | None:
        node = Scalar(text=words, plain=True, block=False, at=at, start=0, end=0)
        return self.text(node, place, self.scope, longest=MENU_BUTTON)

    def _buttons(self, node: Node | None, place: str) -> tuple[Choice, ...]:
        found = self.map(node, "`buttons`") if node is not None else None
        choices: list[Choice] = []
        titles: dict[str, str] = {}
        for key, value in found.entries if found else ():
            limit = BUTTON_TITLE if found and len(found.entries) <= MOST_BUTTONS else ROW_TITLE
            title = self.text(value, f"{place}.buttons.{key.text}", self.scope, longest=limit)
            if title is None:
                continue
            constant = title.templates[title.base].constant
            if constant is not None and constant.casefold() in titles:
                self.add("W1", value, f"the button `{titles[constant.casefold()]}` has the same title")
            elif constant is not None:
                titles[constant.casefold()] = key.text
            self._check_id(key)
            choices.append(Choice(id=key.text, title=title, about=None, at=key.at))
        if found is not None and len(found.entries) > MOST_ROWS:
            self.add("W1", found.entries[MOST_ROWS][0], f"WhatsApp shows at most {MOST_ROWS} choices")
        return tuple(choices)

    def _check_id(self, key: Scalar) -> None:
        if len(key.text) > 40 or not key.text.replace("_", "").isalnum():
            self.add("W1", key, "a choice is named with letters, digits and _, at most 40 of them")

    def _list(
        self, node: Node | None, place: str
    ) -> tuple[Text | None, tuple[Choice, ...], EachRow | None, More | None, Type | None]:
        place = f"{place}.list"
        found = self.map(node, "`list`", ("button", "rows", "more")) if node is not None else None
        if found is None:
            return None, (), None, None, None
        button = self.text(self.need(found, "button", "`list`"), f"{place}.button", self.scope, longest=MENU_BUTTON)
        rows = self.map(self.need(found, "rows", "`list`"), "`rows`")
        more = self._more(found.get("more"), place) if found.get("more") is not None else None
        if rows is not None and rows.get("each") is not None:
            each, item = self._each(rows, place)
            kind = self.value(rows.get("each"), self.scope, "`each`")
            most = kind[1].most if kind and isinstance(kind[1], ListOf) else None
            room = MOST_ROWS - (1 if more is not None and more.id is not None else 0)
            if (most is None or most > room) and not (more is not None and more.id is None):
                hint = "add `more: {title: More}`, and the pages turn by themselves"
                self.add(
                    "W2", rows.key("each"), f"this list may have more than {room} rows, which is all there is room for", hint
                )
            return button, (), each, more, item
        fixed = self._fixed_rows(rows, place)
        if len(fixed) + (1 if more is not None and more.id is not None else 0) > MOST_ROWS and rows is not None:
            self.add("W1", rows, f"WhatsApp shows at most {MOST_ROWS} rows")
        return button, fixed, None, more, None

    def _fixed_rows(self, rows: Map | None, place: str) -> tuple[Choice, ...]:
        choices: list[Choice] = []
        for key, value in rows.entries if rows else ():
            about: Text | None = None
            title_node: Node | None = value
            if isinstance(value, Map):
                self.map(value, "a row", ("title", "about"))
                title_node = self.need(value, "title", "a row")
                if value.get("about") is not None:
                    about = self.text(value.get("about"), f"{place}.rows.{key.text}.about", self.scope, longest=ROW_ABOUT)
            title = self.text(title_node, f"{place}.rows.{key.text}", self.scope, longest=ROW_TITLE)
            self._check_id(key)
            if title is not None:
                choices.append(Choice(id=key.text, title=title, about=about, at=key.at))
        return tuple(choices)

    def _each(self, rows: Map, place: str) -> tuple[EachRow | None, Type | None]:
        self.map(rows, "`rows`", ("each", "id", "title", "about"))
        items = self.value(rows.get("each"), self.scope, "`each`")
        if items is None:
            return None, None
        if not isinstance(items[1], ListOf):
            self.add("X3", rows.get("each") or rows, f"`each` needs a list; this is {describe(items[1])}")
            return None, None
        scope = self.scope.plus({"it": items[1].item})
        key = self.value(self.need(rows, "id", "`rows`"), scope, "`id`")
        title = self.text(self._as_text(self.need(rows, "title", "`rows`")), f"{place}.rows.title", scope)
        about = None
        if rows.get("about") is not None:
            about = self.text(self._as_text(rows.get("about")), f"{place}.rows.about", scope)
        if key is None or title is None:
            return None, items[1].item
        return EachRow(items=items[0], id=key[0], title=title, about=about, at=rows.at), items[1].item

    @staticmethod
    def _as_text(node: Node | None) -> Node | None:
        """`title: it.name` is short for "{{ it.name }}"."""
        if not isinstance(node, Scalar) or "{{" in node.text or node.text.partition(".")[0] != "it":
            return node
        return Scalar(
            text="{{ " + node.text + " }}", plain=node.plain, block=node.block, at=node.at, start=node.start, end=node.end
        )

    def _more(self, node: Node | None, place: str) -> More | None:
        found = self.map(node, "`more`", ("if", "id", "title"))
        if found is None:
            return None
        title = self.text(self.need(found, "title", "`more`"), f"{place}.more", self.scope, longest=ROW_TITLE)
        condition = self.condition(found.get("if"), self.scope)
        own = self.word(found.get("id"), "`id`")
        if own is not None:
            self._check_id(own)
        elif found.get("if") is not None:
            self.add("Y2", found.key("if"), "`if` needs `id`: without an id the pages turn by themselves")
        return More(condition=condition[0] if condition else None, id=own.text if own else None, title=title) if title else None
