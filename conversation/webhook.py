"""WhatsApp's webhook: the challenge, and what Meta posts for every number of every vendor.

200 is said only for what is stored. Meta repeats everything else, at once and then ever rarer, for seven days; it has no other
replay. So a body we do not understand is stored as well, and only a wrong signature is turned away.

Source: Meta's pages "Create a webhook endpoint" and "Webhooks overview", read in September 2026.
"""

import hashlib
import hmac
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Final

import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from conversation.whatsapp.inbound import Update, split
from router.errors import Unavailable

PATH: Final = "/webhooks/whatsapp"
LARGEST_BODY: Final = 3 * 1024 * 1024 + 256 * 1024  # Meta's limit is 3 MB
RETRY_AFTER_SECONDS: Final = 5
MOST_AWAY: Final = 3  # each wait for a database that is away takes seconds: after so many numbers, all of them are away
Accept = Callable[[Sequence[Update]], None]

log = structlog.get_logger(__name__)


def build_routes(*, accept: Accept, verify_token: str, app_secret: str) -> APIRouter:
    """Build GET and POST /webhooks/whatsapp.

    `accept` returns when its updates are stored; router's Unavailable makes Meta send them again. It is called in the thread
    pool, for one update at a time, so that one that fails neither undoes nor holds up the others of its batch.
    """
    if not verify_token or not app_secret:
        raise ValueError("the WhatsApp webhook needs a verify token and an app secret: an empty one lets anybody in")
    token, secret = verify_token.encode(), app_secret.encode()
    routes = APIRouter()

    @routes.get(PATH, include_in_schema=False)
    def challenge(
        mode: Annotated[str, Query(alias="hub.mode")] = "",
        claimed: Annotated[str, Query(alias="hub.verify_token")] = "",
        answer: Annotated[str, Query(alias="hub.challenge")] = "",
    ) -> Response:
        known = hmac.compare_digest(claimed.encode("utf-8", "replace"), token)
        if mode != "subscribe" or not known:
            log.warning("webhook_challenge_refused")
            return _text("forbidden", 403)
        return _text(answer, 200)

    @routes.post(PATH, include_in_schema=False)
    async def receive(request: Request) -> Response:
        body = await _read(request)
        if isinstance(body, Response):
            return body
        if not is_signed(body, request.headers.get("x-hub-signature-256"), secret):
            log.warning("webhook_signature_refused", bytes=len(body))
            return _text("The signature does not match this body and our app secret.", 403)
        return await run_in_threadpool(_take_in, accept, body)

    return routes


def is_signed(body: bytes, header: str | None, secret: bytes) -> bool:
    """Tell whether Meta signed these very bytes. Shape: "sha256=" and 64 lower-case hexadecimal digits."""
    if header is None or not header.startswith("sha256="):
        return False
    wanted = hmac.new(secret, body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(header.removeprefix("sha256=").encode("utf-8", "replace"), wanted.encode())


async def _read(request: Request) -> bytes | Response:
    """Read the body as it came, or refuse one that Meta would not send."""
    body = bytearray()
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            return _text("The body broke off.", 400)
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            log.warning("webhook_body_too_large")
            return _text(f"The body is larger than {LARGEST_BODY} bytes.", 413)
        if not message.get("more_body"):
            return bytes(body)


def _take_in(accept: Accept, body: bytes) -> Response:
    updates = split(body)
    away: set[str | None] = set()
    failed = 0
    for update in updates:
        number = update.phone_number_id
        if number in away or len(away) >= MOST_AWAY:
            continue  # the same database is still away, and a later message must not overtake an earlier one
        try:
            accept([update])
        except Unavailable as error:
            away.add(number)
            log.warning("webhook_unavailable", phone_number_id=number, reason=type(error).__name__)
        except Exception as error:  # noqa: BLE001 — the others of the batch must not suffer; Meta sends this one again
            failed += 1
            log.error("webhook_update_failed", phone_number_id=number, error=type(error).__name__, where=_places(error))
    counts = Counter(type(update).__name__ for update in updates)
    log.info("webhook_received", bytes=len(body), updates=dict(counts), failed=failed, numbers_away=len(away))
    if away:
        return Response(status_code=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    return Response(status_code=500 if failed else 200)


def _places(error: Exception) -> list[str]:
    """Say where it happened, without the message: a database's error text may quote a customer's phone."""
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)[-6:]]


def _text(words: str, status: int) -> Response:
    # nosniff: the challenge is an echo, and must never be taken for a page.
    return Response(words, status, {"X-Content-Type-Options": "nosniff"}, media_type="text/plain")
