"""What does not load, and exactly where the message points."""

import re
from pathlib import Path

import pytest

from conversation.authoring.load import build_bundle, load_bundle
from conversation.authoring.problems import FlowErrors, Problem
from conversation.engine.flow import Limits
from conversation.services import CATALOGUE
from tests.conversation.engine.shop import FLOWS, shop_bundle
from tests.conversation.engine.small import LATE, bundle_of, files_of

SHOP = (FLOWS / "shop.yaml").read_text()


def shop_files() -> dict[str, bytes]:
    paths = [*FLOWS.glob("*.yaml"), *(FLOWS / "text").glob("*.yaml")]
    return {f"flows/{path.relative_to(FLOWS).as_posix()}": path.read_bytes() for path in paths}


def problems_of(shop: str) -> tuple[Problem, ...]:
    """Load this shop.yaml beside the other files, without the translations."""
    files = {file: data for file, data in shop_files().items() if "/text/" not in file}
    try:
        build_bundle({**files, "flows/shop.yaml": shop.encode()}, CATALOGUE)
    except FlowErrors as errors:
        return errors.problems
    return ()


def edited(*edit: str) -> str:
    """The shop with texts replaced: before, after, before, after… Each must stand there exactly once."""
    text = SHOP
    for before, after in zip(edit[::2], edit[1::2], strict=True):
        assert text.count(before) == 1, f"{before!r} stands {text.count(before)} times"
        text = text.replace(before, after)
    return text


def check_place(problems: tuple[Problem, ...], code: str, text: str) -> None:
    """There is a problem with this code, at the sign § if the text has one."""
    at = text.find("§")
    found = [(each.code, each.at.line, each.at.column) for each in problems]
    told = "\n".join(map(str, problems))
    if at < 0:
        assert code in [each.code for each in problems], told
    else:
        assert (code, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)) in found, told


PAY = "{do: [{set: {why: event.why}}], go: pay_failed}"
CONFIRM = "sw: [thibitisha, sawa]}, go: confirm}"
AFTER = "    after: {90s: ask_mpesa}                     # callbacks get lost: ask, don't hope\n"
CANCEL = 'cancel: {say: "The prompt is already on your phone: decline it there to stop.", then: resume}'
PAGE = "      - call: catalog.page\n        with: {vendor: vendor.id, page: page}\n"
ASK_PAY = "    ask:\n      text: |\n        Order"
BRANCHES = "{if: order.is_confirmed, to: pay}, {if: order.lines, to: cart}, browse]"

_FIRST, _LAST = "    redirect:                                   # no prompt", "        with: {order: order.id, amount"
GUARD = SHOP[SHOP.index(_FIRST) : SHOP.index(_LAST)]

