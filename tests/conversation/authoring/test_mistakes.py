"""What authors get wrong most often is told once, where they would mend it. § stands where the caret must point."""

import pytest

from conversation.authoring.load import check_files
from conversation.authoring.problems import WIDEST, Problem
from conversation.services import CATALOGUE
from tests.conversation.engine.small import LATE, files_of

FLOW = """flow: a
starts_when: [{any: true}]
slots: {n: {type: int, default: 1}}
conversation: {remind: {after: 30m, in: [ask], times: 1, between: ["08:00", "20:00"], say: "Well?"}}
states:
  ask:
    do: [{call: catalog.page, with: {vendor: vendor.id, page: n}, else: {empty: done, error: done}}]
    ask: {text: "How many, {{ customer.first_name }}?", buttons: {one: One}}
    replies:
      - {entity: number, as: n, check: {if: 1 <= n <= 3, else: "Too many."}, go: done}
    unmatched: {say: "What?", tries: 2, then: done}
  done:
    say: "Thank you."
    end: done
"""

MISTAKES = [
    # YAML
    ("  done:\n    say", "   §done:\n    say", "Y1", "this line is not indented like the lines it belongs to"),
    ("  done:\n", "  §done\n", "Y1", "there is no `:` after this"),
    ('    say: "Thank', '§\tsay: "Thank', "Y1", "a tab stands here: YAML is indented with spaces"),
    ('say: "Thank you."', "say: Thank you§: bye.", "Y1", "a second `:` on this line"),
    ('say: "Thank you."', "say: {§{ customer.first_name }}", "Y1", "a key is a word"),
    ('say: "Thank you."', r'say: "Thank \§you."', "Y1", "`\\y` means nothing inside double quotes"),
    ("tries: 2, then: done}", "tries: 2, then: done", "Y1", "this `{` is not closed"),
    ('say: "Thank you."', 'say: §"Thank you.', "Y1", "this quote is never closed"),
    ('say: "Thank you."', 'say: "Thank" §you.', "Y1", "a text has ended before this"),
    ('say: "What?"', "say: Sorry, §what do you mean", "Y2", "`unmatched` has no key `what do you mean`"),
    # expressions
    ("1 <= n <= 3", "n §= 3", "X1", "`=` is written `==` here"),
    ("1 <= n <= 3", "1 <= n §&& n <= 3", "X1", "`&&` is written `and` here"),
    ("1 <= n <= 3", "n > 0 and §!n", "X1", "`!` is written `not` here"),
    ("1 <= n <= 3", "1 <= §customer.first_name", "X3", "`<=` compares int with string here: that never holds"),
    # one cause, one message
    ("page: n}", "§pagge: n}", "C2", "`catalog.page` takes no `pagge`"),
    ("{entity: number", "{entity: §numbr", "C1", "there is no entity `numbr`"),
    ("customer.first_name", "customer.§frist_name", "X2", "`customer` has no field `frist_name`"),
]


def found_in(flow: str) -> tuple[Problem, ...]:
    return check_files(files_of(flow, LATE), CATALOGUE).problems


@pytest.mark.parametrize(("right", "wrong", "code", "message"), MISTAKES)
def test_a_mistake_is_told_once_at_its_place_in_the_authors_words(right: str, wrong: str, code: str, message: str) -> None:
    text = FLOW.replace(right, wrong)
    assert text != FLOW
    (problem,) = found_in(text.replace("§", ""))
    assert (problem.code, problem.message) == (code, message)
    if "§" in text:
        at = text.index("§")
        assert (problem.at.line, problem.at.column) == (text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))


def test_the_flow_of_the_mistakes_is_right() -> None:
    assert [problem for problem in found_in(FLOW) if not problem.warns] == []


def test_of_a_long_line_only_the_place_is_shown() -> None:
    (problem,) = found_in(FLOW.replace('"Thank you."', f'"{"Thank you. " * 40}{{{{ nobody }}}} {"Bye. " * 40}"'))
    _, shown, caret = str(problem).splitlines()[:3]
    assert len(shown) < WIDEST + 12
    assert shown[caret.index("^") :].startswith("nobody")


def test_thousands_of_entries_are_refused_unparsed() -> None:
    (problem,) = found_in("flow: a\n" + "".join(f"k{n}: 1\n" for n in range(20_001)))
    assert "more than 20000 entries" in problem.message
