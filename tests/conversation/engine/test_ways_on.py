"""Splits, links, patterns and intents."""

from collections import Counter
from dataclasses import replace

import pytest

from conversation.authoring.load import build_bundle
from conversation.authoring.problems import FlowErrors
from conversation.engine.events import Said, Shared
from conversation.engine.flow import Bundle
from conversation.engine.snapshot import Snapshot
from conversation.services import CATALOGUE
from tests.conversation.authoring.test_load import check_place
from tests.conversation.engine.shop import Shop
from tests.conversation.engine.small import bundle_of, files_of

SPLIT = """
flow: a
starts_when: [words: [hi]]
states:
  x: {go: {split: {short: 30, long: 70}}}
  short: {say: Hi., end: short}
  long: {say: Hello there., end: long}
"""


def test_a_split_is_stable_for_a_conversation_and_fair_over_many() -> None:
    bundle = bundle_of(SPLIT)
    drawn = Counter[str]()
    for seed in range(400):
        shop = Shop(bundle=bundle, snapshot=Snapshot.fresh(f"seed-{seed}")).say("hi")
        (first,) = shop.ended
        assert {"what": "split", "place": "a.x", "to": first} in shop.trace
        assert shop.say("hi").ended == [first]
        drawn[first] += 1
    assert 90 < drawn["short"] < 150


LINK = """
flow: a
starts_when: [{link: "shop-{vendor}"}]
states:
  x: {say: Welcome., end: y}
"""


def test_the_text_of_a_link_starts_the_flow() -> None:
    for text in ("shop-mama-duka", " Shop-Mama-Duka "):
        assert Shop(bundle=bundle_of(LINK)).say(text).texts == ["Welcome."]
    for text in ("shop-", "mama-duka", "hi"):
        assert Shop(bundle=bundle_of(LINK)).say(text).texts == []


CODES = """
flow: a
starts_when: [words: [hi]]
slots: {code: {type: string}}
commands: {help: {words: [help], say: Type the code., then: resume}}
states:
  x:
    ask: Which code?
    replies:
      - {pattern: "SK\\\\d{4}", as: code, go: told}
      - {pattern: "[a-z]{2}-\\\\d+", as: found, check: {if: found | length < 8, else: "{{ found }} is too long."}, go: other}
      - {entity: number, go: other}
      - {intent: lost, go: lost}
    unmatched: {say: Hm?, tries: 3, then: lost}
  told: {say: "It is {{ code }}.", end: told}
  other: {end: other}
  lost: {say: Ask a person., end: lost}
"""


def codes() -> Bundle:
    files = files_of(CODES)
    return build_bundle({**files, "flows/app.yaml": files["flows/app.yaml"] + b"\nintents: [lost, found]\n"}, CATALOGUE)


def test_a_pattern_reads_a_whole_message_after_words_commands_and_entities() -> None:
    shop = Shop(bundle=codes()).say("hi")
    assert shop.say("help").texts == ["Type the code.", "Which code?"]
    assert shop.say("ab-123456789").texts == ["ab-123456789 is too long."]
    assert shop.say("my sk1234").texts == ["Hm?"]
    assert shop.say(" sk1234. ").texts == ["It is sk1234."]
    assert shop.rung() == "patterns"
    assert Shop(bundle=codes()).say("hi").say("4").ended == ["other"]


def test_an_intent_is_read_from_the_event_below_all_other_rungs() -> None:
    shop = Shop(bundle=codes()).say("hi")
    shop.take(Said(id="5", at=shop.tick(), text="where am I", intent="lost"))
    assert (shop.texts, shop.rung()) == (["Ask a person."], "intents")
    other = Shop(bundle=codes()).say("hi")
    assert other.take(Said(id="5", at=other.tick(), text="where am I", intent="found")).texts == ["Hm?"]
    sure = Shop(bundle=codes()).say("hi")
    assert sure.take(Said(id="5", at=sure.tick(), text="SK1234", intent="lost")).ended == ["told"]


ANYTHING = """
flow: a
starts_when: [words: [hi]]
slots: {said: {type: string}}
commands: {help: {words: [help], say: Tell us., then: resume}}
states:
  x:
    ask: {text: What happened?, buttons: {late: It is late}}
    replies:
      - {any: true, as: said, go: told}
      - {entity: number, go: other}
    unmatched: {say: Words please., tries: 1, then: other}
  told: {say: "You said: {{ said }}", end: told}
  other: {end: other}
"""


