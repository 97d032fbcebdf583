"""Patterns against Python's own regular expressions, and what is refused."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversation.engine.patterns import PatternError, compile_pattern

SOURCES = [
    "SK\\d{4,6}", "[A-Z]{2}\\d+", "(ab|cd)e?", "a*b", "x.z", "[^0-9]+", "\\w+-\\w+", "(a|b|ab)(c|bcd)", "a{2}", "\\d{1,3}(a|b)?",
    "[a-c-]+", "\\.\\*", "k[aeiou]", "(no|yes) ?please",
]  # fmt: skip


@pytest.mark.parametrize("source", SOURCES)
@given(
    text=st.text(alphabet="abcdeksxyz0129 -.*no", min_size=1, max_size=8).filter(
        lambda text: text[0].isalnum() and text[-1].isalnum()
    )
)
def test_a_pattern_takes_what_pythons_takes(source: str, text: str) -> None:
    assert (compile_pattern(source).read(text) is not None) == bool(re.fullmatch(source, text, re.IGNORECASE | re.ASCII))


def test_the_whole_message_counts_without_the_signs_around_it() -> None:
    code = compile_pattern("SK\\d{4}")
    assert [code.read(text) for text in ("  sk1234! ", "SK12345", "my SK1234", "")] == ["sk1234", None, None, None]


@pytest.mark.timeout(10)
def test_what_makes_other_engines_run_for_ever_is_read_at_once() -> None:
    slow = compile_pattern("a?" * 40 + "a" * 40)
    assert slow.read("a" * 39) is None
    assert slow.read("a" * 40) is not None
    assert compile_pattern("(a|a|a|a)*b").read("a" * 500) is None
    assert compile_pattern("a+").read("a" * 501) is None


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("(a+)+", "within a count"), ("(a|b*)?", "within a count"), ("a**", "count of a count"), ("a{2}{3}", "count of a count"),
        ("(a)\\1", "no backreferences"), ("(?=a)b", "lookaround"), ("(?P<x>a)", "named"), ("^a$", "whole message"),
        ("a{2,1}", "smaller"), ("a{99}", "at most 50"), ("a{x}", "{3}"), ("[z-a]", "backwards"), ("[]", "holds nothing"),
        ("[a", "middle"), ("(a", "middle"), ("a)", "without"), ("*a", "counts nothing"), ("a\\", "middle"),
        ("a*", "nothing in it"),
        ("", "from 1 to"), ("a" * 201, "from 1 to"), ("(" * 12 + "a" + ")" * 12, "deeply"), ("\\q", "not allowed"),
        ("((ab){50}){50}", "within a count"), ("a{0,50}" * 25 + "b", "too large"),
    ],
)  # fmt: skip
def test_a_pattern_is_refused_with_its_reason(source: str, why: str) -> None:
    with pytest.raises(PatternError, match=re.escape(why)):
        compile_pattern(source)
