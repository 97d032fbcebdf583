"""A vendor's webhooks: where its events are delivered."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, status
from pydantic import BaseModel, ConfigDict, Field

from router import events
from router.events import EventType
from router.http.api import Api
from router.http.callers import build_caller
from router.http.pages import Limit
from router.http.problems import PROBLEMS, ProblemRoute
from router.ids import VendorId
from router.keys import Operation
from router.webhooks import deliveries, endpoints
from router.webhooks.addresses import LONGEST
from router.webhooks.endpoints import Endpoint
from router.work import unit_of_work

EXAMPLE: dict[str, Any] = {
    "id": "3f0c6f0e-7a55-4f0e-8d7b-0f8f6a1c2d34",
    "url": "https://shop.example/soko",
    "types": ["order_paid", "order_cancelled"],
    "created_at": "2026-11-20T09:30:00Z",
    "failures": 0,
    "failing_since": None,
    "disabled_at": None,
    "disabled_because": None,
    "old_secret_until": None,
}
DELIVERY: dict[str, Any] = {
    "event_id": "evt_c7af4716f9ab465d9afbf1047bf37a40_42",
    "type": "order_paid",
    "status": "failed",
    "attempts": 10,
    "due_at": "2026-11-23T12:00:00Z",
    "answer": 500,
    "error": "answered 500",
}


class WebhookIn(BaseModel):
    """Where to deliver, and which events: null means all of them, also kinds that are added later."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"url": "https://shop.example/soko", "types": ["order_paid"]}]}
    )

    url: Annotated[str, Field(min_length=1, max_length=LONGEST, pattern=r"^[\x21-\x7e]+$")]
    types: Annotated[list[EventType], Field(min_length=1, max_length=len(EventType))] | None = None


class WebhookOut(BaseModel):
    """`failures` in a row since `failing_since`. A disabled one gets nothing until it is enabled, and then all it missed."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    id: UUID
    url: str
    types: list[EventType] | None
    created_at: datetime
    failures: int
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_because: str | None
    old_secret_until: datetime | None


class WebhookWithSecret(BaseModel):
    """`secret` verifies signatures: docs/events.md. Keep it; to get another one, rotate."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"webhook": EXAMPLE, "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazy7Vv6JfLs="}]}
    )

    webhook: WebhookOut
    secret: str


class WebhooksOut(BaseModel):
    """All webhooks of a vendor: ten at most."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [EXAMPLE]}]})

    items: list[WebhookOut]


class ResendIn(BaseModel):
    """Which event to deliver again; null: all whose delivery here has failed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"event_id": DELIVERY["event_id"]}]})

    event_id: Annotated[str, Field(max_length=80)] | None = None


class ResentOut(BaseModel):
    """How many will be delivered again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"resent": 1}]})

    resent: int


class DeliveryOut(BaseModel):
    """How the delivery of one event stands; `due_at` is the next try of a pending one, `answer` the last HTTP status."""

    model_config = ConfigDict(json_schema_extra={"examples": [DELIVERY]})

    event_id: str
    type: str
    status: str
    attempts: int
    due_at: datetime
    answer: int | None
    error: str | None


class DeliveriesOut(BaseModel):
    """The last deliveries, the newest event first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [DELIVERY]}]})

    items: list[DeliveryOut]


