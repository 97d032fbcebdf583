import json
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from httpx import Response

from router import capabilities, metering
from router.clock import utc_now
from router.databases import Databases
from router.errors import Refused
from router.ids import VendorId
from router.metering import Meter
from router.seeding import MAMA_DUKA
from router.work import unit_of_work
from tests.operator import operating
from tests.router.api import open_shared_api
from tests.router.asgi import Client

HEADERS = {"x-vendor-id": str(MAMA_DUKA), "x-internal-key": "dev-internal-secret"}
TARGET = {"type": "postgres", "host": "db7", "database": "acme", "user": "acme", "passwordSecretRef": "env:ACME"}


@pytest.fixture
def client(databases: Databases, now: datetime) -> Client:
    return Client(open_shared_api(databases, now))


def send(client: Client, method: str, path: str, body: object = None) -> Response:
    return client.send(method, path, headers=HEADERS, json=body)


def grant(client: Client, key: str, **what: object) -> Response:
    return send(client, "PUT", f"/vendors/{MAMA_DUKA}/capabilities/{key}", {"enabled": True, **what})


def test_a_vendor_is_made_once_read_and_changed(client: Client, databases: Databases) -> None:
    body = {"id": str(uuid4()), "name": "Duka la Amani", "language": "sw"}
    made, again = (send(client, "POST", "/vendors", body) for _ in range(2))
    assert (made.status_code, again.status_code, again.headers["idempotent-replayed"]) == (201, 201, "true")
    assert made.headers["location"] == f"/vendors/{body['id']}"
    assert made.json() == again.json() == send(client, "GET", made.headers["location"]).json()
    other = send(client, "POST", "/vendors", body | {"name": "Duka"})
    assert (other.status_code, other.json()["type"]) == (409, "urn:soko:vendor_differs")
    changed = send(client, "PATCH", f"/vendors/{body['id']}", {"name": "Duka jipya"}).json()
    assert (changed["name"], changed["language"], changed["alert_phone"]) == ("Duka jipya", "sw", None)
    for phone, becomes in (("0722 000 001", "254722000001"), (None, None)):
        changed = send(client, "PATCH", f"/vendors/{body['id']}", {"alert_phone": phone}).json()
        assert (changed["name"], changed["alert_phone"]) == ("Duka jipya", becomes)
        kept = send(client, "PATCH", f"/vendors/{body['id']}", {"language": "sw"}).json()
        assert kept["alert_phone"] == becomes, "what is not given stays"
    wrong = send(client, "PATCH", f"/vendors/{body['id']}", {"alert_phone": "12"})
    assert (wrong.status_code, "write 0712345678" in wrong.text) == (422, True)
    assert send(client, "GET", f"/vendors/{body['id']}/capabilities").json() == {"items": []}, "nothing is allowed by default"
    for method in ("GET", "PATCH"):
        assert send(client, method, f"/vendors/{uuid4()}", {}).status_code == 404
    own = send(client, "POST", "/vendors", {"name": "ACME", "isolation_level": "dedicated_db", "db_target": TARGET})
    with operating(databases) as conn:
        row = conn.execute("SELECT isolation_level, db_target FROM vendors WHERE id = %s", (own.json()["id"],)).fetchone()
    assert row == {"isolation_level": "dedicated_db", "db_target": {**TARGET, "port": 5432}}
    assert "db7" not in own.text
    assert "ACME" in json.dumps(own.json())


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x", "language": "English"}, "language"),
        ({"name": "x", "db_target": TARGET}, "body"),
        ({"name": "x", "isolation_level": "dedicated_db"}, "body"),
        ({"name": "x", "isolation_level": "dedicated_db", "db_target": {**TARGET, "password": "x"}}, "db_target.password"),
    ],
)
def test_a_vendor_that_cannot_be_is_422(client: Client, body: object, field: str) -> None:
    answer = send(client, "POST", "/vendors", body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_a_grant_holds_within_its_time_and_its_denials_are_counted(client: Client) -> None:
    now = utc_now()
    for bounds, status in (
        ({"valid_from": (now - timedelta(days=1)).isoformat(), "valid_until": (now + timedelta(days=1)).isoformat()}, 200),
        ({"valid_from": (now + timedelta(days=1)).isoformat()}, 403),
        ({"valid_until": (now - timedelta(seconds=1)).isoformat()}, 403),
        ({"enabled": False}, 403),
        ({}, 200),
    ):
        assert grant(client, "commerce.orders", **bounds).status_code == 200
        assert (bounds, send(client, "GET", "/orders").status_code) == (bounds, status)
    told = {each["capability_key"]: each for each in send(client, "GET", f"/vendors/{MAMA_DUKA}/capabilities").json()["items"]}
    assert told["commerce.orders"]["denied"] == 3
    assert told["commerce.catalog"]["denied"] == 0
    backwards = grant(client, "commerce.orders", valid_from=now.isoformat(), valid_until=now.isoformat())
    assert backwards.status_code == 422


def test_a_grant_is_used_up_for_a_day(client: Client, databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    assert grant(client, "commerce.catalog", most_a_day=2).json()["errors"][0]["field"] == "most_a_day"
    body = {"vendor_id": str(MAMA_DUKA), "customer_phone": "254700000001", "amount": 30}
    ids = [send(client, "POST", "/orders", body).json()["id"] for _ in range(3)]
    assert grant(client, "commerce.orders", most_a_day=2).json()["most_a_day"] == 2
    answers = [send(client, "POST", f"/orders/{order_id}/confirm", {}) for order_id in ids]
    assert [answer.status_code for answer in answers] == [200, 200, 403]
    assert answers[2].json()["type"] == "urn:soko:capability_used_up"
    assert send(client, "POST", f"/orders/{ids[0]}/cancel", {}).status_code == 200, "what is confirmed may be given back"
    grant(client, "payments.mpesa_stk", most_a_day=1)
    with unit_of_work(databases, vendor_id) as work:
        metering.record(work, meter=Meter.STK_PUSH, key="yesterday", now=now - timedelta(days=1))
        capabilities.require_room(work, capabilities.MPESA_STK, now=now)
        metering.record(work, meter=Meter.STK_PUSH, key="today", now=now)
        with pytest.raises(Refused, match="1 times a day"):
            capabilities.require_room(work, capabilities.MPESA_STK, now=now)
