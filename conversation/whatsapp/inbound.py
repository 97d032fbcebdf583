"""What WhatsApp posts, cut into single updates in our shape.

Meta batches up to 1,000 updates of any number of businesses in one body. `split` loses none of them: what we do not understand
comes out as an OtherUpdate with its JSON. pywa is not used on the way in (decision 0050).

Source: Meta's pages "Webhooks: messages" and "Business-scoped user IDs", read in September 2026.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from conversation.errors import Broken
from conversation.whatsapp import error_codes
from conversation.whatsapp.identity import parse_bsuid, parse_phone
from router.json_values import JSON, storable_text

OBJECT: Final = "whatsapp_business_account"
FIELD: Final = "messages"
LISTS: Final = ("messages", "statuses")
# A customer sent one of these on purpose and waits for an answer; reactions, edits and system notices want none.
WITHOUT_WORDS: Final = frozenset({"audio", "contacts", "document", "image", "order", "sticker", "unsupported", "video"})
DEEPEST: Final = 64  # Meta's own bodies are about ten levels deep; deeper ones would break whoever walks them later
NAME: Final = re.compile(r"[\x21-\x7e]{1,512}")
NUMBER_ID: Final = re.compile(r"[0-9]{1,32}")


@dataclass(frozen=True, kw_only=True)
class Text:
    """The customer wrote."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Tap:
    """The customer tapped a button or a list row of ours. `choice_id` is what we sent, whenever that was."""

    choice_id: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Media:
    """The customer sent something we do not read: `kind` is Meta's type, one of WITHOUT_WORDS."""

    kind: str
    caption: str | None


@dataclass(frozen=True, kw_only=True)
class Location:
    """A place, in degrees."""

    lat: float
    lon: float
    name: str | None


Utterance: TypeAlias = Text | Tap | Media | Location


class DeliveryStatus(StrEnum):
    """How far a message of ours got."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A customer's message. Phone (digits with country code), BSUID or both say who. `raw` is this update in its own envelope."""

    wamid: str
    phone_number_id: str
    sender_phone: str | None
    sender_bsuid: str | None
    name: str | None
    sent_at: datetime
    utterance: Utterance
    raw: Mapping[str, JSON]


@dataclass(frozen=True, kw_only=True)
class StatusUpdate:
    """News of a message of ours. `tracker` is what we sent along; `recipient` a phone or BSUID; `error` set only with FAILED."""

    wamid: str
    phone_number_id: str
    status: DeliveryStatus
    tracker: str | None
    error: str | None
    recipient: str | None
    at: datetime
    raw: Mapping[str, JSON]


@dataclass(frozen=True, kw_only=True)
class OtherUpdate:
    """Anything else: kept, not acted on. `kind` is "message.reaction", "account_update"…; `source_id` is the content's sha256."""

    kind: str
    phone_number_id: str | None
    source_id: str
    raw: Mapping[str, JSON]


Update: TypeAlias = Incoming | StatusUpdate | OtherUpdate


def split(payload: bytes) -> list[Update]:
    """Cut a webhook's body into single updates, in the order they stand. Never raises.

    Shape:  {"object", "entry": [{"id", "changes": [{"field", "value": {"metadata", "contacts", "messages" | "statuses"}}]}]}
    """
    try:
        # jsonb has no NaN and no infinity: such a number is kept as it was written, in quotes.
        body: JSON = json.loads(payload, parse_float=_finite, parse_constant=str)
    except (ValueError, RecursionError):
        return [_malformed(payload)]
    return [_malformed(payload)] if _is_deep(body) else list(_updates(body))


def read_again(raw: Mapping[str, JSON]) -> Utterance:
    """Read the utterance once more from an Incoming's `raw`. Errors: Broken when there is none in it."""
    match list(_updates(raw)):
        case [Incoming(utterance=utterance)]:
            return utterance
        case _:
            raise Broken("a kept message is not one customer message of WhatsApp: its body was changed after it was accepted")


def _updates(body: JSON) -> Iterator[Update]:
    if not isinstance(body, Mapping):
        yield _other("malformed", None, {"body": body})
        return
    entries = body.get("entry")
    if body.get("object") != OBJECT or not isinstance(entries, list):
        yield _other("malformed", None, body)
        return
    for entry in entries:
        changes = entry.get("changes") if isinstance(entry, Mapping) else None
        if not isinstance(entry, Mapping) or not isinstance(changes, list) or not changes:
            yield _other("entry", None, {**body, "entry": [entry]})
            continue
        for change in changes:
            yield from _of_change(change, _wrapper(body, entry))


