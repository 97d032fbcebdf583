"""Putting stand-ins in place of everything a customer wrote that no reply understood, word by word.

A word that can be another without the turn going another way was not understood; so a typing mistake that was read as a
product stays, and a name, a street or a greeting inside an order goes.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from string import ascii_lowercase
from typing import Final

from conversation.authoring.rerun import Taken
from conversation.authoring.stand_ins import Disguise
from conversation.engine import effects
from conversation.engine.events import Said
from conversation.engine.flow import Bundle
from conversation.engine.lexicon import Lexicon
from conversation.engine.step import step

MOST: Final = 60  # words of one message that are tried one by one: of a longer one none stays
_WORD: Final = re.compile(r"([^\W_]+(?:['\u2019][^\W_]+)*)")
_SAME: Final = "\u2026"


@dataclass(kw_only=True)
class Redaction:
    """One conversation's stand-ins: the same for the same word, each time."""

    bundle: Bundle
    disguise: Disguise
    _words: dict[str, str] = field(default_factory=dict)

    def text(self, event: Said, taken: Taken, lexicon: Lexicon) -> str:
        """What the customer wrote, with stand-ins."""
        parts = _WORD.split(self.disguise.text(event.text))  # what stands between words, and every second one a word
        few = len(parts) < 2 * MOST
        for at in range(1, len(parts), 2):
            word, stand_in = parts[at], self._stand_in(parts[at])
            tried = [*parts[:at], stand_in, *parts[at + 1 :]]
            if few and self._read(event, parts, taken, lexicon, word) != self._read(event, tried, taken, lexicon, stand_in):
                continue
            self._words[word.casefold()] = stand_in
            parts = tried
        return "".join(parts)

    def _stand_in(self, word: str) -> str:
        """xa, xb, … xz, xaa, …: too short, or too odd, to be near to the name of anything."""
        number, letters = len(self._words) + 1, ""
        while number:
            number, letter = divmod(number - 1, len(ascii_lowercase))
            letters = ascii_lowercase[letter] + letters
        return self._words.get(word.casefold(), f"x{letters}")

    def _read(self, event: Said, parts: Sequence[str], taken: Taken, lexicon: Lexicon, word: str) -> str:
        return _understood(self.bundle, replace(event, text="".join(parts)), taken, lexicon, word)


def _understood(bundle: Bundle, event: Said, taken: Taken, lexicon: Lexicon, word: str) -> str:
    """What the first step of the turn makes of a message, all but this word."""
    led = step(bundle, taken.before, event, taken.turn.steps[0].context(lexicon))
    matched = [entry.to_json() for entry in led.trace if entry.what in ("matched", "check failed", "corrected")]
    for entry in matched:
        entry.pop("passed", None)
    made = [matched, [effects.to_json(effect) for effect in led.effects], led.snapshot.to_json()]
    return re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", _SAME, json.dumps(made, ensure_ascii=False), flags=re.IGNORECASE)
