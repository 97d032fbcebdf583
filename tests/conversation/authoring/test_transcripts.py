import re
from datetime import UTC, datetime, time, timedelta
from textwrap import dedent, indent
from typing import get_args

import pytest

from conversation.authoring.read_transcripts import BadTranscripts, parse_transcripts
from conversation.authoring.transcripts import (
    BotSays,
    BotSaysAnything,
    BotSaysNothing,
    ChatStep,
    ClockMoves,
    Contains,
    CustomerSends,
    CustomerShares,
    CustomerTaps,
    CustomerWrites,
    EffectMatch,
    Equal,
    Expect,
    Matches,
    MpesaRepeats,
    MpesaTells,
    Outcome,
    PersonIsDone,
    PersonWrites,
    Titles,
    Transcript,
    VendorChanges,
)
from payments.result_codes import MEANINGS

HEAD = """\
test: buys flour
flow: shop
given: {now: 2026-03-02 09:15 Africa/Nairobi, customer: {phone: "+254700000001", first_name: Mteja, language: sw}, vendor: duka}
"""


def document(chat: str = "- customer: Habari", head: str = HEAD) -> str:
    return head + "chat:\n" + indent(dedent(chat).strip("\n"), "  ") + "\n"


def parse(text: str) -> Transcript:
    (transcript,) = parse_transcripts(text, file="shop.test.yaml")
    return transcript


def steps(chat: str) -> tuple[ChatStep, ...]:
    """Put a customer's step before, so that any line may come first."""
    return parse(document("- customer: Habari\n" + dedent(chat).strip("\n"))).chat[1:]


def problems(text: str) -> list[str]:
    with pytest.raises(BadTranscripts) as caught:
        parse_transcripts(text, file="shop.test.yaml")
    return str(caught.value).splitlines()


def test_a_transcript_says_who_when_and_where() -> None:
    transcript = parse(document())

    assert (transcript.name, transcript.flow, transcript.file, transcript.line) == ("buys flour", "shop", "shop.test.yaml", 1)
    assert transcript.given.now == datetime(2026, 3, 2, 6, 15, tzinfo=UTC)
    assert transcript.given.phone == "254700000001"
    assert (transcript.given.first_name, transcript.given.language, transcript.given.vendor) == ("Mteja", "sw", "duka")


def test_an_order_and_stock_may_be_given() -> None:
    head = HEAD.replace("vendor: duka", "vendor: duka, order: {CONFIRMED: {Maziwa 500ml: 4}}, stock: {Unga 2kg: 0}")
    given = parse(document(head=head)).given

    assert given.order is not None
    assert (given.order.status, given.order.lines) == ("CONFIRMED", {"Maziwa 500ml": 4})
    assert given.stock == {"Unga 2kg": 0}


def test_mpesa_lists_its_answers_with_their_lines() -> None:
    head = HEAD + "mpesa:\n  push: [accepted, rejected, unknown]\n  query: [pending, {paid: {receipt: SBC1234XYZ}}, no_funds]\n"
    transcript = parse(document(head=head))

    assert [(push.answer, push.line) for push in transcript.pushes] == [("accepted", 5), ("rejected", 5), ("unknown", 5)]
    answers = [(query.answer, query.receipt, query.line) for query in transcript.queries]
    assert answers == [("pending", None, 6), ("paid", "SBC1234XYZ", 6), ("no_funds", None, 6)]


