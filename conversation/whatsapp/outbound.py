"""Send one message through the Cloud API, and sort the answer by what the caller does next.

The Cloud API has no idempotency key. Only an answer we can read tells whether a message went: what we cannot read is Unknown, and
the status webhook, which carries our tracker, may still tell.
"""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final, TypeAlias

import httpx
from pydantic import BaseModel, Field, ValidationError
from pywa.client import WhatsApp
from pywa.errors import WhatsAppError
from pywa.types.callback import Button, SectionRow

from conversation.whatsapp import error_codes, limits
from conversation.whatsapp.error_codes import ErrorKind
from conversation.whatsapp.identity import parse_bsuid, parse_phone
from conversation.whatsapp.limits import OutgoingMessage
from router.json_values import JSON

# Together shorter than the lease of an outbox row in worker/retries.py.
TIMEOUTS: Final = httpx.Timeout(connect=3, write=3, read=10, pool=2)
CONNECTIONS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=30)
CLIENTS: Final = 1024  # tokens held at once; a forgotten one costs a millisecond
LONGEST_WAIT_SECONDS: Final = 3600
UNREACHED_WAIT_SECONDS: Final = 5
TOKEN: Final = re.compile(r"[\x21-\x7e]+")
NUMBER_ID: Final = re.compile(r"[0-9]{1,32}")


@dataclass(frozen=True, kw_only=True)
class Sent:
    """WhatsApp took it. Taken is not delivered: statuses follow under this id."""

    wamid: str


@dataclass(frozen=True, kw_only=True)
class Later:
    """It did not go and may go later, `after_seconds` from now at the earliest. `code` is Meta's, if Meta answered."""

    after_seconds: int
    error: str
    code: int | None = None


@dataclass(frozen=True, kw_only=True)
class Refused:
    """It did not go and never will as it is."""

    error: str
    code: int | None = None


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """It may have gone. Wait for a status before sending it again."""

    error: str


SendOutcome: TypeAlias = Sent | Later | Refused | Unknown


class _Taken(BaseModel):
    id: Annotated[str, Field(min_length=1)]


class _Answer(BaseModel):
    messages: Annotated[list[_Taken], Field(min_length=1)]


class CloudApi:
    """The Cloud API at `base_url`, version included: https://graph.facebook.com/v26.0. May be used by many threads at once."""

    def __init__(self, *, base_url: str, timeout: httpx.Timeout = TIMEOUTS) -> None:
        self._base_url = base_url.rstrip("/")
        self._timeout = timeout
        # One TLS context (50 ms) and one set of connections for all tokens.
        self._transport = httpx.HTTPTransport(verify=httpx.create_ssl_context(), limits=CONNECTIONS)
        self._client = lru_cache(maxsize=CLIENTS)(self._build_client)
        # At DEBUG pywa logs whole requests, so phone numbers; its warnings are advice on httpx. We return what happened.
        logging.getLogger("pywa").setLevel(logging.ERROR)

    def send(self, *, token: str, phone_number_id: str, recipient: str, message: Mapping[str, JSON], tracker: str) -> SendOutcome:
        """Send one message. One request at most, never repeated here; nothing is raised for what the network or Meta does.

        Shape:  recipient "254712345678" or a BSUID; message as in limits.OutgoingMessage; tracker comes back with each status.
        """
        phone, bsuid = parse_phone(recipient), parse_bsuid(recipient)
        breaches = limits.check(message) + _misfits(phone or bsuid, phone_number_id, tracker)
        if breaches:
            return Refused(error="not sent: " + "; ".join(breaches))
        if not TOKEN.fullmatch(token):
            wait = error_codes.RULES[ErrorKind.TOKEN].wait_seconds or 0
            return Later(after_seconds=wait, error="not sent: the access token is empty or has a space or line break in it")
        kind, content = to_content(OutgoingMessage.model_validate(message))
        try:
            answer = self._client(token).api.send_message(
                sender=phone_number_id,
                to=f"+{phone}" if phone else None,  # without the plus Meta may take our own country's code for a part of it
                recipient=bsuid,  # in `to` a BSUID is answered 200 and dropped
                recipient_type="individual",
                typ=kind,
                msg=content,
                biz_opaque_callback_data=tracker,
            )
        except WhatsAppError as error:
            return _judge(error)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            return Later(after_seconds=UNREACHED_WAIT_SECONDS, error=f"WhatsApp was not reached: {type(error).__name__}")
        except Exception as error:  # noqa: BLE001 — the request may have left: whatever pywa trips over, only a status can tell now
            return Unknown(error=f"no answer that can be read: {type(error).__name__}")
        return _read(answer)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def _build_client(self, token: str) -> WhatsApp:
        session = httpx.Client(transport=self._transport, trust_env=False, timeout=self._timeout)
        client = WhatsApp(token=token, session=session)
        session.base_url = httpx.URL(self._base_url)  # pywa set its own
        return client


