"""What WhatsApp takes after 24 hours of silence: a template that Meta has approved, and nothing else of ours."""

from datetime import timedelta

import pytest

from conversation.authoring.load import check_files
from conversation.engine.effects import Filled, Send, SetTimer
from conversation.engine.events import PersonLeft, TimerFired
from conversation.engine.speaking import NOT_SENT
from conversation.services import CATALOGUE
from conversation.whatsapp.limits import OutgoingMessage
from conversation.whatsapp.outbound import to_content
from tests.conversation.authoring.test_load import check_place
from tests.conversation.engine.shop import START, Shop
from tests.conversation.engine.small import bundle_of, files_of

FLOW = """
flow: a
starts_when: [words: [hi]]
slots: {n: {type: int, default: 3}}
states:
  x:
    handoff: {queue: shop, note: waits}
    after: {23h: later}
    back: late
  later:
    handoff: {queue: shop, note: still waits}
    after: {23h: quiet}
    back: late
  late:
    say:
      - {text: "{{ n }} things for you, {{ customer.first_name }}.", template: {name: ready, with: [n, customer.first_name]}}
      - And one more thing.
    end: told
  quiet: {end: quiet}
"""


def handed_back(*, hours: int) -> Shop:
    shop = Shop(bundle=bundle_of(FLOW)).say("hi")
    return shop.take(PersonLeft(id="9", at=shop.tick(hours=hours)))


def test_a_template_goes_after_a_day_and_the_text_before_it() -> None:
    soon = handed_back(hours=23)
    assert soon.texts == ["3 things for you, Mteja.", "And one more thing."]
    assert all(effect.message.template is None for effect in soon.effects if isinstance(effect, Send))

    late = handed_back(hours=25)
    (sent,) = [effect for effect in late.effects if isinstance(effect, Send)]
    assert sent.message.template == Filled(name="ready", language="en", values=("3", "Mteja"))
    assert {"what": NOT_SENT, "place": "a.late.say.2"} in late.trace

    kind, content = to_content(OutgoingMessage.model_validate(sent.message.to_json()))
    assert (kind, content["name"], content["language"]) == ("template", "ready", {"code": "en"})
    assert content["components"] == [
        {"type": "body", "parameters": [{"type": "text", "text": "3"}, {"type": "text", "text": "Mteja"}]}
    ]


NUDGED = """
flow: a
starts_when: [words: [hi]]
states:
  x: {do: [{schedule: {flow: b, after: 30d}}], say: Bye., end: done}
"""
NUDGE = """
flow: b
states:
  y: {say: {text: "We have new things.", template: news}, end: told}
"""


def test_a_flow_that_begins_with_a_template_starts_however_long_ago_the_customer_wrote() -> None:
    shop = Shop(bundle=bundle_of(NUDGED, NUDGE)).say("hi")
    shop.take(TimerFired(at=shop.tick(days=30), name="schedule:b", turn=shop.snapshot.scheduled["b"]))
    assert [effect.message.template for effect in shop.effects if isinstance(effect, Send)] == [
        Filled(name="news", language="en", values=())
    ]


REMINDED = """
flow: a
starts_when: [words: [hi]]
conversation: {remind: {after: 26h, in: [x], say: {text: Still there?, template: still_there}}}
states:
  x: {ask: Well?, replies: [{words: [a], go: y}]}
  y: {end: done}
"""


def test_a_reminder_may_come_after_a_day_when_it_is_a_template() -> None:
    (timer,) = [each for each in Shop(bundle=bundle_of(REMINDED)).say("hi").effects if isinstance(each, SetTimer)]
    assert timer.due_at == START + timedelta(hours=26, seconds=5)


EDITS = [
    (FLOW, "C3", "with: [n,", "with: [§order.lines,"),
    (FLOW, "Y2", "name: ready", "name: §Things-Ready"),
    (FLOW, "X2", "with: [n,", "with: [§m,"),
    (FLOW, "Y2", "name: ready,", "name: ready, §day: 1,"),
    (REMINDED, "W4", "remind: {after", "remind: §{after", ", template: still_there", ""),
    (NUDGE, "W4", "  y: {say: {", "  §y: {say: [{", ", template: news}", ", template: news}], ask: Do you?", "end: told}",
     "replies: [{words: [a], go: z}]}\n  z: {end: told}"),
]  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_a_mistake_is_told_by_its_place(edit: tuple[str, ...]) -> None:
    text = edit[0].strip()
    for before, after in zip(edit[2::2], edit[3::2], strict=True):
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    files = files_of(NUDGED, text.replace("§", "")) if edit[0] == NUDGE else files_of(text.replace("§", ""))
    found = check_files(files, CATALOGUE)
    check_place(found.problems, edit[1], text)