# code, then what stands in shop.yaml and what the author writes instead, with § where the caret must point
EDITS = [
    # targets
    ("T1", "{picked: product, go: quantity}", "{picked: product, go: §quantitty}"),
    ("T1", "expires: {after: 12h, to: expired}", "expires: {after: 12h, to: §gone}"),
    ("T1", "tries: 2, then: browse}", "tries: 2, then: §brows}"),
    ("T1", "after: {90s: ask_mpesa}", "after: {90s: §ask_mpes}"),
    ("T1", BRANCHES, "{if: order.is_confirmed, to: §paid}, {if: order.lines, to: cart}, browse]"),
    ("T3", BRANCHES, "{if: order.is_confirmed, to: pay}, §{if: order.lines, to: cart}]"),
    ("T3", "  watch:        {do: [{set: {asked: 0}}], go: waiting}", "  §watch:        {do: [{set: {asked: 0}}]}"),
    ("T5", "    wait: {for", "    §wait: {for", AFTER, ""),
    ("X5", "go: [{if: order.is_confirmed, to: pay}, closed]", "go: [§pay, closed]"),
    # calls and outcomes
    ("C1", "call: catalog.page", "call: §catalog.pages"),
    ("C1", "wait: {for: payments.result", "wait: {for: §payments.results"),
    ("C1", "{consent: pay, go: charge}", "{consent: §pays, go: charge}"),
    ("C2", PAGE, "      - call: §catalog.page\n        with: {vendor: vendor.id}\n"),
    ("C2", "{vendor: vendor.id, page: page}", "{vendor: vendor.id, page: page, §size: 3}"),
    ("C3", "{vendor: vendor.id, page: page}", "{vendor: vendor.id, page: §vendor.name}"),
    ("C3", "as: shelf", "as: §product"),
    ("C3", "edit:    {type: basket_edit}", "edit:    {type: §basket_edits}"),
    ("C4", "reason: timed_out", "reason: §timedout"),
    ("C5", "amount: order.total,", "amount: §order.total + 1,"),
    ("C5", "{order: order.id, amount: order.total,", "{order: §vendor.id, amount: order.total,"),
    ("C6", "call: catalog.page", "call: §catalog.page", "{empty: sold_out, error: closed_today}", "{empty: sold_out}"),
    ("C6", "{empty: sold_out, error: closed_today}", "{empty: sold_out, error: closed_today, §slow: trouble}"),
    ("C6", "{empty: sold_out, error: closed_today}", "{§ok: cart, empty: sold_out, error: closed_today}"),
    ("C6", "      no_funds | wrong_pin |", "      §no_funds | wrong_pn |"),
    # expressions
    ("X1", "page: page + 1", "page: §page / 2"),
    ("X1", "page: page + 1", "page: §\"'a' * 100000000\""),
    ("X1", "{{ order.total | kes }} is still", "{{ order.total | §kesh }} is still"),
    ("X2", "{{ product.price | kes }}?", "{{ product.§prise | kes }}?"),
    ("X2", "{if: shelf.has_more", "{if: shelf.§hasmore"),
    ("X2", "page: page + 1", "page: §pages + 1"),
    ("X2", "[{set: {page: 1}}]", "[{set: {§pagge: 1}}]"),
    ("X3", "page: page + 1", "page: §vendor.name + 1"),
    ("X3", "{{ vendor.name }} has nothing", "{{ §vendor }} has nothing"),
    ("X4", "{{ order.receipt | default('to follow') }}", "{{ §order.receipt }}"),
    # replies and choices
    ("R1", "{choice: more, do: [{set: {page: 1}}], go: browse}", "{choice: §moer, do: [{set: {page: 1}}], go: browse}"),
    ("R2", "en: [confirm, ok]", "en: [confirm, §pay]"),
    ("R2", "  cancel:   {words: {en: [cancel, stop]", "  §cancel:   {words: {en: [confirm, stop]"),
    ("R2", "{pay: PAY, edit", "{§pay: PAY, edit", "- {consent: pay, go: charge} ", "- {choice: pay, go: charge} "),
    ("R3", "pay: PAY, edit: Change", "pay: PAY, §edit: Change", "      - {choice: edit, go: amend}\n", ""),
    ("R3", "      - {picked: product, go: quantity}\n", ""),
    # WhatsApp
    ("W1", "confirm: Confirm,", "confirm: §Confirm this order please,"),
    ("W1", "button: See products", "button: §See all of our products"),
    ("W1", "title: More products", "title: §More products from this very shop"),
    # consent and money
    ("P3", ASK_PAY, ASK_PAY.replace("|", "§|"), "to {{ customer.phone | phone }}.", "to you."),
    ("P3", "{{ order.number }}*: *{{ order.total | kes }}*", "{% if order.lines %}{{ order.total | kes }}{% endif %}*"),
    ("L2", ASK_PAY, ASK_PAY.replace("|", "§|"), "Reply *PAY* and we", "Reply and we"),
    ("P1", PAY, PAY.replace("pay_failed}", "§charge}")),
    ("T2", CONFIRM, CONFIRM.replace("confirm}", "charge}"), "  confirm:  ", "  §confirm:  "),
    ("P1", "{choice: edit, go: amend}", "{choice: edit, go: §charge}"),
    ("P1", "after: {90s: ask_mpesa}", "after: {90s: §charge}"),
    ("P1", "tries: 20, then: handoff}", "tries: 20, then: charge}"),
    ("P1", "[mtu, wakala]}, go: handoff}", "[mtu, wakala]}, go: §charge}"),
    ("P1", "expires: {after: 12h, to: expired}", "expires: §{after: 12h, to: charge}"),
    ("P2", GUARD, "    do:\n      - call: §payments.stk_push\n"),
    ("P4", CANCEL, "cancel: {say: x, go: §cancel}"),
    ("P4", "after: {90s: ask_mpesa}", "after: {90s: §expired}"),
    ("P5", "unknown: ask_mpesa ", "unknown: §pay_failed "),
    # keys and shapes
    ("Y2", '    unmatched: {say: "Just send', '    §unmatche: {say: "Just send'),
    ("Y2", "visits: {max: 12, then: handoff}", "visits: {max: §none, then: handoff}"),
    ("Y2", "after: 30m, in:", "after: §30 minutes, in:"),
    ("Y2", 'between: ["08:00", "20:30"]', '§between: ["20:30", "08:00"]'),
    ("Y2", "- {choice: edit, go: amend}", "- {choice: edit, do: [{§call: orders.amend}], go: cart}"),
    ("Y2", "flow: shop\n", "flow: §shopp\n"),
    ("Y2", "  greet:\n    say:", "  greet:\n    §collect: {a: {type: int}}\n    say:"),
    # YAML itself
    ("Y1", "  greet:\n    say:", "  greet:\n    say: twice\n    §say:"),
    ("Y1", "    end: paid\n", "    end: §!!str paid\n"),
    ("Y1", "    end: paid\n", "    §<<: {end: paid}\n"),
]


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_refused_by_its_code_and_place(edit: tuple[str, ...]) -> None:
    text = edited(*edit[1:])
    check_place(problems_of(text.replace("§", "")), edit[0], text)


