"""What a state is, without its texts and places: two states of one fingerprint take the same answers."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Final

from conversation.engine.expressions import Expression, Template
from conversation.engine.flow import At, Line, State, Text
from conversation.engine.patterns import Pattern

QUESTION: Final = ("ask", "wait", "form", "people", "replies")
ENTRY: Final = ("do",)


def question_of(state: State) -> object:
    """What the customer was asked, and which answers count; equal for equal questions whatever their words."""
    return {name: _plain(getattr(state, name)) for name in QUESTION}


def entry_of(state: State) -> object:
    """What has happened before the question is asked."""
    return {name: _plain(getattr(state, name)) for name in ENTRY}


def shape_of(state: State) -> object:
    """The whole state without its texts: its fingerprint."""
    return {each.name: _plain(getattr(state, each.name)) for each in fields(state)}


def wording_of(state: State) -> object:
    """The texts of a state, in every language."""
    return _texts(state)


def _plain(value: object) -> object:
    """Reduce to what decides: no places in files, no texts, expressions and patterns as they are written."""
    match value:
        case At() | Text():
            return None
        case Expression() | Pattern() | Template():
            return value.source
        case tuple() | list():
            return [_plain(item) for item in value if not isinstance(item, Line)]
        case frozenset():
            return sorted(map(str, value))
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    return value


def _texts(value: object) -> object:
    match value:
        case Text():
            return {language: template.source for language, template in value.templates.items()}
        case Expression() | Pattern() | Template() | At() | str():
            return None
        case tuple() | list():
            return [_texts(item) for item in value]
        case Mapping():
            return {str(key): _texts(item) for key, item in value.items()}
        case _ if is_dataclass(value) and not isinstance(value, type):
            return {each.name: _texts(getattr(value, each.name)) for each in fields(value)}
    return None
