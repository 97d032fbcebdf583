"""An operator sets a vendor up: its numbers, and where its money goes."""

import json
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from router import channels
from router.databases import Databases
from router.ids import VendorId
from router.payment_intents import shortcodes
from router.seeding import DUKA_LA_PILI, MAMA_DUKA
from router.work import unit_of_work
from soko.cli import app
from tests.operator import operating


class Operator:
    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment

    def types(self, *words: object) -> Result:
        return CliRunner().invoke(app, ["vendor", *map(str, words)], env=self.environment)

    def sees(self, *words: object) -> list[dict[str, Any]]:
        said = self.types(*words, "--json")
        assert said.exit_code == 0, said.output
        return [json.loads(line) for line in said.stdout.splitlines()]


@pytest.fixture
def operator(databases: Databases, environment: dict[str, str]) -> Operator:
    assert databases
    return Operator(environment)


def test_a_number_is_listed_added_changed_and_taken_away(operator: Operator, databases: Databases) -> None:
    (first,) = operator.sees("channel", MAMA_DUKA)
    assert first == {"phone_number_id": "100000000000001", "phone": "254700100001", "secret": "plain:…"}
    added = operator.types("channel", MAMA_DUKA, "100000000000009", "--phone", "+254 700 100009", "--secret", "env:TOKEN")
    assert (added.exit_code, added.stdout.splitlines()[1]) == (0, "100000000000009  254700100009  env:TOKEN")
    operator.types("channel", MAMA_DUKA, "100000000000009", "--phone", "254700100009", "--secret", "file:/token")
    assert operator.sees("channel", MAMA_DUKA)[1]["secret"] == "file:/token"
    found = channels.find_channel(databases, "100000000000009")
    assert found is not None
    assert found.vendor_id == MAMA_DUKA
    assert len(operator.sees("channel", MAMA_DUKA, "100000000000009", "--remove")) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((DUKA_LA_PILI, "100000000000001", "--phone", "254700100001", "--secret", "env:X"), "belongs to another vendor"),
        ((MAMA_DUKA, "+254700100001", "--phone", "254700100001", "--secret", "env:X"), "no phone number id"),
        ((MAMA_DUKA, "100000000000009", "--phone", "0700", "--secret", "env:X"), "write it with its country"),
        ((MAMA_DUKA, "100000000000009", "--phone", "254700100009", "--secret", "EAAB123"), "this is not a secret reference"),
        ((MAMA_DUKA, "100000000000009", "--remove"), "this vendor has no number"),
        ((uuid4(),), "there is no vendor"),
    ],
)
def test_a_number_that_cannot_be_is_refused_and_nothing_changes(operator: Operator, words: tuple[object, ...], told: str) -> None:
    before = operator.sees("channel", MAMA_DUKA)
    refused = operator.types("channel", *words)
    assert (refused.exit_code, told in refused.stderr) == (1, True), refused.output
    assert operator.sees("channel", MAMA_DUKA) == before


def test_money_goes_to_the_number_that_was_set_last_and_what_was_agreed_keeps_its_own(
    operator: Operator, databases: Databases
) -> None:
    (before,) = operator.sees("shortcode", MAMA_DUKA)
    assert (before["party_b"], before["secret_ref"]) == ("174379", "plain:…")
    said = operator.types("shortcode", MAMA_DUKA, "--till", "5009999", "--store", "600111", "--secret", "env:MPESA")
    assert (said.exit_code, said.stdout) == (0, "till 5009999, asked by 600111, production, env:MPESA\n")
    assert f"check-payments {MAMA_DUKA}" in said.stderr
    operator.types("shortcode", MAMA_DUKA, "--till", "5009999", "--store", "600111", "--secret", "file:/mpesa.json")
    (moved,) = operator.sees("shortcode", MAMA_DUKA)
    assert (moved["secret_ref"], moved["kind"]) == ("file:/mpesa.json", "till")
    with unit_of_work(databases, VendorId(MAMA_DUKA)) as work:
        assert [each.party_b for each in shortcodes.list_shortcodes(work)] == ["5009999"]
    with operating(databases) as conn:
        rows = conn.execute("SELECT id, active FROM vendor_shortcodes WHERE vendor_id = %s", (MAMA_DUKA,)).fetchall()
    assert {str(row["id"]): row["active"] for row in rows} == {before["id"]: False, moved["id"]: True}
    operator.types("shortcode", MAMA_DUKA, "--paybill", "174379", "--secret", "env:BACK", "--sandbox")
    assert operator.sees("shortcode", MAMA_DUKA)[0]["id"] == before["id"]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--paybill", "12", "--secret", "env:X"), 1, "'12' is no shortcode"),
        (("--paybill", "888880", "--secret", "plain:{}"), 1, "for the sandbox"),
        (("--paybill", "888880", "--secret", "hunter2"), 1, "this is not a secret reference"),
        (("--paybill", "999999", "--secret", "env:X"), 1, "takes money for another vendor"),
        (("--till", "5009999", "--secret", "env:X"), 2, "--store NUMBER"),
        (("--paybill", "888880"), 2, "--secret REF"),
        (("--sandbox",), 2, "--paybill NUMBER"),
    ],
)
def test_money_is_not_sent_where_it_cannot_go(operator: Operator, words: tuple[str, ...], code: int, told: str) -> None:
    assert operator.types("shortcode", DUKA_LA_PILI, "--paybill", "999999", "--secret", "env:X").exit_code == 0
    before = operator.sees("shortcode", MAMA_DUKA)
    refused = operator.types("shortcode", MAMA_DUKA, *words)
    assert refused.exit_code == code
    assert told in " ".join(refused.stderr.replace("│", " ").split())
    assert operator.sees("shortcode", MAMA_DUKA) == before
