"""What customers may call the vendor's products and places. Built once a catalogue version, cheap to use for each message."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, cast

from rapidfuzz import fuzz, process

from conversation.engine.measures import Measure, read_size
from conversation.engine.tokens import to_tokens
from conversation.engine.values import Record

FUZZY: Final = 84.0
_CLOSE: Final = 2.0  # two products whose scores are this near are a tie
_SHORTEST: Final = 4  # letters: shorter words are near to everything
_DOUBLED: Final = re.compile(r"([^\W\d_])\1+")
_SYNONYMS: Final = {
    "trei": ("tray", "trays", "trei"), "tray": ("tray", "trays", "trei"), "kasha": ("kasha", "box", "boxes", "makasha"),
    "fungu": ("fungu", "mafungu", "bunch", "bunches"), "kikombe": ("kikombe", "vikombe", "cup", "cups"),
    "sahani": ("sahani", "plate", "plates"), "carton": ("carton", "cartons", "katoni"), "katoni": ("carton", "cartons", "katoni"),
    "crate": ("crate", "crates", "kreti"), "kreti": ("crate", "crates", "kreti"), "debe": ("debe", "madebe"),
    "gunia": ("gunia", "magunia", "sack", "sacks"), "bale": ("bale", "bales"),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Sold:
    """How one product is sold: the size of one unit, how many pieces are in it, and the words for the unit itself.

    `number` is the size as its name writes it: 500 for "Maziwa 500ml".
    """

    size: Measure | None = None
    number: str = ""
    pieces: int = 1
    unit_words: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """Names and aliases in tokens joined by spaces, each with the ids of the products that carry it.

    `longest` is the number of tokens of the longest name; `titles` are the products' names for people; `spelled` holds the
    names as `guess` compares them; `unit_words` are the words for units of any product ("trei", "kasha"); `places` is the same
    for the places a customer may name, or None.
    """

    names: Mapping[str, tuple[str, ...]]
    titles: Mapping[str, str]
    longest: int
    spelled: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sold: Mapping[str, Sold] = field(default_factory=dict)
    unit_words: frozenset[str] = frozenset()
    places: "Lexicon | None" = None

    def find(self, phrase: str) -> tuple[str, ...]:
        """Ids of the products called exactly this: one, several (a tie), or none."""
        return self.names.get(phrase, ())

    def guess(self, phrase: str) -> tuple[str, ...]:
        """Ids of the products whose name is nearest to `phrase`, and near enough: one, several (a tie), or none."""
        found = self._near(phrase)
        best = max((score for _, score in found), default=0.0)
        return self._called(name for name, score in found if best - score <= _CLOSE)

    def near(self, phrase: str) -> tuple[str, ...]:
        """Ids of all products with a name that is near enough to `phrase` to be meant by it when it is misspelt."""
        return self._called(name for name, _ in self._near(phrase))

    def _called(self, spelled: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(item for name in dict.fromkeys(spelled) for item in self.spelled[name]))

    def _near(self, phrase: str) -> list[tuple[str, float]]:
        """Names with their scores: rapidfuzz's, of spellings in which l and r, and doubled and single letters, are the same."""
        if len(phrase) < _SHORTEST or not self.spelled:
            return []
        scorer = fuzz.token_sort_ratio if " " in phrase else fuzz.ratio
        wanted = _spell(phrase)
        found = process.extract(wanted, self.spelled.keys(), scorer=scorer, score_cutoff=FUZZY, limit=8)
        if scorer is not fuzz.ratio:
            found += process.extract(wanted, self.spelled.keys(), scorer=fuzz.ratio, score_cutoff=FUZZY, limit=8)
        return [(name, score) for name, score, _ in found]


def _spell(phrase: str) -> str:
    return _DOUBLED.sub(r"\1", phrase).replace("r", "l")


def build_lexicon(items: Sequence[Record], places: Sequence[Record] = ()) -> Lexicon:
    """Build it from items as {"id", "name", "short_name", "unit", "price", "stock", "aliases": [...]}, plain JSON.

    Places are {"id", "name", "aliases": [...]}.
    """
    names: dict[str, dict[str, None]] = {}
    titles: dict[str, str] = {}
    for item in items:
        key = str(item["id"])
        titles[key] = str(item["name"])
        called = [titles[key], str(item.get("short_name") or ""), *cast("Sequence[str]", item.get("aliases") or ())]
        for name in called:
            for form in _forms(to_tokens(name)):
                names.setdefault(form, {})[key] = None
    spelled: dict[str, dict[str, None]] = {}
    for name, ids in names.items():
        spelled.setdefault(_spell(name), {}).update(ids)
    sold = {str(item["id"]): _sold(item) for item in items}
    return Lexicon(
        names={name: tuple(ids) for name, ids in names.items()},
        titles=titles,
        longest=max((name.count(" ") + 1 for name in names), default=1),
        spelled={name: tuple(ids) for name, ids in spelled.items()},
        sold=sold,
        unit_words=frozenset().union(*(one.unit_words for one in sold.values())),
        places=build_lexicon(places) if places else None,
    )


def _forms(tokens: list[str]) -> set[str]:
    """A name as it is, without its size ("unga"), and without the number it ends in ("mayai trei")."""
    sizeless = [token for token in tokens if read_size(token) is None]
    countless = sizeless[:-1] if len(sizeless) > 1 and sizeless[-1].isdigit() else sizeless
    return {" ".join(form) for form in (tokens, sizeless, countless) if form}


def _sold(item: Record) -> Sold:
    name, unit = to_tokens(str(item["name"])), to_tokens(str(item.get("unit") or ""))
    sizes = [(token, size) for token in (*unit, *name) if (size := read_size(token)) is not None]
    counts = [int(tokens[-1]) for tokens in (unit, name) if len(tokens) > 1 and tokens[-1].isdigit() and len(tokens[-1]) < 5]
    words = {word for token in unit if token.isalpha() for word in _SYNONYMS.get(token, (token,))}
    return Sold(
        size=sizes[0][1] if sizes else None,
        number=sizes[0][0].rstrip("kgml") if sizes else "",
        pieces=counts[0] if counts else 1,
        unit_words=frozenset(words),
    )
