"""A person takes over: what the flow still answers, what people write, and the way back. And what is counted."""

from datetime import datetime

import pytest

from conversation.authoring.problems import FlowErrors
from conversation.engine.effects import Emit
from conversation.engine.events import PersonLeft, PersonSaid
from tests.conversation.authoring.test_load import check_place
from tests.conversation.engine.shop import Shop
from tests.conversation.engine.small import LATE, bundle_of

HELP = """
flow: helping
starts_when: [any: true]
slots: {asked: {type: int, default: 0}}
commands:
  stop: {words: [stop], go: stopped}
  status: {words: [status], say: "Somebody has it.", then: resume}
  faq: {words: [faq], call: faq}
on_leave: {do: [{emit: left_helping}], say: "We stop here."}
states:
  ask:
    ask: {text: Well?, buttons: {person: A person}}
    replies: [{choice: person, do: [{set: {asked: asked + 1}}, {emit: {name: asked, value: asked}}], go: person}]
  person:
    say: Somebody will write to you.
    handoff: {queue: help, note: "asked {{ asked }} times"}
    commands: {only: [status]}
    after: {24h: stopped}
    back: {say: Thank you for waiting., go: ask}
  stopped: {end: stopped}
"""
FAQ = "flow: faq\nstates:\n  a: {ask: Which?, replies: [{words: [x], go: b}]}\n  b: {end: told}"


def with_a_person(*flows: str) -> Shop:
    return Shop(bundle=bundle_of(HELP, FAQ, *flows)).say("hi").tap("A person")


def writes(shop: Shop, text: str) -> Shop:
    return shop.take(PersonSaid(id="9", at=shop.tick(), text=text))


def is_done(shop: Shop) -> Shop:
    return shop.take(PersonLeft(id="9", at=shop.tick()))


def test_the_conversation_waits_with_a_person() -> None:
    shop = with_a_person()
    assert (shop.texts, shop.handed_off, shop.state) == (["Somebody will write to you."], ["asked 1 times"], "person")
    assert list(shop.timers) == ["after:24h"]


@pytest.mark.parametrize("text", ["hello?", "stop", "faq", "A person"])
def test_what_a_handoff_does_not_list_is_not_answered(text: str) -> None:
    shop = with_a_person().say(text)
    assert (shop.effects, shop.state) == ([], "person")
    assert shop.trace[-1]["what"] == "with a person"


@pytest.mark.parametrize("listed", ["", "    commands: {stop: {say: You are talking to a person., then: resume}}\n"])
def test_a_handoff_that_narrows_nothing_answers_only_what_it_answers_itself(listed: str) -> None:
    shop = Shop(bundle=bundle_of(HELP.replace("    commands: {only: [status]}\n", listed), FAQ)).say("hi").tap("A person")
    assert (shop.say("status").effects, shop.say("faq").effects) == ([], [])
    assert shop.say("stop").texts == (["You are talking to a person."] if listed else [])


def test_what_a_handoff_lists_is_answered() -> None:
    assert with_a_person().say("status").texts == ["Somebody has it."]


def test_a_tap_on_an_old_menu_and_a_picture_are_left_to_the_person() -> None:
    shop = with_a_person().tap("A person")
    assert (shop.effects, shop.share("image").effects, shop.state) == ([], [], "person")


def test_a_person_writes_at_any_time_and_the_open_question_stays() -> None:
    shop = writes(with_a_person(), "Hello!")
    assert (shop.texts, shop.places, shop.state) == (["Hello!"], ["person"], "person")
    asked = Shop(bundle=bundle_of(HELP, FAQ)).say("hi")
    assert writes(asked, "Psst.").texts == ["Psst."]
    assert asked.tap("A person").state == "person"


def test_a_long_text_of_a_person_is_split_and_not_cut() -> None:
    shop = writes(with_a_person(), "word " * 1000)
    assert [len(text) for text in shop.texts] == [4094, 905]


def test_the_person_gives_the_conversation_back_once() -> None:
    shop = is_done(with_a_person())
    assert (shop.texts, shop.state) == (["Thank you for waiting.", "Well?"], "ask")
    assert (is_done(shop).effects, shop.state) == ([], "ask")


def test_nobody_comes_in_time() -> None:
    assert with_a_person().fire("after:24h").ended == ["stopped"]


def test_an_idle_conversation_has_no_person_to_come_back_from() -> None:
    assert is_done(Shop(bundle=bundle_of(HELP, FAQ))).effects == []


