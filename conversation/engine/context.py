"""What a flow may read, loaded by the host before every step. Read-only in flows."""

from dataclasses import dataclass
from typing import Final

from conversation.engine.lexicon import Lexicon
from conversation.engine.values import Record

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")  # of `now.weekday`


def to_slug(name: str) -> str:
    """Write a vendor's name as flows and transcripts name it: "Mama Duka" is mama-duka."""
    return "-".join(name.lower().split())


@dataclass(frozen=True, kw_only=True)
class Context:
    """Plain JSON values, as the services catalogue's `context` types describe them.

    order.id is always set (reserved before the order's row exists); order.number may be "" until then.
    """

    vendor: Record
    customer: Record
    order: Record
    lexicon: Lexicon
