"""The request log: every call to the imitated API, without the secrets it carried."""

import json
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute

from soko.simulators.serving import Dropped

KEPT: Final = 100_000
SECRET_FIELDS: Final = frozenset({"Password", "access_token", "token"})


@dataclass(kw_only=True)
class RecordedRequest:
    """One call. `body` is parsed JSON, or text when it was not JSON; `status` stays None while, or if ever, no answer left."""

    at: datetime
    method: str
    path: str
    query: Mapping[str, str]
    body: object
    status: int | None = None


class RequestLog:
    """The calls in the order they came, the last 100,000 of them."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._calls: deque[RecordedRequest] = deque(maxlen=KEPT)

    def open(self, method: str, path: str, query: Mapping[str, str], body: bytes) -> RecordedRequest:
        """Write down a call before it is answered."""
        parsed: object = body.decode("utf-8", "replace")
        with suppress(ValueError):
            parsed = json.loads(body)
        call = RecordedRequest(at=self._clock(), method=method, path=path, query=_without_secrets(query), body=_clean(parsed))
        with self._lock:
            self._calls.append(call)
        return call

    def calls(self) -> list[RecordedRequest]:
        """Every call so far."""
        with self._lock:
            return list(self._calls)

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._calls.clear()


def _without_secrets(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in SECRET_FIELDS}


def _clean(body: object) -> object:
    return _without_secrets(body) if isinstance(body, dict) else body


class AnsweredError(Exception):
    """An answer that ends a request early: a refusal, in the words and shape of the imitated API."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"answered with HTTP {response.status_code}")
        self.response = response


class RecordedRoute(APIRoute):
    """A route of the imitated API: its calls go to `app.state.request_log`, an `AnsweredError` becomes the answer."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's own handler."""
        answer = super().get_route_handler()

        async def record(request: Request) -> Response:
            log: RequestLog = request.app.state.request_log
            call = log.open(request.method, request.url.path, request.query_params, await request.body())
            try:
                response = await answer(request)
            except AnsweredError as refusal:
                response = refusal.response
            call.status = None if isinstance(response, Dropped) else response.status_code
            return response

        return record


async def raw_body(request: Request) -> bytes:
    """The body's bytes as they came, for endpoints that judge them as the imitated API does."""
    return await request.body()
