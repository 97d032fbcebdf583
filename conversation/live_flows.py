"""Which bundle takes the next turn: the published one, or an older one as long as somebody has to finish on it."""

import threading
from collections.abc import Mapping
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
from conversation.publishing.bundles import build
from conversation.publishing.migrations import read_migrations
from conversation.publishing.moves import Comparison
from router import publications
from router.databases import Databases
from router.errors import Unavailable

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Live:
    """What is live, as one value: whoever reads it never sees half of a publication. `number` None: nothing is published."""

    bundle: Bundle
    number: int | None
    left_at: Mapping[str, datetime]  # bundle -> when another one took its place


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The bundle for one turn, the snapshot it goes on from, and what the customer is told first."""

    bundle: Bundle
    snapshot: Snapshot
    say: str | None = None


class LiveFlows:
    """Knows the live bundle and those before it. Loading happens in `refresh`, beside the turns; a turn only reads."""

    def __init__(self, shipped: Bundle, databases: Databases | None = None) -> None:
        """`shipped` serves until something is published, and for ever without `databases`."""
        self._databases = databases
        self._known: dict[str, Bundle] = {shipped.hash: shipped}
        self._compared: dict[tuple[str, str, int | None], Comparison] = {}
        self._live = Live(bundle=shipped, number=None, left_at={})

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
        before = self._live.bundle
        self._live = live = Live(bundle=bundle, number=newest.id, left_at=left_at)
        self._compare(before, live)
        log.info("flows_published", bundle=bundle.hash, number=newest.id)
        return True

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
        moved = self._compare(old, live).move(snapshot) if isinstance(event, FromCustomer) or is_over else None
        if moved is not None:
            log.info("conversation_moved", before=old.hash, now=live.bundle.hash)
            return Chosen(bundle=live.bundle, snapshot=moved.snapshot, say=moved.say)
        return Chosen(bundle=live.bundle if is_over else old, snapshot=snapshot)

    def _find(self, bundle_hash: str) -> Bundle | None:
        """A bundle by its hash. The first one who needs an old one after a start waits while it is loaded."""
        if bundle_hash not in self._known and self._databases is not None:
            files = publications.get_files(self._databases, bundle_hash)
            if files is not None:
                self._known[bundle_hash] = build(files)
        return self._known.get(bundle_hash)

    def _compare(self, old: Bundle, live: Live) -> Comparison:
        key = (old.hash, live.bundle.hash, live.number)
        if key not in self._compared:
            rules: Mapping[str, bytes] = {}
            if self._databases is not None and live.number is not None:
                rules = publications.get_migrations(self._databases, live.number)
            self._compared[key] = Comparison(old, live.bundle, read_migrations(rules, old, live.bundle))
        return self._compared[key]
