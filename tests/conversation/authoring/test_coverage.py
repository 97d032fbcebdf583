"""Coverage counts what a conversation met, names the line of what none did, and believes an excuse only where it stands."""

import pytest

from conversation.authoring.coverage import Coverage, Heard, Item, measure, with_counts
from conversation.authoring.draw import draw, to_mermaid
from conversation.engine.flow import At
from tests.conversation.engine.shop import Shop, shop_bundle

TEXTS = ("hi", "help", "2 unga", "kiswahili", "ok", "lipa", "PAY", "cart")


def coverage(*texts: str, excuses: dict[int, str] | None = None) -> Coverage:
    walk, turns = Shop(), list[Heard]()
    for text in texts:
        walk.say(text)
        turns.append(Heard(trace=walk.trace, language="en", places=[place for place, _ in walk.messages]))

    def line_of(at: At) -> str:
        return (excuses or {}).get(at.line, "") if at.file.endswith("shop.yaml") else ""

    return measure(shop_bundle(), turns, line_of=line_of)


def counts(found: Coverage, kind: str) -> dict[str, int]:
    return {item.name: item.count for item in found.items if item.kind == kind and item.count}


def test_each_kind_is_counted() -> None:
    found = coverage(*TEXTS)

    assert counts(found, "states")["shop.browse"] == 1
    assert counts(found, "replies") == {
        "shop: words": 1,
        "shop.browse: basket_edit": 1,
        "shop.cart: confirm": 1,
        "shop.pay: not understood": 1,
        "shop.pay: pay": 1,
        "shop.waiting: not understood": 1,
    }
    assert counts(found, "commands") == {"shop.browse: help": 1, "shop.cart: language": 1}
    assert counts(found, "outcomes")["shop.charge: payments.stk_push sent"] == 1
    assert counts(found, "ways")["shop.pay -- pay --> shop.charge"] == 1
    assert counts(found, "texts in en")["shop.greet.say"] == 1
    assert counts(found, "texts in sw") == {}


def test_nothing_said_covers_nothing_and_everything_is_missing() -> None:
    found = coverage()

    assert {found.percent(kind) for kind in found.kinds} == {0.0}
    assert found.least == 0
    assert len(found.missing) == len(found.items)


def test_what_is_missing_names_its_line() -> None:
    (item,) = [item for item in coverage(*TEXTS).missing if item.name == "shop.pay -- edit --> shop.amend"]
    line = (shop_bundle().flows["shop"].states["pay"].replies[1].edge.go[0].at).line

    assert item.at.line == line
    assert item.at.file.endswith("shop.yaml")


@pytest.mark.parametrize(
    ("note", "excused"),
    [
        ("# no transcript of amend: why not", True),
        ("# first; no transcript of pay, amend: why not", True),
        ("# no transcript of receipt: why not", False),
        ("# no transcript: why not", False),
        ("no transcript of amend: why not", False),
    ],
)
def test_an_excuse_is_for_what_it_names(note: str, excused: bool) -> None:  # noqa: FBT001 - a row of a table
    line = (shop_bundle().flows["shop"].states["pay"].replies[1].edge.go[0].at).line
    found = coverage(*TEXTS, excuses={line: note})

    assert ("shop.pay -- edit --> shop.amend" in [item.name for item in found.excused]) is excused
    assert {item.excuse for item in found.excused} <= {"why not"}


def test_an_excuse_does_not_hide_what_was_met() -> None:
    at = At(file="shop.yaml", line=1, column=1)
    items = (
        Item(kind="ways", name="a", at=at, count=1, excuse="never"),
        Item(kind="ways", name="b", at=at, excuse="never"),
        Item(kind="ways", name="c", at=at),
    )
    found = Coverage(items=items, ways={}, states={})

    assert found.sums("ways") == (1, 2)
    assert found.percent("ways") == 50
    assert ([item.name for item in found.missing], [item.name for item in found.excused]) == (["c"], ["b"])


def test_a_drawing_tells_how_often_and_what_never() -> None:
    drawn = to_mermaid(with_counts(draw(shop_bundle(), shop_bundle().flows["shop"]), coverage(*TEXTS)))

    assert 's_pay(["pay<br/>asks<br/>1x"])' in drawn
    assert 's_receipt[["receipt<br/>ends: paid<br/>NEVER"]]' in drawn
    assert 's_pay ==>|"PAY | 1x"| s_charge' in drawn
    assert '|"edit | NEVER"| s_amend' in drawn
