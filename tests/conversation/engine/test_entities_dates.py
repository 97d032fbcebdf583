"""Days and times, read by the event's own time in Nairobi."""

from datetime import UTC, datetime

import pytest

from conversation.engine.dates import read_date, read_time, read_when
from conversation.engine.lexicon import build_lexicon
from tests.conversation.engine.shop import START, Shop
from tests.conversation.engine.small import bundle_of

NONE = build_lexicon(())
MONDAY = datetime(2026, 3, 2, 6, 15, tzinfo=UTC)  # 09:15 in Nairobi
NEARLY_TUESDAY = datetime(2026, 3, 2, 21, 30, tzinfo=UTC)  # 00:30 on Tuesday in Nairobi


def test_the_day_is_nairobis() -> None:
    assert read_date("leo", NONE, MONDAY) == "2026-03-02"
    assert read_date("leo", NONE, NEARLY_TUESDAY) == "2026-03-03"


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Monday", "2026-03-09"),  # said on a Monday: the next one
        ("Tuesday", "2026-03-03"),
        ("next Tuesday", "2026-03-10"),
        ("Sunday", "2026-03-08"),
        ("next Sunday", "2026-03-15"),
        ("2/3", "2026-03-02"),  # today is included
        ("1/3", "2027-03-01"),
        ("29 Feb", "2028-02-29"),
        ("29/2/2027", None),
        ("31st", "2026-03-31"),
        ("Friday 6 March", "2026-03-06"),
        ("Friday 7 March", None),  # that is a Saturday
        ("end of the month", "2026-03-31"),
        ("2/3 au 3/3", None),
        ("999999999 days", None),
        ("in 999999 days", None),
        ("wiki ijayo", None),
    ],
)
def test_days(text: str, day: str | None) -> None:
    assert read_date(text, NONE, MONDAY) == day


@pytest.mark.parametrize(
    ("text", "clock"),
    [
        ("saa 2", "08:00"),  # the Swahili clock
        ("2 o'clock", "14:00"),  # the next by day
        ("7 o'clock", "07:00"),
        ("6 o'clock", "18:00"),
        ("2:30", "14:30"),
        ("02:30", "02:30"),
        ("saa 2 pm", "14:00"),
        ("saa 15:00", "15:00"),
        ("saa sita usiku", "00:00"),
        ("saa saba usiku", "01:00"),
        ("saa saba mchana", "13:00"),
        ("saa kumi na mbili asubuhi", "06:00"),
        ("saa kumi na mbili jioni", "18:00"),
        ("saa nane asubuhi", None),  # there is no such hour
        ("saa kumi na tatu", "13:00"),
        ("saa sita usiku kasoro robo", "23:45"),
        ("8 usiku", "20:00"),
        ("13am", None),
        ("0pm", None),
        ("24:00", None),
        ("12:60", None),
    ],
)
def test_times(text: str, clock: str | None) -> None:
    assert read_time(text, NONE, MONDAY) == clock


def test_a_time_that_is_over_today_is_tomorrows() -> None:
    assert read_when("at 9am", NONE, MONDAY) == {"date": "2026-03-03", "time": "09:00", "part": None}
    assert read_when("at 10am", NONE, MONDAY) == {"date": "2026-03-02", "time": "10:00", "part": None}
    evening = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
    assert read_when("jioni", NONE, evening) == {"date": "2026-03-03", "time": None, "part": "evening"}


def test_the_engine_hands_over_the_events_own_time() -> None:
    shop = Shop(
        bundle=bundle_of(
            """
flow: late_payment
starts_when: [{event: payments.result}, {entity: date, as: day, go: told}]
slots:
  day: {type: string, default: ""}
states:
  arrived: {end: quiet}
  told:
    ask: "Deliver on {{ day }}?"
    replies: [{entity: date, as: day, go: told}]
    unmatched: {say: "Which day?", tries: 2, then: arrived}
"""
        )
    )
    assert shop.now == START
    assert shop.say("leo").texts == ["Deliver on 2026-03-02?"]
    shop.tick(days=7)
    assert shop.say("leo").texts == ["Deliver on 2026-03-09?"]
