"""Every budget of a turn, crossed on the real databases: the customer is told, and the conversation goes on."""

from dataclasses import replace
from datetime import datetime

import pytest

from conversation.authoring.load import build_unchecked
from conversation.engine.flow import Bundle, Limits
from conversation.live_flows import LiveFlows
from conversation.services import CATALOGUE
from conversation.turn import Turns
from conversation.whatsapp.inbound import Text
from router import inbox
from router.databases import Databases
from router.ids import VendorId
from router.wakeups import Wakeups
from router.work import unit_of_work
from tests.conversation.engine.small import files_of
from tests.conversation.test_turn import Chat

MANY = "\n".join(f"  s{index}: {{go: s{index + 1}}}" for index in range(55))
FLOW = f"""
flow: main
starts_when: [any: true]
states:
  x:
    ask: Well?
    replies:
      - {{words: [states], go: s0}}
      - {{words: [messages], go: loud}}
      - {{words: [cost], go: dear}}
      - {{words: [frames], go: deep}}
      - {{words: [bye], go: done}}
{MANY}
  s55: {{end: done}}
  loud: {{say: [a, b, c, d, e], end: done}}
  dear: {{say: "{{% for line in order.lines %}}{{{{ line.qty }}}} {{{{ line.name }}}}{{% endfor %}}", end: done}}
  deep: {{do: [{{call: inner}}], end: done}}
  done: {{end: done}}
"""
INNER = "flow: inner\nstates: {a: {end: told}}"


def limited(limits: Limits) -> Bundle:
    return replace(build_unchecked(files_of(FLOW, INNER), CATALOGUE), limits=limits)  # the check would refuse most of it


@pytest.mark.parametrize(
    ("text", "limits", "why"),
    [
        ("states", Limits(), "50 states"),
        ("messages", Limits(), "4 messages"),
        ("cost", Limits(cost=40), "cost more than 40"),
        ("frames", Limits(frames=1), "1 flows within one another"),
    ],
)
def test_a_turn_past_its_budget_is_undone_told_and_survived(
    databases: Databases, vendor_id: VendorId, now: datetime, text: str, limits: Limits, why: str
) -> None:
    chat = Chat(databases, vendor_id, now)
    chat.turns = Turns(
        databases=databases,
        flows=LiveFlows(limited(limits)),
        wakeups=Wakeups(None),
        clock=lambda: chat.now,
        observe=chat.reports.append,
    )
    assert chat.say(Text(text="hi")) == ["Well?"]
    assert chat.say(Text(text=text)) == ["Sorry."]
    (failed,) = chat.rows("SELECT error FROM inbox WHERE failed_at IS NOT NULL")
    assert "LimitCrossed" in failed["error"]
    assert why in failed["error"]
    assert chat.say(Text(text="what?")) == ["Well?"]
    assert chat.say(Text(text="bye")) == []
    assert chat.reports[-1].ended == "done"


def test_a_message_is_classified_once_and_the_answer_is_part_of_its_event(
    databases: Databases, vendor_id: VendorId, now: datetime
) -> None:
    asked: list[str] = []

    def classify(text: str) -> str | None:
        asked.append(text)
        return "lost"

    chat = Chat(databases, vendor_id, now)
    chat.turns = Turns(
        databases=databases, flows=LiveFlows(limited(Limits())), wakeups=Wakeups(None), clock=lambda: chat.now, classify=classify
    )
    chat.say(Text(text="hi"))
    assert asked == ["hi"]


def test_a_retried_turn_hears_what_the_classifier_said_the_first_time(
    databases: Databases, vendor_id: VendorId, now: datetime
) -> None:
    answers = iter(["greeting", None, "another mood"])
    flows = build_unchecked(files_of(FLOW, INNER), CATALOGUE)
    chat = Chat(databases, vendor_id, now)
    for limits, wamid in ((Limits(), "wamid.1"), (Limits(cost=40), "wamid.2")):
        chat.turns = Turns(
            databases=databases,
            flows=LiveFlows(replace(flows, limits=limits)),
            wakeups=Wakeups(None),
            clock=lambda: chat.now,
            observe=chat.reports.append,
            classify=lambda _text: next(answers),
        )
        chat.say(Text(text="hi" if limits == Limits() else "cost"), wamid=wamid)
    (failed,) = chat.rows("SELECT id FROM inbox WHERE failed_at IS NOT NULL")
    heard = [row["intent"] for row in chat.rows("SELECT intent FROM inbox WHERE kind = 'message' ORDER BY id")]
    assert heard == ["greeting", ""]  # "" was asked, and none was known
    with unit_of_work(databases, vendor_id) as work:
        inbox.reopen(work, int(failed["id"]))
    chat.turns.handle(vendor_id, int(failed["id"]))
    assert next(answers) == "another mood"  # nobody asked again
