from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from httpx import Response

from router import keys, metering
from router.clock import utc_now
from router.databases import Databases
from router.http.api import Api
from router.http.routes import build_routes
from router.ids import VendorId
from router.keys import Operation
from router.metering import Meter
from router.rate_limits import PER_MINUTE, RateLimits, Subject
from router.seeding import DUKA_LA_PILI, MAMA_DUKA
from router.seeds import development
from router.work import unit_of_work
from tests.router.api import open_shared_api
from tests.router.asgi import Client
from tests.router.test_stock import GAS, count

HEADERS = {"x-vendor-id": str(MAMA_DUKA), "x-internal-key": "dev-internal-secret"}
GAS_ID = str(development.MAMA_DUKA.id_of(GAS))
SOME_ID = "00000000-0000-4000-8000-000000000000"


def open_api(databases: Databases, now: datetime, limits: RateLimits | None = None) -> FastAPI:
    app = FastAPI()
    app.include_router(build_routes(Api(databases=databases, limits=limits or RateLimits(None), clock=lambda: now)))
    return app


@pytest.fixture
def client(databases: Databases, now: datetime) -> Client:
    return Client(open_shared_api(databases, now))


def get(client: Client, path: str, **headers: str) -> Response:
    return client.get(path, headers=HEADERS | headers)


def post(client: Client, path: str, body: object = None, key: str | None = None) -> Response:
    return client.post(
        path, headers=HEADERS | ({} if key is None else {"idempotency-key": key}), json={} if body is None else body
    )


def order(client: Client, phone: str = "254700000001", qty: int = 2) -> str:
    body = {"vendor_id": str(MAMA_DUKA), "customer_phone": phone, "lines": [{"item_id": GAS_ID, "qty": qty}]}
    return str(post(client, "/orders", body).json()["id"])


def free(client: Client) -> int:
    items = get(client, "/catalog").json()["items"]
    return int(next(item["free"] for item in items if item["sku"] == GAS))


def all_routes(client: Client) -> Iterator[tuple[str, str]]:
    """Walk what the OpenAPI says there is, with ids filled in."""
    for path, methods in client._app.openapi()["paths"].items():
        filled = path.replace("{month}", "2026-11").replace("{capability}", "commerce.orders").replace("{sku}", GAS)
        for name in ("order_id", "customer_id", "payment_id", "vendor_id"):
            filled = filled.replace(f"{{{name}}}", SOME_ID)
        for method in methods:
            yield method.upper(), filled


def test_an_order_goes_its_way(client: Client) -> None:
    order_id = order(client)
    lines = {"add": [{"item_id": GAS_ID, "qty": 1}]}
    assert post(client, f"/orders/{order_id}/lines", lines).json()["total"] == 3 * 1150
    confirmed = post(client, f"/orders/{order_id}/confirm")
    assert (confirmed.status_code, confirmed.json()["status"], free(client)) == (200, "CONFIRMED", 5)
    locked = post(client, f"/orders/{order_id}/lines", lines)
    assert (locked.status_code, locked.json()["type"]) == (409, "urn:soko:order_locked")
    assert post(client, f"/orders/{order_id}/confirm").status_code == 409
    assert post(client, f"/orders/{order_id}/cancel", {"reason": "closed"}).json()["status"] == "CANCELLED"
    assert free(client) == 8
    assert get(client, f"/orders/{order_id}").json()["status"] == "CANCELLED"


def test_a_repeated_write_gets_the_same_answer_and_does_nothing(client: Client) -> None:
    order_id = order(client)
    for path, body in (("lines", {"add": [{"item_id": GAS_ID, "qty": 1}]}), ("confirm", None), ("cancel", {"reason": "closed"})):
        first, again = (post(client, f"/orders/{order_id}/{path}", body, key=f"k-{path}") for _ in range(2))
        assert first.json() == again.json()
        assert (first.status_code, "idempotent-replayed" in first.headers) == (200, False)
        assert again.headers["idempotent-replayed"] == "true"
    assert (
        post(client, f"/orders/{order_id}/lines", {"add": []}, key="k-lines").json()["type"] == "urn:soko:idempotency_key_reused"
    )