def test_outcomes_are_those_that_payments_tells() -> None:
    assert set(get_args(Outcome)) == {meaning.why for meaning in MEANINGS.values()}


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("- customer: 2 unga na 1 sukari", CustomerWrites(line=6, text="2 unga na 1 sukari")),
        ("- customer: 2", CustomerWrites(line=6, text="2")),
        ("- customer: no", CustomerWrites(line=6, text="no")),
        ("- customer: 007", CustomerWrites(line=6, text="007")),
        ("- customer: {tap: Confirm}", CustomerTaps(line=6, choice="Confirm")),
        ("- customer: {tap: edit, of: pay.ask, nth: 1}", CustomerTaps(line=6, choice="edit", of="pay.ask", nth=1)),
        ("- customer: {image: true}", CustomerSends(line=6, kind="image")),
        ("- customer: {image: {caption: hii}}", CustomerSends(line=6, kind="image", caption="hii")),
        (
            "- customer: {location: {lat: -1.28, lon: 36.8, name: Posta}}",
            CustomerShares(line=6, latitude=-1.28, longitude=36.8, name="Posta"),
        ),
        ("- clock: +90s", ClockMoves(line=6, by=timedelta(seconds=90))),
        ("- clock: +1h30m", ClockMoves(line=6, by=timedelta(minutes=90))),
        ("- clock: 18:02", ClockMoves(line=6, until=time(18, 2))),
        (
            "- event: {payments.result: {attempt: 1, outcome: paid, receipt: SBC1234XYZ}, after: 41s}",
            MpesaTells(line=6, attempt=1, outcome="paid", receipt="SBC1234XYZ", after=timedelta(seconds=41)),
        ),
        ("- bot: ...", BotSaysAnything(line=6)),
        ("- bot: nothing", BotSaysNothing(line=6)),
        ("- bot: Karibu!", BotSays(line=6, text=(Equal(text="Karibu!"),))),
        ("- bot: ~Type e.g.", BotSays(line=6, text=(Contains(text="Type e.g."),))),
        ("- bot: [~KES 430, ~PAY]", BotSays(line=6, text=(Contains(text="KES 430"), Contains(text="PAY")))),
        ("- bot: {at: cart.ask}", BotSays(line=6, at="cart.ask")),
        (
            "- bot: {text: ~Basket, buttons: [Confirm, ...]}",
            BotSays(line=6, text=(Contains(text="Basket"),), buttons=Titles(titles=("Confirm",), more=True)),
        ),
        (
            "- bot: {list: {button: See products, rows: [Unga 2kg]}}",
            BotSays(line=6, menu_button="See products", menu_rows=Titles(titles=("Unga 2kg",))),
        ),
        (
            "- expect: {state: cart, order: DRAFT, slots: {edit.unknown: [kuku], n: 2}, ended: paid}",
            Expect(line=6, state="cart", order="DRAFT", slots={"edit.unknown": ["kuku"], "n": 2}, ended="paid"),
        ),
        (
            "- expect: {effects: [orders.edit], no_effect: payments.stk_push, effects_total: {payments.query: 2}}",
            Expect(line=6, effects=("orders.edit",), no_effect=("payments.stk_push",), effects_total={"payments.query": 2}),
        ),
        (
            "- expect: {effect: {payments.stk_push: {amount: 430}}}",
            Expect(line=6, effect=(EffectMatch(name="payments.stk_push", args={"amount": 430}),)),
        ),
    ],
)
def test_each_kind_of_step_is_read(step: str, expected: ChatStep) -> None:
    assert steps(step) == (expected,)


def test_a_pattern_is_compiled() -> None:
    (step,) = steps(r"- bot: /M-Pesa ref \S+/")

    assert step == BotSays(line=6, text=(Matches(pattern=re.compile(r"M-Pesa ref \S+")),))


def test_the_same_event_may_come_again() -> None:
    assert steps("- event: {payments.result: {attempt: 1, outcome: cancelled}}\n- event: same")[1] == MpesaRepeats(line=7)


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("- custommer: Habari", "6:5  a step has no `custommer`: did you mean `customer`?"),
        ("- customer: {tab: PAY}", "6:16  what a customer does has no `tab`: did you mean `tap`?"),
        ("- customer: {tap: PAY, image: true}", "6:26  a tap has no `image`: it can be tap, of, nth"),
        ("- customer: {tap: PAY, nth: 2}", "6:31  `nth:` counts the questions of one place: say which with `of: pay.ask`"),
        ("- customer: {image: maybe}", "6:23  image is not `maybe`: it can be true"),
        ("- customer: Hi\n  bot: Hello", "6:5  a step is one thing: start the next one with its own `-`"),
        ("- bot: ~", "6:10  nothing is written here (a bare `~` is YAML's word for nothing: put a text after it, or quote it)"),
        ("- bot: /[/", "6:10  this is no pattern: unterminated character set at position 0"),
        ("- bot: {buttons: [..., Confirm]}", "6:20  `...` means that more may follow: it can only be the last one"),
        ("- clock: 90s", "6:12  clock is `+90s`, `+30m`, `+2h`, or is a time of day such as 18:02, not `90s`"),
        ("- clock: +90x", "6:12  clock moves by a duration such as +90s, +30m, +1h30m or +2d, not `+90x`"),
        (
            "- event: {payments.result: {attempt: 1, outcome: payed}}",
            "6:52  outcome is not `payed`: did you mean `paid`?",
        ),
        (
            "- event: {payments.result: {attempt: 1, outcome: no_funds, receipt: SBC1234XYZ}}",
            "6:71  only a paid result has a receipt",
        ),
        (
            "- event: {payments.result: {attempt: 1, outcome: paid, receipt: sbc}}",
            "6:67  an M-Pesa receipt is 10 capital letters and digits such as SBC1234XYZ, not `sbc`",
        ),
        ("- event: same", "6:5  `event: same` repeats the event before it, and there is none yet"),
        ("- expect: {order: PAYED}", "6:21  order is not `PAYED`: did you mean `PAID`?"),
        ("- expect: {}", "6:13  expect nothing? Name what must be true: state, order, slots, effects, effect, no_effect, ended"),
        ("- bot: nothing\n- bot: Hello", "7:5  the line above says that the shop says nothing"),
        ("- bot: Hello\n- bot: nothing", "7:5  the shop has already spoken in the line above, so it cannot say nothing"),
        ("- bot: {text: a, text: b}", "6:20  `text` is here twice"),
        (
            "- bot: {text: ~KES 1,150}",
            "6:24  `150` stands alone here: inside {…} a text with a comma in it needs quotes",
        ),
        ("- bot: !secret x", "6:10  tags such as `!secret` are not used here"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(step: str, said: str) -> None:
    text = document("- customer: Habari") + indent(step, "  ") + "\n"

    assert problems(text) == [f"shop.test.yaml:{said}"]


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (HEAD.replace("flow: shop\n", ""), "1:1  a test needs `flow:`"),
        (HEAD.replace("flow: shop", "flows: shop"), "2:1  a test has no `flows`: did you mean `flow`?"),
        (
            HEAD.replace("2026-03-02 09:15", "tomorrow"),
            "3:14  now is written as 2026-03-02 09:15 Africa/Nairobi, not `tomorrow Africa/Nairobi`",
        ),
        (HEAD.replace("Africa/Nairobi", "Africa/Narnia"), "3:14  now is written as 2026-03-02 09:15 Africa/Nairobi, not"),
        (HEAD.replace("+254700000001", "0700000001"), '3:65  phone is written as "+254700000001", not `0700000001`'),
        (HEAD + "mpesa: {push: [acepted]}\n", "4:16  an answer to a push is not `acepted`: did you mean `accepted`?"),
        (HEAD + "mpesa: {push: accepted}\n", "4:15  push is a list here"),
        (
            HEAD.replace("vendor: duka", "vendor: duka, stock: {Unga 2kg: -1}"),
            "the number of Unga 2kg is a whole number from 0 up",
        ),
    ],
)
def test_what_is_wrong_before_the_chat_is_refused_with_its_place(head: str, said: str) -> None:
    (problem,) = problems(document(head=head))

    assert said in problem


