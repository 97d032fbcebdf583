from datetime import datetime

import pytest

from router.databases import Databases
from router.ids import VendorId
from tests.payments.shop import Clock, Shop


@pytest.fixture
def shop(databases: Databases, vendor_id: VendorId, now: datetime) -> Shop:
    return Shop(databases=databases, vendor_id=vendor_id, clock=Clock(now=now))
