"""The web process: WhatsApp's webhook, M-Pesa's callbacks, the router's API and the health checks on one port."""

import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

import structlog
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from conversation.turn import Turns
from conversation.webhook import build_routes as build_whatsapp_routes
from payments.c2b_webhook import build_routes as build_c2b_routes
from payments.c2b_webhook import store_report
from payments.spool import Kept, Spool
from payments.webhook import build_routes as build_callback_routes
from payments.webhook import store_callback
from router.databases import Databases
from router.errors import Unavailable
from router.http.api import Api
from router.http.routes import build_routes as build_api_routes
from router.rate_limits import RateLimits
from router.wakeups import Wakeups, connect
from soko.assembly import build_signing
from soko.clock import utc_now
from soko.embedded import Urls
from soko.health import build_routes as build_health_routes
from soko.settings import Settings

REPLAY_SECONDS: Final = 2.0
log = structlog.get_logger(__name__)


@asynccontextmanager
async def replaying(replay: Callable[[], int]) -> AsyncIterator[None]:
    """Replay what waits on disk every other second, beside the requests; the sweep of the worker finds the rows."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(REPLAY_SECONDS):
            try:
                replay()
            except Exception as error:
                log.exception("replay_failed", error=str(error))

    thread = threading.Thread(target=run, name="replay", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()


def store_kept(databases: Databases, kept: Kept) -> bool:
    """Store what waited on disk, a callback or a report; False when nobody knows its token. Unavailable."""
    return store_report(databases, kept, now=utc_now()) if kept.kind == "c2b" else store_callback(databases, kept)


def build_app(settings: Settings, urls: Urls, databases: Databases, turns: Turns) -> FastAPI:
    """Assemble the app. It keeps no state: run as many as needed."""
    spool, wakeups = Spool(settings.home / "callbacks"), Wakeups(connect(urls.redis))
    app = FastAPI(
        title="Soko",
        summary="Shops inside WhatsApp, paid by M-Pesa",
        version="0.1.0",
        lifespan=lambda _app: replaying(lambda: spool.replay(lambda kept: store_kept(databases, kept))),
    )
    app.include_router(
        build_whatsapp_routes(
            accept=turns.accept,
            verify_token=settings.open_secret(settings.whatsapp_verify_token),
            app_secret=settings.open_secret(settings.whatsapp_app_secret),
        )
    )
    for build in (build_callback_routes, build_c2b_routes):
        app.include_router(build(databases, wakeups, clock=utc_now, spool=spool, peers=settings.callback_peers))
    app.include_router(build_api_routes(Api(databases=databases, limits=RateLimits(urls.redis), signing=build_signing(settings))))
    app.include_router(build_health_routes(databases, connect(urls.redis), utc_now))

    @app.exception_handler(Unavailable)
    def unavailable(_request: Request, error: Unavailable) -> JSONResponse:
        return JSONResponse({"title": "Unavailable", "status": 503, "detail": str(error)}, 503, headers={"Retry-After": "5"})

    return app
