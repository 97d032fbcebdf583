"""JSON as Python values, what PostgreSQL cannot store of it, and texts that are stored in a way of their own."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from psycopg.types.json import Jsonb

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"


class Sealed(str):
    """Text that is as it should be stored."""

    __slots__ = ()


class Phone(str):
    """A whole phone number, of whatever country."""

    __slots__ = ()


class JsonText(str):
    """JSON as text, on its way into a jsonb."""

    __slots__ = ()


def storable_text(value: str) -> str:
    """Replace NUL and lone surrogates, which PostgreSQL refuses in text and jsonb, by the replacement character U+FFFD."""
    if value.isascii() and "\x00" not in value:
        return value
    return value.replace("\x00", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def storable(value: JSON) -> JSON:
    """Return the same value with every string storable."""
    if isinstance(value, str):
        return storable_text(value)
    if isinstance(value, Mapping):
        return {storable_text(key): storable(inner) for key, inner in value.items()}
    if isinstance(value, Sequence):
        return [storable(inner) for inner in value]
    return value


def to_json(value: JSON) -> JsonText:
    """Write JSON that PostgreSQL takes. Nearly every value does without the slow walk for what nobody can store."""
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    try:
        text.encode()
    except UnicodeEncodeError:
        return JsonText(json.dumps(storable(value)))
    return JsonText(json.dumps(storable(value)) if "\\u0000" in text else text)


def to_jsonb(value: JSON) -> Jsonb:
    """Wrap a value as a jsonb parameter; what somebody typed can never make the statement fail."""
    return Jsonb(value, dumps=to_json)


def _plain(value: Mapping[str, JSON] | Sequence[JSON]) -> JSON:
    return dict(value) if isinstance(value, Mapping) else list(value)