def to_content(message: OutgoingMessage) -> tuple[str, dict[str, object]]:
    """Translate a message into Meta's type and the block of that name.

    Shape:  ("text", {"body"}) or ("interactive", {"type": "button" | "list", "body": {"text"}, "action"})
            or ("template", {"name", "language": {"code"}, "components": [{"type": "body", "parameters": [{"type", "text"}]}]})
    """
    if message.template:
        named, filled = message.template, [{"type": "text", "text": value} for value in message.template.values]
        body = [{"type": "body", "parameters": filled}] if filled else []
        return "template", {"name": named.name, "language": {"code": named.language}, "components": body}
    if message.buttons:
        action: object = {"buttons": [Button(title=each.title, callback_data=each.id).to_dict() for each in message.buttons]}
        return "interactive", {"type": "button", "body": {"text": message.text}, "action": action}
    if message.menu:
        rows = [SectionRow(title=row.title, callback_data=row.id, description=row.about or None) for row in message.menu.rows]
        # pywa's Section always sends a title; a list with one section needs none, and an empty one is refused.
        action = {"button": message.menu.button, "sections": [{"rows": [row.to_dict() for row in rows]}]}
        return "interactive", {"type": "list", "body": {"text": message.text}, "action": action}
    return "text", {"body": message.text}


def _misfits(address: str | None, phone_number_id: str, tracker: str) -> list[str]:
    faults = {
        "the recipient is neither a phone number nor a business-scoped user id": address is None,
        f"{phone_number_id!r} is not a phone number id": not NUMBER_ID.fullmatch(phone_number_id),
        f"tracker: {len(tracker)} characters, at most {limits.TRACKER}": len(tracker) > limits.TRACKER,
    }
    return [words for words, is_so in faults.items() if is_so]


def _judge(error: WhatsAppError) -> SendOutcome:
    """Sort a refusal by its code; see error_codes."""
    http = error.status_code or 0
    if http >= 500 and error.code == http:  # not Meta's JSON: a proxy answered, and only 503 says that it passed nothing on
        words = f"HTTP {http} from in front of WhatsApp"
        return Later(after_seconds=_wait(error, 4), error=words) if http == 503 else Unknown(error=words)
    words = error_codes.describe(error.code, error.message, error.details)
    wait = error_codes.rule_of(error.code).wait_seconds
    if wait is None and http == 429:
        wait = error_codes.RULES[ErrorKind.CALL_RATE].wait_seconds
    if wait is None and error.is_transient:
        wait = error_codes.RULES[ErrorKind.TROUBLE].wait_seconds
    if wait is None:
        return Refused(error=words, code=error.code)
    return Later(after_seconds=_wait(error, wait), error=words, code=error.code)


def _wait(error: WhatsAppError, least: int) -> int:
    asked = error.raw_response.headers.get("retry-after", "") if error.raw_response is not None else ""
    return max(least, min(int(asked), LONGEST_WAIT_SECONDS)) if re.fullmatch(r"[0-9]{1,9}", asked) else least


def _read(answer: object) -> Sent | Unknown:
    try:
        return Sent(wamid=_Answer.model_validate(answer).messages[0].id)
    except ValidationError:
        return Unknown(error="HTTP 200 without a message id")
