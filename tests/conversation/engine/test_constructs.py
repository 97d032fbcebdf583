"""Each thing a state can have, in small flows."""

import dataclasses

import pytest

from conversation.authoring.load import build_unchecked
from conversation.engine.effects import Call, Emit, SwitchLanguage
from conversation.engine.events import Happened, PersonLeft, Returned, Said
from conversation.engine.flow import Limits
from conversation.engine.snapshot import Snapshot
from conversation.engine.step import step
from conversation.engine.values import JSON
from conversation.errors import Broken, ContractBroken, LimitCrossed
from conversation.services import CATALOGUE
from tests.conversation.engine.shop import START, Shop
from tests.conversation.engine.small import bundle_of, files_of


def test_a_redirect_leaves_before_anything_is_done() -> None:
    shop = Shop()
    shop.status = "CONFIRMED"
    shop.basket = {"0": 1}
    shop.say("hi")
    assert (shop.state, shop.calls) == ("pay", [])


def test_say_with_if_is_sent_only_then() -> None:
    assert Shop().say("2 unga na 1 kuku").texts[0] == "I couldn't find: kuku."
    assert len(Shop().say("2 unga").messages) == 1


def test_an_edit_that_names_nothing_to_change_calls_nothing() -> None:
    shop = Shop().say("2 unga").say("0 sukari")
    assert (shop.calls, shop.places) == ([], ["shop.unclear.say.1", "shop.cart.ask"])


def test_an_outcome_carries_what_its_text_says() -> None:
    shop = Shop().say("2 unga").say("ongeza sukari kumi na mbili")
    assert shop.texts[0] == "Sorry, we have only 9 of Sukari 1kg."
    assert shop.state == "cart"


def test_an_empty_basket_leads_back_to_the_shelf() -> None:
    shop = Shop().say("2 unga").say("toa unga")
    assert (shop.places, shop.state) == (["shop.cart.redirect.3.say", "shop.browse.ask"], "browse")


@pytest.mark.parametrize("again", ["help", "an old menu", "back"])
def test_a_redirect_is_looked_at_before_a_question_is_asked_again(again: str) -> None:
    shop = Shop().to_pay()
    if again == "back":
        shop.say("problem")
    shop.status, shop.receipt = "PAID", "SBC1"
    _ = shop.tap("Confirm", menu=0) if again == "an old menu" else shop.say(again)
    assert (shop.places[-1], shop.ended[-1]) == ("shop.receipt.say", "paid")


def test_changing_a_confirmed_order_throws_the_pay_away() -> None:
    shop = Shop().to_pay().tap("Change order")
    assert (shop.calls, shop.state, shop.status) == (["orders.amend"], "cart", "DRAFT")
    assert shop.say("pay").pushes == []


@pytest.mark.parametrize(("push", "ended"), [("daily_limit", ["limited"]), ("refused", ["handed_off"])])
def test_a_push_that_cannot_be_is_told(push: str, ended: list[str]) -> None:
    shop = Shop(push=push).to_pay().say("pay")
    assert shop.ended == ended


def test_an_unknown_push_is_asked_about_before_a_word_is_said() -> None:
    shop = Shop(push="unknown", attempt="attempt-0").to_pay().say("pay")
    assert (shop.calls, shop.state) == (["payments.stk_push", "payments.query"], "waiting")
    assert shop.places == ["shop.ask_mpesa.payments.query.pending.say.1"]


def test_the_language_is_switched_and_the_question_asked_again_in_it() -> None:
    shop = Shop().say("2 unga").say("kiswahili")
    assert "Jumla KES 420" in shop.texts[0]
    assert shop.snapshot.language == "sw"
    assert shop.say("confirm").texts[0].startswith("Oda *S0001*")
    assert "Total KES 420" in shop.say("english").say("cart").texts[-1] or shop.state == "pay"


def test_a_customer_of_another_language_is_spoken_to_in_it() -> None:
    assert Shop(language="sw").say("duka").places[1] == "shop.browse.ask"
    assert Shop(language="sw").say("duka").texts[1].startswith("Ungependa nini?")
    assert Shop(language="fr").say("duka").texts[1].startswith("What would you like?")


def test_a_conversation_whose_place_was_edited_away_begins_again() -> None:
    shop = Shop().say("hi")
    data = shop.snapshot.to_json()
    data["frames"][0]["state"] = "gone"  # type: ignore[index]
    shop.snapshot = Snapshot.from_json(data)
    assert shop.say("2 unga").state == "cart"


