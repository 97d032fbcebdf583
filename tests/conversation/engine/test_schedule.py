"""Flows that start by the clock: once, at their time, never over people, never into a closed window."""

from datetime import UTC, datetime, timedelta

import pytest

from conversation.authoring.problems import FlowErrors
from conversation.engine.context import Context
from conversation.engine.effects import Emit, Schedule, Send
from conversation.engine.events import PersonLeft, Said, TimerFired
from conversation.engine.lexicon import build_lexicon
from conversation.engine.snapshot import Snapshot
from conversation.engine.step import Step, step
from tests.conversation.engine.shop import FLOWS, Shop
from tests.conversation.engine.small import LATE, bundle_of

ASKING = """
flow: asking
starts_when: [{any: true}]
slots: {day: {type: string}}
states:
  start:
    ask: Which day?
    replies:
      - {entity: date, as: day, go: keep}
      - {words: [later], do: [{schedule: {flow: nudge, after: 20h}}], go: start}
      - {words: [night], do: [{schedule: {flow: nudge, after: 12h, between: ["08:00", "20:00"]}}], go: start}
      - {words: [xmas], do: [{schedule: {flow: nudge, date: 2026-12-24, at: "10:00"}}], go: start}
      - {words: [person], go: person}
      - {words: [end], go: done}
  keep: {do: [{schedule: {flow: nudge, date: day, at: "09:00"}}], go: start}
  person: {handoff: {queue: q, note: n}, back: done}
  done: {end: done}
"""
NUDGE = """
flow: nudge
states:
  a: {say: Hello again., end: nudged}
"""
BUNDLE = bundle_of(ASKING, NUDGE, LATE)
NINE = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)  # 09:00 in Nairobi
CONTEXT = Context(
    vendor={"id": "v", "name": "V"},
    customer={"phone": "+254700000001", "first_name": "", "language": "en"},
    order={"id": "o", "number": "", "lines": [], "total": 0, "is_confirmed": False, "is_paid": False, "receipt": None,
           "payment_attempt": None},
    lexicon=build_lexicon(()),
)  # fmt: skip


def said(*texts: str, at: datetime = NINE) -> Step:
    snapshot = Snapshot.fresh("s")
    for text in ("hi", *texts):
        taken = step(BUNDLE, snapshot, Said(id="m", at=at, text=text), CONTEXT)
        snapshot = Snapshot.from_json(taken.snapshot.to_json())
    return taken


def due(taken: Step) -> list[datetime]:
    return [effect.due_at for effect in taken.effects if isinstance(effect, Schedule)]


def fire(taken: Step, at: datetime, *, turn: int | None = None) -> Step:
    set_by = turn if turn is not None else taken.snapshot.scheduled["nudge"]
    return step(BUNDLE, taken.snapshot, TimerFired(at=at, name="schedule:nudge", turn=set_by), CONTEXT)


def places(taken: Step) -> list[str]:
    return [effect.place for effect in taken.effects if isinstance(effect, Send)]


@pytest.mark.parametrize(
    ("word", "at"),
    [
        ("later", NINE + timedelta(hours=20)),
        ("night", NINE + timedelta(hours=23)),  # 21:00 waits for 08:00
        ("tomorrow", datetime(2026, 3, 3, 6, 0, tzinfo=UTC)),
        ("xmas", datetime(2026, 12, 24, 7, 0, tzinfo=UTC)),
    ],
)
def test_a_flow_is_scheduled_after_a_time_or_on_a_date(word: str, at: datetime) -> None:
    assert due(said(word)) == [at]


def test_a_date_that_is_over_schedules_nothing() -> None:
    assert due(said("today")) == []  # 09:00 is now


def test_it_visits_and_the_open_question_is_asked_again_only_where_something_was_said() -> None:
    fired = fire(said("later"), NINE + timedelta(hours=20))
    assert places(fired) == ["nudge.a.say", "asking.start.ask"]
    assert fired.snapshot.scheduled == {}


def test_it_starts_in_an_idle_conversation() -> None:
    fired = fire(said("later", "end"), NINE + timedelta(hours=20))
    assert (places(fired), fired.snapshot.idle) == (["nudge.a.say"], True)


def test_the_latest_schedule_of_a_flow_holds_and_each_fires_once() -> None:
    moved = said("later", "night")
    first = moved.snapshot.scheduled["nudge"] - 1
    assert fire(moved, NINE + timedelta(hours=20), turn=first).effects == ()
    fired = fire(moved, NINE + timedelta(hours=23))
    assert places(fired)
    assert fire(fired, NINE + timedelta(hours=23), turn=moved.snapshot.scheduled["nudge"]).effects == ()


