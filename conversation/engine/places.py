"""A place out of the vendor's own list: exact, by alias, or nearly; several are told with all of them."""

from datetime import datetime
from typing import Final

from conversation.engine import words
from conversation.engine.lexicon import Lexicon
from conversation.engine.tokens import to_tokens
from conversation.engine.values import JSON

MOST_TOKENS: Final = 60  # a longer message does not answer where


def read_place(text: str, lexicon: Lexicon, at: datetime | None = None) -> JSON:
    """The place that is named, or None when none of `lexicon.places` is.

    Shape: {"place": {"id", "name"} or None, "candidates": [{"id", "name"}]}: candidates are what it could be when several fit.
    """
    places, tokens = lexicon.places, to_tokens(text)
    if places is None or len(tokens) > MOST_TOKENS:
        return None
    found: list[str] = []
    place = 0
    while place < len(tokens):
        ids, width = _find(tokens, place, places)
        shared = [item for item in found if item in ids]
        found = shared if shared and len(ids) > len(shared) else list(dict.fromkeys((*found, *ids)))
        place += width
    if not found:
        return None
    named: list[JSON] = [{"id": item, "name": places.titles[item]} for item in found]
    return {"place": named[0], "candidates": []} if len(named) == 1 else {"place": None, "candidates": named}


def _find(tokens: list[str], at: int, places: Lexicon) -> tuple[tuple[str, ...], int]:
    widths = range(min(places.longest, len(tokens) - at), 0, -1)
    for width in widths:
        found = places.find(" ".join(tokens[at : at + width]))
        if found:
            return found, width
    if words.is_known(tokens[at]):
        return (), 1
    for width in widths:
        if not any(words.is_known(token) for token in tokens[at : at + width]):
            found = places.guess(" ".join(tokens[at : at + width]))
            if found:
                return found, width
    return (), 1
