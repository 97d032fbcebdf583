"""A whole day of payments with marked secrets, and then a look into everything that was written anywhere."""

import json
import logging
import traceback
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from psycopg import sql
from rq import Queue
from rq.serializers import JSONSerializer
from typer.testing import CliRunner

from payments.access_token import AccessTokens
from payments.credentials import open_credentials
from payments.daraja import DarajaClient
from payments.spool import Kept, Spool
from payments.vendor_check import check
from payments.webhook import build_routes
from router.databases import Databases
from router.errors import Unavailable
from router.ids import VendorId
from router.wakeups import Job, Wakeups, connect
from soko.cli import app as app_of_soko
from soko.simulators.daraja import Kind, Vendor, build_app
from soko.simulators.serving import running
from tests.operator import operating
from tests.payments.conftest import Mpesa
from tests.payments.shop import Clock, Shop, open_plain
from tests.router.api import open_shared_api
from tests.router.asgi import Client

TILL = Vendor(
    short_code="600980",
    kind=Kind.TILL,
    party_b="5001234",
    consumer_key="canary-consumer-key",
    consumer_secret="canary-consumer-secret",
    passkey="canary-passkey",
)
BUNDLE = {"consumer_key": TILL.consumer_key, "consumer_secret": TILL.consumer_secret, "passkey": TILL.passkey}


@pytest.fixture
def till_mpesa(clock: Clock) -> Iterator[Mpesa]:
    with running(build_app(vendors=(TILL,), clock=clock)) as url, httpx.Client(trust_env=False, verify=False, timeout=10) as http:
        yield Mpesa(url=url, http=http)


