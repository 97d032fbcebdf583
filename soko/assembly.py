"""Put the parts together: the only place that knows which object each one is given."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from conversation.authoring.load import load_bundle
from conversation.engine.flow import Bundle
from conversation.services import CATALOGUE
from conversation.turn import Turns
from router.databases import Databases
from router.wakeups import Wakeups, connect
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
    )
    try:
        yield databases
    finally:
        databases.close()


def build_turns(databases: Databases, urls: Urls) -> Turns:
    """Make what takes turns, in the web process and in the worker alike."""
    return Turns(databases=databases, bundle=load_flows(), wakeups=Wakeups(connect(urls.redis)), clock=utc_now)
