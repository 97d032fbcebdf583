"""Where M-Pesa reports money that was paid by hand, and asks before it lets such money through.

The path holds the secret: a token for each shortcode, made when its address is registered. A report is stored as it came, but
for the payer's names and phone, and answered.
"""

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import JSONResponse

from payments.by_hand import Check, check, without_person
from payments.peers import Lock, Peers
from payments.spool import Kept, Spool
from payments.webhook import read_body, to_vendor_id, unknown
from router.databases import Databases
from router.errors import Refused, Unavailable
from router.ids import ShortcodeId, VendorId
from router.payment_intents import reports
from router.payment_intents.reports import Channel
from router.wakeups import Job, Wakeups
from router.work import Work, unit_of_work

log = structlog.get_logger(__name__)

CONFIRMED: Final = {"ResultCode": 0, "ResultDesc": "Success"}


def build_routes(
    databases: Databases, wakeups: Wakeups, *, clock: Callable[[], datetime], spool: Spool, peers: Peers | None = None
) -> APIRouter:
    """Make both endpoints of a shortcode. 404: no shortcode has this token. 403: the address is not listed. 503: try again."""
    routes = APIRouter()
    who = peers or Peers()

    def open_letter(vendor: str, token: str, request: Request, body: str) -> Kept:
        vendor_id = to_vendor_id(vendor)
        peer = who.name(request.client.host if request.client else None, request.headers.getlist("x-forwarded-for"))
        if vendor_id is None:
            raise unknown(None, peer)
        if not who.expects(peer):
            log.warning("callback_not_listed", vendor_id=str(vendor_id), peer=peer, lock=who.lock)
            if who.lock is Lock.ENFORCE:
                raise HTTPException(403)
        return Kept(kind="c2b", vendor_id=vendor_id, token_sha256=sha256(token.encode()).hexdigest(), body=body, peer=peer)

    @routes.post("/hooks/c2b/{vendor}/{token}/paid")
    def receive(vendor: str, token: str, request: Request, body: Annotated[str, Depends(read_body)]) -> JSONResponse:
        kept = open_letter(vendor, token, request, body)
        try:
            known = store_report(databases, kept, now=clock())
        except Unavailable as error:
            log.error("callback_not_stored", vendor_id=vendor, error=str(error))
            if not spool.keep(kept):
                raise HTTPException(503, "try again later", headers={"Retry-After": "5"}) from error
            return JSONResponse(CONFIRMED)
        if not known:
            raise unknown(VendorId(kept.vendor_id), kept.peer)
        wakeups.wake([Job.SETTLE], VendorId(kept.vendor_id))
        return JSONResponse(CONFIRMED)

    @routes.post("/hooks/c2b/{vendor}/{token}/check")
    def answer(vendor: str, token: str, request: Request, body: Annotated[str, Depends(read_body)]) -> JSONResponse:
        kept = open_letter(vendor, token, request, body)
        try:
            found = _check(databases, kept)
        except Unavailable as error:
            log.error("c2b_check_unanswered", vendor_id=vendor, error=str(error))
            found = Check.ACCEPTED  # the money is the vendor's either way, and its report can wait; the customer cannot
        if found is None:
            raise unknown(VendorId(kept.vendor_id), kept.peer)
        log.info("c2b_checked", vendor_id=vendor, answer=str(found))
        return JSONResponse({"ResultCode": str(found), "ResultDesc": "Accepted" if found is Check.ACCEPTED else "Rejected"})

    return routes


def store_report(databases: Databases, kept: Kept, *, now: datetime) -> bool:
    """Store a report for the worker; False when no shortcode has its token. Unavailable: the database is away."""
    done = _with_shortcode(
        databases,
        kept,
        lambda work, shortcode_id: reports.keep(
            work, shortcode_id, Channel.C2B, body=without_person(kept.body).replace("\x00", "?"), peer=kept.peer, now=now
        ),
    )
    return done is not None


def _check(databases: Databases, kept: Kept) -> Check | None:
    found: list[Check] = []
    _with_shortcode(databases, kept, lambda work, shortcode_id: found.append(check(work, shortcode_id, kept.body)))
    return found[0] if found else None


def _with_shortcode(databases: Databases, kept: Kept, act: Callable[[Work, ShortcodeId], None]) -> ShortcodeId | None:
    try:
        with unit_of_work(databases, VendorId(kept.vendor_id)) as work:
            shortcode_id = reports.find_shortcode(work, bytes.fromhex(kept.token_sha256))
            if shortcode_id is not None:
                act(work, shortcode_id)
            return shortcode_id
    except Refused:
        return None  # an unknown vendor
