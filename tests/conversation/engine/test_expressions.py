"""Conditions and texts: what they can do, and that nothing dangerous even loads."""

import pytest

from conversation.authoring.problems import FlowErrors
from conversation.engine.expressions import ExpressionError, compile_expression, compile_text, is_written, make_environment
from conversation.engine.values import JSON
from conversation.errors import Broken, LimitCrossed
from tests.conversation.engine.small import LATE, bundle_of

ENVIRONMENT = make_environment({"twice": lambda n: 2 * n})
NAMES: dict[str, JSON] = {
    "n": 2,
    "who": "Asha",
    "none_here": None,
    "order": {"total": 1590, "lines": [{"qty": 2, "name": "Unga"}, {"qty": 1, "name": "Chai"}], "items": "a field"},
    "phone": "254700000001",
}


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("1 <= n <= 3", True),
        ("n + 1", 3),
        ("n * 3 - 1", 5),
        ("not order.lines", False),
        ("n in [1, 2]", True),
        ("who == 'Asha' and n > 1", True),
        ("order.lines[0].qty", 2),
        ("'many' if n > 1 else 'one'", "many"),
        ("none_here | default('x')", "x"),
        ("none_here is none", True),
        ("order.lines | length", 2),
        ("twice(n)", 4),
        ("order.items", "a field"),
    ],
)
def test_expressions_are_worked_out(source: str, value: JSON) -> None:
    assert compile_expression(ENVIRONMENT, source).evaluate(NAMES) == value


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ order.total | kes }}", "KES 1,590"),
        ("{{ phone | phone }}", "+254 700 000 001"),
        ("{% for line in order.lines %}{{ line.qty }} {{ line.name }}\n{% endfor %}.", "2 Unga\n1 Chai\n."),
        ("{% if n == 1 %}one{% elif n == 2 %}two{% else %}more{% endif %}", "two"),
        ("{{ n }} {{ 'item' if n == 1 else 'items' }}", "2 items"),
        ("  plain & <b>  ", "plain & <b>"),
    ],
)
def test_texts_are_written(source: str, text: str) -> None:
    assert compile_text(ENVIRONMENT, source).render(NAMES) == text


BOMBS = [
    "'a' * 200000000",
    "200000000 * 'a'",
    "[1, 2] * 100000000",
    "'a' | ljust(100000000)",
    "'a' | indent(100000000)",
    "'a' | format(1)",
    "'%s' % n",
    "''.format",
    "'{0.__class__}'.format(n)",
    "range(100000000)",
    "lipsum(1000)",
    "10 ** 10 ** 10",
    "9999999999999999999",
    "who.__class__",
    "who.__class__.__mro__[1].__subclasses__()",
    "who | attr('__class__')",
    "who['__class__']",
    "who._private",
    "__import__('os')",
    "self",
    "self._TemplateReference__context",
    "cycler(1)",
    "namespace(a=1)",
    "dict(a=1)",
    "joiner()",
    "order.items()",
    "order.lines.append(1)",
    "n / 2",
    "n // 2",
    "n % 2",
    "1.5",
    "who ~ who",
    "{'a': 1}",
    "(n, n)",
    "who[0:1]",
    "who[n]",
    "1 if n",
    "twice(x=1)",
    "twice(*order)",
    "n is divisibleby 2",
    "(" * 450 + "n" + ")" * 450,
    "-" * 900 + "n",
    "not " * 240 + "n",
    "n and " * 160 + "n",
    "n" * 2000,
    "n }}{{ n",
    "n }}{% for a in order %}",
    "",
]


