"""Lists in pages: at most a hundred at once, and a cursor that says where the next page begins."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import datetime
from typing import Annotated, Final, Generic, TypeVar
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel

from router.http.problems import InvalidField

MOST: Final = 100
Item = TypeVar("Item", bound=BaseModel)
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most")]
After = Annotated[str | None, Query(max_length=200, description="`next` of the page before")]
Place = tuple[datetime, UUID]


class Page(BaseModel, Generic[Item]):
    """`next` null: this is the last page."""

    items: list[Item]
    next: str | None


def to_page(items: list[Item], places: list[Place], limit: int) -> Page[Item]:
    """Make a page of rows that were read with `limit + 1`."""
    more = len(items) > limit
    return Page(items=items[:limit], next=_to_cursor(places[limit - 1]) if more else None)


def parse_cursor(after: str | None) -> Place | None:
    """Read a cursor. Raises InvalidField."""
    if after is None:
        return None
    try:
        at, key = json.loads(urlsafe_b64decode(after.encode()))
        place = (datetime.fromisoformat(at), UUID(key))
        if place[0].tzinfo is None:
            raise ValueError
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise InvalidField("after", "give `next` of the page before, as it came") from None
    return place


def _to_cursor(place: Place) -> str:
    return urlsafe_b64encode(json.dumps([place[0].isoformat(), str(place[1])]).encode()).decode()
