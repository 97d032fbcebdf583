"""The catalogue as authors read it says what the declarations say, in every form."""

import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from conversation.authoring.services_sheet import to_page, to_sheet, to_yaml
from conversation.services import CATALOGUE

ROOT = Path(__file__).parents[3]


def sheet() -> Any:
    return to_sheet(CATALOGUE)


def test_the_page_in_the_docs_is_the_one_of_the_code() -> None:
    page = (ROOT / "docs" / "services.md").read_text(encoding="utf-8")
    assert page == to_page(sheet()), "run `soko flow services --page > docs/services.md`"


def test_the_yaml_reads_back_as_the_sheet() -> None:
    assert YAML(typ="safe", pure=True).load(to_yaml(sheet())) == sheet() == json.loads(json.dumps(sheet()))


def test_every_call_and_each_of_its_outcomes_is_listed() -> None:
    calls = sheet()["calls"]
    assert {name: set(call["outcomes"]) for name, call in calls.items()} == {
        name: set(call.outcomes) for name, call in CATALOGUE.calls.items()
    }


def test_the_call_that_moves_money_says_what_it_needs() -> None:
    push = sheet()["calls"]["payments.stk_push"]
    assert push["moves_money"] is True
    assert push["needs"] == {"consent": "pay", "order": "CONFIRMED"}
    assert push["must_equal"]["amount"] == "order.total"
    assert push["outcomes"]["unknown"] == {"listed": True, "order": "CONFIRMED", "then": "payments.query"}
    assert push["outcomes"]["refused"] == "listed"


def test_what_a_call_does_to_the_order_is_written_as_a_change() -> None:
    assert sheet()["calls"]["orders.confirm"]["outcomes"]["ok"] == {"continues": True, "order": "DRAFT -> CONFIRMED"}
    assert sheet()["events"]["payments.result"]["outcomes"] == {
        "paid": "-> PAID",
        **dict.fromkeys(("cancelled", "timed_out", "no_funds", "wrong_pin", "failed"), "same"),
    }
