"""A change to the basket, read out of free English, Swahili and Sheng.

First every word gets a mark (a product, a number, a verb, a join…), then each number goes to its product. What is not
certain is never rounded or guessed: it is kept with what it could be, so that the flow can ask. What was decided:

- quantities are whole units of the item. A measure equal to the item's size is its size ("2kg unga" of "Unga 2kg" is one), a
  whole multiple is so many ("sukari kilo mbili" of 1kg is two), anything else ("nusu kilo") is asked back;
- a bare number is how many, but a number over 50 that stands on the label is the size ("maziwa 500" of "Maziwa 500ml");
- so much money ("sukari ya 50", "za mia"), cartons, pieces of a big pack and "iwe 3" are asked back;
- "toa mkate" takes all of it out, "punguza mkate" one; "toa zote" alone empties the basket (`clear`);
- taking out lasts over commas and joins, until another verb or the end of the sentence;
- a sentence that asks, tells of the past, or swaps ("change soda to water") changes nothing;
- between two products a Swahili number belongs to the one before it, digits to the one after it, unless that has its own;
- a misspelt name needs rapidfuzz's score of 84 of 100, and a word with a meaning of its own is never one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from conversation.engine import words
from conversation.engine.lexicon import Lexicon
from conversation.engine.measures import PART_WORDS, Measure, read_measure
from conversation.engine.numbers import DOZEN, SWAHILI, read_quantity

MOST: Final = 999  # of one product in one message
MOST_TOKENS: Final = 400  # a longer message is no order
MOST_GUESSES: Final = 300  # fuzzy look-ups for one message; words beyond them must be exact
_BIG_PACK: Final = 10  # pieces: "mayai 30" may be one tray of 30 or thirty trays


class Why(StrEnum):
    """What has to be asked back: which of several products, or how many units."""

    WHICH = "which"
    HOW_MANY = "how_many"


@dataclass(kw_only=True)
class Wish:
    """One product that was named. `count` None: no number was said; `all` says "all of it"."""

    found: tuple[str, ...]
    first: int
    last: int  # the tokens it was said with, `last` excluded
    name: str
    removing: bool = False
    one_less: bool = False
    count: int | None = None
    measure: Measure | None = None
    why: Why | None = None
    dozen: bool = False
    all: bool = False


@dataclass(kw_only=True)
class Said:
    """Everything one message wishes. `clear` empties the basket; `lost` are words with no meaning here."""

    tokens: Sequence[str]
    wishes: list[Wish] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    clear: bool = False
    understood: int = 0  # tokens
    strong: bool = False  # a number or a verb says that it is an order


class _Is(StrEnum):
    PRODUCT = "product"
    COUNT = "count"
    MEASURE = "measure"
    MONEY = "money"
    VERB = "verb"
    AND = "and"
    OR = "or"
    OF = "of"
    BREAK = "break"
    ALL = "all"
    EACH = "each"
    BULK = "bulk"
    ASK = "ask"
    SET = "set"
    LOST = "lost"
    FILLER = "filler"


@dataclass(kw_only=True)
class _Mark:
    kind: _Is
    first: int
    last: int
    word: str = ""
    found: tuple[str, ...] = ()
    count: int = 0
    measure: Measure | None = None
    removing: bool = False
    passing: bool = False  # a verb that holds for one clause only: "instead of"


def read_basket(tokens: Sequence[str], lexicon: Lexicon) -> Said:
    """Read a message's tokens. A message of more than MOST_TOKENS wishes for nothing."""
    said = Said(tokens=tokens)
    if len(tokens) > MOST_TOKENS or not lexicon.names:
        return said
    marks = list(_Marker(tokens, lexicon).mark())
    said.understood = sum(mark.last - mark.first for mark in marks if mark.kind not in (_Is.LOST, _Is.FILLER, _Is.AND, _Is.BREAK))
    _Reader(said, lexicon).read(marks)
    for wish in said.wishes:
        _settle(wish, lexicon)
    return said


