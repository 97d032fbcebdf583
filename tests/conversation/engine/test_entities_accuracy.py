"""The published figures: how many hand-written phrases are understood."""

import re
from collections import Counter

from bench.entities.run import READERS, RESULTS, phrases, read, report


def published() -> dict[str, tuple[int, int]]:
    found = re.findall(r"^## (\w+): (\d+) of (\d+) right", RESULTS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: (int(right), int(total)) for name, right, total in found}


def test_there_are_enough_phrases_in_every_language() -> None:
    written = list(phrases())
    entities = Counter(phrase.entity for phrase in written)
    languages = Counter(phrase.language for phrase in written)
    assert len(written) >= 300
    assert entities["baskets"] >= 120
    assert entities.keys() == READERS.keys()
    assert min(languages[language] for language in ("en", "sw", "sheng", "mixed")) >= 40
    assert len({(phrase.entity, phrase.text) for phrase in written}) == len(written)


def test_accuracy_is_not_below_what_is_published() -> None:
    results = [read(phrase) for phrase in phrases()]
    assert published()
    for name, (right, total) in published().items():
        chosen = [result for result in results if result.phrase.set == name]
        wrong = [f"{result.phrase.text!r}: {result.got}" for result in chosen if not result.right]
        assert len(chosen) == total
        assert len(chosen) - len(wrong) >= right, wrong


def test_the_published_page_lists_what_fails_today() -> None:
    now = report([read(phrase) for phrase in phrases()])
    assert RESULTS.read_text(encoding="utf-8").startswith(now), "run `python -m bench.entities`, and look at the difference"
