import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from soko.cli import app
from tests.payments.shop import Shop
from tests.payments.test_review import reviewed


@pytest.fixture
def environment(database_urls: dict[str, str], redis_url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "SOKO_PLATFORM_URL": database_urls["platform"],
        "SOKO_OPS_URL": database_urls["ops"],
        "SOKO_REDIS_URL": redis_url,
        "SOKO_HOME": str(tmp_path),
        "SOKO_DARAJA_URL": "http://127.0.0.1:9",
    }


def soko(environment: Mapping[str, str], *words: object) -> Result:
    return CliRunner().invoke(app, ["payment", *map(str, words)], env=environment)


def test_an_operator_lists_reads_and_decides_a_payment(shop: Shop, environment: dict[str, str]) -> None:
    intent = reviewed(shop)
    (line,) = soko(environment, "review", "list", shop.vendor_id, "--json").stdout.splitlines()
    listed = json.loads(line)
    assert (listed["payment"], listed["reason"], listed["amount"]) == (str(intent.id), "amount_mismatch", 430)

    about, *story = map(json.loads, soko(environment, "show", shop.vendor_id, intent.id, "--json").stdout.splitlines())
    assert about["status"] == "needs_review"
    assert about["allowed_by_message"].startswith("wamid.")
    assert [each["event"] for each in story][:3] == ["consented", "attempt_dispatch", "intent_dispatch"]
    assert story[-1]["to"] == "needs_review"

    decision = ("--by", "Wanjiru", "--reason", "read in the portal")
    said = soko(environment, "review", "paid", shop.vendor_id, intent.id, "--receipt", "nlj7rt61sv", *decision)
    assert (said.exit_code, said.stdout) == (0, f"The payment {intent.id} is paid.\n")
    assert shop.states(intent.id) == ("paid", "succeeded", "PAID")
    again = soko(environment, "review", "failed", shop.vendor_id, intent.id, *decision)
    assert again.exit_code == 1
    assert "is paid: only a payment under review is decided by hand" in again.stderr
    assert soko(environment, "review", "list", shop.vendor_id).stderr == "Nothing waits for a person.\n"


def test_an_operator_decides_that_no_money_came_and_reads_it_in_the_story(shop: Shop, environment: dict[str, str]) -> None:
    intent = reviewed(shop)
    assert str(intent.id) in soko(environment, "review", "list", shop.vendor_id).stdout
    soko(environment, "review", "failed", shop.vendor_id, intent.id, "--by", "Wanjiru", "--reason", "no such money")
    told = soko(environment, "show", shop.vendor_id, intent.id).stdout
    assert 'decided_failed  {"actor": "Wanjiru", "reason": "no such money"}' in told
    assert shop.states(intent.id)[0] == "failed"


def test_a_payment_that_is_not_there_is_said_to_be(shop: Shop, environment: dict[str, str]) -> None:
    said = soko(environment, "show", shop.vendor_id, shop.vendor_id)
    assert said.exit_code == 1
    assert "There is no payment" in said.stderr


def test_reconciling_by_hand_gives_up_what_waited_too_long(shop: Shop, environment: dict[str, str]) -> None:
    intent = shop.consented()  # the shop's clock stands in the past of the command's
    said = soko(environment, "reconcile", shop.vendor_id)
    assert "Reconciled. 0 payments wait for a person" in said.stdout
    assert shop.states(intent.id)[0] == "expired"