class _Marker:
    """Gives every token its mark."""

    def __init__(self, tokens: Sequence[str], lexicon: Lexicon) -> None:
        self._tokens = tokens
        self._lexicon = lexicon
        self._guessed: dict[str, tuple[str, ...]] = {}
        self._known = [words.is_known(token) for token in tokens]

    def mark(self) -> Iterator[_Mark]:
        at, head = 0, ""
        while at < len(self._tokens):
            mark = self._product(at) or self._same_kind(at, head) or self._number(at) or self._word(at)
            if mark.kind is _Is.PRODUCT and self._tokens[at] not in words.OF:
                head = self._tokens[at]
            yield mark
            at = mark.last

    def _next(self, at: int) -> str:
        return self._tokens[at] if at < len(self._tokens) else ""

    def _product(self, at: int) -> _Mark | None:
        found, width = self._exact(at)
        if width:
            wider = self._near(at, least=width + 1)
            found, width = wider if wider[1] else (found, width)
        elif not self._known[at]:
            found, width = self._near(at, least=1)
        return _Mark(kind=_Is.PRODUCT, first=at, last=at + width, found=found) if width else None

    def _same_kind(self, at: int, head: str) -> _Mark | None:
        """ "unga wa ugali mbili na wa chapati moja": the second is "unga wa chapati"."""
        if not head or self._tokens[at] not in words.OF or self._tokens[at - 1] not in words.AND | words.BREAK:
            return None
        for end in range(min(at + self._lexicon.longest, len(self._tokens)), at + 1, -1):
            found = self._lexicon.find(" ".join((head, *self._tokens[at:end])))
            if found:
                return _Mark(kind=_Is.PRODUCT, first=at, last=end, found=found)
        return None

    def _exact(self, at: int) -> tuple[tuple[str, ...], int]:
        for width in range(min(self._lexicon.longest, len(self._tokens) - at), 0, -1):
            found = self._lexicon.find(" ".join(self._tokens[at : at + width]))
            if found:
                return found, width
        return (), 0

    def _near(self, at: int, *, least: int) -> tuple[tuple[str, ...], int]:
        """The widest phrase from here that is near a name; it holds no number, no verb and no other product."""
        widest = at
        while widest < len(self._tokens) and widest - at < self._lexicon.longest and self._may_be_inside(at, widest, least):
            widest += 1
        for width in range(widest - at, least - 1, -1):
            if self._known[at + width - 1] and width > 1:
                continue
            found = self._guess(" ".join(self._tokens[at : at + width]))
            own = self._lexicon.find(self._tokens[at + width - 1]) if width > 1 else ()
            if found and (not own or set(own) & set(found)):
                return found, width
        return (), 0

    def _may_be_inside(self, first: int, at: int, least: int) -> bool:
        token = self._tokens[at]
        if at - first < least - 1 or token in words.OF:
            return True
        if self._known[at] or token[0].isdigit() or read_quantity(self._tokens, at) is not None:
            return False
        return least == 1 or not self._lexicon.find(token)

    def _guess(self, phrase: str) -> tuple[str, ...]:
        if phrase not in self._guessed:
            if len(self._guessed) >= MOST_GUESSES:
                return ()
            self._guessed[phrase] = self._lexicon.guess(phrase)
        return self._guessed[phrase]

    def _number(self, at: int) -> _Mark | None:
        token = self._tokens[at]
        if token in words.MONEY or token in words.SLANG:
            after = read_quantity(self._tokens, at + 1) if at + 1 < len(self._tokens) else None
            return _Mark(kind=_Is.MONEY, first=at, last=at + 1 + (after[1] if after else 0))
        read = read_quantity(self._tokens, at)
        measured = read_measure(self._tokens, at)
        if measured and (read is None or measured[1] > read[1]):
            return _Mark(kind=_Is.MEASURE, first=at, last=at + measured[1], measure=measured[0])
        if read is None:
            return None
        end = at + read[1]
        if self._next(end) in words.MONEY:
            return _Mark(kind=_Is.MONEY, first=at, last=end + 1)
        if self._next(end) in ("na", "and"):
            half = end + (2 if self._next(end + 1) == "a" else 1)
            if self._next(half) in PART_WORDS and (half + 1 == len(self._tokens) or self._next(half + 1) in words.BREAK):
                return _Mark(kind=_Is.MEASURE, first=at, last=half + 1, measure=None)
        dozen = any(token in DOZEN for token in self._tokens[at:end])
        return _Mark(kind=_Is.COUNT, first=at, last=end, count=read[0], word="dozen" if dozen else token)

    def _word(self, at: int) -> _Mark:
        token, following = self._tokens[at], self._next(at + 1)

        def mark(kind: _Is, width: int = 1, *, removing: bool = False, passing: bool = False) -> _Mark:
            return _Mark(kind=kind, first=at, last=at + width, word=token, removing=removing, passing=passing)

        if token in words.INSTEAD:
            return mark(_Is.VERB, 2 if following in words.OF else 1, removing=True, passing=True)
        if token in words.NO:
            if following in ("more", "any", "other", "the"):
                following = self._next(at + 2)
            open_to = following and following not in words.BREAK and not words.is_known(following)
            return mark(_Is.VERB, removing=True) if open_to and read_quantity((following,), 0) is None else mark(_Is.FILLER)
        if token in words.DONT or (token == "do" and following == "not"):  # noqa: S105  # a word, no secret
            return mark(_Is.VERB, self._refusal(at), removing=True)
        if token in words.TAKE:
            return mark(_Is.VERB, removing=self._goes_out(at + 1))
        if token in words.THANKS_FOR and following in ("for", "kwa"):
            return mark(_Is.ASK)
        if token in words.ASKS and at and self._tokens[at - 1] in ("kama", "if", "ka"):
            return mark(_Is.FILLER)  # "if there is any"
        if (token == "is" and self._starts_sentence(at)) or words.PAST_VERB.fullmatch(token):  # noqa: S105  # a word
            return mark(_Is.ASK)
        simple = (
            (_Is.ASK, words.ASKS),
            (_Is.SET, words.SETS),
            (_Is.EACH, words.EACH),
            (_Is.ALL, words.ALL),
            (_Is.AND, words.AND),
            (_Is.OR, words.OR),
            (_Is.BREAK, words.BREAK),
            (_Is.BULK, words.BULK),
            (_Is.OF, words.OF),
        )
        for kind, known in simple:
            if token in known:
                return mark(kind)
        if words.is_remove(token):
            return mark(_Is.VERB, removing=True)
        if words.is_add(token):
            return mark(_Is.VERB)
        meaningless = token in words.FILLERS or token in self._lexicon.unit_words or words.OWN_VERB.fullmatch(token)
        return mark(_Is.FILLER if meaningless else _Is.LOST)

    def _starts_sentence(self, at: int) -> bool:
        return at == 0 or self._tokens[at - 1] in words.BREAK

    def _refusal(self, at: int) -> int:
        """ "don't", "do not", with the verb that it refuses: "don't want", "do not add any"."""
        end = at + (2 if self._tokens[at] == "do" else 1)
        if self._next(end) in ("t", "i", "we", "really", "ever"):
            end += 1
        return end + (1 if words.is_add(self._next(end)) else 0) - at

    def _goes_out(self, at: int) -> bool:
        """Whether "take" is "take … out" before the sentence ends."""
        while at < len(self._tokens) and self._tokens[at] not in words.BREAK:
            if self._tokens[at] in words.OUT:
                return True
            at += 1
        return False


