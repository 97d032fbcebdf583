"""Refusals of the Graph API, in Meta's words and shape."""

import secrets
from typing import Final

from fastapi.responses import JSONResponse

from soko.simulators.recording import AnsweredError

TITLES: Final = {
    1: "API Unknown",
    4: "Application request limit reached",
    10: "Application does not have permission for this action",
    33: "Parameter value is not valid",
    80007: "Rate limit issues",
    100: "Invalid parameter",
    130429: "Rate limit hit",
    131000: "Something went wrong",
    131005: "Access denied",
    131008: "Required parameter is missing",
    131009: "Parameter value is not valid",
    131016: "Service unavailable",
    131026: "Message undeliverable",
    131031: "Account has been locked",
    131042: "Business eligibility payment issue",
    131047: "Re-engagement message",
    131048: "Spam rate limit hit",
    131049: "This message was not delivered to maintain healthy ecosystem engagement.",
    131051: "Unsupported message type",
    131053: "Media upload error",
    131056: "Pair rate limit hit",
    131057: "Account in maintenance mode",
    133010: "Phone number not registered",
}
HELP: Final = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/"


def title_of(code: int) -> str:
    """Meta's short title of an error code."""
    return TITLES.get(code, "Something went wrong")


def graph_error(
    http: int, code: int, details: str, *, message: str | None = None, retry_after: int | None = None
) -> AnsweredError:
    """Build a refusal. Shape: {"error": {"message", "type", "code", "error_data": {"details"}, "fbtrace_id"}}."""
    error: dict[str, object] = {
        "message": message or f"(#{code}) {title_of(code)}",
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": details},
        "fbtrace_id": "A" + secrets.token_urlsafe(16),
    }
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return AnsweredError(JSONResponse({"error": error}, http, headers))


def token_refused() -> AnsweredError:
    """The bearer token is missing, unknown, or another number's."""
    message = "Invalid OAuth access token - Cannot parse access token"
    return graph_error(401, 190, "The access token is invalid or belongs to another number.", message=message)


def number_unknown(phone_number_id: str) -> AnsweredError:
    """Nobody owns this phone number id."""
    message = (
        f"Unsupported post request. Object with ID '{phone_number_id}' does not exist, cannot be loaded due to missing "
        "permissions, or does not support this operation"
    )
    return graph_error(400, 100, "Unknown phone number id.", message=message)


def failure_block(code: int) -> dict[str, object]:
    """The `errors` item of a failed status."""
    title = title_of(code)
    return {"code": code, "title": title, "message": title, "error_data": {"details": f"{title}."}, "href": HELP}
