"""What customers may call the vendor's products. Built once a catalogue version, cheap to use for each message."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from rapidfuzz import fuzz, process

from conversation.engine.normalise import normalise
from conversation.engine.values import Record

FUZZY: Final = 84.0
_CLOSE: Final = 2.0  # two products whose scores are this near are a tie
_SHORTEST: Final = 4  # letters: shorter words are near to everything
_SIZE: Final = re.compile(
    r"(?<![\w.])(\d+(?:\.\d+)?)\s*(kg|kgs|kilo|g|gm|gms|gram|grams|ml|mls|l|lt|ltr|ltrs|litre|litres|liter|lita)\b"
)
_SIZE_TOKEN: Final = re.compile(r"\d+(?:\.\d+)?(?:kg|g|ml|l)")
_UNITS: Final = {"kgs": "kg", "kilo": "kg", "gm": "g", "gms": "g", "gram": "g", "grams": "g", "mls": "ml"} | dict.fromkeys(
    ("lt", "ltr", "ltrs", "litre", "litres", "liter", "lita"), "l"
)
_PIECES: Final = re.compile(r"\d+(?:\.\d+)?[^\W\d_]*|[^\W_]+(?:['\u2019-][^\W_]+)*|[,;+&\n/]")


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """Names and aliases in tokens joined by spaces, each with the ids of the products that carry it.

    `longest` is the number of tokens of the longest name; `titles` are the products' names for people.
    """

    names: Mapping[str, tuple[str, ...]]
    titles: Mapping[str, str]
    longest: int

    def find(self, phrase: str) -> tuple[str, ...]:
        """Ids of the products called exactly this: one, several (a tie), or none."""
        return self.names.get(phrase, ())

    def guess(self, phrase: str) -> tuple[str, ...]:
        """Ids of the products whose name is near enough to `phrase`: one, several (a tie), or none."""
        if len(phrase) < _SHORTEST or not self.names:
            return ()
        found = process.extract(phrase, self.names.keys(), scorer=_score, score_cutoff=FUZZY, limit=8)
        if not found:
            return ()
        best = found[0][1]
        return tuple(dict.fromkeys(item for name, score, _ in found if best - score <= _CLOSE for item in self.names[name]))


def _score(left: str, right: str, *, processor: None = None, score_cutoff: float | None = None) -> float:
    score = float(fuzz.ratio(left, right))
    if " " in left and " " in right:
        score = max(score, float(fuzz.token_sort_ratio(left, right)))
    return score if score_cutoff is None or score >= score_cutoff else 0.0


def to_tokens(text: str) -> list[str]:
    """Split a message into words, numbers, sizes ("2 kg" becomes "2kg") and the joining signs , ; + & /."""
    sized = _SIZE.sub(lambda found: found[1] + _UNITS.get(found[2], found[2]), normalise(text))
    return _PIECES.findall(sized)


def build_lexicon(items: Sequence[Record]) -> Lexicon:
    """Build it from items as {"id", "name", "short_name", "unit", "price", "stock", "aliases": [...]}, plain JSON."""
    names: dict[str, dict[str, None]] = {}
    titles: dict[str, str] = {}
    for item in items:
        key = str(item["id"])
        titles[key] = str(item["name"])
        called = [titles[key], str(item["short_name"]), *cast("Sequence[str]", item.get("aliases") or ())]
        for name in called:
            tokens = to_tokens(name)
            for form in (tokens, [token for token in tokens if not _SIZE_TOKEN.fullmatch(token)]):
                if form:
                    names.setdefault(" ".join(form), {})[key] = None
    longest = max((name.count(" ") + 1 for name in names), default=1)
    return Lexicon(names={name: tuple(ids) for name, ids in names.items()}, titles=titles, longest=longest)
