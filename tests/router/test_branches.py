"""A vendor's branches: kept whole, told as they stand by Nairobi's clock."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from router.branches import (
    DAY,
    WEEK,
    Branch,
    Branches,
    Hours,
    Standing,
    Week,
    Weekday,
    list_branches,
    set_branches,
    stand,
    to_week,
)
from router.databases import Databases
from router.errors import Refused
from router.ids import VendorId
from router.seeding import DUKA_LA_PILI, MAMA_DUKA
from soko.cli import app
from tests.router.api import open_shared_api
from tests.router.asgi import Client
from tests.router.test_http import HEADERS

MONDAY = datetime(2026, 11, 22, 21, tzinfo=UTC)  # when it begins in Nairobi
ALL = tuple(Weekday)


def week(*hours: tuple[tuple[Weekday, ...], str, str]) -> Week | None:
    return to_week(Hours(days=days, opens=opens, closes=closes) for days, opens, closes in hours)


def at(day: int, clock: str) -> datetime:
    hours, minutes = map(int, clock.split(":"))
    return MONDAY + timedelta(days=day, hours=hours, minutes=minutes)


SHOP = week((ALL[:5], "08:00", "13:00"), (ALL[:5], "14:00", "18:00"), ((Weekday.SATURDAY,), "09:00", "12:30"))
BAR = week(((Weekday.FRIDAY, Weekday.SATURDAY, Weekday.SUNDAY), "18:00", "02:00"))


@pytest.mark.parametrize(
    ("week", "now", "standing"),
    [
        (SHOP, at(0, "07:59"), Standing(is_open=False, opens="08:00", opens_in=0)),
        (SHOP, at(0, "08:00"), Standing(is_open=True, closes="13:00", opens="14:00", opens_in=0)),
        (SHOP, at(0, "13:00"), Standing(is_open=False, opens="14:00", opens_in=0)),
        (SHOP, at(0, "18:00"), Standing(is_open=False, opens="08:00", opens_in=1)),
        (SHOP, at(5, "12:30"), Standing(is_open=False, opens="08:00", opens_in=2)),
        (BAR, at(4, "23:59"), Standing(is_open=True, closes="02:00", opens="18:00", opens_in=1)),
        (BAR, at(5, "01:59"), Standing(is_open=True, closes="02:00", opens="18:00", opens_in=0)),
        (BAR, at(7, "01:00"), Standing(is_open=True, closes="02:00", opens="18:00", opens_in=4)),
        (BAR, at(0, "02:00"), Standing(is_open=False, opens="18:00", opens_in=4)),
        (week((ALL[:1], "08:00", "18:00")), at(0, "08:00"), Standing(is_open=True, closes="18:00", opens="08:00", opens_in=7)),
        (week((ALL, "00:00", "00:00")), at(3, "03:00"), Standing(is_open=True)),
        (None, at(3, "03:00"), Standing(is_open=True)),
    ],
)
def test_a_branch_stands_as_its_hours_say(week: Week | None, now: datetime, standing: Standing) -> None:
    assert stand(week, now) == standing


CLOCKS = st.integers(0, DAY - 1).map(lambda minute: f"{minute // 60:02}:{minute % 60:02}")
HOURS = st.builds(Hours, days=st.lists(st.sampled_from(ALL), min_size=1, max_size=7).map(tuple), opens=CLOCKS, closes=CLOCKS)


@given(st.lists(HOURS, min_size=1, max_size=4), st.integers(0, WEEK - 1))
def test_whatever_the_hours_it_is_open_in_just_these_minutes(hours: list[Hours], minute: int) -> None:
    open_minutes = set()
    for each in hours:
        opens, closes = (int(clock[:2]) * 60 + int(clock[3:]) for clock in (each.opens, each.closes))
        for day in each.days:
            start = ALL.index(day) * DAY + opens
            open_minutes |= {moment % WEEK for moment in range(start, start + ((closes - opens) % DAY or DAY))}
    standing = stand(to_week(hours), MONDAY + timedelta(minutes=minute))
    assert standing.is_open == (minute in open_minutes)
    if not standing.is_open:
        wait = next(after for after in range(1, WEEK + 1) if (minute + after) % WEEK in open_minutes)
        assert standing.opens_in == (minute % DAY + wait) // DAY


def test_a_vendor_has_the_branches_it_was_given_and_no_others(databases: Databases) -> None:
    mama, pili = VendorId(MAMA_DUKA), VendorId(DUKA_LA_PILI)
    assert [kept.branch.id for kept in list_branches(databases, mama)] == ["town", "westlands", "rongai"]
    set_branches(databases, mama, Branches(branches=(Branch(id="b", name="B"), Branch(id="a", name="A"))))
    assert [kept.branch.id for kept in list_branches(databases, mama)] == ["b", "a"]
    assert list_branches(databases, pili) == ()
    nobody = VendorId(UUID(int=1))
    with pytest.raises(Refused, match="no vendor"):
        list_branches(databases, nobody)
    with pytest.raises(Refused, match="no vendor"):
        set_branches(databases, nobody, Branches(branches=()))


def test_branches_are_read_and_put_over_http(databases: Databases, now: datetime) -> None:
    client = Client(open_shared_api(databases, now))
    path = f"/vendors/{MAMA_DUKA}/branches"
    found = client.send("GET", path, headers=HEADERS, json=None).json()["branches"]
    assert found[0]["hours"] == [{"days": [day.value for day in ALL], "opens": "08:00", "closes": "18:00"}]
    answer = client.send("PUT", path, headers=HEADERS, json={"branches": [{"id": "town", "name": "Town"}]})
    assert (answer.status_code, answer.json()["branches"][0]) == (200, {"id": "town", "name": "Town", "about": "", "hours": []})
    twins = {"branches": [{"id": "a", "name": "Town"}, {"id": "b", "name": "Town"}]}
    late = {"branches": [{"id": "a", "name": "A", "hours": [{"days": ["monday"], "opens": "8:00", "closes": "18:00"}]}]}
    for body, word in ((twins, "could not tell them apart"), (late, "branches.0.hours.0.opens")):
        refused = client.send("PUT", path, headers=HEADERS, json=body)
        assert (refused.status_code, word in refused.text) == (422, True), refused.text
    assert client.send("GET", path, headers=HEADERS, json=None).json() == answer.json()


def soko(environment: Mapping[str, str], *words: object) -> Result:
    return CliRunner().invoke(app, ["vendor", "branches", *map(str, words)], env=environment)


def test_an_operator_shows_edits_and_sets_them(databases: Databases, environment: dict[str, str], tmp_path: Path) -> None:
    assert databases
    shown = soko(environment, MAMA_DUKA).stdout
    file = tmp_path / "branches.yaml"
    file.write_text(shown.replace("Ring Road", "Mall"))
    said = soko(environment, MAMA_DUKA, "--set", file, "--json")
    assert (said.exit_code, [each["about"] for each in json.loads(said.stdout)["branches"]][1]) == (0, "Mall")
    for text, word in (("branches: [{id: A, name: x}]", "branches.0.id"), ("a: [", "cannot be read"), ("x: 1", "branches")):
        file.write_text(text)
        wrong = soko(environment, MAMA_DUKA, "--set", file)
        assert (wrong.exit_code, word in wrong.stderr) == (1, True), wrong.output
    assert soko(environment, MAMA_DUKA).stdout == shown.replace("Ring Road", "Mall")
