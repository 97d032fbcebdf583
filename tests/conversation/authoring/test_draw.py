"""A drawing shows every state and every way, and stays readable: nothing lies on anything else."""

import re
from functools import cache
from xml.etree import ElementTree

import pytest

from conversation.authoring.draw import START, ArrowKind, BoxKind, Drawing, draw, to_dot, to_mermaid
from conversation.authoring.draw_svg import to_svg
from conversation.authoring.layers import Link, Node, lay_out
from conversation.authoring.load import build_bundle
from conversation.services import CATALOGUE
from tests.conversation.engine.shop import shop_bundle
from tests.conversation.engine.small import APP, LATE, bundle_of, files_of

SVG = "{http://www.w3.org/2000/svg}"


@cache
def shop() -> Drawing:
    return draw(shop_bundle(), shop_bundle().flows["shop"])


def ways(drawing: Drawing) -> dict[tuple[str, str], str]:
    return {(arrow.source, arrow.target): arrow.label for arrow in drawing.arrows}


def test_every_state_is_a_box_and_says_what_it_is() -> None:
    boxes = {box.name: box for box in shop().boxes}
    assert set(boxes) == {START, *shop_bundle().flows["shop"].states}
    assert boxes["pay"].kind is BoxKind.ASK
    assert boxes["waiting"].kind is BoxKind.WAIT
    assert boxes["waiting"].lines == ("waits for payments.result",)
    assert boxes["receipt"].kind is BoxKind.DONE
    assert boxes["handoff"].lines == ("to people: shop",)


def test_only_states_that_move_money_are_marked_so_and_only_the_customers_pay_leads_there() -> None:
    drawing = shop()
    assert [box.name for box in drawing.boxes if box.money] == ["charge"]
    into = [arrow for arrow in drawing.arrows if arrow.target == "charge"]
    assert [(arrow.source, arrow.label, arrow.kind) for arrow in into] == [("pay", "PAY", ArrowKind.CONSENT)]


def test_each_kind_of_way_is_an_arrow() -> None:
    found = ways(shop())
    assert found[START, "change"] == "basket_edit"
    assert found[START, "greet"] == "words | anything"
    assert found["greet", "pay"] == "if order.is_confirmed"
    assert found["charge", "waiting"] == "sent | busy"
    assert found["waiting", "pay_failed"] == "no_funds | wrong_pin | cancelled | timed_out | failed"
    assert found["waiting", "ask_mpesa"] == "after 90s"
    assert found["waiting", "handoff"] == "not understood 20x | over 12 visits"
    assert found["cart", "receipt"] == "order.is_paid"
    assert found["browse", "browse"] == "more"


def test_what_works_in_every_question_is_written_once() -> None:
    drawing = shop()
    assert set(drawing.anywhere) >= {
        "“help” is answered, and the question asked again",
        "“language” is answered, and the question asked again",
        "“cart” → cart",
        "“agent” → handoff",
        "“cancel” → cancel",
        "after 12h of silence → expired",
    }
    assert ("browse", "cart") not in ways(drawing)


def test_a_flow_that_another_visits_or_calls_is_a_box_of_its_own() -> None:
    caller = """
flow: caller
starts_when: [{any: true}]
commands:
  more: {words: [more], call: late_payment}
states:
  begin:
    do: [{call: other}]
    ask: Well?
    commands: {more: {call: faq}}
    replies: [{words: [bye], go: done}]
  done: {end: done}
"""
    other = "\nflow: other\nstates:\n  only: {end: done}\n"
    faq = "\nflow: faq\nstates:\n  only: {end: done}\n"
    bundle = bundle_of(caller, LATE, other, faq)
    drawing = draw(bundle, bundle.flows["caller"])
    assert {box.name for box in drawing.boxes if box.kind is BoxKind.FLOW} == {"other", "faq"}
    assert ways(drawing)["begin", "faq"] == "“more”"
    assert ways(draw(bundle, bundle.flows["other"])) == {(START, "only"): "called"}


def test_mermaid_and_dot_hold_the_same_boxes_and_arrows() -> None:
    drawing = shop()
    mermaid, dot = to_mermaid(drawing), to_dot(drawing)
    assert mermaid.startswith("flowchart TD\n")
    for text in (mermaid, dot):
        assert len(re.findall(r"^  s_\w+ ?[\[({]", text, re.MULTILINE)) == len(drawing.boxes)
        assert len(re.findall(r"^  s_\w+ (?:->|-->|==>|-\.->)", text, re.MULTILINE)) == len(drawing.arrows)
    assert 's_pay ==>|"PAY"| s_charge' in mermaid
    assert 's_charge["KES charge<br/>payments.stk_push"]:::money' in mermaid
    assert "{ rank=source s_start }" in dot
    assert dot.count("{") == dot.count("}")


