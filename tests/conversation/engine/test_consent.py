"""Money moves only by the customer's own PAY, given to the question that shows what it is for, in that very turn."""

import dataclasses

import pytest

from conversation.engine.effects import Call
from conversation.engine.events import Said
from conversation.engine.expressions import compile_text, make_environment
from conversation.engine.flow import At, Branch, Bundle, CallService, Edge
from conversation.engine.match import is_consent_word
from conversation.engine.snapshot import Snapshot
from conversation.engine.step import step
from conversation.errors import ContractBroken
from tests.conversation.engine.shop import START, Shop, shop_bundle


@pytest.mark.parametrize("text", ["PAY", "pay", " Pay ", "*PAY*", "pay!!", "\tpay.\n", "(Pay)", "“pay”", "pay…", "--pay--"])
def test_the_whole_word_pay_is_a_consent(text: str) -> None:
    shop = Shop().to_pay().say(text)
    assert [call.name for call in shop.pushes] == ["payments.stk_push"]
    assert shop.rung() == "consent"


@pytest.mark.parametrize(
    "text",
    [
        "sawa nitalipa",
        "pay later",
        "don't pay",
        "paypay",
        "payed",
        "lipa",
        "ok",
        "p a y",
        "pay 590",
        "PA\u0423",  # a Cyrillic letter
        "\uff30\uff21\uff39",  # full width
        "pay 👍",
        "PAY PAY",
        "",
    ],  # look-alikes
)
def test_anything_else_is_none(text: str) -> None:
    shop = Shop().to_pay().say(text)
    assert (shop.pushes, shop.status) == ([], "CONFIRMED")


def test_a_consent_says_what_was_agreed() -> None:
    shop = Shop().to_pay().say("pay")
    (call,) = shop.pushes
    assert call.consent is not None
    assert dataclasses.asdict(call.consent) == {
        "word": "PAY",
        "message_id": str(shop.count),
        "order_id": "order-1",
        "amount": 420,
        "phone": "254700000001",
    }
    assert call.args == {"order": "order-1", "amount": 420, "phone": "254700000001"}


def test_a_tap_on_the_open_pay_button_counts() -> None:
    shop = Shop().to_pay().tap("PAY")
    assert (len(shop.pushes), shop.state) == (1, "waiting")


def test_a_tap_whose_title_was_made_up_does_not_count() -> None:
    shop = Shop().to_pay()
    shop.tap_id(shop.shown[-1]["Change order"], "PAY")
    assert (shop.pushes, shop.state, shop.status) == ([], "cart", "DRAFT")


@pytest.mark.parametrize("words", [["hi"], ["2 unga"], ["hi", "unga"]])
def test_pay_typed_while_another_question_is_open_is_no_consent(words: list[str]) -> None:
    shop = Shop()
    for text in words:
        shop.say(text)
    shop.say("PAY")
    assert (shop.pushes, shop.status) == ([], "DRAFT")


def test_a_second_pay_while_the_prompt_is_out_pushes_nothing() -> None:
    shop = Shop().to_pay().say("pay").say("pay").say("PAY")
    assert (len(shop.pushes), shop.state) == (1, "waiting")


def test_a_consent_does_not_outlive_its_turn() -> None:
    shop = Shop(push="busy", attempt="attempt-0").to_pay().say("pay")
    assert shop.state == "waiting"
    assert shop.snapshot.pending is None
    assert "PAY" not in str(shop.snapshot.to_json())


def test_pay_is_asked_again_when_the_amount_is_not_what_was_shown() -> None:
    shop = Shop().to_pay()
    shop.basket["1"] = 1  # the order changed behind the open question
    shop.say("pay")
    assert (shop.pushes, shop.places) == ([], ["shop.pay.ask"])
    assert "KES 580" in shop.texts[0]
    assert shop.say("pay").pushes[0].args["amount"] == 580


def test_no_prompt_for_an_order_that_was_paid_meanwhile() -> None:
    shop = Shop().to_pay()
    shop.status, shop.receipt = "PAID", "SBC1"
    shop.say("pay")
    assert (shop.pushes, shop.ended) == ([], ["paid"])


def shortcut(to: str, state: str = "cart", reply: str = "confirm") -> Bundle:
    """The shop with one edge bent, as no checked bundle can have it."""
    bundle = shop_bundle()
    flow = bundle.flows["shop"]
    bent = [
        dataclasses.replace(each, edge=_to(each.edge, to)) if each.name == reply else each for each in flow.states[state].replies
    ]
    states = {**flow.states, state: dataclasses.replace(flow.states[state], replies=tuple(bent))}
    return dataclasses.replace(bundle, flows={**bundle.flows, "shop": dataclasses.replace(flow, states=states)})


