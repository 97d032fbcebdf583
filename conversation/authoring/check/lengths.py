"""W3: titles that can become longer than WhatsApp shows, by the declared length of what they hold."""

from collections.abc import Iterator
from typing import Final

from jinja2 import nodes

from conversation.authoring.expression_types import Scope, TypeRefused, type_of
from conversation.authoring.reading import Shared
from conversation.engine.catalogue import Catalogue
from conversation.engine.flow import Ask, At, Bundle, Flow, Text
from conversation.engine.render import BUTTON_TITLE, MENU_BUTTON, MOST_BUTTONS, ROW_ABOUT, ROW_TITLE, measure
from conversation.engine.types import STRING, Fields, OneOf, OrNone, Scalar, Type

_LONGEST: Final = {"int": 12, "money": 12, "bool": 5, "phone": 12, "id": 40}
_KES: Final = 19  # "KES 1,000,000,000,000"


def check_lengths(bundle: Bundle, flow: Flow, asks: Iterator[Ask], shared: Shared) -> None:
    """Report titles with values in them that may not fit, in every language."""
    conversation = Fields(name="conversation", fields={"came_from": STRING, "language": OneOf(values=bundle.languages)})
    slots: dict[str, Type] = {slot.name: slot.type for slot in flow.slots.values()}
    scope = Scope(names={**bundle.catalogue.context, "conversation": conversation, **slots})
    for ask in asks:
        for text, limit in _titles(ask):
            for language, template in text.templates.items():
                if template.constant is None:
                    _check(shared, text, language, limit, scope)


def _titles(ask: Ask) -> Iterator[tuple[Text, int]]:
    limit = BUTTON_TITLE if len(ask.buttons) <= MOST_BUTTONS else ROW_TITLE
    for choice in ask.buttons:
        yield choice.title, limit
    for choice in ask.fixed:
        yield choice.title, ROW_TITLE
        if choice.about is not None:
            yield choice.about, ROW_ABOUT
    if ask.menu_button is not None:
        yield ask.menu_button, MENU_BUTTON
    if ask.more is not None:
        yield ask.more.title, ROW_TITLE


def _check(shared: Shared, text: Text, language: str, limit: int, scope: Scope) -> None:
    longest = 0
    for output in shared.parsed[text.place][language].find_all(nodes.Output):
        for piece in output.nodes:
            if isinstance(piece, nodes.TemplateData):
                longest += measure(piece.data)
                continue
            most = _most(piece, scope, shared.catalogue)
            if most is None:
                shared.problems.add(
                    "W3", _place(shared, text, language), f"nobody knows how long this gets; WhatsApp allows {limit}"
                )
                return
            longest += most
    if longest > limit:
        message = f"this can have {longest} characters; WhatsApp allows {limit}"
        shared.problems.add("W3", _place(shared, text, language), message)


def _place(shared: Shared, text: Text, language: str) -> At:
    return text.at if language == text.base else shared.translations[text.place][language].node.at


def _most(piece: nodes.Expr, scope: Scope, catalogue: Catalogue) -> int | None:
    """How long a value gets when it is written; None when nothing bounds it."""
    if isinstance(piece, nodes.Filter) and piece.name in ("kes", "phone"):
        return _KES
    try:
        kind = type_of(piece, scope, catalogue)
    except TypeRefused:  # a name of a loop or of a row
        return None
    inner = kind.type if isinstance(kind, OrNone) else kind
    match inner:
        case OneOf(values=values):
            return max(map(len, values))
        case Scalar(name=name, longest=longest):
            return longest if longest is not None else _LONGEST.get(name)
        case _:
            return None
