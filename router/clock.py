"""The only place of this package that reads the clock: at its HTTP edge. Everything else takes `now`."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the time, aware, in UTC."""
    return datetime.now(UTC)