class _Reader:
    """Puts numbers to products, sentence by sentence and clause by clause."""

    def __init__(self, said: Said, lexicon: Lexicon) -> None:
        self._said = said
        self._lexicon = lexicon
        self._removing = False
        self._one_less = False
        self._heading = False  # the lines that follow stand under "remove:"
        self._named: Wish | None = None  # the product last spoken of, for "una unga? nipe mbili"

    def read(self, marks: Sequence[_Mark]) -> None:
        sentence: list[_Mark] = []
        for mark in marks:
            if mark.kind is not _Is.BREAK:
                sentence.append(mark)
                continue
            self._sentence(sentence)
            self._stop(mark.word, sentence)
            sentence = []
        self._sentence(sentence)

    def _stop(self, sign: str, sentence: Sequence[_Mark]) -> None:
        """Nothing is taken out any more after a full stop or a line, but all lines of the list under "remove:" are."""
        alone = bool(sentence) and all(mark.kind in (_Is.VERB, _Is.FILLER) for mark in sentence)
        if alone and self._removing:
            self._heading = True
        elif sign in words.STOP and not (self._heading and sign == "\n"):
            self._removing = self._heading = False

    def _sentence(self, marks: Sequence[_Mark]) -> None:
        asked = [mark for mark in marks if mark.kind is _Is.PRODUCT]
        swapped = len(asked) > 1 and any(mark.word in words.SWAPS for mark in marks if mark.kind is _Is.SET)
        if swapped or any(mark.kind is _Is.ASK for mark in marks):
            self._named = self._wish(asked[-1]) if asked else self._named
            return
        before = len(self._said.wishes)
        clause: list[_Mark] = []
        passing = False
        meant = [mark for mark in marks if mark.kind is not _Is.FILLER]
        for place, mark in enumerate(meant):
            if mark.kind not in (_Is.AND, _Is.VERB):
                clause.append(mark)
                continue
            since = self._clause(clause)
            clause = []
            if passing:
                self._removing = passing = False
            if mark.kind is _Is.VERB:
                self._said.strong = True
                if mark.removing and place == len(meant) - 1 and (since or len(self._said.wishes) > before):
                    self._take_back(before)
                    continue
                self._verb(mark)
                before = len(self._said.wishes)
                passing = mark.passing
                if mark.word in words.CLEARS and not any(other.kind is _Is.PRODUCT for other in meant[place:]):
                    self._said.clear = True
        self._clause(clause)
        if passing:
            self._removing = False

    def _verb(self, mark: _Mark) -> None:
        self._removing, self._heading = mark.removing, False
        self._one_less = words.ONE_LESS.fullmatch(mark.word) is not None

    def _take_back(self, before: int) -> None:
        """ "mkate na sukari toa": the verb came last."""
        for wish in self._said.wishes[before:]:
            wish.removing = True

    def _wish(self, mark: _Mark) -> Wish:
        name = " ".join(self._said.tokens[mark.first : mark.last])
        return Wish(
            found=mark.found, first=mark.first, last=mark.last, name=name, removing=self._removing, one_less=self._one_less
        )

    def _clause(self, marks: Sequence[_Mark]) -> bool:
        """Read the words between two joins. Returns whether a product was in it."""
        marks = _merge(marks)
        wishes = {id(mark): self._wish(mark) for mark in marks if mark.kind is _Is.PRODUCT}
        lost = [word for mark in marks if mark.kind is _Is.LOST for word in self._said.tokens[mark.first : mark.last]]
        counted = any(mark.kind in (_Is.COUNT, _Is.MEASURE, _Is.MONEY, _Is.BULK, _Is.ALL, _Is.EACH) for mark in marks)
        self._said.strong = self._said.strong or counted
        if not wishes:
            self._without_product(marks, lost)
            return False
        products = sum(mark.last - mark.first for mark in marks if id(mark) in wishes)
        if not self._said.strong and len(lost) >= products:  # "maziwa imeharibika" tells something
            told = [mark for mark in marks if mark.kind is _Is.LOST or id(mark) in wishes]
            self._said.lost.append(" ".join(" ".join(self._said.tokens[mark.first : mark.last]) for mark in told))
            return False
        _give(marks, wishes, self._lexicon)
        self._said.wishes += wishes.values()
        self._spread(marks)
        self._named = self._said.wishes[-1]
        if lost:
            self._said.lost.append(" ".join(lost))
        return True

    def _without_product(self, marks: Sequence[_Mark], lost: Sequence[str]) -> None:
        if lost:
            self._said.lost.append(" ".join(lost))
            return
        if self._removing and any(mark.kind is _Is.ALL for mark in marks):
            self._said.clear = True
            return
        numbers = [mark for mark in marks if mark.kind in (_Is.COUNT, _Is.MEASURE)]
        named = self._named
        if any(mark.kind is _Is.EACH for mark in marks):
            self._spread(marks)
        elif len(numbers) == 1 and named is not None and named.count is None:
            if named not in self._said.wishes:
                named.removing = self._removing
                self._said.wishes.append(named)
            _add(named, numbers[0], self._lexicon)

    def _spread(self, marks: Sequence[_Mark]) -> None:
        """ "unga na sukari mbili mbili", "milk and bread, 2 each": the number is everything's that has none."""
        counts = [mark.count for mark in marks if mark.kind is _Is.COUNT]
        each = any(mark.kind is _Is.EACH for mark in marks) or (len(counts) == 2 and counts[0] == counts[1])
        if not each or not counts:
            return
        for wish in self._said.wishes:
            if wish.count is None and wish.measure is None and wish.removing == self._removing:
                wish.count = counts[-1]