VISIT = """
flow: main
starts_when: [any: true]
slots: {name: {type: string, default: nobody}}
commands:
  ask: {words: [ask], call: faq}
  who: {words: [who], call: faq, say: One moment.}
states:
  one:
    ask: {text: "Well?", buttons: {go: Go on}}
    replies: [{choice: go, go: two}]
    unmatched: {say: Hm., tries: 1, then: bye}
  two:
    do: [{call: pick, with: {first: name}, as: name, else: {none: bye}}]
    say: "It is {{ name }}."
    go: bye
  bye: {end: done}
"""
FAQ = """
flow: faq
starts_when: [words: [faq]]
states:
  q:
    ask: {text: "More?", buttons: {yes: "Yes", no: "No"}}
    replies: [{choice: yes, go: q}, {choice: no, go: out}]
  out: {end: told}
"""
PICK = """
flow: pick
takes: {first: string}
gives: {chosen: string}
slots: {chosen: {type: string, default: x}}
states:
  a:
    ask: {text: "First was {{ first }}", buttons: {b: Bee, n: None at all}}
    replies: [{choice: b, do: [{set: {chosen: "'bee'"}}], go: z}, {choice: n, go: nothing}]
  z: {end: picked}
  nothing: {end: none}
"""


def test_a_visit_comes_back_to_the_question_it_interrupted() -> None:
    shop = Shop(bundle=bundle_of(VISIT, FAQ, PICK)).say("x").say("hm")
    number = shop.snapshot.waiting_turn
    shop.say("ask")
    assert (shop.snapshot.flow, shop.places) == ("faq", ["faq.q.ask"])
    shop.tap("No")
    assert (shop.snapshot.flow, shop.places, shop.snapshot.waiting_turn) == ("main", ["main.one.ask"], number)
    assert shop.say("nonsense").ended == ["done"]  # the try before the visit still counts


def test_the_commands_of_a_flow_are_its_own() -> None:
    shop = Shop(bundle=bundle_of(VISIT, FAQ, PICK)).say("x").say("ask")
    for text in ("who", "ask"):
        shop.say(text)
        assert (shop.rung(), shop.places, [frame.flow for frame in shop.snapshot.frames]) == (
            "unmatched",
            ["faq.q.ask"],
            ["main", "faq"],
        )
    assert shop.tap("No").say("who").texts == ["One moment.", "More?"]


def test_a_subflow_takes_and_gives() -> None:
    shop = Shop(bundle=bundle_of(VISIT, FAQ, PICK)).say("x").tap("Go on")
    assert shop.texts == ["First was nobody"]
    shop.tap("Bee")
    assert (shop.texts, shop.ended) == (["It is bee."], ["picked", "done"])


def test_a_subflows_other_results_lead_where_the_caller_says() -> None:
    shop = Shop(bundle=bundle_of(VISIT, FAQ, PICK)).say("x").tap("Go on").tap("None at all")
    assert (shop.texts, shop.ended) == ([], ["none", "done"])


def test_visits_bound_how_often_a_state_is_entered() -> None:
    again = """
flow: main
starts_when: [any: true]
states:
  one:
    visits: {max: 3, then: out}
    ask: Again?
    replies: [{words: ["yes"], go: one}]
  out: {end: enough}
"""
    shop = Shop(bundle=bundle_of(again)).say("x").say("yes").say("yes")
    assert shop.state == "one"
    assert shop.say("yes").ended == ["enough"]


def test_a_question_without_unmatched_is_simply_asked_again() -> None:
    shop = Shop(bundle=bundle_of(VISIT, FAQ, PICK)).say("x").say("ask").say("hm?")
    assert shop.places == ["faq.q.ask"]


PAGED = """
flow: main
starts_when: [any: true]
slots: {line: {type: line}}
states:
  one:
    ask:
      text: Which of them?
      list: {button: See, rows: {each: order.lines, id: it.product, title: it.name}, more: {title: More}}
    replies: [{picked: line, go: two}]
  two: {say: "You chose {{ line.name }}.", end: done}
"""


def test_a_long_list_turns_its_pages_by_itself() -> None:
    names = [f"Product {index}" for index in range(24)]
    lines: list[JSON] = [{"product": str(index), "name": name, "qty": 1, "total": 10} for index, name in enumerate(names)]
    shop = Shop(bundle=bundle_of(PAGED), more_lines=lines).say("x")
    menus = [list(shop.shown[-1])]
    for _ in range(3):
        shop.tap("More")
        menus.append(list(shop.shown[-1]))
    assert [len(menu) for menu in menus] == [10, 10, 7, 10]
    assert menus[1][0] == names[9]
    assert menus[3] == menus[0]
    shop.tap(names[0])
    assert shop.texts == ["You chose Product 0."]


