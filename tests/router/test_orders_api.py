from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from httpx import Response

from router.databases import Databases
from router.http.api import Api
from router.http.routes import build_routes
from router.ids import VendorId
from router.keys import hash_key
from router.rate_limits import RateLimits
from router.seeding import DUKA_LA_PILI, MAMA_DUKA
from router.seeds import development
from tests.operator import operating
from tests.router.api import open_shared_api
from tests.router.asgi import Client

HEADERS = {"x-vendor-id": str(MAMA_DUKA), "x-internal-key": "dev-internal-secret"}
BODY: dict[str, Any] = {"vendor_id": str(MAMA_DUKA), "customer_phone": "254703283383", "amount": 30}
UNGA = str(development.MAMA_DUKA.id_of("unga-2kg"))


@pytest.fixture
def client(databases: Databases, now: datetime) -> Client:
    return Client(open_shared_api(databases, now))


def post(client: Client, body: object = None, **headers: str) -> Response:
    sent = {**HEADERS, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return client.post("/orders", json=BODY if body is None else body, headers=sent)


def fields(answer: Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return [error["field"] for error in answer.json()["errors"]]


def execute(databases: Databases, statement: LiteralString, *values: object) -> None:
    with operating(databases) as conn:
        conn.execute(statement, values)
    databases.cache.forget()


def test_the_curl_of_the_old_system_makes_an_order(client: Client, now: datetime) -> None:
    answer = post(client)
    assert answer.status_code == 201
    order = answer.json()
    assert answer.headers["location"] == f"/orders/{order['id']}"
    customer_id = UUID(order.pop("customer_id"))
    assert order == {
        "id": order["id"],
        "vendor_id": str(MAMA_DUKA),
        "number": "S0001",
        "status": "DRAFT",
        "source": "api",
        "lines": [{"item_id": None, "name": "Order", "unit": "", "qty": 1, "price": 30, "total": 30}],
        "total": 30,
        "currency": "KES",
        "receipt": None,
        "created_at": now.isoformat().replace("+00:00", "Z"),
        "confirmed_at": None,
        "paid_at": None,
    }
    assert client.get(f"/orders/{order['id']}", headers=HEADERS).json() == {**order, "customer_id": str(customer_id)}


def test_posting_twice_makes_two_orders_of_one_customer(client: Client) -> None:
    first, second = post(client).json(), post(client, BODY | {"customer_phone": "0703 283 383"}).json()
    assert first["id"] != second["id"]
    assert (second["number"], second["customer_id"]) == ("S0002", first["customer_id"])


def test_lines_are_priced_from_the_catalogue(client: Client) -> None:
    body = {key: BODY[key] for key in ("vendor_id", "customer_phone")} | {"lines": [{"item_id": UNGA, "qty": 2}]}
    order = post(client, body).json()
    assert order["total"] == 430
    assert order["lines"] == [
        {"item_id": UNGA, "name": "Unga wa mahindi 2kg", "unit": "2kg", "qty": 2, "price": 215, "total": 430},
    ]


def test_the_same_key_and_body_give_the_same_order(client: Client) -> None:
    first = post(client, Idempotency_Key="k-1")
    again = post(client, BODY | {"customer_phone": "+254703283383"}, Idempotency_Key="k-1")
    assert (again.status_code, again.json()) == (201, first.json())
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert post(client, Idempotency_Key="k-2").json()["id"] != first.json()["id"]


def test_the_same_key_with_another_body_is_a_conflict(client: Client) -> None:
    post(client, Idempotency_Key="k-1")
    answer = post(client, BODY | {"amount": 31}, Idempotency_Key="k-1")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:soko:idempotency_key_reused")


def test_the_same_key_of_another_vendor_is_another_order(client: Client) -> None:
    first = post(client, Idempotency_Key="k-1").json()
    other = post(client, BODY | {"vendor_id": str(DUKA_LA_PILI)}, Idempotency_Key="k-1", x_vendor_id=str(DUKA_LA_PILI))
    assert other.status_code == 201
    assert other.json()["id"] != first["id"]


@pytest.mark.security(3)
@pytest.mark.parametrize("key", ["", "wrong", "dev-internal-secre", "dev-internal-secret ", "ÿ"])
def test_a_wrong_key_is_401(client: Client, key: str) -> None:
    answer = client.post("/orders", json=BODY, headers={"x-vendor-id": str(MAMA_DUKA), "x-internal-key": key.encode()})
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:soko:key_unknown")


@pytest.mark.security(3)
def test_a_missing_key_is_401_even_when_the_body_is_wrong(client: Client) -> None:
    assert client.post("/orders", json={}, headers={"x-vendor-id": str(MAMA_DUKA)}).status_code == 401


@pytest.mark.security(3)
@pytest.mark.parametrize("column", ["revoked_at", "not_after"])
def test_a_key_that_ended_is_401(client: Client, databases: Databases, column: LiteralString) -> None:
    execute(databases, f"UPDATE internal_keys SET {column} = now() - interval '1 second'")
    assert post(client).status_code == 401


def test_a_key_speaks_for_its_own_vendor_only(client: Client, databases: Databases) -> None:
    statement = "INSERT INTO internal_keys (name, key_sha256, vendor_id) VALUES ('one', %s, %s)"
    execute(databases, statement, hash_key("one-vendor"), DUKA_LA_PILI)
    assert post(client, x_internal_key="one-vendor").status_code == 403
    body = BODY | {"vendor_id": str(DUKA_LA_PILI)}
    assert post(client, body, x_internal_key="one-vendor", x_vendor_id=str(DUKA_LA_PILI)).status_code == 201


@pytest.mark.security(2)
def test_a_body_for_another_vendor_than_the_header_is_403(client: Client) -> None:
    answer = post(client, BODY | {"vendor_id": str(DUKA_LA_PILI)})
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:soko:vendor_mismatch")


@pytest.mark.parametrize("statement", ["UPDATE vendor_capabilities SET enabled = false", "DELETE FROM vendor_capabilities"])
def test_without_the_capability_it_is_403(client: Client, databases: Databases, statement: LiteralString) -> None:
    order_id = post(client).json()["id"]
    execute(databases, statement + " WHERE capability_key = 'commerce.orders'")
    assert post(client).status_code == 403
    assert client.get(f"/orders/{order_id}", headers=HEADERS).status_code == 403


def test_an_unknown_vendor_is_404(client: Client) -> None:
    stranger = str(uuid4())
    answer = post(client, BODY | {"vendor_id": stranger}, x_vendor_id=stranger)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:soko:unknown_vendor")


@pytest.mark.parametrize("vendor", ["", "mama-duka", "c7af4716"])
def test_a_vendor_header_that_is_no_id_is_422(client: Client, vendor: str) -> None:
    assert fields(post(client, x_vendor_id=vendor)) == ["x-vendor-id"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": 250_001}, "amount"),
        ({"amount": 30.0}, "amount"),
        ({"amount": "30"}, "amount"),
        ({"amount": True}, "amount"),
        ({"customer_phone": "12345"}, "customer_phone"),
        ({"customer_phone": "0203283383"}, "customer_phone"),
        ({"customer_phone": "+14155552671"}, "customer_phone"),
        ({"customer_phone": 254703283383}, "customer_phone"),
        ({"customer_phone": "0" * 99}, "customer_phone"),
        ({"vendor_id": "x"}, "vendor_id"),
        ({"colour": "red"}, "colour"),
        ({"amount": None}, "body"),
        ({"lines": [{"item_id": UNGA, "qty": 1}]}, "body"),
        ({"amount": None, "lines": []}, "body"),
        ({"amount": None, "lines": [{"item_id": UNGA, "qty": 0}]}, "lines.0.qty"),
        ({"amount": None, "lines": [{"item_id": UNGA, "qty": 1000}]}, "lines.0.qty"),
        ({"amount": None, "lines": [{"item_id": "unga", "qty": 1}]}, "lines.0.item_id"),
        ({"amount": None, "lines": [{"item_id": UNGA, "qty": 1, "price": 1}]}, "lines.0.price"),
    ],
)
def test_a_bad_field_is_named(client: Client, change: dict[str, Any], field: str) -> None:
    assert fields(post(client, BODY | change)) == [field]


@pytest.mark.parametrize("missing", ["vendor_id", "customer_phone"])
def test_a_missing_field_is_named(client: Client, missing: str) -> None:
    assert fields(post(client, {key: value for key, value in BODY.items() if key != missing})) == [missing]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe\x00", b'{"vendor_id": "\xff"}', b"[" * 100_000])
def test_a_body_that_is_no_object_is_422(client: Client, body: bytes) -> None:
    assert fields(client.post("/orders", content=body, headers=HEADERS | {"content-type": "application/json"})) == ["body"]


def test_without_a_key_nobody_looks_at_the_body(client: Client) -> None:
    answer = client.post(
        "/orders", content=b"\xff", headers={"x-vendor-id": str(BODY["vendor_id"]), "content-type": "application/json"}
    )
    assert answer.status_code == 401


def test_a_key_that_cannot_be_one_is_422(client: Client) -> None:
    assert fields(post(client, Idempotency_Key="x" * 256)) == ["idempotency-key"]
    assert fields(post(client, Idempotency_Key="a b")) == ["idempotency-key"]


def test_an_item_nobody_sells_and_too_many_of_one_are_told_apart(client: Client) -> None:
    body = {key: BODY[key] for key in ("vendor_id", "customer_phone")}
    assert post(client, body | {"lines": [{"item_id": str(uuid4()), "qty": 1}]}).json()["type"] == "urn:soko:unknown_item"
    answer = post(client, body | {"lines": [{"item_id": UNGA, "qty": 500}]})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:soko:out_of_stock")


@pytest.mark.parametrize("written", ["0703283383", "+254703283383", "254703283383", "+254 703 283-383", "0703 283 383"])
def test_a_phone_is_stored_as_twelve_digits(client: Client, databases: Databases, written: str) -> None:
    assert post(client, BODY | {"customer_phone": written}).status_code == 201
    with databases.ops(VendorId(MAMA_DUKA)) as conn:
        assert conn.execute("SELECT phone FROM customers").fetchall() == [{"phone": "254703283383"}]


@pytest.mark.security(1)
def test_an_order_of_another_vendor_is_404(client: Client) -> None:
    order_id = post(client).json()["id"]
    other = HEADERS | {"x-vendor-id": str(DUKA_LA_PILI)}
    assert client.get(f"/orders/{order_id}", headers=other).status_code == 404
    assert client.get(f"/orders/{uuid4()}", headers=HEADERS).status_code == 404
    assert fields(client.get("/orders/7", headers=HEADERS)) == ["order_id"]


@pytest.mark.security(24)
def test_a_database_that_is_away_is_503(now: datetime) -> None:
    away = "postgresql://postgres@127.0.0.1:1/none"
    databases = Databases(platform_url=away, ops_url=away, resolve_secret=str)
    app = FastAPI()
    app.include_router(build_routes(Api(databases=databases, limits=RateLimits(None), clock=lambda: now)))
    answer = post(Client(app))
    databases.close()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "127.0.0.1" not in answer.text
