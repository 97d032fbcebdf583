"""Where Daraja posts its callbacks: store the raw body, answer 200, wake the worker. Nothing is judged here.

The path holds the secret: a token drawn for each prompt. Who does not know one gets a 404 and leaves no trace.
"""

import json
from typing import Annotated, Final
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse

from router.databases import Databases
from router.errors import Refused, Unavailable
from router.ids import VendorId
from router.payment_intents import callbacks
from router.wakeups import Job, Wakeups
from router.work import unit_of_work

log = structlog.get_logger(__name__)

MOST_BYTES: Final = 16 * 1024
ACCEPTED: Final = {"ResultCode": 0, "ResultDesc": "Accepted"}


async def read_body(request: Request) -> str:
    """Read at most 16 KiB that are JSON in UTF-8. 413 and 400 otherwise."""
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


def build_routes(databases: Databases, wakeups: Wakeups) -> APIRouter:
    """Make the callback endpoint. 404: no prompt has this token. 503: the database is away."""
    routes = APIRouter()

    @routes.post("/hooks/pay/{vendor}/{token}")
    def receive(vendor: str, token: str, request: Request, body: Annotated[str, Depends(read_body)]) -> JSONResponse:
        vendor_id = _to_vendor_id(vendor)
        peer = request.client.host if request.client else None
        try:
            stored = vendor_id is not None and _store(databases, vendor_id, token, body=body, peer=peer)
        except Unavailable as error:
            log.error("callback_not_stored", vendor_id=vendor, error=str(error))
            raise HTTPException(503, "try again later", headers={"Retry-After": "5"}) from error
        if not stored or vendor_id is None:
            log.warning("callback_unknown", vendor_id=str(vendor_id), peer=peer)
            raise HTTPException(404)
        wakeups.wake([Job.SETTLE], vendor_id)
        return JSONResponse(ACCEPTED)

    return routes


def _store(databases: Databases, vendor_id: VendorId, token: str, *, body: str, peer: str | None) -> bool:
    try:
        with unit_of_work(databases, vendor_id) as work:
            intent_id = callbacks.find_by_token(work, token)
            if intent_id is None:
                return False
            callbacks.keep_callback(work, intent_id, body=body, peer=peer)
    except Refused:
        return False  # an unknown vendor
    return True


def _to_vendor_id(text: str) -> VendorId | None:
    try:
        return VendorId(UUID(text))
    except ValueError:
        return None
