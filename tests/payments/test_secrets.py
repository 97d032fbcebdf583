"""A whole day of payments with marked secrets, and then a look into everything that was written anywhere."""

import json
import logging
import traceback
from collections.abc import Iterator

import httpx
import psycopg
import pytest
from psycopg import sql

from payments.access_token import AccessTokens
from payments.credentials import open_credentials
from payments.daraja import DarajaClient
from router.databases import Databases
from router.errors import Unavailable
from router.ids import VendorId
from router.wakeups import connect
from soko.simulators.daraja import Kind, Vendor, build_app
from soko.simulators.serving import running
from tests.operator import operating
from tests.payments.conftest import Mpesa
from tests.payments.shop import Clock, Shop, open_plain

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


@pytest.mark.security(23, 32)
@pytest.mark.case(55)
def test_no_secret_is_written_anywhere(
    till_shop: Shop,
    till_mpesa: Mpesa,
    database_urls: dict[str, str],
    redis_url: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
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
    till_mpesa.http.put(f"{till_mpesa.url}/sim/oauth", json={"answer": "empty_400", "times": 9}).raise_for_status()
    with connect(redis_url) as client:
        client.flushdb()
    till_shop.consented(phone="254712000009")
    assert till_shop.push(daraja)
    with pytest.raises(Unavailable) as caught:
        daraja.authorise(open_credentials("env:TILL_SECRETS", open_plain))
    told.append("".join(traceback.format_exception(caught.value)))
    with connect(redis_url) as client:
        told += [f"{key!r}" for key in client.scan_iter()]
    told += [everything_in(url) for url in database_urls.values()]
    told += [caplog.text, *capfd.readouterr()]
    daraja.close()
    written = "".join(told)
    assert "env:TILL_SECRETS" in written
    assert "Unavailable" in written
    assert "canary" not in written
    assert "Bearer" not in written
    assert "Password" not in written
