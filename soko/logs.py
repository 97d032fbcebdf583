"""Logs: one JSON object a line on stdout (for people on a terminal), with no phone number and no secret in it."""

import logging
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LEAD: Final = ("ts", "level", "event")  # what a reader looks for stands first
SECRET_NAMES: Final = re.compile(r"token|secret|passkey|password|authorization", re.IGNORECASE)
# Kenyan numbers as we store them or as people write them, and any number with a plus: not order numbers, times or ids.
PHONES: Final = re.compile(r"(?<![\w.])(?:(\+?254[17])\d{5}(\d{3})|(0[17])\d{5}(\d{3})|(\+\d{4})\d{3,7}(\d{3}))(?![\w.]*\d)")
# Where a secret stands in an address or a header, as access logs and error texts repeat them.
IN_TEXT: Final = (
    (re.compile(r"(/hooks/pay/[^/\s\"]+/)[^/\s\"?#]+"), r"\1****"),
    (re.compile(r"((?:verify_token|access_token|token|secret|password|key)=)[^&\s\"]+", re.IGNORECASE), r"\1****"),
    (re.compile(r"((?:bearer|basic)\s+)[\w.~+/=-]{8,}", re.IGNORECASE), r"\1****"),
    (re.compile(r"(://[^/@\s:]*:)[^@\s/]+(@)"), r"\1****\2"),
)
SERVER: Final = ("uvicorn", "uvicorn.access", "uvicorn.error")  # bring handlers of their own, which would not mask
QUIET: Final = {"alembic": logging.WARNING, "httpx": logging.WARNING, "httpcore": logging.WARNING, "urllib3": logging.WARNING}


def configure(*, stream: TextIO | None = None, level: str = "INFO", pretty: bool | None = None) -> None:
    """Send structlog's and the standard library's logs through one masking formatter.

    Shape:  {"ts": "2026-11-20T09:30:00.000000Z", "level": "info", "event": "…", "conversation_id": "…", …}
    """
    out = stream or sys.stdout
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,  # what is bound for a turn, such as conversation_id, is on every line
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
    ]
    people = out.isatty() if pretty is None else pretty
    last: list[Processor] = (
        [structlog.dev.ConsoleRenderer(timestamp_key="ts")] if people else [structlog.processors.JSONRenderer(default=str)]
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,  # before masking: a trace's last line may quote what it choked on
            drop_secrets,
            mask,
            *last,
        ],
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    logging.raiseExceptions = False  # a line that cannot be written would be printed as it is, unmasked
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name, quiet_level in QUIET.items():
        logging.getLogger(name).setLevel(quiet_level)
    for name in SERVER:
        server = logging.getLogger(name)
        server.handlers, server.propagate = [], True
        server.setLevel(logging.NOTSET)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def drop_secrets(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Leave out every field, at any depth, whose name speaks of a secret."""
    event.pop("color_message", None)  # uvicorn says everything twice
    return {name: _without_secrets(value) for name, value in event.items() if not SECRET_NAMES.search(name)}


def mask(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Mask phone numbers, and secrets inside text, in every value."""
    order = [*(name for name in LEAD if name in event), *(name for name in event if name not in LEAD)]
    return {name: _masked(event[name]) for name in order}


def mask_text(text: str) -> str:
    """Mask one text: 254712345678 becomes 2547****678."""
    for pattern, replacement in IN_TEXT:
        text = pattern.sub(replacement, text)
    return PHONES.sub(_shorten, text)


def _shorten(phone: re.Match[str]) -> str:
    head, tail = (group for group in phone.groups() if group is not None)
    return f"{head}****{tail}"


def _without_secrets(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _without_secrets(inner) for name, inner in value.items() if not SECRET_NAMES.search(str(name))}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_without_secrets(inner) for inner in value]
    return value


def _masked(value: object) -> object:
    """Anything that is not plainly a number or nothing is masked as the text it would be logged as."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        masked = mask_text(str(value))
        return value if masked == str(value) else masked
    if isinstance(value, Mapping):
        return {mask_text(str(name)): _masked(inner) for name, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_masked(inner) for inner in value]
    return mask_text(str(value))
