"""What customers may call the vendor's products. Built once a catalogue version, cheap to use for each message."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conversation.engine.values import Record


@dataclass(frozen=True, kw_only=True)
class Lexicon:
    """Normalised names and aliases, longest first by number of words, each with the products that carry it."""

    names: Mapping[str, tuple[str, ...]]
    items: Mapping[str, Record]


def build_lexicon(items: Sequence[Record]) -> Lexicon:
    """Items as {"id", "name", "short_name", "unit", "price", "stock", "aliases": [...]}, plain JSON."""
    raise NotImplementedError
