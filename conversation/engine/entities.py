"""Typed things read out of a customer's words: a number, a change to the basket.

Dates, money, phones and places have files of their own; all are declared in `conversation.services`.
"""

from datetime import datetime
from typing import Final

from conversation.engine import words
from conversation.engine.baskets import Said, Why, Wish, read_basket
from conversation.engine.lexicon import Lexicon
from conversation.engine.measures import PART_WORDS, read_size
from conversation.engine.numbers import read_quantity
from conversation.engine.tokens import to_tokens
from conversation.engine.values import JSON

MOST_WORDS: Final = 12  # in a message that is one number
_TIE: Final = 4  # that many names are told of a tie


def read_number(text: str, lexicon: Lexicon, at: datetime | None = None) -> JSON:
    """One whole number and nothing else but courtesies: "2", "mbili", "two please", "2 pcs". None otherwise."""
    tokens = to_tokens(text)
    if len(tokens) > MOST_WORDS or not tokens:
        return None
    number: int | None = None
    place = 0
    while place < len(tokens):
        read = read_quantity(tokens, place)
        if read is not None and number in (None, read[0]):
            number, place = read[0], place + read[1]
        elif read is not None or not _is_courtesy(tokens[place]):
            return None
        else:
            place += 1
    return number


def _is_courtesy(token: str) -> bool:
    if token in words.BREAK:
        return token != "/"  # noqa: S105  # a sign, no secret
    polite = token in words.FILLERS or token in ("make", "do", "iwe", "ziwe", "about", "around") or words.is_add(token)
    return polite and token not in ("na", "and") and token not in PART_WORDS and read_size(token) is None


def read_basket_edit(text: str, lexicon: Lexicon, at: datetime | None = None) -> JSON:
    """A change to the basket in free English, Swahili and Sheng, or None when the message is not one.

    add        [{"product", "name", "qty"}]
    remove     [{"product", "name", "qty" or None for all of it}]
    clear      true: everything that is in the basket goes out first ("toa zote")
    ambiguous  [{"words", "why": "which" | "how_many", "qty" or None, "removing", "candidates": [{"product", "name"}]}]: to be
               asked back. "which": several products are called so. "how_many": one product, and an amount that is not a
               whole number of its units ("nusu kilo" of a 1kg bag), is money ("sukari ya 50") or is out of bounds
    missing    [str]: words that no product is near to
    unknown    [str]: everything that was not understood, for people: `missing`, and what is in `ambiguous` in words
    """
    said = read_basket(to_tokens(text), lexicon)
    if not said.wishes and not said.clear:
        return None
    lost = sum(phrase.count(" ") + 1 for phrase in said.lost)
    if lost > (2 * said.understood + 1 if said.strong else said.understood):
        return None
    return _to_json(said, lexicon)


def _to_json(said: Said, lexicon: Lexicon) -> JSON:
    add: dict[str, int] = {}
    remove: dict[str, int | None] = {}
    for wish in said.wishes:
        if wish.why is not None:
            continue
        item = wish.found[0]
        if not wish.removing:
            add[item] = add.get(item, 0) + (wish.count or 1)
        else:
            before = remove.get(item, 0)
            remove[item] = None if wish.all or wish.count is None or before is None else before + wish.count
    unclear = [wish for wish in said.wishes if wish.why is not None]
    missing = list(dict.fromkeys(said.lost))
    told = [*(_tell(wish, said, lexicon) for wish in unclear), *missing]
    if said.clear and not told and not add:
        told = [" ".join(said.tokens)]
    return {
        "add": [{"product": item, "name": lexicon.titles[item], "qty": qty} for item, qty in add.items()],
        "remove": [{"product": item, "name": lexicon.titles[item], "qty": qty} for item, qty in remove.items()],
        "clear": said.clear,
        "ambiguous": [_to_question(wish, said, lexicon) for wish in unclear],
        "missing": missing,
        "unknown": list(dict.fromkeys(told)),
    }


def _to_question(wish: Wish, said: Said, lexicon: Lexicon) -> JSON:
    return {
        "words": " ".join(said.tokens[wish.first : wish.last]),
        "why": str(wish.why),
        "qty": wish.count if wish.why is Why.WHICH else None,
        "removing": wish.removing,
        "candidates": [{"product": item, "name": lexicon.titles[item]} for item in wish.found],
    }


def _tell(wish: Wish, said: Said, lexicon: Lexicon) -> str:
    """What is told of it where a flow does not ask back."""
    titles = [lexicon.titles[item] for item in wish.found]
    if wish.why is Why.WHICH:
        return f"{wish.name} ({' or '.join(titles[:_TIE])})"
    if wish.count is not None and wish.measure is None:
        return f"{wish.count} x {titles[0]}"
    return " ".join(said.tokens[wish.first : wish.last])
