"""Silence adds up through every kind of wait, and through flows that call each other."""

import pytest

from conversation.authoring.problems import FlowErrors
from tests.conversation.engine.small import LATE, bundle_of

FORM = """
flow: asking
starts_when: [{any: true}]
conversation: {expires: {after: 13h, to: quiet}}
states:
  fill:
    form:
      n: {type: number, ask: How many?}
    unmatched: {say: Eh?, tries: 1, then: quiet}
    go: quiet
  quiet:
    handoff: {queue: q, note: n}
    after: {%s: speak}
    back: over
  speak: {say: Nobody came., end: done}
  over: {end: done}
"""
CALLER = """
flow: asking
starts_when: [{any: true}]
states:
  first: {do: [{call: %s}], go: %s}
  then:
    ask: Well?
    replies: [{words: [a], go: done}]
    unmatched: {tries: 1, then: done}
    after: {13h: late}
  late: {say: Too late., end: late}
  done: {end: done}
"""
CALLED = """
flow: called
states:
  a:
    ask: Well?
    replies: [{words: [a], go: done}]
    unmatched: {tries: 1, then: done}
    after: {%s: done}
  done: {end: done}
"""
CLOCK = """
flow: asking
starts_when: [{any: true}]
states:
  a: {do: [{schedule: {flow: called, after: 1h}}], end: done}
"""


def codes(*flows: str) -> set[str]:
    try:
        bundle_of(*flows, LATE)
    except FlowErrors as errors:
        return {problem.code for problem in errors.problems}
    return set()


@pytest.mark.parametrize(("wait", "found"), [("10h", set()), ("11h", {"W4"})])
def test_a_form_and_a_wait_for_people_add_up(wait: str, found: set[str]) -> None:
    assert codes(FORM % wait) == found


@pytest.mark.parametrize(("wait", "found"), [("10h", set()), ("11h", {"W4"})])
def test_silence_in_a_called_flow_goes_on_in_its_caller(wait: str, found: set[str]) -> None:
    assert codes(CALLER % ("called", "then"), CALLED % wait) == found


@pytest.mark.parametrize(("wait", "found"), [("10h", set()), ("11h", {"W4"})])
def test_silence_in_a_caller_goes_on_in_what_it_calls(wait: str, found: set[str]) -> None:
    caller = CALLER.replace("first: {do: [{call: %s}], go: %s}", "first: {go: then}").replace(
        "late: {say: Too late., end: late}", "late: {do: [{call: called}], end: late}"
    )
    assert codes(caller, CALLED.replace("  done: {end: done}", "  done: {say: Bye., end: done}") % wait) == found


def test_what_the_clock_starts_may_wait_for_nothing_and_then_speak() -> None:
    speaks = CALLED.replace("  done: {end: done}", "  done: {say: Bye., end: done}")
    assert codes(CLOCK, CALLED % "1h") == set()
    assert codes(CLOCK, speaks % "1h") == {"W4"}
