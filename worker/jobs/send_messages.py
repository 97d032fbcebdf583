"""Drain a vendor's outbox: claim, call the Cloud API, record. No transaction is open while we wait for the network."""

from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import timedelta
from typing import assert_never
from uuid import UUID

import structlog

from conversation.whatsapp.outbound import Later, Refused, SendOutcome, Sent, Unknown
from router import channels, outbox
from router.errors import Refused as RefusedByRule
from router.ids import VendorId
from router.outbox import OutboxRow
from router.wakeups import Job
from router.work import unit_of_work
from worker.retries import (
    SECRET_WAIT_SECONDS,
    SEND_ATTEMPTS,
    SEND_BATCH,
    SEND_LEASE_SECONDS,
    UNKNOWN_WAIT_SECONDS,
    wait_before_resend,
)
from worker.tools import Tools, held

log = structlog.get_logger(__name__)


def run(vendor: str) -> None:
    """Send what is due for one vendor."""
    tools, vendor_id = held(), VendorId(UUID(vendor))
    tools.wakeups.started(Job.SEND, vendor_id)
    drain(tools, vendor_id)


def drain(tools: Tools, vendor_id: VendorId) -> None:
    """Send every due row, the first unfinished one of each conversation at a time, so that replies keep their order."""
    with unit_of_work(tools.databases, vendor_id) as work:
        outbox.recover_expired(work, now=tools.clock())
    while rows := _claim(tools, vendor_id):
        with ThreadPoolExecutor(max_workers=len(rows)) as pool:
            calls: dict[Future[SendOutcome], OutboxRow] = {pool.submit(_call, tools, row): row for row in rows}
            for call in as_completed(calls):
                _record(tools, vendor_id, calls[call], call.result())


def _claim(tools: Tools, vendor_id: VendorId) -> list[OutboxRow]:
    with unit_of_work(tools.databases, vendor_id) as work:
        return outbox.claim(work, now=tools.clock(), lease_seconds=SEND_LEASE_SECONDS, limit=SEND_BATCH)


def _call(tools: Tools, row: OutboxRow) -> SendOutcome:
    channel = channels.find_channel(tools.databases, row.phone_number_id)
    if channel is None:
        return Refused(error=f"no vendor channel has the phone number id {row.phone_number_id}")
    try:
        token = tools.open_secret(channel.token_ref)
    except RefusedByRule as error:
        return Later(after_seconds=SECRET_WAIT_SECONDS, error=f"the token of {row.phone_number_id}: {error}")
    return tools.cloud_api.send(
        token=token,
        phone_number_id=row.phone_number_id,
        recipient=row.recipient,
        message=row.message,
        tracker=f"outbox:{row.id}",
    )


def _record(tools: Tools, vendor_id: VendorId, row: OutboxRow, outcome: SendOutcome) -> None:
    now = tools.clock()
    about = {"conversation_id": str(row.conversation_id)} if row.conversation_id else {"alert": row.cause}
    with structlog.contextvars.bound_contextvars(**about, outbox_id=row.id):
        with unit_of_work(tools.databases, vendor_id) as work:
            match outcome:
                case Sent(wamid=wamid):
                    outbox.record_sent(work, row.id, wamid=wamid, now=now)
                case Later(after_seconds=wait, error=error) if row.attempts < SEND_ATTEMPTS:
                    outbox.record_retry(
                        work,
                        row.id,
                        due_at=now + timedelta(seconds=wait_before_resend(row.attempts, least_seconds=wait)),
                        error=error,
                    )
                case Later(error=error) | Refused(error=error):
                    outbox.record_failed(work, row.id, error=error, now=now)
                case Unknown(error=error):
                    outbox.record_unknown(work, row.id, error=error, due_at=now + timedelta(seconds=UNKNOWN_WAIT_SECONDS))
                case _:
                    assert_never(outcome)
        if isinstance(outcome, Sent):
            log.info("message_sent")
        else:
            log.warning("message_not_sent", outcome=type(outcome).__name__, error=outcome.error)
