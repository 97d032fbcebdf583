"""What other flows would have done: found by kind, the most frequent first, and money told apart."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conversation.authoring.differences import Compared, compare
from conversation.authoring.load import build_unchecked
from conversation.engine.flow import Bundle
from conversation.engine.lexicon import Lexicon
from conversation.kept_turns import read_since
from conversation.recorded import RecordedTurn
from conversation.services import CATALOGUE
from router.databases import Databases
from tests.operator import operating
from tests.soko.lived import flows, live, to_transcript

FLOWS = Path(__file__).parents[3] / "flows"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
BUYS = """\
  - customer: 2 unga
  - customer: {tap: Confirm}
  - customer: nitalipa
  - customer: {tap: PAY}
  - event: {payments.result: {attempt: 1, outcome: paid, receipt: SBC0001XYZ}, after: 5s}
"""
LOOKS = """\
  - customer: hi
  - customer: xyz
"""
UNKNOWN = "orders.cancel is asked for, which nobody asked then: what it answers is not known"
Lived = dict[str, tuple[Sequence[RecordedTurn], dict[str, Lexicon]]]


@pytest.fixture
def lived(databases: Databases) -> Lived:
    """A customer who buys and one who looks around."""
    live(databases, to_transcript(BUYS, mpesa="{push: [accepted]}"))
    ((bought, lexicons),) = read_since(databases, LONG_AGO)
    with operating(databases, ops=True) as conn:
        conn.execute("SELECT soko_test.reset()")
    live(databases, to_transcript(LOOKS))
    ((looked, _),) = read_since(databases, LONG_AGO)
    return {"bought": (bought, dict(lexicons)), "looked": (looked, dict(lexicons))}


def edited(edits: Mapping[str, str]) -> Bundle:
    """The project's flows with edits of the shop, in English."""
    files = {f"flows/{path.name}": path.read_bytes() for path in FLOWS.glob("*.yaml")}
    shop = files["flows/shop.yaml"].decode()
    for old, new in edits.items():
        assert old in shop
        shop = shop.replace(old, new)
    return build_unchecked({**files, "flows/shop.yaml": shop.encode()}, CATALOGUE)


def against(lived: Lived, bundle: Bundle) -> Compared:
    return compare([lived["bought"], lived["looked"], lived["looked"]], bundle)


def told(compared: Compared) -> list[tuple[int, str, int]]:
    return [(group.count, group.what, group.money) for group in compared.groups]


def test_edits_are_told_by_what_they_do_to_conversations(lived: Lived) -> None:
    same = against(lived, flows())
    assert (same.conversations, same.turns, same.groups) == (3, 9, ())

    reworded = against(lived, edited({'"Reply *PAY* when you are ready."': '"Just reply *PAY*."'}))
    assert told(reworded) == [(1, "shop.pay.unmatched.say is another message", 0)]
    example = reworded.groups[0].example
    assert (example.turn, [reply.text for reply in example.then]) == (3, ["Reply *PAY* when you are ready."])
    assert [reply.text for reply in example.now] == ["Just reply *PAY*."]

    # The most frequent comes first, and each conversation is told by its first difference.
    twice = against(lived, edited({"Sorry, I didn't find that in the shop.": "What?"}))
    assert told(twice) == [(2, "shop.browse.unmatched.say is another message", 0)]
    uncharged = against(lived, edited({"{consent: pay, go: charge}": "{consent: pay, go: limit}"}))
    assert told(uncharged) == [(1, "shop.pay: calls payments.stk_push no more", 1)]
    assert uncharged.money == 1

    slower = against(lived, edited({"after: {90s: ask_mpesa}": "after: {120s: ask_mpesa}"}))
    assert told(slower) == [(1, "shop.pay: other timers", 0)]


def test_a_charge_that_differs_after_the_first_difference_counts(lived: Lived) -> None:
    files = {"Reply *PAY* when": "Say *PAY* when", "{consent: pay, go: charge}": "{consent: pay, go: limit}"}

    compared = compare([lived["bought"]], edited(files))

    assert told(compared) == [(1, "shop.pay.unmatched.say is another message", 1)]


def test_buttons_of_a_state_that_has_another_name_still_work(lived: Lived) -> None:
    renamed = {"\n  cart:\n": "\n  basket:\n", "to: cart}": "to: basket}", "go: cart}": "go: basket}", ", cart]": ", basket]"}
    renamed |= {
        "then: cart}": "then: basket}",
        "in: [cart, pay]": "in: [basket, pay]",
        "\n    go: cart\n": "\n    go: basket\n",
        "\n            go: cart\n": "\n            go: basket\n",
    }

    compared = compare([lived["bought"]], edited(renamed))

    assert told(compared) == [(1, "no flow: goes to shop.basket, and went to shop.cart", 0)]


def test_where_a_call_has_no_answer_the_comparison_ends_and_the_missing_charge_counts(lived: Lived) -> None:
    asks = "  greet:\n    do: [{call: orders.cancel, with: {order: order.id, reason: changed_mind}, else: {paid: closed}}]\n"
    compared = against(lived, edited({"  greet:\n": asks}))
    assert told(compared) == [(2, f"no flow: {UNKNOWN}", 0)]

    asks = "  confirm:                                      # DRAFT -> CONFIRMED: prices and lines are frozen now\n    do:\n"
    cancels = f"{asks}      - {{call: orders.cancel, with: {{order: order.id, reason: changed_mind}}, else: {{paid: closed}}}}\n"
    compared = against(lived, edited({asks: cancels}))
    assert told(compared) == [(1, f"shop.cart: {UNKNOWN}", 1)]
