"""Put the parts together: the only place that knows which object each one is given."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from conversation.authoring.load import load_bundle
from conversation.engine.flow import Bundle
from conversation.services import CATALOGUE
from conversation.turn import Turns
from conversation.whatsapp.outbound import CloudApi
from payments.access_token import AccessTokens
from payments.daraja import DarajaClient
from router.databases import Databases
from router.wakeups import Wakeups, connect
from soko.clock import utc_now
from soko.embedded import Urls
from soko.settings import Settings
from worker.tools import Tools

FLOWS: Final = Path(__file__).parent.parent / "flows"
GRAPH_VERSION: Final = "v26.0"


def load_flows(folder: Path = FLOWS) -> Bundle:
    """Load and check all flows. Errors: FlowErrors, each with its place."""
    return load_bundle(folder, CATALOGUE)


@contextmanager
def open_databases(settings: Settings, urls: Urls) -> Iterator[Databases]:
    """Open the databases of this process, and close them with it."""
    databases = Databases(platform_url=urls.platform, ops_url=urls.ops, resolve_secret=settings.open_secret)
    try:
        yield databases
    finally:
        databases.close()


def build_turns(databases: Databases, urls: Urls) -> Turns:
    """Make what takes turns, in the web process and in the worker alike."""
    return Turns(databases=databases, bundle=load_flows(), wakeups=Wakeups(connect(urls.redis)), clock=utc_now)


def build_tools(settings: Settings, databases: Databases, urls: Urls) -> Tools:
    """Make a worker process's tools."""
    return Tools(
        databases=databases,
        turns=build_turns(databases, urls),
        cloud_api=CloudApi(base_url=f"{settings.graph_url.rstrip('/')}/{GRAPH_VERSION}"),
        daraja=DarajaClient(base_url=settings.daraja_url, tokens=AccessTokens(connect(urls.redis))),
        wakeups=Wakeups(connect(urls.redis)),
        open_secret=settings.open_secret,
        clock=utc_now,
        callback_base_url=settings.public_url.rstrip("/"),
    )
