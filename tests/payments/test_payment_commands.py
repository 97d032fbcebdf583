import csv
import io
import json
from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest
from typer.testing import CliRunner, Result

from router.clock import utc_now
from router.payment_intents.statement import NAIROBI
from router.work import unit_of_work
from soko.cli import app
from tests.payments.bodies import c2b, success
from tests.payments.shop import Shop
from tests.payments.test_review import reviewed
from tests.payments.test_settle import pushed
from tests.router.api import open_shared_api
from tests.router.asgi import Client


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
    (judged,) = [each["data"] for each in story if each["event"] == "callback_judged"]
    assert "stkCallback" in judged["came"]  # as M-Pesa sent it

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
    assert "Reconciled. 0 payments for a person to decide" in said.stdout
    assert shop.states(intent.id)[0] == "expired"


def test_reconciling_asks_about_what_is_open_and_fetches_what_was_paid_at_once(
    shop: Shop, environment: dict[str, str], now: datetime
) -> None:
    intent = pushed(shop)
    tomorrow = utc_now() + timedelta(days=1)
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        work.conn.execute("UPDATE stk_attempts SET next_query_at = %s", (tomorrow,))
        work.conn.execute("UPDATE vendor_shortcodes SET next_pull_at = %s, pulled_until = %s", (tomorrow, now))
    assert soko(environment, "reconcile", shop.vendor_id).exit_code == 0
    (attempt,) = shop.rows("SELECT queries FROM stk_attempts")
    (shortcode,) = shop.rows("SELECT next_pull_at FROM vendor_shortcodes")
    assert (attempt["queries"], shop.intent(intent.id).id) == (1, intent.id)
    assert shortcode["next_pull_at"] < tomorrow


@pytest.mark.parametrize("decision", [("--by", "", "--reason", "x"), ("--by", "W", "--reason", " ")])
def test_a_decision_about_money_needs_a_name_and_a_reason(
    shop: Shop, environment: dict[str, str], decision: tuple[str, ...]
) -> None:
    intent = reviewed(shop)
    said = soko(environment, "review", "failed", shop.vendor_id, intent.id, *decision)
    assert (said.exit_code, "say it in words" in said.stderr) == (2, True)
    assert shop.states(intent.id)[0] == "needs_review"


def test_a_day_is_written_as_csv_for_people_and_for_programs(shop: Shop, environment: dict[str, str], now: datetime) -> None:
    paid = pushed(shop)
    shop.call_back(paid.id, success(paid))
    shop.settle()
    shop.confirm()
    doubtful = pushed(shop, checkout="ws_CO_2", phone="254712000002")
    shop.call_back(doubtful.id, success(doubtful, amount=1, receipt="NLJ7RT61SW"))
    shop.settle()
    shop.report(c2b('=HYPERLINK("x")', receipt="RKTQDM7W61", amount="50.00"))
    shop.settle_reports()
    day = now.astimezone(NAIROBI).date()

    said = soko(environment, "statement", shop.vendor_id, "--day", day)
    lines = [{name: row[name] for name in row if name != "at"} for row in csv.DictReader(io.StringIO(said.stdout))]
    nothing = dict.fromkeys(("receipt", "confirmed_by", "account", "note", "order", "status"), "")
    assert sorted(lines, key=lambda line: (line["line"], line["order"])) == [
        nothing | {"line": "order", "order": "S0001", "status": "PAID", "amount": "430", "receipt": "NLJ7RT61SV"},
        nothing | {"line": "order", "order": "S0002", "status": "CONFIRMED", "amount": "430"},
        {
            "line": "payment",
            "order": "S0001",
            "status": "PAID",
            "amount": "430",
            "receipt": "NLJ7RT61SV",
            "confirmed_by": "callback+query",
            "account": "S0001",
            "note": "",
        },
        nothing
        | {
            "line": "review",
            "order": "S0002",
            "status": "CONFIRMED",
            "amount": "430",
            "account": "S0002",
            "note": "amount_mismatch",
        },
        nothing
        | {
            "line": "unmatched",
            "amount": "50",
            "receipt": "RKTQDM7W61",
            "confirmed_by": "c2b",
            "account": '\'=HYPERLINK("X")',
            "note": "unknown_account",
        },
    ]
    assert said.stderr == f"{day}: KES 480 came in, 1 receipt without an order.\n"
    assert soko(environment, "statement", shop.vendor_id, "--day", day + timedelta(days=1)).stdout.count("\n") == 1

    client = Client(open_shared_api(shop.databases, now + timedelta(days=1)))
    told = client.get(
        "/payments/statement", headers={"x-internal-key": "dev-internal-secret", "x-vendor-id": str(shop.vendor_id)}
    )
    assert (told.headers["content-type"], told.text) == ("text/csv; charset=utf-8", said.stdout)


def test_unmatched_money_is_listed_shown_and_assigned(shop: Shop, environment: dict[str, str]) -> None:
    shop.order()
    shop.report(c2b("JOHN", receipt="RKTQDM7W61"))
    shop.settle_reports()
    (line,) = soko(environment, "unmatched", shop.vendor_id, "--json").stdout.splitlines()
    listed = json.loads(line)
    assert (listed["receipt"], listed["amount"], listed["because"]) == ("RKTQDM7W61", 430, "unknown_account")
    assert "1 receipt without an order" in soko(environment, "reconcile", shop.vendor_id).stdout
    decision = ("--by", "Wanjiru", "--reason", "she wrote to us")
    wrong = soko(environment, "assign", shop.vendor_id, "RKTQDM7W61", "S0007", *decision)
    assert wrong.exit_code == 1
    assert "this vendor has no order S0007" in wrong.stderr
    said = soko(environment, "assign", shop.vendor_id, "rktqdm7w61", "s0001", *decision)
    assert (said.exit_code, said.stdout) == (0, "rktqdm7w61 pays for s0001.\n")
    shown = json.loads(soko(environment, "show", shop.vendor_id, listed["id"], "--json").stdout)
    assert (shown["order_number"], shown["assigned_by"]) == ("S0001", "Wanjiru")
    assert soko(environment, "unmatched", shop.vendor_id).stderr == "All money that came is matched.\n"
    assert [row["status"] for row in shop.rows("SELECT status FROM orders")] == ["PAID"]
