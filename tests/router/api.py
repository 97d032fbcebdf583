"""The API as an app for tests: made once a process, because its routes take longer to make than most tests to run."""

from datetime import datetime
from functools import cache
from typing import Any

from fastapi import FastAPI

from router.databases import Databases
from router.http.api import Api
from router.http.routes import build_routes
from router.rate_limits import RateLimits
from router.webhooks.signing import Signing


class _Forward:
    """Stands for what the running test has."""

    to: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.to, name)

    def __call__(self) -> Any:
        return self.to()


@cache
def _made() -> tuple[FastAPI, dict[str, _Forward]]:
    parts = {name: _Forward() for name in ("databases", "limits", "clock")}
    app = FastAPI()
    signing = Signing(open_keys=lambda: ["a webhook key of 32 characters or more"])
    app.include_router(build_routes(Api(**parts, signing=signing)))  # type: ignore[arg-type]  # they forward all of it
    return app, parts


def open_shared_api(databases: Databases, now: datetime) -> FastAPI:
    """Give the one app of this process, on this test's databases and at its time, with nothing counted yet."""
    app, parts = _made()
    parts["databases"].to, parts["limits"].to, parts["clock"].to = databases, RateLimits(None), lambda: now
    return app