def test_a_confirm_that_is_short_tells_it_and_can_be_repeated_under_the_same_key(
    client: Client, databases: Databases, vendor_id: VendorId
) -> None:
    order_id = order(client, qty=5)
    count(databases, vendor_id, GAS, 3)
    answer = post(client, f"/orders/{order_id}/confirm", key="k")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:soko:order_changed")
    assert "Gesi kujaza 6kg: fewer 5 -> 3" in answer.json()["detail"]
    assert get(client, f"/orders/{order_id}").json()["lines"][0]["qty"] == 3
    assert post(client, f"/orders/{order_id}/confirm", key="k").json()["status"] == "CONFIRMED"


def test_every_page_has_a_next_one_until_all_were_seen(client: Client) -> None:
    made = [order(client, f"25470000000{n}", qty=1) for n in range(5)]
    for path, wanted in (("/orders?status=DRAFT&", set(made)), ("/customers?", None), ("/catalog?", None)):
        seen: list[str] = []
        cursor = ""
        for _ in range(20):
            page = get(client, f"{path}limit=2{cursor}").json()
            assert len(page["items"]) <= 2
            seen += [each["id"] for each in page["items"]]
            if page["next"] is None:
                break
            cursor = f"&after={page['next']}"
        assert len(seen) == len(set(seen)) == (26 if path == "/catalog?" else 5)
        assert wanted in (None, set(seen))


BAD_QUERIES = ["limit=0", "limit=101", "limit=x", "after=x", "after=W10=", "after=WyJhIiwiYiJd", "after=" + "x" * 201]


@pytest.mark.parametrize("query", BAD_QUERIES)
def test_a_page_that_cannot_be_is_422(client: Client, query: str) -> None:
    answer = get(client, f"/orders?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, query.partition("=")[0])


@pytest.mark.parametrize(
    ("day", "status"),
    [("0", 422), ("1795132800", 422), ("2026-11-20T00:00", 422), ("2026-11-31", 422), ("0001-01-01", 200), ("9999-12-31", 200)],
)
def test_a_statement_is_of_a_day_of_the_calendar(client: Client, day: str, status: int) -> None:
    assert get(client, f"/payments/statement?day={day}").status_code == status


@pytest.mark.security(4)
def test_every_operation_needs_a_key_that_was_made_for_it(client: Client, databases: Databases) -> None:
    key = keys.create(
        databases, name="x", vendor_id=VendorId(MAMA_DUKA), operations=[Operation.WRITE_CATALOG], not_after=None, now=utc_now()
    )[1]
    walked = 0
    for method, path in all_routes(client):
        if path.startswith("/catalog/"):
            continue
        walked += 1
        assert client.send(method, path, headers={"x-vendor-id": str(MAMA_DUKA)}, json={}).status_code == 401
        refused = client.send(method, path, headers=HEADERS | {"x-internal-key": key}, json={})
        assert (path, refused.status_code) == (path, 403)
    assert walked >= 14


@pytest.mark.security(5)
def test_every_operation_of_a_vendor_needs_its_capability(client: Client, databases: Databases) -> None:
    with databases.platform(VendorId(MAMA_DUKA)) as conn:
        conn.execute("DELETE FROM vendor_capabilities")
    databases.cache.forget()
    bodies: dict[str, Any] = {
        "/orders": {"vendor_id": str(MAMA_DUKA), "customer_phone": "254700000001", "amount": 1},
        f"/catalog/{GAS}": {"sku": GAS, "name": "Gas", "price": 1},
    }
    for method, path in all_routes(client):
        if path.startswith(("/vendors", "/usage", "/events", "/webhooks")) or path.endswith("/everything") or method == "DELETE":
            continue  # an operator's, its own past, and what a customer may ask of every vendor
        answer = client.send(method, path, headers=HEADERS, json=bodies.get(path, {}))
        assert (path, answer.json()["type"]) == (path, "urn:soko:capability_off")


@pytest.mark.security(1)
def test_what_another_vendor_has_is_404(client: Client) -> None:
    order_id = order(client)
    customer_id = get(client, "/customers").json()["items"][0]["id"]
    other = {"x-vendor-id": str(DUKA_LA_PILI)}
    for path in (f"/orders/{order_id}", f"/customers/{customer_id}", f"/payments/{SOME_ID}"):
        assert get(client, path, **other).status_code == 404
    for path in ("/orders", "/customers", "/payments"):
        assert get(client, path, **other).json() == {"items": [], "next": None}
    assert client.post(f"/orders/{order_id}/cancel", headers=HEADERS | other, json={}).status_code == 404


def test_an_item_is_written_and_sold(client: Client) -> None:
    body = {"sku": "chai-50", "name": "Chai", "price": 45, "stock": 2, "aliases": ["chai"], "category": "Vinywaji"}
    outcomes = [client.send("PUT", "/catalog/chai-50", headers=HEADERS, json=body).json()["outcome"] for _ in range(2)]
    assert outcomes == ["added", "changed"]
    found = get(client, "/catalog?category=Vinywaji").json()["items"]
    assert [(item["sku"], item["free"], item["aliases"]) for item in found] == [("chai-50", 2, ["chai"])]
    wrong = client.send("PUT", "/catalog/chai-51", headers=HEADERS, json=body)
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "sku")