def test_metrics_are_effects_with_their_place_and_number() -> None:
    shop = Shop(bundle=bundle_of(HELP, FAQ)).say("hi").tap("A person")
    assert [effect for effect in shop.effects if isinstance(effect, Emit)] == [Emit(name="asked", place="helping.ask", value=1)]


OUTER = """
flow: outer
starts_when: [words: [outer]]
conversation: {expires: {after: 12h, to: gone}}
states:
  a: {do: [{call: helping}], end: b}
  gone: {end: gone}
"""


def test_a_flow_that_is_walked_away_from_tidies_up() -> None:
    shop = Shop(bundle=bundle_of(HELP, FAQ, OUTER)).say("outer")
    expires = next(name for name in shop.timers if name.startswith("expires"))
    shop.fire(expires)
    assert (shop.texts, shop.ended) == (["We stop here."], ["left", "gone"])
    assert [effect.name for effect in shop.effects if isinstance(effect, Emit)] == ["left_helping"]


VISITED = """
flow: main
starts_when: [any: true]
conversation: {expires: {after: 12h, to: gone}}
commands: {v: {words: [v], call: visited}}
states:
  a: {ask: Well?, replies: [{words: [x], go: gone}]}
  gone: {say: Bye., end: gone}
"""
VISITOR = """
flow: visited
conversation: {expires: {after: 1h, to: out}}
states:
  q: {ask: Yes?, replies: [{words: [y], go: out}]}
  out: {end: out}
"""


def test_a_visit_that_ends_in_silence_says_nothing_and_the_question_under_it_still_expires() -> None:
    shop = Shop(bundle=bundle_of(VISITED, VISITOR)).say("hi").say("v")
    shop.fire(next(name for name in shop.timers if name.startswith("expires")))
    assert (shop.texts, shop.state) == ([], "a")
    assert shop.fire(next(name for name in shop.timers if name.startswith("expires"))).texts == ["Bye."]


@pytest.mark.parametrize(
    ("at", "said"), [("2026-03-02T05:29:00+00:00", "8 29 monday"), ("2026-03-01T21:05:00+00:00", "0 5 monday")]
)
def test_now_is_the_wall_clock_of_the_events_own_time(at: str, said: str) -> None:
    flow = "flow: a\nstarts_when: [any: true]\nstates:\n  x: {say: '{{ now.hour }} {{ now.minute }} {{ now.weekday }}', end: y}"
    shop = Shop(bundle=bundle_of(flow))
    shop.now = datetime.fromisoformat(at)
    assert shop.say("x").texts == [said]


EDITS = [
    ("T3", "    back: {say: Thank you for waiting., go: ask}\n", "", "    handoff:", "    §handoff:"),
    ("T3", "    back: {say", "    end: x\n    back: {say", "    handoff:", "    §handoff:"),
    ("T1", "Thank you for waiting., go: ask}", "Thank you for waiting., go: §asked}"),
    ("Y2", "    after: {24h: stopped}\n", "    §unmatched: {say: x}\n"),
    ("Y2", "{emit: left_helping}", "{emit: §Left Helping}"),
    ("C3", "value: asked}", "value: §vendor.name}"),
    ("X2", "We stop here.", "We stop here, {{ §n }}.", "slots: {", "slots: {n: {type: int}, "),
    ("X2", "queue: help, note: \"asked", "queue: help, note: \"{{ now.§day }} asked"),
    ("X3", "{words: [stop], go: stopped}", "{words: [stop], go: [{if: now.weekday == '§Monday', to: ask}, stopped]}"),
    ("C3", "type: int, default: 0", "type: §one of a, default: 0"),
    ("Y2", "slots: {asked", "slots: {§now: {type: int}, asked"),
]  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_a_handoff_that_cannot_work_is_refused_by_its_place(edit: tuple[str, ...]) -> None:
    text = HELP.strip()
    for before, after in zip(edit[1::2], edit[2::2], strict=True):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    with pytest.raises(FlowErrors) as caught:
        bundle_of(text.replace("§", ""), FAQ, LATE)
    check_place(caught.value.problems, edit[0], text)


def test_a_choice_is_set_by_its_bare_word() -> None:
    flow = """
flow: a
starts_when: [any: true]
slots: {size: {type: one of small/large or none}, order_size: {type: one of order/basket, default: order}}
states:
  x: {do: [{set: {size: large, order_size: order}}], say: "{{ size | default('') }} {{ order_size }}", end: y}
"""
    assert Shop(bundle=bundle_of(flow.replace(", default: order", ""))).say("x").texts == ["large order"]
