"""The web process: WhatsApp's webhook, M-Pesa's callbacks, the router's API and the health checks on one port."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from conversation.turn import Turns
from conversation.webhook import build_routes as build_whatsapp_routes
from payments.webhook import build_routes as build_callback_routes
from router.databases import Databases
from router.errors import Unavailable
from router.http.api import Api
from router.http.routes import build_routes as build_api_routes
from router.rate_limits import RateLimits
from router.wakeups import Wakeups, connect
from soko.clock import utc_now
from soko.embedded import Urls
from soko.health import build_routes as build_health_routes
from soko.settings import Settings


def build_app(settings: Settings, urls: Urls, databases: Databases, turns: Turns) -> FastAPI:
    """Assemble the app. It keeps no state: run as many as needed."""
    app = FastAPI(title="Soko", summary="Shops inside WhatsApp, paid by M-Pesa", version="0.1.0")
    app.include_router(
        build_whatsapp_routes(
            accept=turns.accept,
            verify_token=settings.open_secret(settings.whatsapp_verify_token),
            app_secret=settings.open_secret(settings.whatsapp_app_secret),
        )
    )
    app.include_router(build_callback_routes(databases, Wakeups(connect(urls.redis))))
    app.include_router(build_api_routes(Api(databases=databases, limits=RateLimits(urls.redis))))
    app.include_router(build_health_routes(databases, connect(urls.redis), utc_now))

    @app.exception_handler(Unavailable)
    def unavailable(_request: Request, error: Unavailable) -> JSONResponse:
        return JSONResponse({"title": "Unavailable", "status": 503, "detail": str(error)}, 503, headers={"Retry-After": "5"})

    return app