@pytest.mark.security(22)
@pytest.mark.timeout(10)
@pytest.mark.parametrize("source", BOMBS)
def test_no_bomb_loads(source: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(ENVIRONMENT, source)


@pytest.mark.security(22)
@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "source",
    [
        *("{{ " + bomb + " }}" for bomb in BOMBS[:30]),
        "{% for a in order.lines %}{% for b in order.lines %}x{% endfor %}{% endfor %}",
        "{% for a in range(9) %}x{% endfor %}",
        "{% for a in order.lines recursive %}{% endfor %}",
        "{% for a in order.lines %}{{ loop.index }}{% endfor %}",
        "{% set a = 1 %}",
        "{% macro m() %}{% endmacro %}",
        "{% include 'x' %}",
        "{% import 'os' as os %}",
        "{% extends 'x' %}",
        "{% block a %}{% endblock %}",
        "{% filter kes %}{% endfilter %}",
        "{% call twice() %}{% endcall %}",
        "{% autoescape true %}x{% endautoescape %}",
        "{{ n",
        "{% if n %}",
        "{{" * 4000,
        "{% if n %}" * 300 + "{% endif %}" * 300,
    ],
)
def test_no_bomb_hides_in_a_text(source: str) -> None:
    with pytest.raises(ExpressionError):
        compile_text(ENVIRONMENT, source)


@pytest.mark.security(22)
def test_what_grows_while_running_is_stopped() -> None:
    with pytest.raises(LimitCrossed):
        compile_expression(ENVIRONMENT, "n * n * n * n").evaluate({"n": 10**5})
    with pytest.raises(LimitCrossed):
        compile_text(ENVIRONMENT, "{% for x in a %}{{ w }}{% endfor %}").render({"a": [0] * 100, "w": "w" * 1000})


@pytest.mark.parametrize("source", ["n + who", "who * n", "missing", "order.missing", "order.lines[9]", "who.upper", "n.real"])
def test_what_is_not_there_is_an_error_and_never_an_empty_text(source: str) -> None:
    with pytest.raises(Broken):
        compile_expression(ENVIRONMENT, source).evaluate(NAMES)


@pytest.mark.security(22)
def test_nothing_of_python_is_reachable_past_the_first_wall() -> None:
    for source in ("{{ x.__class__ }}", "{{ x['__class__'] }}", "{{ x.append }}", "{{ ''.join }}"):
        template = ENVIRONMENT.from_string(source)
        with pytest.raises(Exception, match=r"has no|undefined|no element"):
            template.render(x=[1])


@pytest.mark.parametrize(
    ("value", "text", "stands"),
    [
        (42, "Order: *KES 42*.", True),
        (42, "pay 42 now", True),
        (42, "KES 420", False),
        (42, "KES 42,000", False),
        (42, "KES 1,042", False),
        (4200, "KES 4,200", True),
        ("254700000001", "+254 700 000 001.", True),
        ("254700000001", "+254 700 000 002.", False),
        (None, "None", False),
        ("", "anything", False),
    ],
)
def test_a_sum_stands_in_a_text_only_as_a_whole(value: JSON, text: str, *, stands: bool) -> None:
    assert is_written(value, text) is stands


RECEIPT = """
flow: main
starts_when: [any: true]
states:
  a:
    redirect: [{if: %s, to: b}]
    %s
    go: b
  b: {end: done}
"""


@pytest.mark.parametrize(
    ("guard", "state", "loads"),
    [
        ("not order.receipt", "say: '{{ order.receipt }}'", True),
        ("order.receipt is none", "say: '{{ order.receipt }}'", True),
        ("not order.receipt or not order.lines", "say: '{{ order.receipt }}'", True),
        ("not order.lines", "say: '{{ order.receipt }}'", False),
        ("order.receipt", "say: '{{ order.receipt }}'", False),
        ("not order.receipt and not order.lines", "say: '{{ order.receipt }}'", False),
        # A call may change what the redirect has shown, and so may anything else that is done in between.
        ("not order.receipt", "do: [{emit: seen}]\n    say: '{{ order.receipt }}'", False),
    ],
)
def test_behind_a_redirect_what_it_asks_about_is_known(guard: str, state: str, loads: bool) -> None:  # noqa: FBT001 - a column
    flow = RECEIPT % (guard, state)
    if loads:
        bundle_of(flow, LATE)
        return
    with pytest.raises(FlowErrors) as caught:
        bundle_of(flow, LATE)
    assert {problem.code for problem in caught.value.problems} == {"X4"}
