import json
from collections.abc import Iterable

import psycopg
import pytest
from pydantic import SecretStr

from payments.credentials import Credentials
from payments.daraja import Answered, Daraja, DarajaClient, NoAnswer, StkQuestion
from payments.vendor_check import Finding, check
from tests.operator import operating
from tests.payments.conftest import PAYBILL, Mpesa
from tests.payments.shop import Answers, Shop, open_plain

BUNDLE = {"consumer_key": PAYBILL.consumer_key, "consumer_secret": PAYBILL.consumer_secret, "passkey": PAYBILL.passkey}


def look(shop: Shop, mpesa: Mpesa, daraja: Daraja, *, daraja_url: str | None = None) -> list[Finding]:
    return list(
        check(
            shop.databases,
            daraja,
            vendor_id=shop.vendor_id,
            daraja_url=daraja_url or mpesa.url,
            open_secret=open_plain,
            now=shop.clock(),
        )
    )


def set_row(shop: Shop, column: str, value: object) -> None:
    with operating(shop.databases) as conn:
        conn.execute(f"UPDATE vendor_shortcodes SET {column} = %s WHERE vendor_id = %s", (value, shop.vendor_id))


def test_a_good_set_up_is_good_in_everything_and_no_prompt_was_sent(shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    found = look(shop, mpesa, daraja)
    assert [each for each in found if not each.good] == []
    assert len(found) == 7
    assert mpesa.posts() == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"consumer_secret": "wrong"}, "consumer key and secret"),
        ({"passkey": "wrong"}, "passkey does not belong"),
        ({"passkey": ""}, "wrong: passkey"),
    ],
)
def test_a_wrong_secret_is_told_in_words_and_not_repeated(
    shop: Shop, mpesa: Mpesa, daraja: DarajaClient, changes: dict[str, str], words: str
) -> None:
    set_row(shop, "secret_ref", f"plain:{json.dumps(BUNDLE | changes)}")
    (wrong,) = [each for each in look(shop, mpesa, daraja) if not each.good]
    assert words in wrong.fix
    assert PAYBILL.consumer_key not in wrong.fix


def test_a_shortcode_that_is_not_active_or_not_its_own_is_told(shop: Shop, mpesa: Mpesa, daraja: DarajaClient) -> None:
    wrong = [each for each in look(shop, mpesa, daraja, daraja_url="https://api.safaricom.co.ke") if not each.good]
    assert [each.fix for each in wrong] == [
        "set SOKO_DARAJA_URL to https://sandbox.safaricom.co.ke, or use a shortcode of the environment that is set"
    ]
    set_row(shop, "active", value=False)
    assert [each.what for each in look(shop, mpesa, daraja) if not each.good] == ["the vendor has 0 active shortcodes"]


class Watching(Answers):
    """M-Pesa that looks, whenever it is asked, how many transactions wait for it."""

    def __init__(self, urls: Iterable[str]) -> None:
        super().__init__()
        self.urls, self.waiting = tuple(urls), list[int]()

    def authorise(self, credentials: Credentials) -> SecretStr:
        self._look()
        return SecretStr("token")

    def query(self, question: StkQuestion, credentials: Credentials) -> Answered | NoAnswer:
        self._look()
        return super().query(question, credentials)

    def _look(self) -> None:
        for url in self.urls:
            with psycopg.connect(url) as conn:
                counted = conn.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND datname = current_database()"
                )
                self.waiting += counted.fetchone() or ()


def test_no_transaction_waits_for_safaricom(shop: Shop, mpesa: Mpesa, database_urls: dict[str, str]) -> None:
    safaricom = Watching(database_urls.values())
    assert look(shop, mpesa, safaricom)[-1].good
    assert safaricom.waiting == [0, 0, 0, 0]