def _wrapper(body: Mapping[str, JSON], entry: Mapping[str, JSON]) -> Callable[[JSON], Mapping[str, JSON]]:
    """Give what puts one change back into its envelope, with every field that we do not know of."""
    return lambda change: {**body, "entry": [{**entry, "changes": [change]}]}


def _of_change(change: JSON, wrap: Callable[[JSON], Mapping[str, JSON]]) -> Iterator[Update]:
    field = change.get("field") if isinstance(change, Mapping) else None
    value = change.get("value") if isinstance(change, Mapping) else None
    if not isinstance(change, Mapping) or not isinstance(value, Mapping):
        yield _other(field, None, wrap(change))
        return
    number_id = _number_id(value)
    lists = {key: items for key in LISTS if isinstance(items := value.get(key), list)} if field == FIELD else {}
    total = sum(map(len, lists.values()))
    if not total:
        yield _other(field, number_id, wrap(change))
        return
    shared = {key: part for key, part in value.items() if key not in lists}
    for key, items in lists.items():
        for item in items:
            own = {**shared, key: [item]}
            if total > 1 and isinstance(item, Mapping) and isinstance(shared.get("contacts"), list):
                own["contacts"] = _matching(shared["contacts"], item)
            raw = wrap({**change, "value": own})
            read = _read_message if key == "messages" else _read_status
            update = read(item, own, number_id, raw) if isinstance(item, Mapping) and number_id else None
            yield update or _other(_item_kind(key, item), number_id, raw)


def _matching(contacts: JSON, item: Mapping[str, JSON]) -> list[JSON]:
    """Find the item's own contacts. Another customer's contact would give this one another's identity."""
    phone, bsuid = _phone_of(item), _bsuid_of(item)
    return [
        each
        for each in (contacts if isinstance(contacts, list) else ())
        if isinstance(each, Mapping)
        and ((phone and parse_phone(each.get("wa_id")) == phone) or (bsuid and parse_bsuid(each.get("user_id")) == bsuid))
    ]


