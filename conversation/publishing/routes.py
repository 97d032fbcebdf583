"""The way from an old bundle to the one that is live or shall be: straight, or over the publications in between."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from conversation.authoring.problems import FlowErrors
from conversation.engine.flow import Bundle
from conversation.engine.snapshot import Snapshot
from conversation.publishing.bundles import build_kept
from conversation.publishing.migrations import read_migrations
from conversation.publishing.moves import STAYS, Comparison, Fate, Moved, Verdict, graver
from router import publications
from router.databases import Databases
from router.publications import Publication

Place = tuple[str, str]


class Route:
    """How people leave one bundle for another: where the straight way would strand them, over the steps in between."""

    def __init__(self, straight: Comparison | None, steps: Sequence[Comparison] = ()) -> None:
        """`straight` None: its migrations do not fit the newest bundle; then there are steps."""
        self._straight = straight
        self._steps = steps

    def of(self, places: Sequence[Place]) -> tuple[Place, Verdict]:
        """The verdict for a conversation whose flows stand at these places, the running one last."""
        judged = self._straight.of(places) if self._straight is not None else None
        if judged is None or (judged[1].fate is Fate.BLOCKED and self._steps):
            return self._over_steps(places, judged)
        return judged

    def move(self, snapshot: Snapshot) -> Moved | None:
        """Bring a conversation over. None when it must stay."""
        places = [(frame.flow, frame.state) for frame in snapshot.frames]
        if self.of(places)[1].fate in STAYS:
            return None
        if self._straight is not None and (not self._steps or self._straight.of(places)[1].fate is not Fate.BLOCKED):
            return self._straight.move(snapshot)
        said: list[str] = []
        for step in self._steps:
            moved = step.move(snapshot)
            if moved is None:
                return None
            snapshot = moved.snapshot
            said += [moved.say] if moved.say is not None else []
        return Moved(snapshot=snapshot, say="\n".join(said) or None)

    def _over_steps(self, places: Sequence[Place], straight: tuple[Place, Verdict] | None) -> tuple[Place, Verdict]:
        stands, fate, to = places, Fate.SAME, None
        where = places[-1]
        for n, step in enumerate(self._steps):
            place, verdict = step.of(stands)
            if verdict.fate is Fate.BLOCKED and n == 0 and straight is not None:
                return straight
            if verdict.fate in STAYS:
                why = f"over {step.old.hash}, from {'.'.join(place)}: {verdict.why}" if verdict.why else ""
                return where, replace(verdict, why=why)
            where = place if n == 0 else where
            fate, stands = graver(fate, verdict.fate), step.lead(stands)
            to = stands[-1][1] if fate is Fate.ENTER else None
        return where, Verdict(fate=fate, to=to)


class Routes:
    """The ways to one bundle that is live, or shall be, after some earlier publications."""

    def __init__(
        self, databases: Databases, earlier: Sequence[Publication], new: Bundle, migrations: Mapping[str, bytes]
    ) -> None:
        """`migrations` are those that come with `new`."""
        self._databases = databases
        self._earlier = earlier
        self._new = new
        self._migrations = migrations

    def leave(self, old: Bundle) -> Route:
        """The way from an old bundle. Raises FlowErrors when the migrations for leaving it fit no way."""
        misfit: FlowErrors | None = None
        straight: Comparison | None = None
        try:
            straight = self._compare(old, self._new, self._migrations)
        except FlowErrors as errors:
            misfit = errors
        if straight is not None and all(verdict.fate is not Fate.BLOCKED for verdict in straight.verdicts.values()):
            return Route(straight)
        try:
            steps = self._steps(old)
        except FlowErrors:
            steps = []
        if misfit is not None and not steps:
            raise misfit
        return Route(straight, steps)

    def _steps(self, old: Bundle) -> list[Comparison]:
        """Every step from one bundle to the next, loops cut out; none when there is nothing in between."""
        hashes = [each.bundle_hash for each in self._earlier]
        path: list[Comparison] = []
        before = old
        while before.hash in hashes and before.hash != self._new.hash:
            at = len(hashes) - 1 - hashes[::-1].index(before.hash) + 1
            if at == len(hashes):
                path.append(self._compare(before, self._new, self._migrations))
                break
            after = self._find(hashes[at])
            if after is None:
                return []
            path.append(self._compare(before, after, publications.get_migrations(self._databases, self._earlier[at].id)))
            before = after
        return path if len(path) > 1 else []

    def _find(self, bundle_hash: str) -> Bundle | None:
        files = publications.get_files(self._databases, bundle_hash)
        return build_kept(files) if files is not None else None

    @staticmethod
    def _compare(old: Bundle, new: Bundle, rules: Mapping[str, bytes]) -> Comparison:
        return Comparison(old, new, read_migrations(rules, old, new))
