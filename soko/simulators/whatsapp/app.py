"""The HTTP face of the simulated WhatsApp: the Graph API for the app, `/sim/…` for whoever plays the customers."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel

from soko.clock import utc_now
from soko.simulators.phones import to_key
from soko.simulators.recording import RecordedRequest, RecordedRoute, raw_body
from soko.simulators.serving import refuse_production
from soko.simulators.whatsapp.chats import ChatMessage, Script
from soko.simulators.whatsapp.exchange import Delivery, Exchange
from soko.simulators.whatsapp.graph_errors import graph_error
from soko.simulators.whatsapp.numbers import APP_SECRET, NUMBERS, WEBHOOK_PATH, Number
from soko.simulators.whatsapp.says import BatchRequest, DeliverRequest, SayRequest
from soko.simulators.whatsapp.sends import MarkRead, parse_send
from soko.simulators.whatsapp.webhooks import encode

RETRY_WAITS_SECONDS: Final = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0)  # Meta: at once, then ever rarer for 7 days


class WebhookAddress(BaseModel):
    """Where the app listens: its base URL, without the path."""

    app_url: str


class HandShake(BaseModel):
    """The token that the app was told to expect."""

    verify_token: str


def build_app(
    *,
    app_url: str,
    app_secret: str = APP_SECRET,
    numbers: Sequence[Number] = NUMBERS,
    retry_waits_seconds: Sequence[float] = RETRY_WAITS_SECONDS,
    clock: Callable[[], datetime] = utc_now,
) -> FastAPI:
    """Build a simulated WhatsApp that posts its webhooks to `app_url` + /webhooks/whatsapp.

    Start it with `soko.simulators.serving`: it owns threads, which `running` and `serve` give back.
    """
    refuse_production("WhatsApp")
    exchange = Exchange(
        app_url=app_url, app_secret=app_secret, numbers=numbers, retry_waits_seconds=retry_waits_seconds, clock=clock
    )
    app = FastAPI(title="WhatsApp", openapi_url=None)
    app.state.simulator = exchange
    app.state.request_log = exchange.requests
    app.include_router(_admin_routes(exchange))
    app.include_router(_graph_routes(exchange))
    return app


def _graph_routes(exchange: Exchange) -> APIRouter:
    routes = APIRouter(route_class=RecordedRoute)

    @routes.post("/{version}/{phone_number_id}/messages")
    def send(
        phone_number_id: str, body: Annotated[bytes, Depends(raw_body)], authorization: Annotated[str | None, Header()] = None
    ) -> Response:
        number = exchange.authorised(phone_number_id, authorization)
        parsed = parse_send(body)
        return exchange.mark_read(parsed) if isinstance(parsed, MarkRead) else exchange.take(number, parsed)

    @routes.api_route("/{path:path}", methods=["GET", "POST", "PUT", "DELETE"])
    def refuse(request: Request) -> Response:
        raise graph_error(400, 100, f"Nothing answers {request.method} {request.url.path} here.", message="Unsupported request")

    return routes


def _admin_routes(exchange: Exchange) -> APIRouter:
    routes = APIRouter(prefix="/sim")

    @routes.get("/health")
    def health() -> dict[str, object]:
        return {"simulator": "whatsapp", "webhook_url": exchange.webhook_url, "numbers": list(exchange.numbers)}

    @routes.delete("")
    def forget() -> dict[str, bool]:
        exchange.forget()
        return {"forgotten": True}

    @routes.put("/webhook")
    def set_address(address: WebhookAddress) -> dict[str, str]:
        exchange.webhook_url = address.app_url.rstrip("/") + WEBHOOK_PATH
        return {"webhook_url": exchange.webhook_url}

    @routes.post("/handshake")
    def shake_hands(body: HandShake) -> dict[str, bool]:
        return {"verified": exchange.shake_hands(body.verify_token)}

    @routes.put("/phones/{phone}")
    def write_script(phone: str, script: Script) -> Script:
        exchange.chats.write_script(to_key(phone), script)
        return script

    @routes.post("/say")
    def say(body: SayRequest | BatchRequest) -> dict[str, object]:
        said = [exchange.to_said(each) for each in (body.batch if isinstance(body, BatchRequest) else [body])]
        wamids = [each.message.wamid for each in said]
        told: dict[str, object] = {"wamid": wamids[0], "wamids": wamids}
        if body.hold:
            return {**told, "body": exchange.encoded(said).decode("ascii")}
        return {**told, **_answers(exchange.deliver_messages(said, duplicates=body.duplicates))}

    @routes.post("/deliver")
    def deliver(body: DeliverRequest) -> dict[str, object]:
        raw = body.body.encode() if isinstance(body.body, str) else encode(body.body)
        return _answers(exchange.deliver_raw(raw, tamper=body.tamper, unsigned=body.unsigned, duplicates=body.duplicates))

    @routes.get("/messages")
    def messages(
        phone: str | None = None,
        phone_number_id: str | None = None,
        count: int = 0,
        status: str | None = None,
        timeout: Annotated[float, Query(ge=0, le=120)] = 0.0,
    ) -> list[dict[str, Any]]:
        chat = exchange.chats.wait_for(
            key=to_key(phone) if phone else None,
            phone_number_id=phone_number_id,
            count=count,
            status=status,
            timeout_seconds=timeout,
        )
        return [to_view(each) for each in chat]

    @routes.get("/requests")
    def requests() -> list[RecordedRequest]:
        return exchange.requests.calls()

    @routes.get("/deliveries")
    def deliveries() -> list[Delivery]:
        return exchange.deliveries()

    return routes


def _answers(statuses: Sequence[int | None]) -> dict[str, object]:
    """`status` is the app's first answer; null is no answer at all."""
    return {"status": statuses[0], "statuses": list(statuses)}


def to_view(message: ChatMessage) -> dict[str, Any]:
    """One message as `GET /sim/messages` shows it.

    Shape: {"direction": "in" | "out", "wamid", "phone", "bsuid", "name", "phone_number_id", "at", "type", "text", "tracker",
            "reply_to", "buttons": [{"id", "title"}], "list": {"button", "rows": [{"id", "title", "description"}]} | null,
            "choice": {"id", "title"} | null, "status": the last one | null, "statuses": [{"status", "at", "error"}], "read"}
    """
    content, person = message.content, message.person
    view = {
        "direction": message.direction,
        "wamid": message.wamid,
        "phone": person.phone,
        "bsuid": person.bsuid,
        "name": person.name,
        "phone_number_id": message.phone_number_id,
        "at": message.at,
        "type": message.type,
        "text": content.text,
        "buttons": [{"id": each.id, "title": each.title} for each in content.buttons],
        "list": {"button": content.list_button, "rows": content.rows} if content.rows else None,
        "choice": {"id": message.choice.id, "title": message.choice.title} if message.choice else None,
        "tracker": message.tracker,
        "reply_to": message.reply_to,
        "status": message.statuses[-1].status if message.statuses else None,
        "statuses": message.statuses,
        "read": message.read,
    }
    encoded: dict[str, Any] = jsonable_encoder(view)
    return encoded