def _merge(marks: Sequence[_Mark]) -> list[_Mark]:
    """Two names of one product are one ("sugar sukari", "maziwa mbili za kcc"); "a or b" is a tie; "mkate wa siagi" is bread."""
    merged: list[_Mark] = []
    for mark in marks:
        before = merged[-1] if merged else None
        of = mark.kind is _Is.PRODUCT and before is not None and before.kind is _Is.OF and len(merged) > 1
        if of and _narrow(merged, mark):
            continue
        if mark.kind is _Is.PRODUCT and before is not None and before.kind is _Is.PRODUCT and set(before.found) & set(mark.found):
            both = tuple(item for item in before.found if item in mark.found)
            merged[-1] = _Mark(kind=_Is.PRODUCT, first=before.first, last=mark.last, found=both)
        elif mark.kind is _Is.PRODUCT and len(merged) > 1 and merged[-1].kind is _Is.OR and merged[-2].kind is _Is.PRODUCT:
            either = tuple(dict.fromkeys((*merged[-2].found, *mark.found)))
            merged[-2:] = [_Mark(kind=_Is.PRODUCT, first=merged[-2].first, last=mark.last, found=either)]
        else:
            merged.append(mark)
    return merged


def _narrow(merged: list[_Mark], mark: _Mark) -> bool:
    """Read "<product> [number] za <product>": the second says which of the first, or it says what nobody sells."""
    place = -3 if len(merged) > 2 and merged[-2].kind is _Is.COUNT and merged[-3].kind is _Is.PRODUCT else -2
    head = merged[place]
    if head.kind is not _Is.PRODUCT:
        return False
    both = tuple(item for item in head.found if item in mark.found)
    if both:
        merged[place] = _Mark(kind=_Is.PRODUCT, first=head.first, last=head.last, found=both)
        return True
    if place == -2:
        merged.append(_Mark(kind=_Is.LOST, first=mark.first, last=mark.last))
    return place == -2


