"""Requests and statements as somebody would write them who means harm."""

import ast
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
import structlog

from router.databases import Databases
from router.http.problems import LARGEST_BODY
from router.seeding import MAMA_DUKA
from soko.embedded import Urls
from tests.numbered import ROOT
from tests.router.api import open_shared_api
from tests.router.asgi import Client
from tests.servers import scratch_database

HEADERS = {"x-vendor-id": str(MAMA_DUKA), "x-internal-key": "dev-internal-secret"}
HOSTILE = "x' OR 1=1; DROP TABLE orders; -- %s {} \\ \" $1"
# What statements are put together from that are, and why it is no value of anybody's.
OUR_OWN = {
    "router/databases.py": "a number and a UUID, each made anew from an integer",
    "router/persons.py": "words of the file itself: mypy holds each to LiteralString",
    "router/usage/daily.py": "the names of our tables",
    "soko/engines.py": "the names of our databases",
}
KEYWORD = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM)\b")


@pytest.fixture
def client(databases: Databases, now: datetime) -> Client:
    return Client(open_shared_api(databases, now))


@pytest.mark.security(18)
def test_sql_in_a_text_is_a_text(client: Client) -> None:
    item = {"sku": "tea", "price": 45} | dict.fromkeys(("name", "category"), HOSTILE[:24]) | {"unit": HOSTILE[:12]}
    item |= {"aliases": [HOSTILE]}
    assert client.send("PUT", "/catalog/tea", headers=HEADERS, json=item).status_code == 200
    found = client.get("/catalog?limit=100", HEADERS).json()["items"]
    [kept] = [each for each in found if each["sku"] == "tea"]
    assert {name: kept[name] for name in ("name", "unit", "category", "aliases")} == {
        name: item[name] for name in ("name", "unit", "category", "aliases")
    }
    body = {"vendor_id": str(MAMA_DUKA), "customer_phone": "254700000001", "amount": 30}
    order = client.post("/orders", HEADERS | {"idempotency-key": "'OR/**/1=1;--"}, json=body).json()
    assert client.post(f"/orders/{order['id']}/cancel", HEADERS, json={"reason": HOSTILE}).status_code == 200
    refused = [
        client.post("/orders", HEADERS, json=body | {"customer_phone": "0' OR 1=1"}),
        *(client.get(path, HEADERS) for path in ("/orders?status=' OR 1=1", "/customers?phone=' OR 1=1", "/orders/' OR 1=1")),
        client.get("/orders", HEADERS | {"x-vendor-id": "' OR 1=1"}),
    ]
    assert [answer.status_code for answer in refused] == [422] * len(refused)
    assert client.get("/catalog?category=' OR 1=1", HEADERS).json()["items"] == []
    assert client.get("/orders", HEADERS | {"x-internal-key": "' OR 1=1 --"}).status_code == 401


def composed(source: str) -> Iterator[str]:
    """Name the statements that are put together from anything but constants."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            fixed = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            put_in = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
            constant = all(isinstance(each, ast.Name) and each.id.isupper() for each in put_in)
            if KEYWORD.search(fixed) and not constant:
                yield f"{node.lineno}: {fixed[:60]}"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
            left = node.left
            if isinstance(left, ast.Constant) and isinstance(left.value, str) and KEYWORD.search(left.value):
                yield f"{node.lineno}: {left.value[:60]}"


@pytest.mark.security(18)
def test_no_statement_is_put_together_from_values() -> None:
    files = [path for part in ("router", "payments", "conversation", "worker", "soko") for path in (ROOT / part).rglob("*.py")]
    found = {str(path.relative_to(ROOT)): list(composed(path.read_text())) for path in files}
    assert {file: each for file, each in found.items() if each and file not in OUR_OWN} == {}
    assert list(composed("f\"SELECT 1 FROM orders WHERE name = '{name}'\""))
    assert list(composed('"DELETE FROM orders WHERE id = " + order_id'))


@pytest.mark.security(19)
def test_no_body_takes_a_field_that_nobody_knows(client: Client) -> None:
    told = client._app.openapi()
    bodies = [
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for methods in told["paths"].values()
        for operation in methods.values()
        if "requestBody" in operation
    ]
    assert len(bodies) >= 5
    shapes: dict[str, Any] = told["components"]["schemas"]
    assert [name for name in [*bodies, "LineIn"] if shapes[name].get("additionalProperties") is not False] == []


@pytest.mark.security(20)
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"reason": "' + b"x" * LARGEST_BODY + b'"}', 413),
        (b"[" * 200 + b"]" * 200, 422),
        (b'{"add": ' * 200 + b"[]" + b"}" * 200, 422),
    ],
)
def test_a_body_too_large_or_too_deep_is_refused(client: Client, body: bytes, status: int) -> None:
    path = "/orders/00000000-0000-4000-8000-000000000000/cancel"
    answer = client.post(path, HEADERS | {"content-type": "application/json"}, content=body)
    assert (answer.status_code, answer.json()["status"]) == (status, status)


@pytest.mark.security(24)
def test_our_own_bug_is_told_in_the_log_alone(servers: Urls, database_urls: dict[str, str], now: datetime) -> None:
    with scratch_database(servers.ops) as empty:  # without tables: a statement that cannot be
        databases = Databases(platform_url=database_urls["platform"], ops_url=empty, resolve_secret=str)
        with structlog.testing.capture_logs() as logged:
            answer = Client(open_shared_api(databases, now)).get("/orders", HEADERS)
        databases.close()
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:soko:broken")
    assert not re.search(r"soko_scratch|SELECT|Traceback|router/|relation", answer.text)
    assert [line["event"] for line in logged] == ["request_failed"]
    assert "departed_vendors" in repr(logged[0]["exc_info"])