def test_fifty_states_in_one_turn_are_the_end_of_it() -> None:
    states = "\n".join(f"  s{index}: {{go: s{index + 1}}}" for index in range(55))
    flow = f"flow: main\nstarts_when: [any: true]\nstates:\n{states}\n  s55: {{end: done}}\n"
    with pytest.raises(LimitCrossed, match="50 states"):
        Shop(bundle=bundle_of(flow)).say("x")


def test_four_messages_in_one_turn_are_the_most() -> None:
    flow = "flow: main\nstarts_when: [any: true]\nstates:\n  a: {say: [a, b, c, d], end: done}\n"
    bundle = bundle_of(flow)  # five do not load
    assert Shop(bundle=bundle).say("x").texts == ["a", "b", "c", "d"]
    with pytest.raises(LimitCrossed, match="3 messages"):
        Shop(bundle=dataclasses.replace(bundle, limits=Limits(messages=3))).say("x")


def test_an_answer_that_the_catalogue_does_not_list_is_our_bug() -> None:
    shop = Shop()
    taken = step(shop.bundle, shop.snapshot, Said(id="1", at=START, text="hi"), shop.context())
    with pytest.raises(Broken, match="did not ask for"):
        step(shop.bundle, taken.snapshot, Returned(at=START, outcome="maybe"), shop.context())
    with pytest.raises(Broken, match="has not answered"):
        step(shop.bundle, taken.snapshot, Said(id="2", at=START, text="hi"), shop.context())


def test_what_several_products_are_called_is_asked_back_one_after_the_other() -> None:
    shop = Shop().say("2 dairy, 3 unga, toa dairy")
    assert (shop.state, shop.basket, shop.texts) == ("which", {"0": 3}, ["Which *2 dairy* do you mean?"])
    shop.tap("Maziwa Lala 500ml")
    assert (shop.state, shop.basket, shop.texts) == ("which", {"0": 3, "3": 2}, ["Which *dairy* do you mean?"])
    shop.tap("Maziwa Lala 500ml")
    assert (shop.state, shop.basket) == ("cart", {"0": 3})


def test_which_one_may_be_written_too_and_a_tie_alone_changes_nothing_yet() -> None:
    shop = Shop().say("dairy")
    assert (shop.texts, shop.calls) == (["Which *dairy* do you mean?"], [])
    assert (shop.say("maziwa 500ml").state, shop.basket) == ("cart", {"2": 1})


ORDER = """
flow: main
starts_when: [any: true]
slots: {n: {type: int, default: 0}}
states:
  a:
    ask: Well?
    replies: [{words: [b], do: [{set: {n: n + 1}}], say: "reply {{ n }}", go: b}]
  b:
    redirect: [{if: n > 5, to: z, say: redirected}]
    ask: {text: "asked {{ n }}", buttons: {go: Go}}
    say: ["said {{ n }}", {if: n > 5, text: never}]
    do: [{set: {n: n + 1}}, {set: {n: n * 2}}, {emit: seen}, {switch_language: sw}]
    replies: [{choice: go, do: [{set: {n: 6}}], go: b}]
  z: {end: done}
"""


def test_the_keys_of_a_state_are_taken_in_one_order_however_they_are_written() -> None:
    shop = Shop(bundle=bundle_of(ORDER)).say("x").say("b")
    assert shop.texts == ["reply 1", "said 4", "asked 4"]
    done = [entry["what"] for entry in shop.trace if entry["what"] in ("guard", "emitted", "waiting")]
    assert done == ["guard", "emitted", "guard", "waiting"]
    assert [each.name for each in shop.effects if isinstance(each, Emit)] == ["seen"]
    assert [each.language for each in shop.effects if isinstance(each, SwitchLanguage)] == ["sw"]
    shop.tap("Go")
    assert (shop.texts, shop.ended) == (["redirected"], ["done"])
    assert not [each for each in shop.effects if isinstance(each, Emit)]


WAYS = """
flow: main
starts_when: [any: true]
slots: {n: {type: int}}
states:
  a: {ask: How many?, replies: [{entity: number, as: n, go: b}]}
  b: {go: [{if: n > 10, to: many}, {if: n > 5, to: some}, few]}
  many: {end: many}
  some: {end: some}
  few: {end: few}
"""