SMALL = [
    (
        "Y2",
        "conversation: {remind: {after: 5m, in: [x, §z], say: Still there?}}\nstates:\n"
        "  x: {ask: Well?, replies: [{words: [b], go: z}]}\n  z: {say: Bye, end: y}",
    ),
    ("T2", "states:\n  x: {end: y}\n  §z: {end: y}"),
    ("T4", "states:\n  §x: {go: z}\n  z: {go: x}"),
    ("X4", "slots: {n: {type: int}}\nstates:\n  x: {say: 'It is {{ §n }}.', end: y}"),
    (
        "X4",
        "slots: {n: {type: int}}\nstates:\n  x:\n    ask: Well?\n"
        "    replies: [{entity: number, as: n, go: z}, {words: [b], go: z}]\n  z: {say: 'It is {{ §n }}.', end: y}",
    ),
    ("T5", "states:\n  §x:\n    ask: Well?\n    replies: [{words: [more], go: x}]"),
    ("T3", "states:\n  x:\n    ask: Well?\n    §go: x\n    replies: [{words: [more], go: x}]"),
    ("W1", "states:\n  x:\n    ask: {text: Well?, buttons: {a: A, b: §A}}\n    replies: [{words: [q], go: x}]"),
    (
        "R3",
        "states:\n  x:\n    ask: {text: Q, buttons: {a: '1', §b: B}}\n    replies: [{entity: number, go: y}]\n  y: {end: y}",
    ),
    ("C3", "slots: {l: {type: list of string, default: §x}}\nstates: {x: {end: y}}"),
    (
        "C7",
        "states:\n  x:\n    wait: §{for: payments.result, where: {attempt: order.payment_attempt}}\n"
        "    outcomes: {paid | cancelled | timed_out | no_funds | wrong_pin | failed: y}\n    after: {90s: y}\n  y: {end: y}",
    ),
    ("Y2", "slots: {§order: {type: int}}\nstates: {x: {end: y}}"),
    (
        "R2",
        "commands: {a: {words: [w], then: resume}, §b: {words: [w], then: resume}}\n"
        "states:\n  x: {ask: Well?, replies: [{words: [q], go: y}]}\n  y: {end: y}",
    ),
    ("T3", "states:\n  x: {§handoff: {queue: a, note: b}}"),
    ("Y2", "states:\n  x: {do: [{switch_language: §fr}], end: y}"),
    (
        "W2",
        "slots: {l: {type: basket_edit}}\nstates:\n  x:\n    do: [{set: {l: l}}]\n    ask: {text: Q, list: {button: B, "
        "rows: {§each: l.unknown, id: it, title: it}}}\n    replies: [{words: [q], go: x}]",
    ),
]