def test_after_a_day_of_silence_it_is_counted_and_not_started() -> None:
    fired = fire(said("later"), NINE + timedelta(hours=24))
    assert fired.effects == (Emit(name="schedule_missed", place="nudge"),)
    assert places(fire(said("later"), NINE + timedelta(hours=24, seconds=-1)))


def test_a_flow_that_runs_already_is_not_started_within_itself() -> None:
    asks = "{do: [{schedule: {flow: nudge, after: 2h}}], ask: Well?, replies: [{words: [b], go: c}]}"
    again = f"flow: nudge\nstates:\n  a: {asks}\n  c: {{end: c}}"
    shop = Shop(bundle=bundle_of("flow: a\nstarts_when: [any: true]\nstates: {x: {do: [{call: nudge}], end: y}}", again)).say(
        "hi"
    )
    assert [frame.flow for frame in shop.snapshot.frames] == ["a", "nudge"]
    shop.take(TimerFired(at=shop.tick(hours=2), name="schedule:nudge", turn=shop.snapshot.scheduled["nudge"]))
    assert (shop.messages, [frame.flow for frame in shop.snapshot.frames]) == ([], ["a", "nudge"])
    assert shop.trace[-1]["what"] == "schedule runs already"


def test_while_people_have_the_chat_it_is_put_off() -> None:
    with_people = said("later", "person")
    at = NINE + timedelta(hours=20)
    fired = fire(with_people, at)
    assert (places(fired), due(fired)) == ([], [at + timedelta(hours=1)])
    back = step(BUNDLE, fired.snapshot, PersonLeft(id="p", at=at + timedelta(minutes=1)), CONTEXT)
    assert places(fire(back, at + timedelta(hours=1))) == ["nudge.a.say"]


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("Y2", "{flow: nudge}"),
        ("Y2", "{flow: nudge, after: 2h, date: day, at: '09:00'}"),
        ("Y2", "{flow: nudge, date: day}"),
        ("Y2", "{flow: nudge, after: 2h, at: '09:00'}"),
        ("Y2", "{flow: nudge, after: soon}"),
        ("Y2", "{flow: nudge, date: 2026-02-30, at: '09:00'}"),
        ("Y2", "{flow: nudge, after: 2h, between: ['20:00', '08:00']}"),
        ("C3", "{flow: nudge, date: order.total, at: '09:00'}"),
        ("T1", "{flow: nugde, after: 2h}"),
        ("X2", "{flow: nudge, date: dya, at: '09:00'}"),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(code: str, wrong: str) -> None:
    with pytest.raises(FlowErrors) as caught:
        bundle_of(ASKING.replace('{flow: nudge, date: day, at: "09:00"}', wrong), NUDGE, LATE)
    assert code in {problem.code for problem in caught.value.problems}


def test_a_date_that_may_not_be_known_yet_is_refused() -> None:
    by_day = "{schedule: {flow: nudge, date: day, at: '09:00'}}"
    unset = ASKING.replace("{schedule: {flow: nudge, after: 20h}}", by_day)
    with pytest.raises(FlowErrors) as caught:
        bundle_of(unset, NUDGE, LATE)
    assert {problem.code for problem in caught.value.problems} == {"X4"}


def test_what_the_clock_starts_may_do_nothing_that_money_forbids() -> None:
    call = "{call: orders.confirm, with: {order: order.id}, else: {changed | empty | error | locked | out_of_stock: b}}"
    cancels = NUDGE.replace("a: {say: Hello again., end: nudged}", f"a: {{do: [{call}], go: b}}\n  b: {{end: nudged}}")
    files = [(FLOWS / f"{name}.yaml").read_text() for name in ("shop", "support", "pick_branch", "late_payment")]
    files[0] = files[0].replace("  receipt:\n", "  receipt:\n    do: [{schedule: {flow: nudge, after: 2h}}]\n")
    bundle_of(*(file.replace("{schedule: {flow: follow_up", "{schedule: {flow: nudge") for file in files), NUDGE)
    with pytest.raises(FlowErrors) as caught:
        bundle_of(*(file.replace("{schedule: {flow: follow_up", "{schedule: {flow: nudge") for file in files), cancels)
    assert "P4" in {problem.code for problem in caught.value.problems}
