"""The HTTP face of the simulated Daraja: Safaricom's API for the app, `/sim/…` for whoever plays the phones."""

from collections.abc import Callable, Sequence
from datetime import datetime
from email.utils import format_datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, Field
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from soko.clock import utc_now
from soko.simulators.daraja.forging import Forgery
from soko.simulators.daraja.money import ByHand, Transaction
from soko.simulators.daraja.network import Network, OauthScript
from soko.simulators.daraja.phone_page import build_phone_page
from soko.simulators.daraja.prompts import Prompt, Scenario
from soko.simulators.daraja.refusals import refusal
from soko.simulators.daraja.results import OUTCOMES, PAID
from soko.simulators.daraja.vendors import VENDORS, Vendor
from soko.simulators.phones import to_key
from soko.simulators.recording import RecordedRequest, RecordedRoute, raw_body
from soko.simulators.serving import refuse_production

PUSH_PATH = "/mpesa/stkpush/v1/processrequest"
QUERY_PATH = "/mpesa/stkpushquery/v1/query"
Body = Annotated[bytes, Depends(raw_body)]
Bearer = Annotated[str | None, Header()]
ContentType = Annotated[str, Header()]


class Pin(BaseModel):
    """What a person types into the prompt."""

    wrong: bool = False


class Switch(BaseModel):
    """On or off."""

    on: bool


class Step(BaseModel):
    """How far a virtual clock is moved."""

    seconds: float = Field(ge=0)


def build_app(
    *, vendors: Sequence[Vendor] = VENDORS, spike_arrest: bool = False, clock: Callable[[], datetime] = utc_now
) -> FastAPI:
    """Build a simulated Daraja for these shortcodes. With `spike_arrest`, queries meet the sandbox's limit of 5 a minute.

    A `VirtualTime` as the clock stands until /sim/clock moves it, and everything that waits, waits for it.

    Start it with `soko.simulators.serving`: it owns threads, which `running` and `serve` give back.
    """
    refuse_production("Daraja")
    network = Network(vendors=vendors, clock=clock, spike_arrest_on=spike_arrest)
    app = FastAPI(title="Daraja", openapi_url=None)
    app.state.simulator = network
    app.state.request_log = network.requests
    app.add_middleware(_Dated, clock=clock)
    app.include_router(_admin_routes(network))
    app.include_router(build_phone_page())
    app.include_router(_daraja_routes(network))
    return app


class _Dated:
    """Gives every answer the simulator's own time, as any web server gives its own."""

    def __init__(self, app: ASGIApp, clock: Callable[[], datetime]) -> None:
        self._app, self._clock = app, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"date", format_datetime(self._clock(), usegmt=True).encode())]
            await send(message)

        await self._app(scope, receive, send_dated)


def _daraja_routes(network: Network) -> APIRouter:
    routes = APIRouter(route_class=RecordedRoute)

    @routes.get("/oauth/v1/generate")
    def give_token(grant_type: str | None = None, authorization: Bearer = None) -> Response:
        return network.give_token(grant_type, authorization)

    @routes.post(PUSH_PATH)
    def push(body: Body, authorization: Bearer = None, content_type: ContentType = "") -> Response:
        return network.push(body, content_type=content_type, authorization=authorization)

    @routes.post(QUERY_PATH)
    def query(body: Body, authorization: Bearer = None, content_type: ContentType = "") -> Response:
        return network.answer_query(body, content_type=content_type, authorization=authorization)

    @routes.post("/mpesa/c2b/v1/registerurl")
    @routes.post("/mpesa/c2b/v2/registerurl")
    def register_c2b(body: Body, authorization: Bearer = None, content_type: ContentType = "") -> Response:
        return network.money.register_c2b(body, content_type=content_type, owner=network.owner_of(authorization))

    @routes.post("/pulltransactions/v1/register")
    def register_pull(body: Body, authorization: Bearer = None, content_type: ContentType = "") -> Response:
        return network.money.register_pull(body, content_type=content_type, owner=network.owner_of(authorization))

    @routes.api_route("/pulltransactions/v1/query", methods=["GET", "POST"])
    def pull(body: Body, authorization: Bearer = None, content_type: ContentType = "") -> Response:
        return network.money.list_pulled(body, content_type=content_type, owner=network.owner_of(authorization))

    @routes.api_route("/{path:path}", methods=["GET", "POST", "PUT", "DELETE"])
    def refuse(request: Request) -> Response:
        raise refusal("405.001" if request.url.path in (PUSH_PATH, QUERY_PATH) else "404.001.01")

    return routes