def _to(edge: Edge, state: str) -> Edge:
    return dataclasses.replace(edge, go=(Branch(condition=None, to=state, at=edge.at),))


def test_a_push_without_a_pay_breaks_the_contract() -> None:
    bundle = shortcut("charge", state="pay", reply="cancel")
    shop = Shop(bundle=bundle).to_pay()
    with pytest.raises(ContractBroken, match="has not replied PAY"):
        shop.tap("Cancel order")
    assert shop.pushes == []


def test_a_consent_is_gone_after_a_call_that_changes_the_order() -> None:
    bundle = shortcut("change", state="pay", reply="pay")
    flow = bundle.flows["shop"]
    change = dataclasses.replace(flow.states["change"], redirects=(), go=_go(flow.states["change"].at, "charge"))
    flow = dataclasses.replace(flow, states={**flow.states, "change": change})
    shop = Shop(bundle=dataclasses.replace(bundle, flows={**bundle.flows, "shop": flow})).to_pay()
    answered = step(shop.bundle, shop.snapshot, Said(id="9", at=START, text="pay"), shop.context())
    assert isinstance(answered.effects[-1], Call)
    assert answered.effects[-1].name == "orders.edit"
    assert answered.snapshot.pending is not None
    assert answered.snapshot.pending.consent is None


def _go(at: At, to: str) -> tuple[Branch, ...]:
    return (Branch(condition=None, to=to, at=at),)


@pytest.mark.parametrize("name", ["amount", "phone", "order"])
def test_a_push_with_other_terms_breaks_the_contract(name: str) -> None:
    bundle = shop_bundle()
    flow = bundle.flows["shop"]
    call = flow.states["charge"].do[-1]
    assert isinstance(call, CallService)
    spare = call.args[0][1]
    other = 1 if name == "amount" else "x"
    bent = dataclasses.replace(spare, expression=dataclasses.replace(spare.expression, run=lambda _: other))
    args = tuple((key, bent if key == name else value) for key, value in call.args)
    charge = dataclasses.replace(flow.states["charge"], do=(*flow.states["charge"].do[:-1], dataclasses.replace(call, args=args)))
    flow = dataclasses.replace(flow, states={**flow.states, "charge": charge})
    shop = Shop(bundle=dataclasses.replace(bundle, flows={**bundle.flows, "shop": flow})).to_pay()
    with pytest.raises(ContractBroken, match="did not agree"):
        shop.say("pay")


def test_a_push_for_an_order_that_is_not_confirmed_breaks_the_contract() -> None:
    bundle = shop_bundle()
    flow = bundle.flows["shop"]
    bare = {name: dataclasses.replace(flow.states[name], redirects=()) for name in ("pay", "charge")}
    flow = dataclasses.replace(flow, states={**flow.states, **bare})
    shop = Shop(bundle=dataclasses.replace(bundle, flows={**bundle.flows, "shop": flow})).to_pay()
    shop.status = "DRAFT"
    with pytest.raises(ContractBroken, match="not CONFIRMED"):
        shop.say("pay")


def test_only_the_ascii_word_is_the_word() -> None:
    assert is_consent_word("pay")
    assert not is_consent_word("pay", ("LIPA",))
    assert not is_consent_word("\u202epay")
    assert Snapshot.fresh("x").pending is None


@pytest.mark.parametrize("lost", ["{{ customer.phone | phone }}", "{{ order.total | kes }}"])
def test_a_question_that_does_not_show_what_it_is_for_takes_no_consent(lost: str) -> None:
    bundle = shop_bundle()
    flow = bundle.flows["shop"]
    pay = flow.states["pay"]
    assert pay.ask is not None
    source = pay.ask.text.templates["en"].source
    assert source.count(lost) == 1
    template = compile_text(make_environment({}), source.replace(lost, "as you know"))
    text = dataclasses.replace(pay.ask.text, templates={"en": template})
    bent = dataclasses.replace(pay, ask=dataclasses.replace(pay.ask, text=text))
    flow = dataclasses.replace(flow, states={**flow.states, "pay": bent})
    shop = Shop(bundle=dataclasses.replace(bundle, flows={**bundle.flows, "shop": flow})).to_pay().say("PAY")
    assert (shop.pushes, shop.state) == ([], "pay")
