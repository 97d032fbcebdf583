import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from payments.c2b_webhook import build_routes as build_c2b_routes
from payments.callback_urls import BANNED_WORDS
from payments.peers import Lock, Peers
from payments.spool import Kept, Spool
from payments.webhook import MOST_BYTES, build_routes, store_callback
from router.databases import Databases
from router.payment_intents import attempts, reports, store
from router.payment_intents.store import Intent
from router.wakeups import Job, Wakeups, connect, pending_flag
from router.work import unit_of_work
from soko.simulators.serving import running
from soko.web import store_kept
from tests.operator import operating
from tests.payments.bodies import c2b, success
from tests.payments.conftest import Quiet
from tests.payments.shop import Shop

TOKEN = "abcdefghijklmnopqrstuvwxyz234567"
OTHER = "bbcdefghijklmnopqrstuvwxyz234567"


@pytest.fixture
def intent(shop: Shop) -> Intent:
    """Give an intent whose callback token is TOKEN."""
    intent = shop.consented()
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        digest = sha256(TOKEN.encode()).digest()
        locked = store.lock(work, intent.id)
        attempts.dispatch(work, locked, token_sha256=digest, terms={}, look_again_at=shop.clock(), now=shop.clock())
    return shop.intent(intent.id)


@pytest.fixture
def web(shop: Shop, redis_url: str) -> Iterator[httpx.Client]:
    with make_client(shop.databases, redis_url) as client:
        yield client


@contextmanager
def make_client(
    databases: Databases, redis_url: str, build: Callable[..., APIRouter] = build_routes, **options: Any
) -> Iterator[httpx.Client]:
    app = FastAPI()
    app.state.simulator = Quiet()
    noon = datetime(2026, 1, 1, 9, tzinfo=UTC)
    app.include_router(build(databases, Wakeups(connect(redis_url)), clock=lambda: noon, **options))
    with running(app) as url, httpx.Client(base_url=url, trust_env=False, verify=False) as client:
        yield client


def path(shop: Shop, token: str = TOKEN) -> str:
    return f"/hooks/pay/{shop.vendor_id}/{token}"


def test_a_callback_is_stored_as_it_came_answered_and_the_worker_woken(
    shop: Shop, web: httpx.Client, intent: Intent, redis_url: str
) -> None:
    body = "  " + success(intent) + "\n"
    answer = web.post(path(shop), content=body, headers={"Content-Type": "application/json;charset=UTF-8"})
    assert (answer.status_code, answer.json()) == (200, {"ResultCode": 0, "ResultDesc": "Accepted"})
    (row,) = shop.rows("SELECT * FROM callbacks")
    assert (row["intent_id"], row["body"], row["seen_count"], row["handled_at"]) == (intent.id, body, 1, None)
    assert connect(redis_url).exists(pending_flag(Job.SETTLE, shop.vendor_id))
    assert shop.states(intent.id)[0] == "processing"
    shop.clock.advance(minutes=2)
    assert shop.sweep() == 1  # the answer to the push never came, so the ids come from the callback
    assert shop.settle()
    assert shop.confirm() == 1
    assert shop.states(intent.id)[0] == "paid"


@pytest.mark.case(25)
def test_the_same_callback_twenty_times_at_once_is_one_row(shop: Shop, web: httpx.Client, intent: Intent) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: web.post(path(shop), content=success(intent)).status_code, range(20)))
    assert answers == [200] * 20
    assert [row["seen_count"] for row in shop.rows("SELECT seen_count FROM callbacks")] == [20]


@pytest.mark.case(38)
def test_a_forged_token_gets_404_and_leaves_no_trace(shop: Shop, web: httpx.Client, intent: Intent) -> None:
    forged = [
        path(shop, OTHER),
        path(shop, "x"),
        f"/hooks/pay/{uuid4()}/{TOKEN}",
        f"/hooks/pay/nobody/{TOKEN}",
        path(shop, "%00"),
    ]
    answers = [web.post(each, content=success(intent)) for each in forged]
    assert [each.status_code for each in answers] == [404] * len(forged)
    assert len({each.text for each in answers}) == 1
    assert shop.rows("SELECT id FROM callbacks") == []


