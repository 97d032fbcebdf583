"""Where the money machine plays: M-Pesa with a virtual clock, a paybill and a till, our endpoints, and workers that may die."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from fastapi import FastAPI

from payments.access_token import AccessTokens
from payments.c2b_webhook import build_routes as build_c2b_routes
from payments.daraja import DarajaClient
from payments.registering import Registering
from payments.spool import Spool
from payments.webhook import build_routes
from router.databases import Databases
from router.ids import VendorId
from router.seeds.development import SHOPS
from router.wakeups import Wakeups
from soko.simulators.daraja import build_app
from soko.simulators.daraja.money import Transaction
from soko.simulators.daraja.network import Network
from soko.simulators.daraja.vendors import VENDORS, Kind, Vendor
from soko.simulators.serving import running
from soko.simulators.virtual import VirtualTime
from tests.payments.dying import Mortal, MortalClient
from tests.payments.shop import Clock, Ordered, Shop, open_plain

PUSH: Final = "/mpesa/stkpush/v1/processrequest"


@dataclass
class Linked(Clock):
    """The simulator's virtual time as the app's clock."""

    virtual: VirtualTime = field(kw_only=True)

    def __call__(self) -> datetime:
        return self.virtual()


class Quiet:
    """An app without threads, for `running`."""

    def stop(self) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Side:
    """One vendor, by a process that may die and by one that never does, and its shortcode at M-Pesa."""

    shop: Shop
    seen: Shop
    account: Vendor

    @property
    def is_till(self) -> bool:
        return self.account.kind is Kind.TILL

    def payments(self, since: datetime) -> list[dict[str, Any]]:
        return self.seen.rows(
            "SELECT p.*, i.account_ref FROM payments p LEFT JOIN payment_intents i ON i.id = p.intent_id WHERE p.paid_at >= %s",
            since,
        )

    def intents(self, since: datetime, condition: str, *values: object) -> list[dict[str, Any]]:
        return self.seen.rows(
            f"SELECT i.* FROM payment_intents i JOIN stk_attempts a ON a.intent_id = i.id"
            f" WHERE i.created_at >= %s AND {condition} ORDER BY i.created_at",
            since,
            *values,
        )


@dataclass(frozen=True, kw_only=True)
class Deal:
    """An order of one vendor, and the number a customer types as its account."""

    side: Side
    ordered: Ordered
    number: str


@dataclass(kw_only=True)
class World:
    """The vendors, M-Pesa, the workers' client and the endpoints' databases; and what has been met."""

    sides: tuple[Side, ...]
    workers: Mortal
    endpoints: Mortal
    network: Network
    virtual: VirtualTime
    client: MortalClient
    examples: int = 0
    steps: int = 0
    receipts: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)

    def prompts(self) -> list[Any]:
        return self.network.prompts.wait_for(phone=None, count=0, callbacks=0, timeout_seconds=0)

    def pushes(self) -> list[Any]:
        return [call for call in self.network.requests.calls() if call.path == PUSH]

    def transactions(self, side: Side) -> list[Transaction]:
        return [each for each in self.network.money.transactions() if each.vendor == side.account]


@contextmanager
def open_world(seeing: Databases, workers: Mortal, endpoints: Mortal, spool: Spool, now: datetime) -> Iterator[World]:
    """Start M-Pesa and our endpoints, and register both shortcodes. `seeing` is the process that never dies."""
    virtual = VirtualTime(now)
    clock = Linked(now=now, virtual=virtual)
    mpesa = build_app(vendors=VENDORS, clock=virtual)
    ours = FastAPI(title="callbacks")
    ours.state.simulator = Quiet()
    for build in (build_routes, build_c2b_routes):
        ours.include_router(build(endpoints, Wakeups(None), clock=clock, spool=spool))
    with running(mpesa) as mpesa_url, running(ours) as our_url:
        tokens = AccessTokens(None, monotonic=lambda: virtual().timestamp())
        client = DarajaClient(base_url=mpesa_url, tokens=tokens, read_seconds=5)
        sides: list[Side] = []
        for account in VENDORS:
            vendor_id = VendorId(next(each.id for each in SHOPS if each.shortcode.party_b == account.party_b))
            registering = Registering(
                databases=seeing,
                daraja=client,
                vendor_id=vendor_id,
                callback_base_url=our_url,
                open_secret=open_plain,
                now=now,
            )
            assert registering.c2b(strict=False).good
            assert registering.pull(phone="254700000009").good
            shop = Shop(databases=workers, vendor_id=vendor_id, clock=clock, callback_base_url=our_url)
            seen = Shop(databases=seeing, vendor_id=vendor_id, clock=clock, callback_base_url=our_url)
            sides.append(Side(shop=shop, seen=seen, account=account))
        yield World(
            sides=tuple(sides),
            workers=workers,
            endpoints=endpoints,
            network=mpesa.state.simulator,
            virtual=virtual,
            client=MortalClient(inner=client, plan=workers.plan),
        )
        client.close()