def test_a_chat_starts_with_what_the_customer_does() -> None:
    assert problems(document("- bot: Karibu")) == [
        "shop.test.yaml:5:5  a chat starts with what the customer does: `- customer: Habari`"
    ]


def test_every_wrong_step_is_told_at_once() -> None:
    told = problems(document("- customer: Habari\n- bott: a\n- bot: b\n- clok: +1s"))

    assert [line.partition("  ")[0] for line in told] == ["shop.test.yaml:6:5", "shop.test.yaml:8:5"]


def test_two_tests_of_one_file_have_two_names() -> None:
    assert problems(document() + "---\n" + document()) == ["shop.test.yaml:7:1  there is already a test of this name, in line 1"]


def test_documents_count_their_lines_through_the_file() -> None:
    second = document("- customer: Habari\n- bot: ~Karibu").replace("buys flour", "looks around")
    transcripts = parse_transcripts(document() + "---\n" + second, file="shop.test.yaml")

    assert [(transcript.name, transcript.line) for transcript in transcripts] == [("buys flour", 1), ("looks around", 7)]
    assert [step.line for step in transcripts[1].chat] == [11, 12]


def test_an_empty_file_holds_no_test() -> None:
    assert problems("# soon\n") == [
        "shop.test.yaml:1:1  there is no test in this file: one starts with `test: what happens in it`"
    ]


def test_broken_yaml_is_told_with_its_place_and_a_hint() -> None:
    (problem,) = problems(document("- bot: {text: KES: 430}"))

    assert problem.startswith("shop.test.yaml:5:")
    assert "needs quotes" in problem


def test_a_vendor_changes_the_shop() -> None:
    (both,) = steps("- vendor: {stock: {Unga 2kg: 0}, stops: [Mkate 400g, payments.mpesa_stk]}")
    (one,) = steps("- vendor: {stops: Mkate 400g}")

    assert both == VendorChanges(line=6, stock={"Unga 2kg": 0}, stops=("Mkate 400g", "payments.mpesa_stk"))
    assert one == VendorChanges(line=6, stock={}, stops=("Mkate 400g",))
    for wrong in ("{}", "{stoc: {}}", "{stock: {Unga 2kg: few}}"):
        with pytest.raises(BadTranscripts):
            steps(f"- vendor: {wrong}")


def test_a_person_writes_and_gives_the_conversation_back() -> None:
    assert steps("- person: Hello!\n- person: {done: true}") == (PersonWrites(line=6, text="Hello!"), PersonIsDone(line=7))
    with pytest.raises(BadTranscripts, match="done"):
        steps("- person: {done: maybe}")


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[" * 5_000, "nested deeper than 20"),
        ("\n".join(" " * n + "a:" for n in range(700)), "nested too deeply"),
        ("a: " + "x" * 400_000, "390 kB; 256 kB is the most"),
        ("test: a\n" + "".join(f"k{n}: 1\n" for n in range(20_000)), "more than 20000 entries"),
        ("test: x\n\tflow: y", "a tab stands here"),
    ],
)
def test_a_transcript_that_is_a_trap_is_refused_at_once(text: str, told: str) -> None:
    with pytest.raises(BadTranscripts, match=told):
        parse_transcripts(text, file="a.test.yaml")