def test_the_token_of_one_vendor_opens_nothing_at_another(shop: Shop, web: httpx.Client, intent: Intent) -> None:
    with operating(shop.databases) as conn:
        (other,) = conn.execute("SELECT id FROM vendors WHERE id <> %s", (shop.vendor_id,)).fetchall()
    assert web.post(f"/hooks/pay/{other['id']}/{TOKEN}", content=success(intent)).status_code == 404


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"<html>", 400),
        (b"\xff", 400),
        (b"{", 400),
        (b"[" * 10_000, 400),
        (b" " * (MOST_BYTES + 1), 413),
        (b" " * 1_000_000, 413),
        (b'"' + b"a" * (MOST_BYTES - 2) + b'"', 200),
    ],
)
@pytest.mark.case(44)
def test_a_body_that_is_no_json_or_too_long_is_refused_cheaply(
    shop: Shop, web: httpx.Client, intent: Intent, content: bytes, status: int
) -> None:
    assert intent.id
    assert web.post(path(shop), content=content).status_code == status
    assert len(shop.rows("SELECT id FROM callbacks")) == (status == 200)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("text/xml", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/json;charset=UTF-8", 200),
        ("application/json", 200),
    ],
)
@pytest.mark.case(44)
def test_a_body_that_says_to_be_no_json_is_refused(shop: Shop, web: httpx.Client, intent: Intent, said: str, status: int) -> None:
    assert web.post(path(shop), content=success(intent), headers={"content-type": said}).status_code == status
    assert len(shop.rows("SELECT id FROM callbacks")) == (status == 200)


@pytest.mark.case(44)
def test_only_a_post_is_a_callback(shop: Shop, web: httpx.Client, intent: Intent) -> None:
    assert intent.id
    assert [web.request(method, path(shop)).status_code for method in ("GET", "PUT", "DELETE")] == [405] * 3


def test_while_the_database_is_away_daraja_is_asked_to_come_again(
    shop: Shop, database_urls: dict[str, str], intent: Intent, redis_url: str
) -> None:
    away = Databases(platform_url=database_urls["platform"], ops_url="postgresql://127.0.0.1:9/nowhere", resolve_secret=str)
    with make_client(away, redis_url) as client:
        answer = client.post(path(shop), content=success(intent))
    away.close()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"


@pytest.mark.security(29)
@pytest.mark.case(46)
def test_without_redis_a_callback_is_stored_all_the_same(shop: Shop, intent: Intent) -> None:
    with make_client(shop.databases, "redis://127.0.0.1:9/0") as client:
        assert client.post(path(shop), content=success(intent)).status_code == 200
    assert len(shop.rows("SELECT id FROM callbacks")) == 1


def test_the_path_has_no_word_that_safaricom_bans() -> None:
    template = "/hooks/pay/"
    assert not any(word in template for word in BANNED_WORDS)
    assert json.loads(json.dumps(sorted(BANNED_WORDS))) == sorted(
        ["mpesa", "m-pesa", "safaricom", "exe", "exec", "cmd", "sql", "query"]
    )


def test_case_45_a_callback_is_spooled_while_the_database_is_away_and_replayed(
    shop: Shop, database_urls: dict[str, str], intent: Intent, redis_url: str, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "callbacks")
    away = Databases(platform_url=database_urls["platform"], ops_url="postgresql://127.0.0.1:9/nowhere", resolve_secret=str)
    with make_client(away, redis_url, spool=spool) as client:
        answers = [client.post(path(shop, token), content=success(intent)) for token in (TOKEN, TOKEN, OTHER)]
        assert [(each.status_code, each.json()["ResultCode"]) for each in answers] == [(200, 0)] * 3
    assert spool.replay(lambda kept: store_callback(away, kept)) == 0
    away.close()
    files = list((tmp_path / "callbacks").iterdir())
    assert len(files) == 3
    assert not any(TOKEN in file.read_text() or file.stat().st_mode & 0o077 for file in files)
    assert spool.replay(lambda kept: store_callback(shop.databases, kept)) == 3
    assert [(row["body"], row["seen_count"]) for row in shop.rows("SELECT body, seen_count FROM callbacks")] == [
        (success(intent), 2)
    ]
    assert list((tmp_path / "callbacks").iterdir()) == []
    assert spool.replay(lambda kept: store_callback(shop.databases, kept)) == 0


def test_a_full_spool_and_an_unreadable_file_are_told(tmp_path: Path) -> None:
    spool, kept = Spool(tmp_path, most_files=1), Kept(vendor_id=uuid4(), token_sha256="00", body="{}", peer=None)
    assert [spool.keep(kept), spool.keep(kept)] == [True, False]
    assert not Spool(Path("/proc/nowhere")).keep(kept)
    (tmp_path / "broken.callback").write_text("{")
    assert spool.replay(lambda each: each == kept) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["broken.unreadable"]


def test_case_43_an_address_that_is_not_listed_is_refused_and_hides_nothing(shop: Shop, intent: Intent, redis_url: str) -> None:
    strangers = Peers(lock=Lock.ENFORCE, listed=(ip_network("196.201.214.200"),))
    with make_client(shop.databases, redis_url, peers=strangers) as client:
        spoofed = client.post(path(shop), content=success(intent), headers={"X-Forwarded-For": "196.201.214.200"})
        assert spoofed.status_code == 403
        assert client.post(path(shop, OTHER), content=success(intent)).status_code == 404
    assert shop.rows("SELECT id FROM callbacks") == []
    (told,) = shop.rows("SELECT data FROM payment_events WHERE event = 'ip_refused'")
    assert told["data"] == {"peer": "127.0.0.1", "body": success(intent)}
    behind = Peers(lock=Lock.ENFORCE, listed=(ip_network("196.201.214.200"),), proxies=(ip_network("127.0.0.0/8"),))
    with make_client(shop.databases, redis_url, peers=behind) as client:
        hops = {"X-Forwarded-For": "10.9.9.9, 196.201.214.200"}
        assert client.post(path(shop), content=success(intent), headers=hops).status_code == 200
        spoofed = client.post(path(shop), content=success(intent), headers={"X-Forwarded-For": "196.201.214.200, 10.9.9.9"})
        assert spoofed.status_code == 403
    assert [row["peer"] for row in shop.rows("SELECT peer FROM callbacks")] == ["196.201.214.200"]


