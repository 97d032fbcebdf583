"""Days and months as usage counts them: in Africa/Nairobi, which never changes its clocks."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Final

from router.errors import Refused

NAIROBI: Final = timezone(timedelta(hours=3))


def day_of(now: datetime) -> date:
    """Return the Nairobi day of a moment."""
    return now.astimezone(NAIROBI).date()


def start_of(day: date) -> datetime:
    """Return the moment a Nairobi day begins, aware UTC."""
    return datetime.combine(day, time(), tzinfo=NAIROBI).astimezone(UTC)


def parse_month(text: str) -> date:
    """Read "2026-11" as its first day. Raises Refused("bad_month")."""
    try:
        if len(text) != len("2026-11"):
            raise ValueError
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise Refused("bad_month", f"write a month as 2026-11, not {text[:40]!r}") from None


def next_month(month: date) -> date:
    """Return the first day of the month after."""
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)