def _give(marks: Sequence[_Mark], wishes: dict[int, Wish], lexicon: Lexicon) -> None:
    """Give each number, measure and "all" of a clause to the product before or after it."""
    for place, mark in enumerate(marks):
        if mark.kind in (_Is.COUNT, _Is.MEASURE, _Is.MONEY, _Is.ALL, _Is.BULK, _Is.SET):
            wish = _owner(marks, place, wishes)
            if wish is not None:
                of_money = mark.kind is _Is.COUNT and place > 0 and marks[place - 1].kind is _Is.OF
                _add(wish, mark, lexicon, of_money=of_money)


def _owner(marks: Sequence[_Mark], place: int, wishes: dict[int, Wish]) -> Wish | None:
    mark = marks[place]
    before = next((wishes[id(other)] for other in reversed(marks[:place]) if other.kind is _Is.PRODUCT), None)
    after = next((wishes[id(other)] for other in marks[place:] if other.kind is _Is.PRODUCT), None)
    if before is None or after is None:
        return before or after
    if mark.kind is _Is.COUNT:
        if before.count is not None:
            return after
        rest = [other.kind for other in marks[place + 1 :] if other.kind in (_Is.COUNT, _Is.PRODUCT)]
        counted_after = rest[1:2] == [_Is.COUNT]
        return before if counted_after or mark.word in SWAHILI else after
    if mark.kind in (_Is.MEASURE, _Is.MONEY):
        return after if before.measure is not None or before.why is not None else before
    return after