def test_any_takes_what_nothing_above_took_and_keeps_the_words() -> None:
    shop = Shop(bundle=bundle_of(ANYTHING)).say("hi")
    assert shop.say("help").texts == ["Tell us.", "What happened?"]
    assert shop.take(Shared(id="7", at=shop.tick(), what="image")).texts == ["Words please."]
    assert shop.say(" It was *cold* ").texts == ["You said: It was *cold*"]
    assert shop.rung() == "any"
    assert Shop(bundle=bundle_of(ANYTHING)).say("hi").say("4").ended == ["other"]
    assert Shop(bundle=bundle_of(ANYTHING)).say("hi").tap("It is late").texts == ["You said: It is late"]


EDITS = [
    (CODES, "Y2", "intent: lost", "intent: §lost"),
    (CODES, "X1", '"SK\\\\d{4}"', '§"(SK+)+"', "      - {intent: lost, go: lost}\n", ""),
    (CODES, "C3", "as: code", "as: §code", "{type: string}", "{type: int}",
     "      - {intent: lost, go: lost}\n", "", "{{ code }}", ""),
    (LINK, "Y2", '"shop-{vendor}"', '§"shop-{shop}"'),
    (LINK, "Y2", '"shop-{vendor}"', '§"{vendor}"'),
    (SPLIT, "X5", "{short: 30, long: 70}", "§{short: 30}", "  long:", "  long2: {go: long}\n  long:"),
    (SPLIT, "T1", "{short: 30,", "{§shot: 30,"),
    (SPLIT, "Y2", "{short: 30,", "{short: §0,"),
    (ANYTHING, "Y2", "any: true", "any: §false"),
    (ANYTHING, "X5", "{entity: number, go: other}", "{any: §true, go: other}"),
    (ANYTHING, "C3", "as: said", "as: §said", "{type: string}", "{type: int}"),
    (SPLIT, "T2", "{short: 30, long: 70}", "{short: 30, x: 70}", "  long:", "  §long:"),
]  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_a_mistake_is_told_by_its_place(edit: tuple[str, ...]) -> None:
    text = edit[0].strip()
    for before, after in zip(edit[2::2], edit[3::2], strict=True):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    with pytest.raises(FlowErrors) as caught:
        bundle_of(text.replace("§", ""))
    check_place(caught.value.problems, edit[1], text)


def test_both_ways_of_a_split_are_walked() -> None:
    money = SPLIT.replace(
        "  short: {say: Hi., end: short}",
        "  short:\n    do: [{call: payments.stk_push, with: {order: order.id, amount: order.total, phone: customer.phone}, "
        "else: {busy | refused | daily_limit: long, unknown: ask}}]\n    end: paid\n"
        "  ask: {do: [{call: payments.query, with: {attempt: order.payment_attempt}, "
        "else: {pending | not_paid: long}}], end: paid}",
    )
    for flow in (money, money.replace("{short: 30, long: 70}", "{long: 70, short: 30}")):
        with pytest.raises(FlowErrors, match="P1"):
            bundle_of(flow)


def test_the_order_of_events_in_a_log_decides_nothing_about_a_draw() -> None:
    bundle = bundle_of(SPLIT)
    one = Shop(bundle=bundle).say("nothing").say("hi")
    other = Shop(bundle=replace(bundle, hash="other")).say("hi")
    assert one.ended == other.ended


WHERE = """
flow: a
starts_when: [words: [hi]]
slots: {where: {type: place_read}}
states:
  x:
    ask: Which shop?
    replies: [{entity: place, as: where, go: [{if: where.place != none, to: told}, x]}]
    unmatched: {say: Hm?, tries: 3, then: lost}
  told: {say: "{{ where.place.name if where.place else '' }}", end: told}
  lost: {end: lost}
"""


def test_places_are_those_of_the_app() -> None:
    files = files_of(WHERE)
    app = files["flows/app.yaml"] + b"\nplaces: {town: [Town, CBD, mjini], rongai: [Rongai, Ongata Rongai]}\n"
    bundle = build_bundle({**files, "flows/app.yaml": app}, CATALOGUE)
    for said, name in [("mjini", "Town"), ("the one in ongata rongai", "Rongai"), ("rongaii", "Rongai")]:
        assert Shop(bundle=bundle).say("hi").say(said).texts == [name], said
    assert Shop(bundle=bundle).say("hi").say("Kisumu").texts == ["Hm?"]
    with pytest.raises(FlowErrors, match="needs what customers call it"):
        build_bundle({**files, "flows/app.yaml": app.replace(b"[Town, CBD, mjini]", b"[]")}, CATALOGUE)