def test_an_address_that_is_not_listed_is_only_logged_by_default(shop: Shop, intent: Intent, redis_url: str) -> None:
    peers = Peers(lock=Lock.LOG, listed=(ip_network("196.201.214.200"),))
    with make_client(shop.databases, redis_url, peers=peers) as client:
        assert client.post(path(shop), content=success(intent)).status_code == 200
    assert len(shop.rows("SELECT id FROM callbacks")) == 1


# payments by hand


@pytest.fixture
def c2b_web(shop: Shop, redis_url: str, tmp_path: Path) -> Iterator[httpx.Client]:
    """Give the endpoints of a shortcode whose token is TOKEN."""
    shortcode_id = shop.shortcode_id()
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        reports.add_address(work, shortcode_id, token_sha256=sha256(TOKEN.encode()).digest(), now=shop.clock())
    listed = Peers(lock=Lock.ENFORCE, listed=(ip_network("196.201.214.200"),), proxies=(ip_network("127.0.0.1"),))
    with make_client(shop.databases, redis_url, build=build_c2b_routes, spool=Spool(tmp_path / "spool"), peers=listed) as client:
        client.headers["X-Forwarded-For"] = "196.201.214.200"
        yield client


def test_a_report_of_money_is_stored_as_it_came_counted_and_answered(shop: Shop, c2b_web: httpx.Client) -> None:
    shop.order()
    paid, asked = (f"/hooks/c2b/{shop.vendor_id}/{TOKEN}/{what}" for what in ("paid", "check"))
    assert c2b_web.post(asked, content=c2b("s0001")).json() == {"ResultCode": "0", "ResultDesc": "Accepted"}
    assert c2b_web.post(asked, content=c2b("S0002")).json() == {"ResultCode": "C2B00012", "ResultDesc": "Rejected"}
    for _ in range(3):
        answer = c2b_web.post(paid, content=c2b("s0001"))
        assert (answer.status_code, answer.json()) == (200, {"ResultCode": 0, "ResultDesc": "Success"})
    (row,) = shop.rows("SELECT body, seen_count, peer FROM money_reports")
    told = json.loads(c2b("s0001"))
    for name in ("MSISDN", "FirstName", "LastName"):  # whose money it was is none of our business
        del told[name]
    assert (json.loads(row["body"]), row["seen_count"], row["peer"]) == (told, 3, "196.201.214.200")
    assert not any(word in paid.lower() for word in BANNED_WORDS)
    for path, content, status in (
        (f"/hooks/c2b/{shop.vendor_id}/{OTHER}/paid", c2b("S0001"), 404),
        (f"/hooks/c2b/{shop.vendor_id}/{OTHER}/check", c2b("S0001"), 404),
        (f"/hooks/c2b/{uuid4()}/{TOKEN}/paid", c2b("S0001"), 404),
        (f"/hooks/c2b/nobody/{TOKEN}/paid", c2b("S0001"), 404),
        (paid, "<html>", 400),
        (paid, " " * (MOST_BYTES + 1), 413),
    ):
        assert c2b_web.post(path, content=content).status_code == status
    stranger = {"X-Forwarded-For": "203.0.113.9"}
    assert c2b_web.post(paid, content=c2b("S0001", receipt="RKTQDM7W6X"), headers=stranger).status_code == 403
    assert len(shop.rows("SELECT id FROM money_reports")) == 1


def test_a_report_is_spooled_while_the_database_is_away_and_a_check_is_answered(
    shop: Shop, redis_url: str, tmp_path: Path, c2b_web: httpx.Client
) -> None:
    assert c2b_web
    away = Databases(platform_url="postgresql://127.0.0.1:9/x", ops_url="postgresql://127.0.0.1:9/x", resolve_secret=str)
    spool = Spool(tmp_path / "away")
    with make_client(away, redis_url, build=build_c2b_routes, spool=spool) as client:
        for what in ("paid", "check"):
            answer = client.post(f"/hooks/c2b/{shop.vendor_id}/{TOKEN}/{what}", content=c2b("S0001"))
            assert (answer.status_code, str(answer.json()["ResultCode"])) == (200, "0")
    assert spool.replay(lambda kept: store_kept(shop.databases, kept)) == 1
    assert shop.settle_reports() == 1
