"""The one clock of a running process."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Tell the time, aware and in UTC. Everything below `soko` is given the time instead of asking for it."""
    return datetime.now(tz=UTC)