@pytest.mark.parametrize(("code", "rest"), SMALL)
def test_a_small_flow_is_refused_by_its_code_and_place(code: str, rest: str) -> None:
    text = f"flow: a\nstarts_when: [any: true]\n{rest}"
    with pytest.raises(FlowErrors) as caught:
        bundle_of(text.replace("§", ""))
    check_place(caught.value.problems, code, text)


def test_the_limits_of_a_turn_are_those_of_the_app() -> None:
    files = files_of("flow: a\nstarts_when: [any: true]\nstates:\n  x: {end: y}")
    assert build_bundle(files, CATALOGUE).limits == Limits(states=50, messages=4, frames=8)
    app = files["flows/app.yaml"] + b"\nlimits: {steps_per_turn: 9, messages_per_turn: 2, expression_cost: 200}\n"
    assert build_bundle({**files, "flows/app.yaml": app}, CATALOGUE).limits == Limits(states=9, messages=2, cost=200)


def test_a_start_that_is_never_taken_is_refused() -> None:
    with pytest.raises(FlowErrors, match=r"a\.yaml:2:\d+ .*never taken"):
        bundle_of("flow: a\nstarts_when: [any: false]\nstates:\n  x: {end: y}")


def test_a_file_with_another_ending_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "app.yaml").write_text("app: x")
    (tmp_path / "other.yml").write_text("flow: other")
    with pytest.raises(FlowErrors, match=r"other\.yml:1:1 .*rename this file"):
        load_bundle(tmp_path, CATALOGUE)


def test_the_shop_loads_and_its_name_follows_its_content() -> None:
    assert problems_of(edited("Your basket is empty.", "Your basket is empty!")) == ()
    assert len(shop_bundle().hash) == 12
    first = bundle_of("flow: a\nstarts_when: [any: true]\nstates:\n  x: {end: y}")
    second = bundle_of("flow: a   \nstarts_when: [any: true]\nstates:\n  x: {end: y}  \n")
    third = bundle_of("flow: a\nstarts_when: [any: true]\nstates:\n  x: {end: z}")
    assert first.hash == second.hash != third.hash


def test_a_message_shows_the_line_a_caret_and_what_was_meant() -> None:
    (problem,) = problems_of(edited("{picked: product, go: quantity}", "{picked: product, go: quantitty}"))
    line = SHOP[: SHOP.index("{picked: product")].count("\n") + 1
    meant = SHOP[: SHOP.index("\n  quantity:")].count("\n") + 2
    assert str(problem) == (
        f"flows/shop.yaml:{line}:31  T1  there is no state `quantitty`\n"
        f"{line:>5} |       - {{picked: product, go: quantitty}}\n"
        f"      |                               ^^^^^^^^^ did you mean `quantity` (line {meant})?\n"
        "   Because of this, nobody can reach `quantity`."
    )


def test_a_violation_is_told_as_a_customers_story() -> None:
    (problem,) = problems_of(edited(PAY, PAY.replace("pay_failed}", "charge}")))
    assert problem.hint.startswith("leads to payments.stk_push (line ")
    told = r"how it can happen:  .* holds -> payments.result says \w+"
    assert re.fullmatch(told, problem.notes[0])


def test_a_slot_that_may_not_be_set_is_told_with_the_way_there() -> None:
    asks = "{ask: Well?, replies: [{entity: number, as: n, go: y}, {words: [b], go: w}]}"
    states = f"  x: {asks}\n  w: {{go: y}}\n  y: {{say: '{{{{ n }}}}', end: e}}"
    with pytest.raises(FlowErrors) as caught:
        bundle_of(f"flow: a\nstarts_when: [any: true]\nslots: {{n: {{type: int}}}}\nstates:\n{states}")
    (problem,) = caught.value.problems
    assert (problem.code, problem.message, problem.notes) == (
        "X4",
        "`n` may not be set yet here",
        ("how: x -> w -> y", "fix: give `n` a default, or set it on that way"),
    )


def test_all_causes_are_told_at_once_in_the_order_of_lines() -> None:
    states = "  x: {go: yy}\n  y: {go: zz}\n  z: {say: '{{ nobody }}', end: e}"
    with pytest.raises(FlowErrors) as caught:
        bundle_of(f"flow: a\nstarts_when: [any: true]\nstates:\n{states}")
    assert [(problem.code, problem.at.line) for problem in caught.value.problems] == [("T1", 4), ("T1", 5), ("X2", 6)]