@pytest.mark.parametrize(("said", "ended"), [("20", "many"), ("10", "some"), ("5", "few")])
def test_go_takes_the_first_branch_that_holds_and_else_the_last(said: str, ended: str) -> None:
    assert Shop(bundle=bundle_of(WAYS)).say("x").say(said).ended == [ended]


MENUS = """
flow: main
starts_when: [any: true]
states:
  a:
    ask: {text: Which?, list: {button: See, rows: {one: First, two: {title: Second, about: "KES {{ order.total }}"}}}}
    replies: [{choice: one, go: b}, {choice: two, go: c}]
  b:
    ask: {text: And?, buttons: {n1: N1, n2: N2, n3: N3, n4: N4}}
    replies: [{choice: n1, go: a}, {choice: n2, go: a}, {choice: n3, go: a}, {choice: n4, go: c}]
  c: {end: done}
"""


def test_a_fixed_list_shows_its_rows_and_each_leads_on() -> None:
    shop = Shop(bundle=bundle_of(MENUS)).say("x")
    menu = shop.messages[-1][1].menu
    assert menu is not None
    assert (menu.button, [(row.title, row.about) for row in menu.rows]) == ("See", [("First", ""), ("Second", "KES 0")])
    assert shop.tap("Second").ended == ["done"]


def test_more_than_three_buttons_become_a_list_by_themselves() -> None:
    shop = Shop(bundle=bundle_of(MENUS)).say("x").tap("First")
    asked = shop.messages[-1][1]
    assert (asked.buttons, asked.menu and [row.title for row in asked.menu.rows]) == ((), ["N1", "N2", "N3", "N4"])
    assert shop.tap("N4").ended == ["done"]


PUSH = """{call: payments.stk_push, with: {order: order.id, amount: order.total, phone: customer.phone},
         else: {busy | refused | daily_limit | unknown: out}}"""
ASKS = """
flow: %s
starts_when: [{words: [%s]}]
states:
  a: {ask: "{{ order.total | kes }} {{ customer.phone | phone }} PAY", replies: [{consent: pay, go: b}]}
  b: {do: [%s], go: out}
  out: {end: out}
"""
PUSHES = "flow: %s\nstarts_when: [{words: [%s]}]\nstates:\n  b: {do: [%s], go: out}\n  out: {end: out}"
EMIT = "{emit: paying}"


@pytest.mark.parametrize(
    "flows",
    [
        (ASKS % ("main", "go", "{call: sub}"), PUSHES % ("sub", "x", PUSH)),
        (ASKS % ("sub", "x", EMIT), PUSHES % ("main", "go", "{call: sub}, " + PUSH)),
    ],
)
def test_a_consent_goes_neither_into_a_subflow_nor_out_of_it(flows: tuple[str, str]) -> None:
    bundle = build_unchecked(files_of(*flows), CATALOGUE)  # no checked flow has it
    shop = Shop(bundle=bundle, status="CONFIRMED", basket={"0": 1}).say("go")
    with pytest.raises(ContractBroken, match="has not replied PAY"):
        shop.say("pay")


OUTSIDE = """
flow: main
starts_when: [any: true]
commands: {faq: {words: [faq], call: faq}}
states:
  a: {ask: Well?, replies: [{words: [b], go: b}]}
  b: {do: [{call: inner, else: {left: gone}}], end: done}
  gone: {say: Never mind., end: walked_away}
"""


def test_the_name_of_a_result_is_what_its_caller_sees() -> None:
    asks = "{ask: Yes?, replies: [{words: [y], go: b}, {words: [n], go: c}]}"
    inner = f"flow: inner\nstates: {{a: {asks}, b: {{end: fine}}, c: {{end: left}}}}"
    faq = "flow: faq\nstates: {a: {end: told}}"
    shop = Shop(bundle=bundle_of(OUTSIDE, inner, faq)).say("x").say("b")
    assert shop.say("n").ended == ["left", "walked_away"]
    assert Shop(bundle=bundle_of(OUTSIDE, inner, faq)).say("x").say("b").say("y").ended == ["fine", "done"]


def test_while_a_call_runs_nothing_else_is_taken() -> None:
    shop = Shop()
    taken = step(shop.bundle, shop.snapshot, Said(id="1", at=START, text="hi"), shop.context())
    assert isinstance(taken.effects[-1], Call)
    late = Happened(id="3", at=START, name="payments.result", key="k", outcome="failed", carries={})
    for event in (Said(id="2", at=START, text="cancel"), late, PersonLeft(id="4", at=START)):
        with pytest.raises(Broken, match="has not answered yet"):
            step(shop.bundle, taken.snapshot, event, shop.context())