def _admin_routes(network: Network) -> APIRouter:
    routes = APIRouter(prefix="/sim")
    prompts = network.prompts

    @routes.get("/health")
    def health() -> dict[str, object]:
        return {"simulator": "daraja", "short_codes": [each.short_code for each in network.vendors.values()]}

    @routes.delete("")
    def forget() -> dict[str, bool]:
        network.forget()
        return {"forgotten": True}

    @routes.put("/phones/{phone}")
    def write_scenario(phone: str, scenario: Scenario | list[Scenario]) -> Scenario | list[Scenario]:
        if isinstance(scenario, Scenario):
            prompts.write_scenario(to_key(phone), scenario)
        else:
            prompts.write_queue(to_key(phone), scenario)
        return scenario

    @routes.post("/phones/{phone}/pin")
    def enter_pin(phone: str, pin: Pin | None = None) -> dict[str, Any]:
        is_wrong = pin is not None and pin.wrong
        return to_view(network.decide_by_hand(to_key(phone), OUTCOMES["wrong_pin"] if is_wrong else PAID))

    @routes.post("/phones/{phone}/cancel")
    def cancel(phone: str) -> dict[str, Any]:
        return to_view(network.decide_by_hand(to_key(phone), OUTCOMES["cancelled"]))

    @routes.put("/oauth")
    def write_oauth_script(script: OauthScript) -> OauthScript:
        network.write_oauth_script(script.model_copy())
        return script

    @routes.delete("/tokens")
    def kill_tokens() -> dict[str, bool]:
        network.tokens.kill()
        return {"killed": True}

    @routes.get("/pushes")
    def pushes(
        phone: str | None = None,
        count: int = 0,
        callbacks: int = 0,
        timeout: Annotated[float, Query(ge=0, le=120)] = 0.0,
    ) -> list[dict[str, Any]]:
        key = to_key(phone) if phone else None
        return [to_view(each) for each in prompts.wait_for(phone=key, count=count, callbacks=callbacks, timeout_seconds=timeout)]

    @routes.get("/ledger")
    def ledger() -> dict[str, Any]:
        return to_ledger(network.money.transactions())

    @routes.post("/pay")
    def pay_by_hand(paid: ByHand) -> dict[str, Any]:
        money = network.pay_by_hand(paid)
        return {"paid": money is not None, "receipt": money.receipt if money else None}

    @routes.put("/validation")
    def switch_validation(switch: Switch) -> Switch:
        network.money.validation_on = switch.on
        return switch

    @routes.delete("/registrations")
    def unregister() -> dict[str, bool]:
        network.money.unregister()
        return {"forgotten": True}

    @routes.post("/pushes/{checkout_request_id}/forge/{kind}")
    def forge(checkout_request_id: str, kind: Forgery) -> dict[str, int | None]:
        return {"http_status": network.forge(kind, checkout_request_id)}

    @routes.post("/clock/advance")
    def advance(step: Step) -> dict[str, Any]:
        return {"done": network.virtual().advance(step.seconds), "now": network.virtual()()}

    @routes.post("/clock/flush")
    def flush() -> dict[str, Any]:
        return {"done": network.virtual().flush(), "now": network.virtual()()}

    @routes.get("/requests")
    def requests() -> list[RecordedRequest]:
        return network.requests.calls()

    return routes


def to_view(prompt: Prompt) -> dict[str, Any]:
    """One prompt as `GET /sim/pushes` shows it; `outcome` is pending until it has ended."""
    push = prompt.push
    names = {code: name for name, code in OUTCOMES.items()}
    view = {
        "phone": push.phone,
        "amount": push.amount,
        "short_code": push.vendor.short_code,
        "party_b": push.party_b,
        "transaction_type": push.transaction_type,
        "account_reference": push.account_reference,
        "description": push.description,
        "callback_url": push.callback_url,
        "merchant_request_id": prompt.merchant_request_id,
        "checkout_request_id": prompt.checkout_request_id,
        "asked_at": prompt.asked_at,
        "decided_at": prompt.decided_at,
        "outcome": "pending" if prompt.result_code is None else names.get(prompt.result_code, prompt.result_code),
        "result_code": prompt.result_code,
        "receipt": prompt.receipt,
        "callbacks": prompt.callbacks,
    }
    encoded: dict[str, Any] = jsonable_encoder(view)
    return encoded


def to_ledger(transactions: Sequence[Transaction]) -> dict[str, Any]:
    """Money received by shortcode or till, in whole KES. Shape: {"174379": {"total", "payments": [{"receipt", "amount", …}]}}."""
    ledger: dict[str, Any] = {}
    for each in transactions:
        account = ledger.setdefault(each.vendor.party_b, {"total": 0, "payments": []})
        account["total"] += each.amount
        payment = {"receipt": each.receipt, "amount": each.amount, "phone": each.phone}
        account["payments"].append({**payment, "account_reference": each.account})
    return ledger