def test_usage_of_a_month_adds_up(client: Client, databases: Databases, now: datetime) -> None:
    with unit_of_work(databases, VendorId(MAMA_DUKA)) as work:
        metering.record(work, meter=Meter.PAYMENT, key="one", quantity=3, now=now)
    told = get(client, f"/usage/{now + timedelta(hours=3):%Y-%m}").json()
    assert [(line["meter"], line["quantity"]) for line in told["lines"]] == [("payment", 3)]
    assert get(client, "/usage/2026-99").status_code == 422


def test_an_administrator_switches_a_capability(client: Client) -> None:
    path = f"/vendors/{MAMA_DUKA}/capabilities"
    assert client.send("PUT", f"{path}/commerce.orders", headers=HEADERS, json={"enabled": False}).status_code == 200
    assert get(client, "/orders").status_code == 403
    assert ("commerce.orders", False) in [(item["capability_key"], item["enabled"]) for item in get(client, path).json()["items"]]
    assert [vendor["id"] for vendor in get(client, "/vendors").json()["items"]].count(str(MAMA_DUKA)) == 1
    assert get(client, f"/vendors/{uuid4()}/capabilities").status_code == 404


@pytest.mark.security(30)
def test_who_calls_too_often_waits_and_others_do_not(databases: Databases, now: datetime, redis_url: str) -> None:
    few = {**PER_MINUTE, Subject.CUSTOMER: 3}
    processes = [Client(open_api(databases, now, RateLimits(redis_url, few))) for _ in range(4)]
    body = {"vendor_id": str(MAMA_DUKA), "customer_phone": "254700000001", "amount": 30}
    answers = [post(processes[n], "/orders", body) for n in range(4)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
    assert answers[3].json()["type"] == "urn:soko:too_many_requests"
    assert 1 <= int(answers[3].headers["retry-after"]) <= 120
    assert post(processes[0], "/orders", body | {"customer_phone": "254700000002"}).status_code == 201


@pytest.mark.parametrize("subject", [Subject.KEY, Subject.VENDOR])
def test_keys_and_vendors_have_a_limit_each(databases: Databases, now: datetime, subject: Subject) -> None:
    client = Client(open_api(databases, now, RateLimits(None, {**PER_MINUTE, subject: 2})))
    assert [get(client, "/orders").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.security(29)
def test_without_redis_a_process_lets_its_share_through(databases: Databases, now: datetime) -> None:
    limits = RateLimits("redis://127.0.0.1:1/0", {**PER_MINUTE, Subject.KEY: 8})
    client = Client(open_api(databases, now, limits))
    assert [get(client, "/orders").status_code for _ in range(3)] == [200, 200, 429]


def test_no_answer_is_a_bare_list(client: Client) -> None:
    for path, methods in client._app.openapi()["paths"].items():
        for method, told in methods.items():
            answer = told["responses"].get("200", {}).get("content", {}).get("application/json", {}).get("schema", {})
            assert answer.get("type") != "array", (method, path)