@pytest.mark.security(21)
@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "[" * 30 + "]" * 30, "nested deeper than 20"),
        ("[" * 5000, "nested deeper than 20"),
        ("x: " + "y" * 300_000, "kB"),
        ("a: &a {k: 1}\n" + "".join(f"k{n}: {{<<: *a}}\n" for n in range(3_000)), "merge keys"),
        ("a: 1\na: 2", "stands twice"),
        ("a: &x 1\nb: {<<: *x}", "merge keys"),
        ("a: !!python/object:os.system x", "tags"),
        ("a: &x [1]\n", "never used"),
        ("a: *x\n", "no anchor"),
        ("a: 1\n---\nb: 2\n", "one document"),
        ("{[a]: 1}", "a key is a word"),
        ("", "empty"),
        ("\tx: 1", "a tab stands here"),
        ("\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10) if n else 'x'}]" for n in range(9)), "expand"),
    ],
)
def test_yaml_that_is_a_trap_is_refused_at_once(text: str, message: str) -> None:
    files = {**files_of("flow: z\nstates: {x: {end: y}}"), "flows/a.yaml": text.encode()}
    with pytest.raises(FlowErrors, match=message):
        build_bundle(files, CATALOGUE)


def test_words_that_old_yaml_read_as_false_are_words() -> None:
    flow = """
flow: a
starts_when: [{words: [yes, no, on, off, 12:30, +254700000001, 0o17]}]
states:
  x:
    ask: {text: Well?, buttons: {yes: Yes, no: No}}
    replies: [{choice: yes, words: [y], go: z}, {choice: no, go: z}]
  z: {end: no}
"""
    assert bundle_of(flow).flows["a"].starts[0].words == {"yes", "no", "on", "off", "12:30", "+254700000001", "0o17"}


@pytest.mark.parametrize(
    ("sw", "code", "line"),
    [
        ("language: sw\na: {x.say: Habari}", None, 0),
        ("language: sw\na: {y.say: Habari}", "L1", 2),
        ("language: fr\na: {x.say: Salut}", "L1", 1),
        ('language: sw\na:\n  x.say: {from: "0000", text: Habari}', "L1", 3),
        ("language: sw\na: {x.say: 'Habari {{ nani }}'}", "X2", 2),
        ("language: sw\na: {x.say: [Habari]}", "Y2", 2),
    ],
)
def test_translations_are_checked_by_place(sw: str, code: str | None, line: int) -> None:
    flow = "flow: a\nstarts_when: [any: true]\nstates:\n  x: {say: Hello, end: y}"
    if code is None:
        assert bundle_of(flow, sw=sw).texts["a.x.say"].in_language("sw").source == "Habari"
        return
    with pytest.raises(FlowErrors) as caught:
        bundle_of(flow, sw=sw)
    (problem,) = caught.value.problems
    assert (problem.code, problem.at.file, problem.at.line) == (code, "flows/text/sw.yaml", line)


VENDOR = "language: {}\nvendor: {}\na: {{x.say: {}}}"


def test_a_vendors_customers_read_its_own_words_where_it_has_any() -> None:
    flow = "flow: a\nstarts_when: [any: true]\nstates:\n  x: {say: Hello, end: y}"
    files = files_of(flow) | {
        "flows/text/sw.yaml": b"language: sw\na: {x.say: Habari}",
        "flows/text/en.mama-duka.yaml": VENDOR.format("en", "mama-duka", "Welcome to Mama").encode(),
    }
    text = build_bundle(files, CATALOGUE).texts["a.x.say"]
    told = {
        (language, vendor): text.in_language(language, vendor).source
        for language in ("en", "sw")
        for vendor in ("mama-duka", "acme")
    }
    assert told == {
        ("en", "mama-duka"): "Welcome to Mama",
        ("en", "acme"): "Hello",
        ("sw", "mama-duka"): "Habari",
        ("sw", "acme"): "Habari",
    }