EVERYTHING = """
flow: everything
starts_when: [{link: "all-{vendor}"}]
conversation:
  expires: {after: 12h, to: stopped}
  remind: {after: 30m, in: [begin], times: 1, between: ["08:00", "20:00"], say: Hm?}
on_leave: {do: [{emit: gone}]}
states:
  begin:
    ask: Well?
    replies:
      - {words: [form], go: form}
      - {intent: complain, go: person}
      - {words: [draw], go: {split: {person: 1, stopped: 3}}}
  form:
    form:
      many: {type: number, title: How many, ask: How many?}
      note: {type: string 20, title: A note, ask: Anything else?, skip: [none]}
    correct: true
    unmatched: {say: What?, tries: 1, then: stopped}
    go: person
  person:
    do: [{emit: {name: asked}}]
    handoff: {queue: help, note: "a person"}
    back: stopped
    after: {2h: stopped}
  stopped: {end: stopped}
"""


def test_every_construct_is_drawn_in_every_form() -> None:
    app = (APP.strip() % b"everything, late_payment") + b"\nintents: [complain]\n"
    bundle = build_bundle(files_of(EVERYTHING, LATE) | {"flows/app.yaml": app}, CATALOGUE)
    drawing = draw(bundle, bundle.flows["everything"])
    boxes = {box.name: (box.kind, box.lines) for box in drawing.boxes}
    assert boxes["form"] == (BoxKind.ASK, ("asks for many, note", "answers can be corrected"))
    assert boxes["person"] == (BoxKind.WAIT, ("counts asked", "with people: help"))
    assert ways(drawing) == {
        (START, "begin"): "link all-{vendor}",
        ("begin", "form"): "form",
        ("begin", "person"): "meaning complain | draw 25% drawn",
        ("begin", "stopped"): "draw 75% drawn",
        ("form", "person"): "",
        ("form", "stopped"): "not understood 1x",
        ("person", "stopped"): "after 2h",
    }
    assert ("given back", ArrowKind.WAY) in [(arrow.label, arrow.kind) for arrow in drawing.arrows]
    assert drawing.anywhere == (
        "after 12h of silence → stopped",
        "after 30m of silence in begin: a reminder, 1x",
        "when it is left: counts gone",
    )
    for text in (to_mermaid(drawing), to_dot(drawing), to_svg(drawing)):
        for words in ("asks for many, note", "with people: help", "counts asked", "given back", "25% drawn", "a reminder, 1x"):
            assert words in " ".join(text.split()), words


def test_quotes_in_a_guard_do_not_break_the_drawing() -> None:
    flow = """
flow: small
starts_when: [{any: true}]
states:
  begin: {go: [{if: customer.first_name == "Asha", to: done}, done]}
  done: {end: done}
"""
    bundle = bundle_of(flow, LATE)
    drawing = draw(bundle, bundle.flows["small"])
    assert "#quot;Asha#quot;" in to_mermaid(drawing)
    assert '\\"Asha\\"' in to_dot(drawing)
    ElementTree.fromstring(to_svg(drawing))


@pytest.mark.parametrize("flow", ["shop", "support", "pick_branch", "late_payment"])
def test_in_the_picture_no_box_and_no_label_lies_on_another(flow: str) -> None:
    root = ElementTree.fromstring(to_svg(draw(shop_bundle(), shop_bundle().flows[flow])))
    rects = [
        (float(rect.get("x", 0)), float(rect.get("y", 0)), float(rect.get("width", 0)), float(rect.get("height", 0)))
        for rect in root.findall(f"{SVG}rect")[1:]
    ]
    assert len(rects) > len(shop_bundle().flows[flow].states)
    for index, (x, y, width, height) in enumerate(rects):
        for left, top, wide, high in rects[:index]:
            assert x + width <= left or left + wide <= x or y + height <= top or top + high <= y
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    assert all(x >= 0 and x + wide <= width and y >= 0 and y + high <= height for x, y, wide, high in rects)


def test_the_start_is_on_top_and_the_ends_are_at_the_bottom() -> None:
    drawing = shop()
    nodes = [Node(id=box.name, width=80, height=30, last=box.kind is BoxKind.DONE) for box in drawing.boxes]
    links = [Link(source=arrow.source, target=arrow.target, width=40, height=12) for arrow in drawing.arrows]
    layout = lay_out(nodes, links)
    heights = {name: spot.y for name, spot in layout.nodes.items()}
    assert min(heights, key=lambda name: heights[name]) == START
    ends = {box.name for box in drawing.boxes if box.kind is BoxKind.DONE}
    assert {heights[name] for name in ends} == {max(heights[name] for name in ends)}
    assert max(heights[name] for name in heights if name not in ends) < min(heights[name] for name in ends)


def test_an_arrow_runs_from_its_source_to_its_target_also_upwards() -> None:
    nodes = [Node(id=name, width=40, height=20) for name in "abc"]
    links = [Link(source="a", target="b"), Link(source="b", target="c"), Link(source="c", target="a", width=30, height=10)]
    layout = lay_out(nodes, links)
    back = layout.paths[2]
    assert (back[0], back[-1]) == (layout.nodes["c"], layout.nodes["a"])
    assert layout.labels[2] == back[1]
    assert layout.labels[0] is None
    assert layout.nodes["a"].y < layout.nodes["b"].y < layout.nodes["c"].y


def test_the_same_flow_gives_the_same_picture() -> None:
    support = shop_bundle().flows["support"]
    assert to_svg(draw(shop_bundle(), support)) == to_svg(draw(shop_bundle(), support))
