"""Typed things read out of a customer's words: a number, a change to the basket."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from conversation.engine.lexicon import Lexicon, to_tokens
from conversation.engine.numbers import read_quantity
from conversation.engine.values import JSON

MOST: Final = 999  # of one product in one message


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_JOINERS: Final = frozenset({"na", "and", "plus", "then", "halafu", "kisha", "pia", "also", ",", ";", "+", "&", "/", "\n"})
_REMOVE: Final = _words(
    "toa ondoa punguza remove less delete drop minus sitaki without bila achana niondolee nitolee utoe uondoe take"
)
_ADD: Final = _words(
    "ongeza add more weka include zaidi niongezee nataka naomba nipe niletee leta want need get give bring "
    "nitachukua taka tuma put"
)
_FILLERS: Final = _words(
    "please plz pls tafadhali kindly hi hello habari sasa i me my us we to the some of za ya wa la cha vya kwa x pcs pc "
    "piece pieces pkt pkts packet packets pakiti bottle bottles chupa from out off order basket cart oda kikapu would like "
    "nunua buy only tu just ok sawa yes ndio ndiyo naona ningependa can could have cartons each hapana no nope kwanza instead "
    "badala it na"
)
_NO: Final = frozenset({"no", "hapana", "not"})


def read_number(text: str, lexicon: Lexicon) -> JSON:
    """One whole number and nothing else but courtesies: "2", "mbili", "two please", "2 pcs". None otherwise."""
    tokens = [token for token in to_tokens(text) if token not in _FILLERS or token == "na"]  # noqa: S105  # a word, no secret
    read = read_quantity(tokens, 0) if tokens else None
    return read[0] if read and read[1] == len(tokens) else None


@dataclass
class _Basket:
    add: dict[str, int] = field(default_factory=dict)
    remove: dict[str, int | None] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)
    named: bool = False  # whether any product was named at all
    understood: int = 0  # tokens
    lost: int = 0

    def take(self, item: str, qty: int | None, *, removing: bool) -> None:
        if removing:
            before = self.remove.get(item, 0)
            self.remove[item] = None if qty is None or before is None else before + qty
        else:
            self.add[item] = self.add.get(item, 0) + (1 if qty is None else qty)


def read_basket_edit(text: str, lexicon: Lexicon) -> JSON:
    """A change to the basket in free English and Swahili, or None when the message is not one.

    Shape: {"add": [{"product", "name", "qty"}], "remove": [{"product", "name", "qty" or None for all}], "unknown": [str]}.
    A name that several products share goes to `unknown` with all of them: "maziwa (Maziwa 500ml or Maziwa Lala 500ml)".
    """
    basket = _read_basket(to_tokens(text), lexicon)
    if not basket.named or basket.lost > basket.understood:
        return None
    return {
        "add": [{"product": item, "name": lexicon.titles[item], "qty": qty} for item, qty in basket.add.items()],
        "remove": [{"product": item, "name": lexicon.titles[item], "qty": qty} for item, qty in basket.remove.items()],
        "unknown": list(dict.fromkeys(basket.unknown)),
    }


def _read_basket(tokens: Sequence[str], lexicon: Lexicon) -> _Basket:
    basket = _Basket()
    removing, qty, lost = False, None, list[str]()
    last: tuple[str, bool] | None = None  # a product that had no number before it, and may have one after it
    at = 0
    while at < len(tokens):
        found, width = _find_product(tokens, at, lexicon)
        if found:
            _close(basket, lost)
            basket.named = True
            basket.understood += width
            if len(found) > 1 or (qty is not None and not 0 < qty <= MOST):
                basket.unknown.append(_describe(tokens[at : at + width], found, qty, lexicon))
                last = None
            else:
                basket.take(found[0], qty, removing=removing)
                last = (found[0], removing) if qty is None else None
            qty, at = None, at + width
            continue
        read = read_quantity(tokens, at)
        if read:
            basket.understood += read[1]
            at += read[1]
            if last and not lost and 0 < read[0] <= MOST and not _starts_item(tokens, at, lexicon):
                _amend(basket, last, read[0])
                last = None
            else:
                qty = read[0]
            continue
        token = tokens[at]
        following = tokens[at + 1] if at + 1 < len(tokens) else ","
        at += 1
        if token in _NO and following not in _JOINERS and read_quantity((following,), 0) is None:
            removing, last = True, None
        elif token in _JOINERS:
            _close(basket, lost)
            last = None
        elif token in _REMOVE or token in _ADD:
            _close(basket, lost)
            removing, last = token in _REMOVE, None
            basket.understood += 1
        elif token not in _FILLERS:
            lost.append(token)
            basket.lost += 1
            qty = last = None
    _close(basket, lost)
    return basket


def _starts_item(tokens: Sequence[str], at: int, lexicon: Lexicon) -> bool:
    """Whether the number just read belongs to the product after it ("unga 2 sukari" has it before, after "unga 2" it ends)."""
    while at < len(tokens) and tokens[at] in _FILLERS and tokens[at] not in _JOINERS:
        at += 1
    return at < len(tokens) and bool(_find_product(tokens, at, lexicon)[0]) and not _has_number_after(tokens, at, lexicon)


def _has_number_after(tokens: Sequence[str], at: int, lexicon: Lexicon) -> bool:
    """Numbers come after their products here: "unga 2 sukari 3"."""
    width = _find_product(tokens, at, lexicon)[1]
    return at + width < len(tokens) and read_quantity(tokens, at + width) is not None


def _amend(basket: _Basket, last: tuple[str, bool], qty: int) -> None:
    item, removing = last
    if removing:
        basket.remove[item] = qty
    else:
        basket.add[item] += qty - 1


def _find_product(tokens: Sequence[str], at: int, lexicon: Lexicon) -> tuple[tuple[str, ...], int]:
    """The longest name that starts here, exact before fuzzy, and how many tokens it took."""
    longest = min(lexicon.longest, len(tokens) - at)
    for width in range(longest, 0, -1):
        found = lexicon.find(" ".join(tokens[at : at + width]))
        if found:
            return found, width
    if tokens[at] in _JOINERS or tokens[at] in _FILLERS or tokens[at] in _REMOVE or tokens[at] in _ADD:
        return (), 0
    for width in range(longest, 0, -1):
        phrase = tokens[at : at + width]
        if not _JOINERS.isdisjoint(phrase) or any(read_quantity(phrase, index) for index in range(width)):
            continue  # "2 unga" is two of them, however near it is to "unga 2kg"
        found = lexicon.guess(" ".join(phrase))
        if found:
            return found, width
    return (), 0


def _close(basket: _Basket, lost: list[str]) -> None:
    if lost:
        basket.unknown.append(" ".join(lost))
        lost.clear()


def _describe(phrase: Sequence[str], found: Sequence[str], qty: int | None, lexicon: Lexicon) -> str:
    """What the customer is told about a tie, or about a number nobody can mean."""
    titles = " or ".join(lexicon.titles[item] for item in found)
    return f"{' '.join(phrase)} ({titles})" if len(found) > 1 else f"{qty} x {titles}"
