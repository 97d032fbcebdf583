"""Forms: one message answers several questions, skips some, and corrects what was answered before."""

from typing import cast

import pytest

from conversation.authoring.problems import FlowErrors
from conversation.engine.values import JSON
from tests.conversation.authoring.test_load import check_place
from tests.conversation.engine.shop import Shop
from tests.conversation.engine.small import bundle_of

BOOKING = """
flow: booking
starts_when: [any: true]
commands:
  stop: {words: [stop], go: stopped}
  help: {words: [help, morning], say: Just answer., then: resume}
states:
  details:
    say: Let us book.
    form:
      kind:   {ask: What for?, title: Visit, buttons: {cut: Haircut, beard: Beard}}
      people:
        type: number
        ask: How many people?
        check: {if: 1 <= people <= 4, else: "At most 4, not {{ people }}."}
      day:    {type: date, ask: "Which day, for {{ people }}?"}
      time:
        type: time
        ask: What time?
        check: {if: people < 3 or time != '08:00', else: "Not at {{ time }} for {{ people }}."}
      notes:  {type: string 20, ask: Anything else?, skip: ["no", none, hapana]}
    correct: true
    unmatched: {say: Sorry?, tries: 2, then: stopped}
    go: [{if: notes is none, to: plain}, noted]
  plain: {say: "{{ kind }} for {{ people }} on {{ day }} at {{ time }}.", end: booked}
  noted: {say: "{{ kind }} for {{ people }} on {{ day }} at {{ time }}, {{ notes | default('') }}.", end: booked}
  stopped: {end: stopped}
"""


def booking(flow: str = BOOKING) -> Shop:
    return Shop(bundle=bundle_of(flow)).say("hi")


def asked(shop: Shop) -> str | None:
    wait = shop.snapshot.frames[-1].wait
    return wait.asks_for if wait else None


def slots(shop: Shop) -> dict[str, object]:
    return dict(shop.snapshot.frames[-1].slots)


def test_a_form_asks_for_one_thing_after_the_other_and_goes_on() -> None:
    shop = booking()
    assert shop.texts == ["Let us book.", "What for?"]
    assert shop.tap("Haircut").texts == ["How many people?"]
    assert shop.say("wawili").texts == ["Which day, for 2?"]
    assert shop.say("5 March").texts == ["What time?"]
    assert shop.say("saa nane mchana").texts == ["Anything else?"]
    assert shop.say("near the window").texts == ["cut for 2 on 2026-03-05 at 14:00, near the window."]
    assert shop.ended == ["booked"]


def test_one_message_fills_several_and_what_is_known_is_not_asked() -> None:
    shop = booking().tap("Beard").say("2, 5 March at 2pm")
    assert (asked(shop), slots(shop)) == ("notes", {"kind": "beard", "people": 2, "day": "2026-03-05", "time": "14:00"})


def test_no_words_are_read_twice() -> None:
    shop = booking().tap("Beard").say("2")
    assert slots(shop) == {"kind": "beard", "people": 2}


def test_an_answer_given_ahead_leaves_the_open_question_open() -> None:
    shop = booking().say("5 March")
    assert (asked(shop), slots(shop), shop.texts) == ("kind", {"day": "2026-03-05"}, ["What for?"])
    assert asked(shop.say("haircut").say("3")) == "time"


def test_a_word_for_nothing_skips() -> None:
    shop = booking().tap("Beard").say("2, 5 March at 2pm").say("Hapana!")
    assert shop.texts == ["beard for 2 on 2026-03-05 at 14:00."]


def test_a_check_that_fails_says_why_and_uses_a_try() -> None:
    shop = booking().tap("Beard").say("9")
    assert (shop.texts, asked(shop)) == (["At most 4, not 9."], "people")
    assert shop.say("8").say("7").ended == ["stopped"]


def test_a_text_that_is_too_long_is_not_cut() -> None:
    shop = booking().tap("Beard").say("2, 5 March at 2pm").say("x" * 21)
    assert (shop.texts, asked(shop)) == (["Sorry?"], "notes")


def test_nothing_understood_uses_the_tries_of_its_own_question() -> None:
    shop = booking().say("what").say("ever").tap("Beard").say("eh").say("oh")
    assert (shop.texts, asked(shop)) == (["Sorry?"], "people")
    assert shop.share("image").ended == ["stopped"]


def test_a_correction_replaces_one_answer_and_comes_back_to_the_question() -> None:
    shop = booking().tap("Beard").say("2").say("5 March")
    assert shop.say("no, 3 please").texts == ["Changed to 3.", "What time?"]
    assert shop.say("6 March").texts == ["Changed to 2026-03-06.", "What time?"]  # nothing but the day can be meant
    assert shop.say("sorry, haircut").texts == ["Changed to Haircut.", "What time?"]
    assert (asked(shop), slots(shop)) == ("time", {"kind": "cut", "people": 3, "day": "2026-03-06"})


