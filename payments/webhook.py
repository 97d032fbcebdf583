"""Where Daraja posts its callbacks: store the raw body, answer 200, wake the worker. Nothing is judged here.

The path holds the secret: a token drawn for each prompt. Who does not know one gets a 404 and leaves no trace.
"""

import json
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Final
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse

from payments.peers import Lock, Peers
from payments.spool import Kept, Spool
from router.databases import Databases
from router.errors import Refused, Unavailable
from router.ids import IntentId, VendorId
from router.payment_intents import callbacks
from router.payment_intents.trail import note
from router.wakeups import Job, Wakeups
from router.work import Work, unit_of_work

log = structlog.get_logger(__name__)

MOST_BYTES: Final = 16 * 1024
JSON_TYPE: Final = "application/json"
ACCEPTED: Final = {"ResultCode": 0, "ResultDesc": "Accepted"}


async def read_body(request: Request) -> str:
    """Read at most 16 KiB that are JSON in UTF-8, and are not said to be something else. 415, 413 and 400 otherwise."""
    if JSON_TYPE not in request.headers.get("content-type", JSON_TYPE):
        raise HTTPException(415, "a callback is application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise HTTPException(413, "a callback has at most 16 KiB")
    try:
        text = body.decode()
        json.loads(text)
    except (ValueError, RecursionError):
        raise HTTPException(400, "a callback is JSON") from None
    return text


def build_routes(
    databases: Databases,
    wakeups: Wakeups,
    *,
    clock: Callable[[], datetime],
    spool: Spool | None = None,
    peers: Peers | None = None,
) -> APIRouter:
    """Make the callback endpoint. 404: no prompt has this token. 403: the address is not listed. 503: we cannot keep it now.

    While the database is away, a callback is kept in the spool and answered 200; without a spool, 503.
    """
    routes = APIRouter()
    who = peers or Peers()

    @routes.post("/hooks/pay/{vendor}/{token}")
    def receive(vendor: str, token: str, request: Request, body: Annotated[str, Depends(read_body)]) -> JSONResponse:
        vendor_id = to_vendor_id(vendor)
        peer = who.name(request.client.host if request.client else None, request.headers.getlist("x-forwarded-for"))
        if vendor_id is None:
            raise unknown(None, peer)
        kept = Kept(vendor_id=vendor_id, token_sha256=sha256(token.encode()).hexdigest(), body=body, peer=peer)
        listed = who.expects(peer)
        if not listed:
            log.warning("callback_not_listed", vendor_id=str(vendor_id), peer=peer, lock=who.lock)
        refused = not listed and who.lock is Lock.ENFORCE
        try:
            known = note_refused(databases, kept, now=clock()) if refused else store_callback(databases, kept)
        except Unavailable as error:
            log.error("callback_not_stored", vendor_id=vendor, error=str(error))
            if refused or spool is None or not spool.keep(kept):
                raise HTTPException(503, "try again later", headers={"Retry-After": "5"}) from error
            return JSONResponse(ACCEPTED)
        if not known:
            raise unknown(vendor_id, peer)
        if refused:
            raise HTTPException(403)
        wakeups.wake([Job.SETTLE], vendor_id)
        return JSONResponse(ACCEPTED)

    return routes


def store_callback(databases: Databases, kept: Kept) -> bool:
    """Store a callback for the worker; False when no prompt has its token. Unavailable: the database is away."""
    return _with_intent(
        databases, kept, lambda work, intent_id: callbacks.keep_callback(work, intent_id, body=kept.body, peer=kept.peer)
    )


def note_refused(databases: Databases, kept: Kept, *, now: datetime) -> bool:
    """Tell of a callback from a stranger in the audit trail alone, so that the same body from M-Pesa itself still counts."""
    told = {"peer": kept.peer, "body": kept.body.replace("\x00", "?")}
    return _with_intent(databases, kept, lambda work, intent_id: note(work, intent_id, "ip_refused", told, now=now))


def _with_intent(databases: Databases, kept: Kept, act: Callable[[Work, IntentId], None]) -> bool:
    try:
        with unit_of_work(databases, VendorId(kept.vendor_id)) as work:
            intent_id = callbacks.find_by_token(work, bytes.fromhex(kept.token_sha256))
            if intent_id is None:
                return False
            act(work, intent_id)
    except Refused:
        return False  # an unknown vendor
    return True


def unknown(vendor_id: VendorId | None, peer: str | None) -> HTTPException:
    """Answer a caller who knows no secret of ours: always the same, and told in the log."""
    log.warning("callback_unknown", vendor_id=str(vendor_id), peer=peer)
    return HTTPException(404)


def to_vendor_id(text: str) -> VendorId | None:
    """Read the vendor's id in a path; None when it is none."""
    try:
        return VendorId(UUID(text))
    except ValueError:
        return None
