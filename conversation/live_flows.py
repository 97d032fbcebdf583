"""Which bundle takes the next turn: the published one, or an older one as long as somebody has to finish on it."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

import structlog

from conversation.authoring.problems import FlowErrors
from conversation.engine.events import Event, FromCustomer
from conversation.engine.flow import Bundle
from conversation.engine.snapshot import Snapshot
from conversation.errors import Broken
from conversation.publishing.bundles import build_kept
from conversation.publishing.moves import Comparison
from conversation.publishing.routes import Route, Routes
from router import publications
from router.databases import Databases
from router.errors import Unavailable
from router.publications import Publication

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Live:
    """What is live, as one value: whoever reads it never sees half of a publication. `number` None: nothing is published.

    `routes` lead here from the bundles that people may be in; one that is missing is worked out when somebody needs it.
    """

    bundle: Bundle
    number: int | None
    history: Sequence[Publication]
    left_at: Mapping[str, datetime]  # bundle -> when another one took its place
    routes: dict[str, Route]


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The bundle for one turn, the snapshot it goes on from, and what the customer is told first.

    `left` is the snapshot as it was before a publish moved it, None when none did.
    """

    bundle: Bundle
    snapshot: Snapshot
    say: str | None = None
    left: Snapshot | None = None


class LiveFlows:
    """Knows the live bundle and those before it. Loading happens in `refresh`, beside the turns; a turn only reads."""

    def __init__(self, shipped: Bundle, databases: Databases | None = None) -> None:
        """`shipped` serves until something is published, and for ever without `databases`."""
        self._databases = databases
        self._loading = threading.RLock()  # one thread loads; a turn that finds what it needs does not ask
        self._known: dict[str, Bundle] = {shipped.hash: shipped}
        self._live = Live(bundle=shipped, number=None, history=(), left_at={}, routes={})

    @property
    def bundle(self) -> Bundle:
        """The live bundle."""
        return self._live.bundle

    def refresh(self) -> bool:
        """Take up what was published meanwhile, and tell whether something was.

        Raises Unavailable, FlowErrors, Broken: then nothing changes.
        """
        if self._databases is None or publications.find_latest(self._databases) == self._live.number:
            return False
        history = publications.list_publications(self._databases)
        left_at = {before.bundle_hash: after.published_at for before, after in pairwise(history)}
        newest = history[-1]
        bundle = self._find(newest.bundle_hash)
        if bundle is None:
            raise Broken(f"publication {newest.id} names bundle {newest.bundle_hash}, whose files are not there")
        before = self._live
        live = Live(bundle=bundle, number=newest.id, history=history, left_at=left_at, routes={})
        if before.number is not None:
            self._lead_from({before.bundle.hash, *before.routes}, live)
        self._live = live
        log.info("flows_published", bundle=bundle.hash, number=newest.id)
        return True

    def load_old(self) -> None:
        """Load every bundle that somebody is in the middle of, and the one that was live last: no turn has to wait for it.

        One that does not load in this program is logged: its people's turns fail, and are kept, until one does.
        """
        if self._databases is None:
            return
        live = self._live
        self._lead_from({*publications.list_pinned(self._databases), *(each.bundle_hash for each in live.history[-2:])}, live)

    def follow(self, stop: threading.Event) -> None:
        """Refresh every second until told to stop. What cannot be taken up is logged once a publication; the live flows go on."""
        complained: str | None = None
        while not stop.wait(LOOK_SECONDS):
            try:
                self.refresh()
            except Unavailable:
                continue  # the turns say so themselves
            except (FlowErrors, Broken) as error:
                if str(error) != complained:
                    log.error("published_flows_refused", error=str(error))
                complained = str(error)

    def choose(self, snapshot: Snapshot, event: Event, now: datetime) -> Chosen:
        """Which bundle takes this turn. People are moved when they write, and not while money is in flight."""
        live = self._live
        if snapshot.idle or snapshot.bundle == live.bundle.hash:
            return Chosen(bundle=live.bundle, snapshot=snapshot)
        old = self._find(snapshot.bundle)
        if old is None:
            return Chosen(bundle=live.bundle, snapshot=snapshot)  # never published: begun on somebody's own files
        left_at = live.left_at.get(old.hash)
        is_over = left_at is not None and now - left_at > timedelta(seconds=live.bundle.publishing.old_versions_live)
        moved = self._route(old, live).move(snapshot) if isinstance(event, FromCustomer) or is_over else None
        if moved is not None:
            log.info("conversation_moved", before=old.hash, now=live.bundle.hash)
            return Chosen(bundle=live.bundle, snapshot=moved.snapshot, say=moved.say, left=snapshot)
        return Chosen(bundle=live.bundle if is_over else old, snapshot=snapshot)

    def _find(self, bundle_hash: str) -> Bundle | None:
        """A bundle by its hash; None when it was never published."""
        known = self._known.get(bundle_hash)
        if known is not None or self._databases is None:
            return known
        with self._loading:
            files = publications.get_files(self._databases, bundle_hash) if bundle_hash not in self._known else None
            if files is not None:
                self._known[bundle_hash] = build_kept(files)
            return self._known.get(bundle_hash)

    def _route(self, old: Bundle, live: Live) -> Route:
        if old.hash not in live.routes:
            with self._loading:
                if old.hash not in live.routes:
                    live.routes[old.hash] = self._make_route(old, live)
        return live.routes[old.hash]

    def _make_route(self, old: Bundle, live: Live) -> Route:
        if self._databases is None or live.number is None:
            return Route(Comparison(old, live.bundle, {}))
        rules = publications.get_migrations(self._databases, live.number)
        return Routes(self._databases, live.history[:-1], live.bundle, rules).leave(old)

    def _lead_from(self, hashes: set[str], live: Live) -> None:
        for bundle_hash in sorted(hashes - {live.bundle.hash}):
            try:
                old = self._find(bundle_hash)
                if old is not None:
                    self._route(old, live)
            except FlowErrors as errors:
                log.error("old_flows_refused", bundle=bundle_hash, error=str(errors))
