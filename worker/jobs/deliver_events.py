"""Deliver a vendor's events to its webhooks: plan, claim, post, record. No transaction is open while we wait for the network.

Each endpoint has a thread of its own while something is due to it, so that one that hangs holds up no other.
"""

import json
import threading
from typing import Final
from uuid import UUID

import structlog

from router import events
from router.errors import Refused, Unavailable
from router.ids import VendorId
from router.wakeups import Job
from router.webhooks import deliveries
from router.webhooks.deliveries import Claimed
from router.work import unit_of_work
from worker import webhooks
from worker.retries import WEBHOOK_ENDPOINTS, WEBHOOK_LEASE_SECONDS
from worker.tools import Tools, held
from worker.webhooks import Answer

log = structlog.get_logger(__name__)
_places: Final = threading.BoundedSemaphore(WEBHOOK_ENDPOINTS)


def run(vendor: str) -> None:
    """Deliver what is due for one vendor."""
    tools, vendor_id = held(), VendorId(UUID(vendor))
    tools.wakeups.started(Job.WEBHOOK, vendor_id)
    drain(tools, vendor_id)


def drain(tools: Tools, vendor_id: VendorId) -> None:
    """Plan what happened, and begin to deliver it, without waiting. What finds no place now is found by the next sweep."""
    for endpoint_id in _plan(tools, vendor_id):
        if not _places.acquire(blocking=False):
            return
        threading.Thread(
            target=_deliver_alone, args=(tools, vendor_id, endpoint_id), name=f"webhook {endpoint_id}", daemon=True
        ).start()


def deliver(tools: Tools, vendor_id: VendorId) -> None:
    """Deliver everything that is due, and wait for it."""
    for endpoint_id in _plan(tools, vendor_id):
        _deliver(tools, vendor_id, endpoint_id)


def _plan(tools: Tools, vendor_id: VendorId) -> list[UUID]:
    """Plan the next events, and name the endpoints that something is due to.

    The second transaction begins when the first is seen by all: whoever delivers to an endpoint just then finds what was planned.
    """
    with unit_of_work(tools.databases, vendor_id) as work:
        deliveries.plan(work, now=tools.clock())
    with unit_of_work(tools.databases, vendor_id) as work:
        return deliveries.list_due(work, now=tools.clock())


def _deliver(tools: Tools, vendor_id: VendorId, endpoint_id: UUID) -> None:
    """One after the other, the oldest event first."""
    while (made := _claim(tools, vendor_id, endpoint_id)) is not None:
        _record(tools, vendor_id, made, _post(tools, vendor_id, made))


def _deliver_alone(tools: Tools, vendor_id: VendorId, endpoint_id: UUID) -> None:
    try:
        _deliver(tools, vendor_id, endpoint_id)
    except (Unavailable, Refused) as error:
        log.warning("webhooks_put_off", vendor_id=str(vendor_id), webhook_id=str(endpoint_id), error=str(error))
    except Exception as error:
        log.exception("webhooks_failed", vendor_id=str(vendor_id), webhook_id=str(endpoint_id), error=str(error))
    finally:
        _places.release()


def _claim(tools: Tools, vendor_id: VendorId, endpoint_id: UUID) -> Claimed | None:
    with unit_of_work(tools.databases, vendor_id) as work:
        return deliveries.claim(work, endpoint_id, now=tools.clock(), lease_seconds=WEBHOOK_LEASE_SECONDS)


def _post(tools: Tools, vendor_id: VendorId, made: Claimed) -> Answer:
    now = tools.clock()
    body = json.dumps(events.to_envelope(vendor_id, made.event), ensure_ascii=False, separators=(",", ":")).encode()
    message_id, timestamp = events.to_id(vendor_id, made.event.id), int(now.timestamp())
    signature = tools.signing.sign(
        made.endpoint.id, made.endpoint.live_versions(now), message_id=message_id, timestamp=timestamp, body=body
    )
    headers = {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}
    return webhooks.post(made.endpoint.url, headers=headers, body=body, public_only=tools.signing.public_only)


def _record(tools: Tools, vendor_id: VendorId, made: Claimed, answer: Answer) -> None:
    now = tools.clock()
    told = {"vendor_id": str(vendor_id), "webhook_id": str(made.endpoint.id), "event_id": events.to_id(vendor_id, made.event.id)}
    with unit_of_work(tools.databases, vendor_id) as work:
        if answer.status is not None and not answer.error:
            deliveries.record_delivered(work, made, answer=answer.status, now=now)
            return
        ended = deliveries.record_failed(
            work, made, answer=answer.status, error=answer.error, asked_seconds=answer.asked_seconds, now=now
        )
    log.warning("event_not_delivered", error=answer.error, attempts=made.attempts, **told)
    if ended is not None:
        log.error("webhook_disabled", url=ended.url, reason=ended.disabled_because, **told)
