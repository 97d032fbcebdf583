"""Errors as problem details: {"type", "title", "status", "detail", "errors": [{"field", "message"}]}."""

from collections.abc import Callable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from router.errors import Refused, Throttled, Unavailable

MEDIA_TYPE: Final = "application/problem+json"
LARGEST_BODY: Final = 1024 * 1024
RETRY_AFTER_SECONDS: Final = 5
KEY_HEADER: Final = "x-internal-key"
STATUS: Final = {
    "key_unknown": HTTPStatus.UNAUTHORIZED,
    "key_operation": HTTPStatus.FORBIDDEN,
    "key_vendor_mismatch": HTTPStatus.FORBIDDEN,
    "vendor_mismatch": HTTPStatus.FORBIDDEN,
    "capability_off": HTTPStatus.FORBIDDEN,
    "capability_used_up": HTTPStatus.FORBIDDEN,
    "vendor_differs": HTTPStatus.CONFLICT,
    "unknown_vendor": HTTPStatus.NOT_FOUND,
    "unknown_order": HTTPStatus.NOT_FOUND,
    "unknown_customer": HTTPStatus.NOT_FOUND,
    "unknown_payment": HTTPStatus.NOT_FOUND,
    "unknown_webhook": HTTPStatus.NOT_FOUND,
    "unknown_event": HTTPStatus.NOT_FOUND,
    "bad_url": HTTPStatus.UNPROCESSABLE_ENTITY,
    "bad_month": HTTPStatus.UNPROCESSABLE_ENTITY,
    "idempotency_key_reused": HTTPStatus.CONFLICT,
    "out_of_stock": HTTPStatus.CONFLICT,
    "unknown_item": HTTPStatus.UNPROCESSABLE_ENTITY,
}


class FieldError(BaseModel):
    """What is wrong with one field, by its path: "lines.0.qty"."""

    field: str
    message: str


class Problem(BaseModel):
    """The body of every error."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []


def _schema() -> dict[str, Any]:
    """Return the shape of a problem, whole: FastAPI names only shapes that are application/json."""
    shape = Problem.model_json_schema(mode="serialization")
    shape.pop("$defs")
    shape["properties"]["errors"]["items"] = FieldError.model_json_schema()
    return shape


PROBLEM: Final = _schema()
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    status: {"description": description, "content": {MEDIA_TYPE: {"schema": PROBLEM}}}
    for status, description in {
        401: "The key is missing, wrong, expired or revoked",
        403: "The key, the body or the capabilities do not allow it for this vendor",
        404: "There is no such thing at this vendor",
        409: "What stands there does not allow it, or the Idempotency-Key belongs to another request",
        413: "The body is larger than 1 MB",
        422: "A field is wrong; `errors` names it",
        429: "Too often: wait for the seconds of Retry-After",
        500: "Our bug: the log has it",
        503: "A database is away: try again",
    }.items()
}
log = structlog.get_logger(__name__)


class InvalidField(Exception):
    """A header or field that our own check refused: a 422 that names it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class _TooLarge(Exception):
    """The body is longer than anybody needs."""


class ProblemRoute(APIRoute):
    """A route whose errors are problem details, in whatever app it is mounted. `allowed`: what its path can do at all."""

    allowed: frozenset[str] = frozenset()

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a method that this path does not have, or go on."""
        if scope["method"] in (self.methods or ()):
            return await super().handle(scope, receive, send)
        allow = ", ".join(sorted(self.allowed))
        answer = _answer(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed", f"this path does {allow}", ())
        answer.headers["Allow"] = allow
        return await answer(scope, receive, send)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap FastAPI's handler."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                if KEY_HEADER not in request.headers:  # before the body is looked at
                    raise Refused("key_unknown", "the x-internal-key is missing, wrong, expired or revoked")
                return await handle(await _read(request))
            except RequestValidationError as error:
                return _unprocessable([_field_error(problem) for problem in error.errors()])
            except HTTPException as error:
                if error.status_code != HTTPStatus.BAD_REQUEST:
                    raise
                return _unprocessable([FieldError(field="body", message="not JSON in UTF-8, or nested too deeply")])
            except InvalidField as error:
                return _unprocessable([FieldError(field=error.field, message=str(error))])
            except Throttled as error:
                return _answer(HTTPStatus.TOO_MANY_REQUESTS, error.code, str(error), (), retry_after=error.seconds)
            except Refused as error:
                return _answer(STATUS.get(error.code, HTTPStatus.CONFLICT), error.code, str(error), ())
            except _TooLarge:
                detail = f"the body is larger than {LARGEST_BODY} bytes"
                return _answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", detail, ())
            except Unavailable as error:
                return _answer(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable", str(error), (), retry_after=RETRY_AFTER_SECONDS)
            except Exception as error:
                log.error("request_failed", path=request.url.path, exc_info=error)
                return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, "broken", "this is our bug, and it is in our log", ())

        return answer


async def _read(request: Request) -> Request:
    """Read the body before it is parsed, and give the request with it. Raises _TooLarge."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > LARGEST_BODY:
            raise _TooLarge
    whole: list[dict[str, Any]] = [{"type": "http.request", "body": bytes(body), "more_body": False}]

    async def receive() -> dict[str, Any]:
        return whole.pop() if whole else {"type": "http.disconnect"}

    return Request(request.scope, receive)


def _unprocessable(errors: Sequence[FieldError]) -> Response:
    detail = "; ".join(f"{error.field}: {error.message}" for error in errors)
    return _answer(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request", detail, errors)


def _answer(
    status: HTTPStatus, code: str, detail: str, errors: Sequence[FieldError], *, retry_after: int | None = None
) -> Response:
    problem = Problem(type=f"urn:soko:{code}", title=status.phrase, status=status, detail=detail, errors=list(errors))
    headers = None if retry_after is None else {"Retry-After": str(retry_after)}
    return JSONResponse(problem.model_dump(), status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _field_error(problem: dict[str, Any]) -> FieldError:
    path = [str(part) for part in problem["loc"] if part not in ("body", "header", "path", "query")]
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "json_invalid":
        return FieldError(field="body", message=f"not JSON: {problem['ctx']['error']}")
    return FieldError(field=".".join(path) or "body", message=message)