def _contact_of(value: Mapping[str, JSON], item: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Find the contact of a value's only item: the one that matches, or the only one, since `wa_id` may differ from `from`."""
    contacts = value.get("contacts")
    found = _matching(contacts, item) or (contacts if isinstance(contacts, list) and len(contacts) == 1 else [])
    return found[0] if found and isinstance(found[0], Mapping) else {}


def _read_message(
    item: Mapping[str, JSON], value: Mapping[str, JSON], number_id: str, raw: Mapping[str, JSON]
) -> Incoming | None:
    contact = _contact_of(value, item)
    wamid, sent_at, utterance = _name_of(item.get("id")), _time_of(item.get("timestamp")), _utterance_of(item)
    phone = _phone_of(item) or parse_phone(contact.get("wa_id"))
    bsuid = _bsuid_of(item) or parse_bsuid(contact.get("user_id"))
    if "group_id" in item or wamid is None or sent_at is None or utterance is None or (phone or bsuid) is None:
        return None
    return Incoming(
        wamid=wamid,
        phone_number_id=number_id,
        sender_phone=phone,
        sender_bsuid=bsuid,
        name=_profile_name(contact),
        sent_at=sent_at,
        utterance=utterance,
        raw=raw,
    )


def _read_status(
    item: Mapping[str, JSON], _value: Mapping[str, JSON], number_id: str, raw: Mapping[str, JSON]
) -> StatusUpdate | None:
    wamid, at, status = _name_of(item.get("id")), _time_of(item.get("timestamp")), item.get("status")
    if wamid is None or at is None or status not in tuple(DeliveryStatus):
        return None
    return StatusUpdate(
        wamid=wamid,
        phone_number_id=number_id,
        status=DeliveryStatus(str(status)),
        tracker=_name_of(item.get("biz_opaque_callback_data")),
        error=_error_of(item.get("errors")) if status == DeliveryStatus.FAILED else None,
        recipient=_phone_of(item) or _bsuid_of(item),
        at=at,
        raw=raw,
    )


def _phone_of(item: Mapping[str, JSON]) -> str | None:
    return parse_phone(item.get("from")) or parse_phone(item.get("recipient_id"))


def _bsuid_of(item: Mapping[str, JSON]) -> str | None:
    return parse_bsuid(item.get("from_user_id")) or parse_bsuid(item.get("recipient_user_id"))


def _profile_name(contact: Mapping[str, JSON]) -> str | None:
    profile = contact.get("profile")
    names = (profile.get("name"), profile.get("username")) if isinstance(profile, Mapping) else ()
    return next((storable_text(name) for name in names if isinstance(name, str) and name.strip()), None)


# What a customer's message says


class _Words(BaseModel):
    body: str


class _TextMessage(BaseModel):
    type: Literal["text"]
    text: _Words

    def to_utterance(self) -> Utterance:
        return Text(text=storable_text(self.text.body))


class _Choice(BaseModel):
    id: str
    title: str


class _ButtonReply(BaseModel):
    type: Literal["button_reply"]
    button_reply: _Choice

    @property
    def choice(self) -> _Choice:
        return self.button_reply


class _ListReply(BaseModel):
    type: Literal["list_reply"]
    list_reply: _Choice

    @property
    def choice(self) -> _Choice:
        return self.list_reply


class _InteractiveMessage(BaseModel):
    type: Literal["interactive"]
    interactive: Annotated[_ButtonReply | _ListReply, Field(discriminator="type")]

    def to_utterance(self) -> Utterance:
        choice = self.interactive.choice
        return Tap(choice_id=storable_text(choice.id), title=storable_text(choice.title))


class _QuickReply(BaseModel):
    payload: str
    text: str


class _ButtonMessage(BaseModel):
    """A tap on a quick reply button of a template."""

    type: Literal["button"]
    button: _QuickReply

    def to_utterance(self) -> Utterance:
        return Tap(choice_id=storable_text(self.button.payload), title=storable_text(self.button.text))


class _Place(BaseModel):
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    name: str | None = None


class _LocationMessage(BaseModel):
    type: Literal["location"]
    location: _Place

    def to_utterance(self) -> Utterance:
        place = self.location
        return Location(lat=place.latitude, lon=place.longitude, name=None if place.name is None else storable_text(place.name))


_Worded: TypeAlias = _TextMessage | _InteractiveMessage | _ButtonMessage | _LocationMessage
WORDED: Final[TypeAdapter[_Worded]] = TypeAdapter(Annotated[_Worded, Field(discriminator="type")])


def _utterance_of(item: Mapping[str, JSON]) -> Utterance | None:
    kind = item.get("type")
    if isinstance(kind, str) and kind in WITHOUT_WORDS:
        part = item.get(kind)
        caption = part.get("caption") if isinstance(part, Mapping) else None
        return Media(kind=kind, caption=storable_text(caption) if isinstance(caption, str) else None)
    try:
        return WORDED.validate_python(item).to_utterance()
    except ValidationError:
        return None


# Small readers. Names and numbers end up in log lines and unique keys, so only plain characters pass; texts become what a
# database can store at once, so that a turn sees the same text when it is taken again from the inbox.


def _number_id(value: Mapping[str, JSON]) -> str | None:
    metadata = value.get("metadata")
    found = metadata.get("phone_number_id") if isinstance(metadata, Mapping) else None
    return found if isinstance(found, str) and NUMBER_ID.fullmatch(found) else None


def _name_of(value: JSON) -> str | None:
    return value if isinstance(value, str) and NAME.fullmatch(value) else None


def _time_of(value: JSON) -> datetime | None:
    """Read Unix seconds, which Meta writes as a string."""
    try:
        return datetime.fromtimestamp(int(str(value)), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _error_of(errors: JSON) -> str:
    """Say the first error of a failed status. Shape: [{"code", "title", "message", "error_data": {"details"}}]."""
    first = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(first, Mapping):
        return "failed, and WhatsApp gave no reason"
    code, data = first.get("code"), first.get("error_data")
    said = [first.get("title"), first.get("message"), data.get("details") if isinstance(data, Mapping) else None]
    words = [storable_text(each) for each in said if isinstance(each, str)]
    return error_codes.describe(code, *words) if isinstance(code, int) else ": ".join(["failed", *words])


def _finite(number: str) -> float | str:
    return value if math.isfinite(value := float(number)) else number


def _is_deep(body: JSON) -> bool:
    level: Sequence[JSON] = [body]
    for _ in range(DEEPEST):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return False
    return True


def _inside(value: JSON) -> Sequence[JSON]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else ()


def _item_kind(key: str, item: JSON) -> str:
    if not isinstance(item, Mapping):
        return key
    if "group_id" in item:
        return "message.group"
    noun, what = ("status", item.get("status")) if key == "statuses" else ("message", item.get("type"))
    return f"{noun}.{what}" if isinstance(what, str) else noun


def _malformed(payload: bytes) -> OtherUpdate:
    return _other("malformed", None, {"body": payload.decode("utf-8", "backslashreplace")})


def _other(kind: JSON, number_id: str | None, raw: Mapping[str, JSON]) -> OtherUpdate:
    name = re.sub(r"[^A-Za-z0-9_.]", "_", kind)[:64] if isinstance(kind, str) and kind else "unknown"
    canonical = json.dumps(raw, sort_keys=True, separators=(",", ":"))
    return OtherUpdate(kind=name, phone_number_id=number_id, source_id=sha256(canonical.encode()).hexdigest(), raw=raw)