def test_a_correction_that_fails_its_check_changes_nothing() -> None:
    shop = booking().tap("Beard").say("2").say("hapana, 9")
    assert shop.texts == ["At most 4, not 9.", "Which day, for 2?"]
    assert slots(shop)["people"] == 2


def test_what_was_checked_against_a_corrected_answer_is_checked_again() -> None:
    shop = booking().tap("Beard").say("2, 5 March at 8am")
    assert asked(shop) == "notes"
    shop.say("no, 3")
    assert shop.texts == ["Changed to 3.", "Not at 08:00 for 3.", "What time?"]
    assert (asked(shop), "time" in slots(shop)) == ("time", False)


def test_free_text_is_a_correction_only_when_it_says_so() -> None:
    shop = booking().tap("Beard").say("2, 5 March at 2pm")
    assert shop.say("3").texts == ["beard for 2 on 2026-03-05 at 14:00, 3."]


def test_the_same_answer_again_changes_nothing() -> None:
    shop = booking().tap("Beard").say("2").say("no, 2")
    assert (shop.texts, asked(shop)) == (["Sorry?"], "day")


TWO = BOOKING.replace("      day: ", "      kids: {type: number, ask: And children?, title: Children}\n      day: ")


def test_when_two_answers_could_be_meant_it_asks_which() -> None:
    shop = booking(TWO).tap("Beard").say("2").say("1")
    assert asked(shop) == "day"
    shop.say("no, 3")
    assert (shop.texts, list(shop.shown[-1])) == (["Which one shall I change?"], ["People", "Children"])
    assert shop.tap("Children").texts == ["Changed to 3.", "Which day, for 2?"]
    assert (slots(shop)["people"], slots(shop)["kids"]) == (2, 3)


def test_whoever_does_not_say_which_is_heard_as_usual() -> None:
    shop = booking(TWO).tap("Beard").say("2").say("1").say("no, 3").say("5 March")
    assert (asked(shop), slots(shop)["people"], slots(shop)["kids"]) == ("time", 2, 1)


def test_two_questions_of_one_kind_share_a_message_in_their_order() -> None:
    shop = booking(TWO).tap("Beard").say("2 na 1")
    assert (slots(shop)["people"], slots(shop)["kids"]) == (2, 1)


def test_commands_come_before_answers_and_after_choices() -> None:
    shop = booking().say("help")
    assert shop.texts == ["Just answer.", "What for?"]
    named = booking(BOOKING.replace("beard: Beard", "beard: Morning")).say("morning")
    assert (asked(named), slots(named)) == ("people", {"kind": "beard"})


def test_an_old_menu_of_the_form_is_stale() -> None:
    shop = booking().tap("Beard").tap("Haircut")
    assert (asked(shop), shop.texts, slots(shop)["kind"]) == ("people", ["How many people?"], "beard")


def test_without_correct_an_answer_stands() -> None:
    shop = booking(BOOKING.replace("    correct: true\n", "")).tap("Beard").say("2").say("no, 3")
    assert (shop.texts, slots(shop)["people"]) == (["Sorry?"], 2)


PICKED = """
flow: choosing
starts_when: [any: true]
slots: {word: {type: string 500}}
states:
  start: {ask: Say a word., replies: [{any: true, as: word, go: details}]}
  details:
    form:
      word: {type: string 500, ask: Which word?}
      line:
        type: line
        ask: Which line?
        list: {button: See, rows: {each: order.lines, id: it.product, title: it.name}, more: {title: More}}
      size: {type: string 20, ask: What size?, buttons: {s: Small, l: Large}}
    correct: {say: "Now it is {{ value }}."}
    go: done
  done: {say: "{{ word }}: {{ line.total | kes }}, {{ size }}.", end: done}
"""


def test_a_form_asks_from_a_list_of_records_keeps_the_whole_record_and_turns_its_pages() -> None:
    lines: list[JSON] = [{"product": str(n), "name": f"Item {n}", "qty": 1, "total": 10 * n} for n in range(12)]
    shop = Shop(bundle=bundle_of(PICKED), more_lines=lines).say("hi").say("tea")
    assert (asked(shop), list(shop.shown[-1])) == ("line", [f"Item {n}" for n in range(9)] + ["More"])  # the word is known
    assert list(shop.tap("More").shown[-1])[:3] == ["Item 9", "Item 10", "Item 11"]
    assert shop.rung() == "choice"
    assert shop.say("nothing on it").texts == ["Which line?"]
    assert asked(shop.tap("Item 11")) == "size"
    assert shop.tap("Large").texts == ["tea: KES 110, Large."]


