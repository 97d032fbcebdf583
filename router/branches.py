"""A vendor's branches, and when each is open, by the clock in Nairobi."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from router.databases import Databases
from router.ids import VendorId
from router.json_values import storable_text, to_jsonb
from router.usage.days import NAIROBI
from router.vendors import get_vendor

DAY: Final = 24 * 60
WEEK: Final = 7 * DAY
MOST: Final = 100
# Minutes since Monday began, from and until, in order, none touching the next; the last may end in the week after.
Week: TypeAlias = tuple[tuple[int, int], ...]

LIST: Final = "SELECT id, name, about, hours FROM vendor_branches WHERE vendor_id = %s ORDER BY position"
CLEAR: Final = "DELETE FROM vendor_branches WHERE vendor_id = %s"
ADD: Final = """
    INSERT INTO vendor_branches (vendor_id, id, position, name, about, hours)
    VALUES (%(vendor_id)s, %(id)s, %(position)s, %(name)s, %(about)s, %(hours)s)
    """


class Weekday(StrEnum):
    """A day, as people write it down."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["08:00"])]
_DAYS: Final = tuple(Weekday)


class Hours(BaseModel):
    """On these days, from `opens` until `closes`; a `closes` that is not later is on the day after."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)]
    opens: Clock
    closes: Clock


class Branch(BaseModel):
    """One place of business. `name` and `about` fit a row of a WhatsApp list. Without hours it is always open."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,29}$", examples=["town"])]
    name: Annotated[str, Field(min_length=1, max_length=24, pattern=r"^\S(.*\S)?$")]
    about: Annotated[str, Field(max_length=72)] = ""
    hours: Annotated[tuple[Hours, ...], Field(max_length=21)] = ()


class Branches(BaseModel):
    """All branches of a vendor, in the order in which customers see them."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={
            "examples": [
                {
                    "branches": [
                        {
                            "id": "town",
                            "name": "Town",
                            "about": "Tom Mboya Street",
                            "hours": [{"days": ["monday", "saturday"], "opens": "08:00", "closes": "18:00"}],
                        }
                    ]
                }
            ]
        },
    )

    branches: Annotated[tuple[Branch, ...], Field(max_length=MOST)]

    @model_validator(mode="after")
    def _differ(self) -> "Branches":
        for what, values in (("id", [each.id for each in self.branches]), ("name", [each.name for each in self.branches])):
            twin = next((value for value in values if values.count(value) > 1), None)
            if twin is not None:
                raise ValueError(f"two branches have the {what} {twin}: customers could not tell them apart")
        return self


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A branch with its week worked out; None: always open."""

    branch: Branch
    week: Week | None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a branch stands at a moment. `opens` is its next opening, `opens_in` days from today; None: it never closes."""

    is_open: bool
    closes: str | None = None
    opens: str | None = None
    opens_in: int | None = None


def list_branches(databases: Databases, vendor_id: VendorId) -> Sequence[Kept]:
    """Return the branches as of at most two seconds ago, in their order. Raises Refused("unknown_vendor")."""
    return databases.cache.get(("branches", vendor_id), lambda: _read(databases, vendor_id))


def set_branches(databases: Databases, vendor_id: VendorId, wanted: Branches) -> None:
    """Let a vendor have these branches and no others. Raises Refused("unknown_vendor")."""
    get_vendor(databases, vendor_id)
    with databases.platform(vendor_id) as conn:
        conn.execute(CLEAR, (vendor_id,))
        for position, branch in enumerate(wanted.branches):
            hours = [each.model_dump(mode="json") for each in branch.hours]
            values = {"vendor_id": vendor_id, "id": branch.id, "position": position, "hours": to_jsonb(hours)}
            conn.execute(ADD, values | {"name": storable_text(branch.name), "about": storable_text(branch.about)})
    databases.cache.forget()


def to_week(hours: Iterable[Hours]) -> Week | None:
    """Work out the week; None without hours."""
    spans: list[tuple[int, int]] = []
    for each in hours:
        opens, closes = _minutes(each.opens), _minutes(each.closes)
        for day in each.days:
            start = _DAYS.index(day) * DAY + opens
            spans.append((start, start + ((closes - opens) % DAY or DAY)))
    week: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if week and start <= week[-1][1]:
            week[-1] = (week[-1][0], max(week[-1][1], end))
        else:
            week.append((start, end))
    return tuple(week) or None


def stand(week: Week | None, now: datetime) -> Standing:
    """Tell whether a branch is open, until when, and when it opens next."""
    if week is None:
        return Standing(is_open=True)
    local = now.astimezone(NAIROBI)
    minute = local.weekday() * DAY + local.hour * 60 + local.minute
    until = next((end for start, end in week for at in (minute, minute + WEEK) if start <= at < end), None)
    wait = min((start - minute - 1) % WEEK + 1 for start, _ in week)
    is_always = week[0][1] - week[0][0] >= WEEK
    return Standing(
        is_open=until is not None,
        closes=None if until is None or is_always else _clock(until),
        opens=None if is_always else _clock(minute + wait),
        opens_in=None if is_always else (minute % DAY + wait) // DAY,
    )


def _read(databases: Databases, vendor_id: VendorId) -> tuple[Kept, ...]:
    get_vendor(databases, vendor_id)
    with databases.platform(vendor_id) as conn:
        rows = conn.execute(LIST, (vendor_id,)).fetchall()
    found = [Branch.model_validate(row) for row in rows]
    return tuple(Kept(branch=branch, week=to_week(branch.hours)) for branch in found)


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _clock(minute: int) -> str:
    return f"{minute % DAY // 60:02}:{minute % 60:02}"
