"""Is this process alive, and can it do its work? Two different questions for two different callers."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

import redis
from fastapi import APIRouter, Response

from router import revisions
from router.databases import Databases
from router.errors import Unavailable
from router.revisions import Which
from router.wakeups import QueueName, heartbeat_key

OK: Final = "ok"


def build_routes(databases: Databases, client: redis.Redis, clock: Callable[[], datetime]) -> APIRouter:
    """GET /healthz: the process answers. GET /readyz: databases, migrations, Redis and workers; 503 if one is not ok."""
    routes = APIRouter(tags=["health"])
    heads = revisions.heads()

    @routes.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": OK, "time": clock().isoformat()}

    @routes.get("/readyz", responses={503: {"description": "One of the checks is not ok; the body says which"}})
    def readyz(response: Response) -> dict[str, object]:
        checks = _databases(databases, heads) | _redis(client)
        ready = all(state == OK for state in checks.values())
        response.status_code = 200 if ready else 503
        return {"status": OK if ready else "not ready", "checks": checks}

    return routes


def _databases(databases: Databases, heads: Mapping[str, str]) -> dict[str, str]:
    """A dedicated database that is away is its vendor's trouble alone, so it is not asked here."""
    try:
        with databases.platform() as conn:
            platform = _revision(revisions.current(conn, Which.PLATFORM), heads[Which.PLATFORM])
        with databases.across(databases.ops_targets()[0]) as conn:
            ops = _revision(revisions.current(conn, Which.OPS), heads[Which.OPS])
    except Unavailable as error:
        return {"databases": str(error)}
    return {"platform": platform, "ops": ops}


def _revision(current: str | None, head: str) -> str:
    return OK if current == head else f"migrated to {current or 'nothing'}, this program needs {head}: run `soko migrate`"


def _redis(client: redis.Redis) -> dict[str, str]:
    try:
        beats = client.mget([heartbeat_key(queue) for queue in QueueName])
    except redis.RedisError as error:
        return {"redis": str(error)}
    workers = {
        f"worker {queue}": OK if beat else "no heartbeat: start `soko worker`"
        for queue, beat in zip(QueueName, beats, strict=True)
    }
    return {"redis": OK} | workers
