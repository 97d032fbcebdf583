"""The walk goes through every construct: whatever leads to the charge without a fresh PAY is found, whichever way it takes."""

import pytest

from conversation.authoring.problems import FlowErrors
from tests.conversation.engine.shop import FLOWS
from tests.conversation.engine.small import bundle_of

REST = ("support", "pick_branch", "follow_up", "late_payment")
UNASKED = "- {choice: edit, go: amend}"
AGREED = "- {consent: pay, go: charge}"
FORM = "form: {n: {type: number, ask: How many?}}"


def codes(reply: str, trap: str) -> set[str]:
    """Problems of the shop when one reply of its `pay` leads into a state of ours."""
    shop = (FLOWS / "shop.yaml").read_text()
    assert reply in shop
    led = reply.replace("go: amend", "go: trap").replace("go: charge", "go: trap")
    shop = "".join(line for line in shop.splitlines(keepends=True) if not line.startswith("  problem:"))  # as short as can be
    shop = shop.replace(reply, led).replace("  charge:\n", f"  trap: {{{trap}}}\n  charge:\n")
    try:
        bundle_of(shop, *((FLOWS / f"{name}.yaml").read_text() for name in REST[1:]))
    except FlowErrors as errors:
        return {problem.code for problem in errors.problems}
    return set()


@pytest.mark.parametrize(
    "trap",
    [
        f"{FORM}, unmatched: {{tries: 1, then: cart}}, go: charge",
        f"{FORM}, unmatched: {{tries: 1, then: charge}}, go: cart",
        f"{FORM}, unmatched: {{tries: 1, then: cart}}, after: {{1h: charge}}, go: cart",
        "go: {split: {charge: 1, cart: 99}}",
        "go: {split: {cart: 99, charge: 1}}",
        "do: [{emit: seen}], go: charge",
        "do: [{schedule: {flow: follow_up, after: 1h}}], go: charge",
        "handoff: {queue: q, note: n}, after: {1h: cart}, back: charge",
        "handoff: {queue: q, note: n}, after: {1h: charge}, back: cart",
        "visits: {max: 1, then: charge}, go: cart",
        "do: [{call: pick_branch, with: {why: order}, else: {none: charge}}], go: cart",
        "do: [{call: pick_branch, with: {why: order}, else: {none: cart}}], go: charge",
    ],
)
def test_no_construct_leads_to_the_charge_without_a_pay(trap: str) -> None:
    assert "P1" in codes(UNASKED, trap)


@pytest.mark.parametrize(
    ("trap", "found"),
    [
        ("go: charge", False),
        ("do: [{emit: seen}, {schedule: {flow: follow_up, after: 1h}}], go: charge", False),
        ("go: {split: {charge: 1, pay: 99}}", False),
        (f"{FORM}, unmatched: {{tries: 1, then: cart}}, go: charge", True),
        ("handoff: {queue: q, note: n}, after: {1h: cart}, back: charge", True),
        ("do: [{call: pick_branch, with: {why: order}, else: {none: cart}}], go: charge", True),
    ],
)
def test_a_pay_lives_through_what_does_not_wait_and_no_further(trap: str, *, found: bool) -> None:
    assert ("P1" in codes(AGREED, trap)) is found


@pytest.mark.parametrize(
    "edit",
    [
        ("menu: {words: {en: [menu], sw: [menyu]}, go: menu}", "menu: {words: {en: [menu], sw: [menyu]}, go: cancel}"),
        ("go: complained", "go: cancel"),
        ("    after: {23h: nobody}\n    back: solved\n  person", "    after: {23h: cancel}\n    back: solved\n  person"),
        ("    back: solved\n\n", "    back: cancel\n\n"),
        ("else: {none: menu}}, {set: {shop: branch.name}}]", "else: {none: cancel}}, {set: {shop: branch.name}}]"),
    ],
)
def test_no_construct_of_a_visit_changes_an_order_while_money_is_in_flight(edit: tuple[str, str]) -> None:
    cancel = "  cancel: {do: [{call: orders.cancel, with: {order: order.id, reason: vendor}, else: {paid: done}}], go: done}\n"
    shop = (FLOWS / "shop.yaml").read_text()
    walking_away = shop.replace("only: [help, language, agent]", "only: [help, language, agent, problem]")
    rest = {name: (FLOWS / f"{name}.yaml").read_text() for name in REST}
    assert edit[0] in rest["support"]
    bundle_of(walking_away, *rest.values())
    rest["support"] = rest["support"].replace(*edit).replace("  silent: {end: silent}\n", f"{cancel}  silent: {{end: silent}}\n")
    with pytest.raises(FlowErrors) as caught:
        bundle_of(walking_away, *rest.values())
    assert "P4" in {problem.code for problem in caught.value.problems}
