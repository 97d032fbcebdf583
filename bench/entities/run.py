"""Read every phrase, compare with what was expected, and write RESULTS.md. Only the timing part differs between machines."""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Final, cast

from ruamel.yaml import YAML

from conversation.engine.dates import read_date, read_time, read_when
from conversation.engine.entities import read_basket_edit, read_number
from conversation.engine.lexicon import Lexicon, build_lexicon
from conversation.engine.money import read_money
from conversation.engine.phones import read_phone
from conversation.engine.places import read_place
from conversation.engine.values import JSON, Record
from router.seeds.development import MAMA_DUKA

HERE: Final = Path(__file__).parent
RESULTS: Final = HERE / "RESULTS.md"
SETS: Final = ("tuned", "second", "third", "fresh")
READERS: Final[Mapping[str, Callable[[str, Lexicon, datetime | None], JSON]]] = {
    "baskets": read_basket_edit,
    "kiosk_baskets": read_basket_edit,
    "number": read_number,
    "phone": read_phone,
    "money": read_money,
    "date": read_date,
    "time": read_time,
    "when": read_when,
    "place": read_place,
}


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """One message with the reading that a person expects of it."""

    set: str
    entity: str
    language: str
    text: str
    expected: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """A phrase, and what the engine read in it, in the same notation."""

    phrase: Phrase
    got: str

    @property
    def right(self) -> bool:
        """Whether the reading is exactly the expected one."""
        return _sorted(self.got) == _sorted(self.phrase.expected)


def _sorted(reading: str) -> list[str]:
    return [reading] if reading.startswith(("{", "[", '"')) else sorted(part.strip() for part in reading.split(","))


@cache
def _data() -> Mapping[str, JSON]:
    return cast("Mapping[str, JSON]", YAML(typ="safe").load(HERE / "phrases.yaml"))


@cache
def moment() -> datetime:
    """The moment at which all phrases are read."""
    return datetime.fromisoformat(str(_data()["at"]))


@cache
def shop() -> Lexicon:
    """The development catalogue's words, and the places of phrases.yaml. Ids are the SKUs."""
    items: list[Record] = [
        {"id": item.sku, "name": item.name, "short_name": item.short_name, "unit": item.unit, "aliases": list(item.also)}
        for item in MAMA_DUKA.items
    ]
    return build_lexicon(items, places=[_item(row) for row in cast("Sequence[Sequence[str]]", _data()["places"])])


@cache
def kiosk() -> Lexicon:
    """A shelf where several products share a name."""
    rows = cast("Sequence[Sequence[str]]", _data()["kiosk"])
    return build_lexicon([{**_item((row[0], row[1], row[3])), "unit": row[2]} for row in rows])


def _item(row: Sequence[str]) -> Record:
    return {"id": row[0], "name": row[1], "aliases": [alias.strip() for alias in row[2].split(",") if alias.strip()]}


def phrases() -> Iterator[Phrase]:
    """Every phrase of phrases.yaml."""
    for name in SETS:
        for entity, rows in cast("Mapping[str, Sequence[Sequence[str]]]", _data().get(name) or {}).items():
            for language, text, expected in rows:
                yield Phrase(set=name, entity=entity, language=language, text=text, expected=str(expected))


def read(phrase: Phrase) -> Result:
    """Read one phrase as the engine would."""
    value = READERS[phrase.entity](phrase.text, kiosk() if phrase.entity == "kiosk_baskets" else shop(), moment())
    return Result(phrase=phrase, got=write(phrase.entity, value))


def write(entity: str, value: JSON) -> str:
    """Write a reading in the notation of phrases.yaml."""
    if value is None:
        return "none"
    if isinstance(value, Mapping) and entity.endswith("baskets"):
        return _write_basket(value)
    if isinstance(value, Mapping) and entity == "place":
        candidates = cast("Sequence[Record]", value["candidates"])
        place = cast("Record | None", value["place"])
        return json.dumps(place["id"] if place else [candidate["id"] for candidate in candidates])
    return value if isinstance(value, str) and entity == "phone" else json.dumps(value)


def _write_basket(value: Record) -> str:
    def lines(name: str) -> Sequence[Record]:
        return cast("Sequence[Record]", value[name])

    parts = ["clear"] if value["clear"] else []
    parts += [f"{line['qty']} {line['product']}" for line in lines("add")]
    parts += [f"-{line['product']}" if line["qty"] is None else f"-{line['qty']} {line['product']}" for line in lines("remove")]
    for question in lines("ambiguous"):
        candidates = cast("Sequence[Record]", question["candidates"])
        parts.append(f"?{question['why']} " + "|".join(str(candidate["product"]) for candidate in candidates))
    parts += [f"!{words}" for words in cast("Sequence[str]", value["missing"])]
    return ", ".join(parts)


def effect(result: Result) -> str:
    """What a basket's reading would do: "exact", "nothing" (the customer is asked again), or "wrong"."""
    wanted, got = (
        [part for part in _sorted(reading) if not part.startswith("!") and part != "none"]
        for reading in (result.phrase.expected, result.got)
    )
    if wanted == got:
        return "exact"
    return "wrong" if any(part not in wanted and not part.startswith("?") for part in got) else "nothing"