def _add(wish: Wish, mark: _Mark, lexicon: Lexicon, *, of_money: bool = False) -> None:
    wish.first, wish.last = min(wish.first, mark.first), max(wish.last, mark.last)
    match mark.kind:
        case _Is.ALL:
            wish.all = True
        case _Is.BULK:
            whole = all(mark.word in lexicon.sold[item].unit_words for item in wish.found if item in lexicon.sold)
            wish.why = wish.why if whole else Why.HOW_MANY
        case _Is.MEASURE if mark.measure is not None:
            wish.measure = mark.measure
        case _Is.COUNT if _is_size(wish, mark, lexicon):
            pass
        case _Is.COUNT if not (of_money and mark.count >= 10):
            wish.count, wish.dozen = mark.count, mark.word == "dozen"
        case _:
            wish.why = Why.HOW_MANY


def _is_size(wish: Wish, mark: _Mark, lexicon: Lexicon) -> bool:
    """ "maziwa 500" against "Maziwa 500ml": the number is its size. Small numbers (1kg, 2kg) are how many."""
    numbers = {lexicon.sold[item].number for item in wish.found if item in lexicon.sold}
    return mark.word in numbers and mark.count >= 50 and mark.last - mark.first == 1


def _settle(wish: Wish, lexicon: Lexicon) -> None:
    """Turn measures into whole units, or mark the wish as one to ask about."""
    _choose_by_size(wish, lexicon)
    if len(wish.found) > 1:
        wish.why = Why.WHICH
        return
    sold = lexicon.sold.get(wish.found[0])
    if wish.measure is not None and wish.why is None:
        units = _units(wish.measure, sold.size if sold else None)
        if units is None or (wish.count is not None and units != 1):
            wish.why = Why.HOW_MANY
        elif wish.count is None and (units > 1 or not wish.removing):
            wish.count = units
    if wish.count is not None and sold is not None and sold.pieces > 1:
        many = wish.count == sold.pieces or (sold.pieces >= _BIG_PACK and (wish.count > sold.pieces or wish.dozen))
        wish.why = Why.HOW_MANY if many else wish.why
    if wish.count is not None and not 0 < wish.count <= MOST:
        wish.why = Why.HOW_MANY
    if wish.removing and wish.one_less and wish.count is None and not wish.all:
        wish.count = 1


def _choose_by_size(wish: Wish, lexicon: Lexicon) -> None:
    """Of products that share a name, the size that was said chooses: "unga 1kg"."""
    if wish.measure is None or len(wish.found) < 2:
        return
    sized = tuple(item for item in wish.found if item in lexicon.sold and lexicon.sold[item].size == wish.measure)
    if sized:
        wish.found, wish.measure = sized, None


def _units(measure: Measure, size: Measure | None) -> int | None:
    """How many units a measure is, when it is exactly so many; never rounded."""
    if size is None or size.unit != measure.unit or not size.amount:
        return None
    units = measure.amount / size.amount
    return units.numerator if units.denominator == 1 and units > 0 else None