def test_a_correction_is_told_in_the_flows_own_words() -> None:
    flow = PICKED.replace("size: {type: string 20", "count: {type: number, ask: How many?}\n      size: {type: string 20")
    shop = Shop(bundle=bundle_of(flow), more_lines=[{"product": "1", "name": "Item", "qty": 1, "total": 10}]).say("hi").say("tea")
    assert shop.tap("Item").say("2").say("no, 3").texts == ["Now it is 3.", "What size?"]


def test_of_four_answers_that_could_be_meant_it_asks_from_a_list() -> None:
    more = "".join(f"      n{n}: {{type: number, ask: And {n}?}}\n" for n in range(3))
    shop = booking(TWO.replace("      day: ", f"{more}      day: ", 1)).tap("Beard").say("2").say("1")
    for count in ("5", "6", "7"):
        shop.say(count)
    assert shop.say("no, 3").texts == ["Which one shall I change?"]
    assert list(shop.shown[-1]) == ["People", "Children", "N0", "N1", "N2"]
    assert shop.tap("N1").texts == ["Changed to 3.", "Which day, for 2?"]
    assert shop.rung() == "choice"


def test_a_correction_that_fails_its_check_after_it_was_asked_for_uses_a_try() -> None:
    shop = booking(TWO).tap("Beard").say("2").say("1").say("no, 9").tap("People")
    assert shop.texts == ["At most 4, not 9.", "Which day, for 2?"]
    assert shop.say("no, 8").tap("People").texts == ["At most 4, not 8.", "Which day, for 2?"]
    assert shop.say("no, 7").tap("People").ended == ["stopped"]


@pytest.mark.parametrize(
    ("said", "rung", "passed"),
    [
        ("Haircut", "choice", []),
        ("5 March", "entities", ["choice", "consent", "state_words", "commands"]),
        ("helpp", "unmatched", ["choice", "consent", "state_words", "commands"]),
    ],
)
def test_the_trace_says_why_the_rungs_above_did_not_take_an_answer(said: str, rung: str, passed: list[str]) -> None:
    shop = booking().say(said)
    (matched,) = [entry for entry in shop.trace if entry["what"] == "matched"]
    told = cast("list[str]", matched["passed"])
    assert (matched["rung"], [why.partition(":")[0] for why in told]) == (rung, passed)
    assert any("nearest is `help`" in why for why in told) is (said == "helpp")


FORM = """
flow: a
starts_when: [any: true]
states:
  x:
    form:
      n: {type: number, ask: Well?}
    go: y
  y: {say: '{{ n }}', end: z}
""".strip()
EDITS = [
    ("C3", "type: number", "type: §money_or_so"),
    ("T3", "  x:\n", "  §x:\n", "    go: y\n", ""),
    ("Y2", "      n: {type: number, ask: Well?}", "      n: §{type: number}"),
    ("Y2", "      n: {type", "      §order: {type: number, ask: A?}\n      n: {type"),
    ("Y2", "states:", "slots: {n: {type: int, default: 1}}\nstates:"),
    ("X4", "ask: Well?}", "ask: Well?, check: {if: §m < n, else: No.}}\n      m: {type: number, ask: And?}"),
    ("X4", "    go: y\n", "    after: {5m: w}\n    go: y\n  w: {say: '{{ §n }}', end: z}\n"),
    ("X4", "{{ n }}", "{{ §n + 1 }}", "ask: Well?}", "ask: Well?, skip: [none]}"),
    ("R3", "ask: Well?}", "ask: Well?, buttons: {a: '1', §b: Bee}}"),
    ("Y2", "    go: y\n", "    correct: §perhaps\n    go: y\n"),
    ("Y2", "    go: y\n", "    replies: [{words: [q], go: y}]\n    go: y\n"),
    ("T2", "    go: y", "    end: e", "  y: {", "  §y: {"),
]  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_a_form_that_cannot_work_is_refused_by_its_place(edit: tuple[str, ...]) -> None:
    text = FORM
    for before, after in zip(edit[1::2], edit[2::2], strict=True):
        assert text.count(before) == 1
        text = text.replace(before, after)
    with pytest.raises(FlowErrors) as caught:
        bundle_of(text.replace("§", ""))
    check_place(caught.value.problems, edit[0], text)


def test_the_form_of_the_edits_loads() -> None:
    assert Shop(bundle=bundle_of(FORM)).say("x").say("4").texts == ["4"]