def count(results: Sequence[Result], by: Callable[[Phrase], str]) -> dict[str, tuple[int, int]]:
    """Right and all, by whatever `by` says, in the order in which it first comes."""
    counted: dict[str, tuple[int, int]] = {}
    for result in results:
        right, total = counted.get(by(result.phrase), (0, 0))
        counted[by(result.phrase)] = (right + result.right, total + 1)
    return counted


def report(results: Sequence[Result]) -> str:
    """The accuracy tables and every failing phrase, as Markdown."""
    lines = ["# How well customers are understood", "", *_INTRODUCTION]
    for name in SETS:
        chosen = [result for result in results if result.phrase.set == name]
        right = sum(result.right for result in chosen)
        lines += [f"## {name}: {right} of {len(chosen)} right ({_percent(right, len(chosen))})", ""]
        languages = list(count(chosen, lambda phrase: phrase.language))
        lines += [f"| entity | all | {' | '.join(languages)} |", "|---" * (len(languages) + 2) + "|"]
        both = count(chosen, lambda phrase: f"{phrase.entity} {phrase.language}")
        for entity, (good, total) in {
            **count(chosen, lambda phrase: phrase.entity),
            "**all**": (right, len(chosen)),
        }.items():
            per = count(chosen, lambda phrase: phrase.language) if entity == "**all**" else None
            cells = [per[language] if per else both.get(f"{entity} {language}") for language in languages]
            lines.append(f"| {entity} | {_cell((good, total))} | {' | '.join(_cell(cell) for cell in cells)} |")
        done = Counter(effect(result) for result in chosen if result.phrase.entity.endswith("baskets"))
        lines += [
            "",
            f"Of {done.total()} baskets, {done['exact']} change the order exactly as meant (the phrase is not right already when",
            f"a word too many is told as not found), {done['nothing']} change less of it or nothing, and {done['wrong']} put in",
            "or take out something that was not meant.",
        ]
        wrong = [result for result in chosen if not result.right]
        lines += ["", f"### What fails in `{name}`: {len(wrong)}", ""]
        lines += ["| entity | language | message | expected | read |", "|---|---|---|---|---|"] if wrong else ["Nothing."]
        lines += [_row(result) for result in wrong]
        lines.append("")
    return "\n".join(lines)


_INTRODUCTION: Final = (
    "Written by `python -m bench.entities` from `phrases.yaml`. A phrase counts as right only when the whole reading is exactly",
    "the expected one. `fresh` is the figure to trust: it was written after the readers were finished, and nothing was changed",
    "for it. `tuned` was used while they were made. `second` was a fresh set once, of which 95 of 135 (70 %) were right at first",
    "sight, and `third` one of which 100 of 125 (80 %) were; then they were used as well. The phrases were written by the makers",
    "of Soko in the way customers write, not collected from customers: real traffic will be harder. `phrases.yaml` explains the",
    "notation.",
    "",
)


def _row(result: Result) -> str:
    phrase = result.phrase
    return f"| {phrase.entity} | {phrase.language} | {_quote(phrase.text)} | {_quote(phrase.expected)} | {_quote(result.got)} |"


def _percent(right: int, total: int) -> str:
    return f"{100 * right / total:.1f} %" if total else "—"


def _cell(counted: tuple[int, int] | None) -> str:
    return f"{counted[0]}/{counted[1]}" if counted else ""


def _quote(text: str) -> str:
    return "`" + text.replace("\n", "⏎").replace("|", "\\|") + "`"


LONG: Final = {
    "one word, again and again": "unga ",
    "words that are near no product": "qwertzuio{0} ",
    "words that are nearly products": "sukuri{0}sukuri ",
    "numbers in words": "ishirini na tano ",
    "digits": "0712 ",
    "one long word": "a",
    "signs": "?,!;/",
    "emoji": "🥖",
    "an order of 60 lines": "2 sukarri na mkate\n",
}
LONGEST: Final = 4096  # characters: WhatsApp's limit for one message


def long_message(piece: str) -> str:
    """A message of 4,096 characters made of one piece; {0} is a counter in letters, so that nothing repeats."""
    numbers = "abcdefghij"
    made = "".join(piece.replace("{0}", "".join(numbers[int(digit)] for digit in str(place))) for place in range(LONGEST))
    return made[:LONGEST]


def timing() -> str:
    """How long the longest messages take, in milliseconds; best of three."""
    lines = ["## Cost", "", "Milliseconds for one message of 4,096 characters (the order of 60 lines: 1,140), best of three.", ""]
    lines += [f"| message | {' | '.join(READERS)} |", "|---" * (len(READERS) + 1) + "|"]
    for name, piece in LONG.items():
        text = piece * 60 if "60" in name else long_message(piece)
        cells = [f"{_best(reader, f'{place} {text}'):.1f}" for place, reader in enumerate(READERS.values())]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _best(reader: Callable[[str, Lexicon, datetime | None], JSON], text: str) -> float:
    took = []
    for attempt in range(3):
        start = time.perf_counter()
        reader(text + " " * attempt, shop(), moment())  # a new text each time: nothing comes from a cache
        took.append(time.perf_counter() - start)
    return 1000 * min(took)


def main() -> None:
    """Measure, print, and write RESULTS.md."""
    results = [read(phrase) for phrase in phrases()]
    text = report(results) + "\n" + timing()
    RESULTS.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