@pytest.fixture
def till_shop(databases: Databases, open_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Give the till vendor, with its secrets behind an env: reference."""
    monkeypatch.setenv("TILL_SECRETS", json.dumps(BUNDLE))
    with operating(databases) as conn:
        (row,) = conn.execute(
            """UPDATE vendor_shortcodes SET secret_ref = 'env:TILL_SECRETS', kind = 'till', business_shortcode = %s, party_b = %s
               WHERE vendor_id <> %s RETURNING vendor_id""",
            (TILL.short_code, TILL.party_b, open_shop.vendor_id),
        ).fetchall()
    return Shop(
        databases=databases,
        vendor_id=VendorId(row["vendor_id"]),
        clock=open_shop.clock,
        callback_base_url=open_shop.callback_base_url,
    )


def everything_in(url: str) -> str:
    with psycopg.connect(url) as conn:
        names = [row[0] for row in conn.execute("SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'public'")]
        tables = [conn.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name))).fetchall() for name in names]
    return str(tables)


@pytest.mark.case(53)
def test_the_till_gets_the_money_by_its_store_number(till_shop: Shop, till_mpesa: Mpesa) -> None:
    till_mpesa.script()
    daraja = DarajaClient(base_url=till_mpesa.url, tokens=AccessTokens(None))
    intent = till_shop.consented()
    assert till_shop.push(daraja)
    (push,) = till_mpesa.pushes(count=1, callbacks=1)
    assert (push["short_code"], push["party_b"], push["transaction_type"]) == ("600980", "5001234", "CustomerBuyGoodsOnline")
    assert till_shop.settle()
    assert till_shop.query(daraja)
    assert till_shop.states(intent.id) == ("paid", "succeeded", "PAID")
    daraja.close()


def set_reference(shop: Shop, reference: str) -> None:
    with operating(shop.databases) as conn:
        conn.execute("UPDATE vendor_shortcodes SET secret_ref = %s WHERE vendor_id = %s", (reference, shop.vendor_id))


def what_a_check_says(shop: Shop, mpesa: Mpesa, daraja: DarajaClient, folder: Path) -> list[str]:
    """Look at a vendor's set-up with good and wrong secrets, in a file, in the environment, and where nothing is."""
    file = folder / "till"
    told: list[str] = []
    bundles = (BUNDLE, BUNDLE | {"passkey": "canary-wrong"}, BUNDLE | {"consumer_secret": "canary-wrong"}, "canary, and no JSON")
    for bundle in bundles:
        file.write_text(json.dumps(bundle))
        set_reference(shop, f"file:{file}")
        told += looked_at(shop, mpesa, daraja)
    for reference in ("file:/nowhere", "env:NOT_SET"):
        set_reference(shop, reference)
        told += looked_at(shop, mpesa, daraja)
    set_reference(shop, "env:TILL_SECRETS")
    return told


def looked_at(shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> list[str]:
    found = check(
        shop.databases, daraja, vendor_id=shop.vendor_id, daraja_url=mpesa.url, open_secret=open_plain, now=shop.clock()
    )
    return [str(each) for each in found]


def what_http_answers(shop: Shop, redis_url: str, folder: Path) -> list[str]:
    """Read what a vendor's program reads, post callbacks good and bad, and keep one in the spool."""
    client = Client(open_shared_api(shop.databases, shop.clock()))
    headers = {"x-internal-key": "dev-internal-secret", "x-vendor-id": str(shop.vendor_id)}
    told = [client.get(path, headers=headers).text for path in ("/payments", "/orders", "/payments/statement", "/vendors")]
    spool = Spool(folder / "callbacks")
    app = FastAPI()
    app.include_router(build_routes(shop.databases, Wakeups(connect(redis_url)), clock=shop.clock, spool=spool))
    hooks = Client(app)
    told += [hooks.post(f"/hooks/pay/{shop.vendor_id}/{'a' * 32}", {}, content=body).text for body in (b"{}", b"canary, no JSON")]
    assert spool.keep(Kept(vendor_id=shop.vendor_id, token_sha256=sha256(b"canary-token").hexdigest(), body="{}", peer=None))
    return [*told, *(path.read_text() for path in (folder / "callbacks").iterdir())]


def what_the_shell_says(shop: Shop, urls: dict[str, str], redis_url: str, folder: Path) -> list[str]:
    """Run what an operator runs about a vendor, whose secrets are in the environment."""
    environment = {
        "SOKO_PLATFORM_URL": urls["platform"],
        "SOKO_OPS_URL": urls["ops"],
        "SOKO_REDIS_URL": redis_url,
        "SOKO_HOME": str(folder),
        "SOKO_WHATSAPP_APP_SECRET": "canary-app-secret",
        "SOKO_WHATSAPP_VERIFY_TOKEN": "canary-verify-token",
    }
    vendor = str(shop.vendor_id)
    commands = (["config", "show"], ["payment", "unmatched", vendor], ["payment", "review", "list", vendor])
    said = [CliRunner().invoke(app_of_soko, command, env=environment) for command in commands]
    return [f"{each.output} {each.exception!r}" for each in said]


@pytest.mark.security(23, 32)
@pytest.mark.case(55)
def test_no_secret_is_written_anywhere(
    till_shop: Shop,
    till_mpesa: Mpesa,
    database_urls: dict[str, str],
    redis_url: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens = AccessTokens(connect(redis_url))
    daraja = DarajaClient(base_url=till_mpesa.url, tokens=tokens, read_seconds=0.3)
    told: list[str] = []
    answers = ["accept", "reset", "hang", "html_503", "reject:404.001.03", "reject:500.001.1001:Wrong credentials"]
    for number, answer in enumerate(answers):
        till_mpesa.script(phone=f"25471200000{number}", answer=answer, delay_seconds=0)
        till_shop.consented(phone=f"25471200000{number}")
        assert till_shop.push(daraja)
    till_shop.clock.advance(minutes=1)
    while till_shop.query(daraja) or till_shop.settle():
        pass
    told += what_a_check_says(till_shop, till_mpesa, daraja, tmp_path)
    till_mpesa.http.put(f"{till_mpesa.url}/sim/oauth", json={"answer": "empty_400", "times": 9}).raise_for_status()
    with connect(redis_url) as client:
        client.flushdb()
    till_shop.consented(phone="254712000009")
    assert till_shop.push(daraja)
    with pytest.raises(Unavailable) as caught:
        daraja.authorise(open_credentials("env:TILL_SECRETS", open_plain))
    told.append("".join(traceback.format_exception(caught.value)))
    told += what_http_answers(till_shop, redis_url, tmp_path)
    told += what_the_shell_says(till_shop, database_urls, redis_url, tmp_path)
    with connect(redis_url) as client:
        Wakeups(client).wake(list(Job), till_shop.vendor_id)
        told += [
            repr((job.description, job.args, job.kwargs, job.meta))
            for queue in Queue.all(client, serializer=JSONSerializer)
            for job in queue.jobs
        ]
        assert any("push_stk" in each for each in told)
        told += [f"{key!r} {client.dump(key)!r}" for key in client.scan_iter()]
    told += [everything_in(url) for url in database_urls.values()]
    told += [caplog.text, *capfd.readouterr()]
    daraja.close()
    written = "".join(told)
    assert "env:TILL_SECRETS" in written
    assert "Unavailable" in written
    assert "canary" not in written
    assert "Bearer" not in written
    assert "Password" not in written
