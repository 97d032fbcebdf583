"""What happened at a vendor, to be read from a place on."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict

from router import events
from router.http.api import Api
from router.http.callers import build_caller
from router.http.pages import Limit
from router.http.problems import PROBLEMS, InvalidField, ProblemRoute
from router.ids import VendorId
from router.keys import Operation
from router.work import unit_of_work

EXAMPLE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "evt_c7af4716f9ab465d9afbf1047bf37a40_42",
    "source": "/vendors/c7af4716-f9ab-465d-9afb-f1047bf37a40",
    "type": "soko.order_paid.v1",
    "subject": "0c0d8a1e-5a3e-4d5f-9d0b-2a8f0e3b7c11",
    "time": "2026-11-20T09:31:00Z",
    "datacontenttype": "application/json",
    "vendorid": "c7af4716-f9ab-465d-9afb-f1047bf37a40",
    "orderid": "0c0d8a1e-5a3e-4d5f-9d0b-2a8f0e3b7c11",
    "sequence": "3",
    "data": {"number": "S0001", "total": 430, "receipt": "UKN7IKCAXR"},
}


class EventOut(BaseModel):
    """A CloudEvent. `sequence` counts the events of the order `orderid` from 1; both are null where it is about none."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: str
    vendorid: UUID
    orderid: str | None = None
    sequence: str | None = None
    data: dict[str, Any]


class EventsOut(BaseModel):
    """`next` is where to go on, also when there is nothing `more` now: ask again later with it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [EXAMPLE], "next": "8123-42", "more": False}]})

    items: list[EventOut]
    next: str
    more: bool


def build_routes(api: Api) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["events"], route_class=ProblemRoute, responses=PROBLEMS)
    reader = build_caller(api, Operation.READ_EVENTS)

    # No capability stands before it: what a vendor may read of its own past does not depend on what it may sell.
    @routes.get("/events")
    def list_events(
        vendor_id: Annotated[VendorId, Depends(reader)],
        after: Annotated[str | None, Query(max_length=40, description="`next` of the answer before")] = None,
        limit: Limit = 50,
    ) -> EventsOut:
        """List what happened, in the order of commits and without gaps: keep `next`, go on from it, and nothing is missed."""
        place = events.START if after is None else events.parse_cursor(after)
        if place is None:
            raise InvalidField("after", "give `next` of the answer before, as it came")
        with unit_of_work(api.databases, vendor_id) as work:
            found = events.read(work, after=place, limit=limit + 1)
        items = [EventOut.model_validate(events.to_envelope(vendor_id, event)) for event in found[:limit]]
        last = found[:limit][-1].cursor if found else place
        return EventsOut(items=items, next=str(last), more=len(found) > limit)

    return routes
