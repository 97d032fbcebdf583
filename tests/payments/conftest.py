import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from payments.access_token import AccessTokens
from payments.c2b_webhook import build_routes as build_c2b_routes
from payments.daraja import DarajaClient
from payments.spool import Spool
from payments.webhook import build_routes
from router.databases import Databases
from router.ids import VendorId
from router.wakeups import Wakeups
from soko.simulators.daraja import Kind, Vendor, build_app
from soko.simulators.serving import running
from tests.operator import operating
from tests.payments.shop import PHONE, Clock, Shop

PAYBILL = Vendor(
    short_code="174379",
    kind=Kind.PAYBILL,
    party_b="174379",
    consumer_key="sim-key-1",
    consumer_secret="sim-secret-1",
    passkey="sim-passkey-1",
)


@pytest.fixture(scope="session")
def clock_of_all() -> Clock:
    return Clock(now=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture
def clock(clock_of_all: Clock, now: datetime) -> Clock:
    clock_of_all.now = now
    return clock_of_all


@pytest.fixture
def shop(databases: Databases, vendor_id: VendorId, clock: Clock) -> Shop:
    """Give the seeded paybill vendor, without a network."""
    return Shop(databases=databases, vendor_id=vendor_id, clock=clock)


@pytest.fixture
def other_shop(databases: Databases, vendor_id: VendorId, clock: Clock) -> Shop:
    """Give the other seeded vendor of the same ops database."""
    with operating(databases) as conn:
        (other,) = conn.execute("SELECT id FROM vendors WHERE id <> %s", (vendor_id,)).fetchall()
    return Shop(databases=databases, vendor_id=VendorId(other["id"]), clock=clock)


# M-Pesa over HTTP


@dataclass
class Mpesa:
    """The simulated M-Pesa, seen by the test."""

    url: str
    http: httpx.Client

    def script(self, phone: str = PHONE, **scenario: Any) -> None:
        scenario = {"delay_seconds": 0.02, **scenario}
        self.http.put(f"{self.url}/sim/phones/{phone}", json=scenario).raise_for_status()

    def pushes(self, **query: Any) -> list[dict[str, Any]]:
        pushes: list[dict[str, Any]] = self.http.get(f"{self.url}/sim/pushes", params={"timeout": 5, **query}).json()
        return pushes

    def pay_by_hand(self, account: str, amount: int = 430, **more: Any) -> dict[str, Any]:
        body = {"phone": PHONE, "paybill": "174379", "account": account, "amount": amount, **more}
        answer: dict[str, Any] = self.http.post(f"{self.url}/sim/pay", json=body).raise_for_status().json()
        return answer

    def wait_until_decided(self) -> None:
        """Wait until no phone shows a prompt: a phone that does takes no other one."""
        end = time.monotonic() + 10
        while any(each["result_code"] is None for each in self.pushes()):
            assert time.monotonic() < end
            time.sleep(0.02)

    def posts(self, path: str = "/mpesa/stkpush/v1/processrequest") -> list[dict[str, Any]]:
        log = self.http.get(f"{self.url}/sim/requests").json()
        return [each for each in log if each["path"] == path]


@pytest.fixture(scope="session")
def mpesa_url(clock_of_all: Clock) -> Iterator[str]:
    with running(build_app(vendors=(PAYBILL,), clock=clock_of_all)) as url:
        yield url


@pytest.fixture
def mpesa(mpesa_url: str, clock: Clock) -> Iterator[Mpesa]:
    assert clock.now
    with httpx.Client(trust_env=False, verify=False, timeout=10) as http:
        http.delete(f"{mpesa_url}/sim").raise_for_status()
        http.delete(f"{mpesa_url}/sim/tokens").raise_for_status()
        http.delete(f"{mpesa_url}/sim/registrations").raise_for_status()
        yield Mpesa(url=mpesa_url, http=http)


@pytest.fixture
def daraja(mpesa: Mpesa) -> Iterator[DarajaClient]:
    client = DarajaClient(base_url=mpesa.url, tokens=AccessTokens(None), read_seconds=0.5)
    yield client
    client.close()


class Quiet:
    """An app without threads, for `running`."""

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def open_shop(shop: Shop, tmp_path: Path) -> Iterator[Shop]:
    """Give the shop with its callback endpoint on loopback."""
    app = FastAPI(title="callbacks")
    app.state.simulator = Quiet()
    for build in (build_routes, build_c2b_routes):
        app.include_router(build(shop.databases, Wakeups(None), clock=shop.clock, spool=Spool(tmp_path / "spool")))
    with running(app) as url:
        yield Shop(databases=shop.databases, vendor_id=shop.vendor_id, clock=shop.clock, callback_base_url=url)
