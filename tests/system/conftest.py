import socket
from collections.abc import Iterator

import pytest

from router.databases import Databases
from router.ids import VendorId
from soko.embedded import Urls
from soko.settings import Settings
from tests.system.shop import Shop, open_shop


@pytest.fixture
def shop(settings: Settings, databases: Databases, redis_url: str, vendor_id: VendorId) -> Iterator[Shop]:
    """Give a whole Soko without its worker."""
    assert settings.platform_url
    assert settings.ops_url
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    urls = Urls(platform=settings.platform_url, ops=settings.ops_url, redis=redis_url)
    with open_shop(settings, databases, urls, vendor_id, port=port) as opened:
        yield opened


@pytest.fixture
def working_shop(shop: Shop) -> Shop:
    """Give a whole Soko with its worker."""
    shop.start_worker()
    return shop