@pytest.mark.parametrize(
    ("file", "said", "code", "line"),
    [
        ("en.acme", ("fr", "acme", "Salut"), "L1", 1),
        ("en.acme", ("en", "Acme", "Hi"), "L1", 2),
        ("acme", ("en", "acme", "Hi"), "L1", 1),
        ("en.acme", ("en", "acme", "'{{ nobody }}'"), "X2", 3),
    ],
)
def test_a_vendors_words_are_checked_as_any_text(file: str, said: tuple[str, ...], code: str, line: int) -> None:
    flow = "flow: a\nstarts_when: [any: true]\nstates:\n  x: {say: Hello, end: y}"
    with pytest.raises(FlowErrors) as caught:
        build_bundle(files_of(flow) | {f"flows/text/{file}.yaml": VENDOR.format(*said).encode()}, CATALOGUE)
    (problem,) = caught.value.problems
    assert (problem.code, problem.at.file, problem.at.line) == (code, f"flows/text/{file}.yaml", line)


def test_a_translation_may_not_lose_what_a_consent_must_show() -> None:
    files = shop_files()
    sw = files["flows/text/sw.yaml"].decode()
    phone = "kwa {{ customer.phone | phone }}"
    for old, new, code in [("Jibu *PAY* tutume", "Jibu tutume", "L2"), (phone, "kwa simu yako", "L2")]:
        assert sw.count(old) == 1
        with pytest.raises(FlowErrors) as caught:
            build_bundle({**files, "flows/text/sw.yaml": sw.replace(old, new).encode()}, CATALOGUE)
        assert [problem.code for problem in caught.value.problems] == [code]
    own = b'language: en\nvendor: mama-duka\nshop: {pay.ask: "{{ order.number }}: {{ order.total | kes }}. Reply *PAY*."}'
    with pytest.raises(FlowErrors) as caught:
        build_bundle({**files, "flows/text/en.mama-duka.yaml": own}, CATALOGUE)
    assert [problem.code for problem in caught.value.problems] == ["L2"]
    shop = files["flows/shop.yaml"].decode()
    without = {"flows/shop.yaml": shop.replace("to {{ customer.phone | phone }}.", "to you.").encode()}
    stale = re.sub(r'(  pay.ask: {)from: "\w+", ', r"\1", sw.replace(phone, "kwa simu yako"))
    with pytest.raises(FlowErrors) as caught:
        build_bundle({**files, **without, "flows/text/sw.yaml": stale.encode()}, CATALOGUE)
    assert [problem.code for problem in caught.value.problems] == ["P3"]  # what the original lacks is not told of each language


def test_a_flow_cannot_run_within_itself() -> None:
    one = "flow: a\nstarts_when: [any: true]\nstates:\n  x: {do: [{call: b}], end: y}"
    other = "flow: b\nstates:\n  x: {do: [{call: a}], end: y}"
    with pytest.raises(FlowErrors, match="T4"):
        bundle_of(one, other)


def test_a_consent_does_not_travel_into_a_subflow() -> None:
    shop = edited(
        *("- {consent: pay, go: charge}", "- {consent: pay, go: sub}"),
        *("  charge:\n", "  sub: {do: [{call: paying}], go: waiting}\n  charge:\n"),
    )
    paying = """
flow: paying
states:
  a:
    redirect: [{if: not order.is_confirmed, to: b}]
    do:
      - call: payments.stk_push
        with: {order: order.id, amount: order.total, phone: customer.phone}
        else: {busy | refused | daily_limit: b, unknown: c}
    go: b
  b: {end: done}
  c: {do: [{call: payments.query, with: {attempt: order.payment_attempt}, else: {pending | not_paid: b}}], go: b}
"""
    with pytest.raises(FlowErrors) as caught:
        bundle_of(shop, paying, LATE, *((FLOWS / f"{name}.yaml").read_text() for name in ("support", "pick_branch", "follow_up")))
    assert "P1" in {problem.code for problem in caught.value.problems}


def test_money_reads_no_slot_so_that_no_correction_can_change_it() -> None:
    for spec in CATALOGUE.calls.values():
        if spec.moves_money:
            assert spec.must_equal.keys() == spec.takes.keys()
            assert {path.partition(".")[0] for path in spec.must_equal.values()} <= CATALOGUE.context.keys()
