"""Daraja's refusals, and what its gateways answer on a bad day.

Source: Daraja 3.0 portal, read 2025-12-28; gateway answers as integrators reported them up to October 2026.
"""

import secrets
from typing import Final

from fastapi import Response
from fastapi.responses import HTMLResponse, JSONResponse

from soko.simulators.recording import AnsweredError

MESSAGES: Final = {
    "400.002.05": "Invalid Request Payload",
    "400.003.01": "Invalid Access Token",
    "400.008.01": "Invalid Authentication passed",
    "400.008.02": "Invalid grant type passed",
    "401.002.01": "Error Occurred - Invalid Access Token",
    "401.003.01": "Error Occurred - Invalid Access Token",
    "404.001.01": "Resource not found",
    "404.001.03": "Invalid Access Token",
    "404.001.04": "Invalid Authentication Header",
    "405.001": "Method Not Allowed",
    "500.001.1001": "Unable to lock subscriber, a transaction is already in process for the current subscriber",
    "500.002.1001": "Internal Server Error",
    "500.003.02": "System is busy. Please try again in few minutes.",
    "500.003.03": "Error Occurred: Quota Violation",
    "500.003.1001": "Internal Server Error",
}
INCAPSULA: Final = (
    '<html style="height:100%"><head><META NAME="ROBOTS" CONTENT="NOINDEX, NOFOLLOW"></head><body style="margin:0px;height:100%">'
    "Request unsuccessful. Incapsula incident ID: 877000330171403617-273843938234</body></html>"
)


def error_answer(code: str, message: str | None = None) -> Response:
    """An error envelope; the HTTP status is the code's beginning."""
    text = message or MESSAGES.get(code, "Bad Request")
    request_id = f"{secrets.token_hex(2)}-{secrets.token_hex(2)}-{secrets.token_hex(2)}-{secrets.token_hex(8)}"
    return JSONResponse({"requestId": request_id, "errorCode": code, "errorMessage": text}, int(code[:3]))


def refusal(code: str, message: str | None = None) -> AnsweredError:
    """An error envelope that ends the request."""
    return AnsweredError(error_answer(code, message))


def invalid(field: str) -> AnsweredError:
    """A field that Daraja does not take."""
    return refusal("400.002.02", f"Bad Request - Invalid {field}")


def html_page(status: int) -> Response:
    """The firewall's page in place of an answer."""
    return HTMLResponse(INCAPSULA, status)


def spike_arrest() -> Response:
    """The gateway's answer to too many calls: a fault, not an error envelope."""
    allowed = "MessageRate{messagesPerPeriod=5, periodInMicroseconds=60000000, maxBurstMessageCount=1.0}"
    fault = {
        "faultstring": f"Spike arrest violation. Allowed rate : {allowed}",
        "detail": {"errorcode": "policies.ratelimit.SpikeArrestViolation"},
    }
    return JSONResponse({"fault": fault}, 429)
