"""Put the parts together: the only place that knows which object each one is given."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from conversation.authoring.load import load_bundle, load_draft, read_published
from conversation.engine.flow import Bundle
from conversation.live_flows import LiveFlows
from conversation.services import CATALOGUE
from conversation.turn import Turns
from router.databases import Databases
from router.publications import find_latest
from router.publications import publish as keep_publication
from router.rate_limits import RateLimits
from router.sealed import Sealer
from router.wakeups import Wakeups, connect
from router.webhooks.signing import Signing
from soko.clock import utc_now
from soko.embedded import Urls
from soko.settings import Settings

FLOWS: Final = Path(__file__).parent.parent / "flows"


def load_flows(folder: Path = FLOWS) -> Bundle:
    """Load and check all flows. Errors: FlowErrors, each with its place."""
    return load_bundle(folder, CATALOGUE)


@contextmanager
def open_databases(settings: Settings, urls: Urls) -> Iterator[Databases]:
    """Open the databases of this process, and close them with it."""
    databases = Databases(
        platform_url=urls.runtime_platform or urls.platform,
        ops_url=urls.runtime_ops or urls.ops,
        resolve_secret=settings.open_secret,
        strict_login=not settings.is_development,
        sealer=Sealer(settings.open_phone_keys),
        wake=Wakeups(connect(urls.redis)).wake,
    )
    try:
        yield databases
    finally:
        databases.close()


def open_flows(databases: Databases) -> LiveFlows:
    """Give the published flows. Where nothing is published yet, those of the tree become the first publication.

    Where something is, those of the tree may be at work: what they lack must not stop a start.
    Errors: FlowErrors when what is published does not load in this program; Unavailable
    """
    is_first = find_latest(databases) is None
    flows = LiveFlows(load_flows() if is_first else load_draft(FLOWS, CATALOGUE), databases)
    if is_first:
        files, _ = read_published(FLOWS)
        keep_publication(databases, flows.bundle.hash, files, migrations={}, after=None, by="first start", now=utc_now())
    flows.refresh()
    return flows


@contextmanager
def following(databases: Databases) -> Iterator[LiveFlows]:
    """The same for a process that stays: a thread takes up what is published later."""
    flows, stop = open_flows(databases), threading.Event()
    flows.load_old()
    thread = threading.Thread(target=flows.follow, args=(stop,), name="published flows", daemon=True)
    thread.start()
    try:
        yield flows
    finally:
        stop.set()
        thread.join()


def build_turns(databases: Databases, urls: Urls, flows: LiveFlows) -> Turns:
    """Make what takes turns, in the web process and in the worker alike."""
    limits = RateLimits(urls.redis)
    return Turns(databases=databases, flows=flows, wakeups=Wakeups(connect(urls.redis)), clock=utc_now, limits=limits)


def build_signing(settings: Settings) -> Signing:
    """Make what signs for vendors' webhooks. In development these may stand on this machine."""
    return Signing(open_keys=settings.open_webhook_keys, public_only=not settings.is_development)
