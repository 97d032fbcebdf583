"""What a publish would do to the people who are in the middle of something, as a table. Nothing is changed here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from conversation.publishing.moves import Fate, Verdict
from conversation.publishing.routes import Route
from router.publications import Standing


@dataclass(frozen=True, kw_only=True)
class Row:
    """People in one state of one old bundle, and what happens to them."""

    place: str
    bundle_hash: str
    people: int
    fate: Fate
    what: str


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The whole table. A plan that strands somebody must not be published."""

    rows: tuple[Row, ...]

    @property
    def blocked(self) -> tuple[Row, ...]:
        """Those who would be stranded."""
        return tuple(row for row in self.rows if row.fate is Fate.BLOCKED)


def make_plan(standing: Iterable[Standing], routes: Mapping[str, Route], *, new: str) -> Plan:
    """Judge where people stand. Who is in a bundle without a route begins anew: its files are not known."""
    people: dict[tuple[str, str, Fate, str], int] = {}
    for each in standing:
        if each.bundle_hash == new:
            continue
        route = routes.get(each.bundle_hash)
        place, verdict = route.of(each.places) if route is not None else (each.places[-1], Verdict(fate=Fate.SAME))
        key = (".".join(place), each.bundle_hash, verdict.fate, _tell(verdict, each.bundle_hash, known=route is not None))
        people[key] = people.get(key, 0) + each.people
    rows = [
        Row(place=place, bundle_hash=old, people=count, fate=fate, what=what)
        for (place, old, fate, what), count in people.items()
    ]
    return Plan(rows=tuple(sorted(rows, key=lambda row: (row.fate is not Fate.BLOCKED, row.place, row.bundle_hash))))


def _tell(verdict: Verdict, old: str, *, known: bool) -> str:
    if not known:
        return f"continue; bundle {old} was never published, so a state that is gone begins anew"
    match verdict.fate:
        case Fate.SAME | Fate.ROUND:
            return "continue on the new version"
        case Fate.WORDS:
            return "continue; next question in the new words"
        case Fate.ASK:
            return "continue; question asked again"
        case Fate.ENTER:
            return f"continue in {verdict.to}; its question is asked" if verdict.to else "continue; the state is entered again"
        case Fate.KEPT | Fate.PINNED:
            return f"finish on {old}"
        case Fate.BLOCKED:
            return f"BLOCKED: {verdict.why}"