def build_routes(api: Api) -> APIRouter:
    """Return the routes. No capability stands before them: they tell a vendor what happened at it, as `/events` does."""
    routes = APIRouter(tags=["webhooks"], route_class=ProblemRoute, responses=PROBLEMS)
    writer = build_caller(api, Operation.WRITE_WEBHOOKS)
    Caller = Annotated[VendorId, Depends(writer)]  # noqa: N806 — a type

    @routes.get("/webhooks")
    def list_webhooks(vendor_id: Caller, disabled: bool | None = None) -> WebhooksOut:  # noqa: FBT001 — a query parameter
        """List this vendor's webhooks, and whether they work; `disabled` those alone that are, or are not."""
        with unit_of_work(api.databases, vendor_id) as work:
            found = endpoints.list_all(work)
        return WebhooksOut(items=[_out(each) for each in found if disabled in (None, each.disabled_at is not None)])

    @routes.post("/webhooks", status_code=status.HTTP_201_CREATED)
    def create_webhook(body: WebhookIn, vendor_id: Caller) -> WebhookWithSecret:
        """Deliver what happens from now on to a URL. Its secret is told here; 409 where the URL is a webhook already."""
        with unit_of_work(api.databases, vendor_id) as work:
            public_only = api.signing.public_only
            made = endpoints.create(work, url=body.url, types=body.types, public_only=public_only, now=api.clock())
            return _with_secret(api, made)

    @routes.delete("/webhooks/{webhook_id}")
    def delete_webhook(webhook_id: UUID, vendor_id: Caller) -> WebhookOut:
        """Deliver nothing there any more, also not what was on its way."""
        with unit_of_work(api.databases, vendor_id) as work:
            return _out(endpoints.delete(work, webhook_id))

    @routes.post("/webhooks/{webhook_id}/rotate")
    def rotate_webhook(webhook_id: UUID, vendor_id: Caller) -> WebhookWithSecret:
        """Go over to a new secret. For a day each delivery has two signatures, the old secret's too."""
        with unit_of_work(api.databases, vendor_id) as work:
            return _with_secret(api, endpoints.rotate(work, webhook_id, now=api.clock()))

    @routes.post("/webhooks/{webhook_id}/ping")
    def ping_webhook(webhook_id: UUID, vendor_id: Caller) -> WebhookOut:
        """Deliver a test event, `webhook_pinged`, there alone."""
        with unit_of_work(api.databases, vendor_id) as work:
            endpoints.ping(work, webhook_id, now=api.clock())
            return _out(endpoints.get(work, webhook_id))

    @routes.post("/webhooks/{webhook_id}/enable")
    def enable_webhook(webhook_id: UUID, vendor_id: Caller) -> WebhookOut:
        """Deliver again after it was disabled, from where it stopped: nothing is missed."""
        with unit_of_work(api.databases, vendor_id) as work:
            return _out(endpoints.enable(work, webhook_id))

    @routes.post("/webhooks/{webhook_id}/resend")
    def resend_to_webhook(webhook_id: UUID, body: ResendIn, vendor_id: Caller) -> ResentOut:
        """Deliver an event again, or all that failed here. The id stays, so a receiver that has it can tell."""
        with unit_of_work(api.databases, vendor_id) as work:
            return ResentOut(resent=deliveries.resend(work, webhook_id, body.event_id, now=api.clock()))

    @routes.get("/webhooks/{webhook_id}/deliveries")
    def list_deliveries(
        webhook_id: UUID,
        vendor_id: Caller,
        status: Literal["pending", "sending", "delivered", "failed"] | None = None,
        limit: Limit = 50,
    ) -> DeliveriesOut:
        """List the last deliveries to a webhook, the newest event first; ended ones for some weeks."""
        with unit_of_work(api.databases, vendor_id) as work:
            found = deliveries.list_last(work, webhook_id, status=status, limit=limit)
        shown = [vars(each) | {"event_id": events.to_id(vendor_id, each.event_id)} for each in found]
        return DeliveriesOut(items=[DeliveryOut.model_validate(each) for each in shown])

    return routes


def _out(endpoint: Endpoint) -> WebhookOut:
    return WebhookOut.model_validate(vars(endpoint) | {"old_secret_until": endpoint.old_until})


def _with_secret(api: Api, endpoint: Endpoint) -> WebhookWithSecret:
    return WebhookWithSecret(webhook=_out(endpoint), secret=api.signing.secret(endpoint.id, endpoint.version))
