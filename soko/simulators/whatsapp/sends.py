"""POST /{phone_number_id}/messages: the bodies Meta takes, and the limits it holds them to.

Source: Meta's Cloud API reference for messages and its OpenAPI description (v23.0), read in September 2026.
Lengths are characters. A missing part is error 131008, a part that breaks a limit 131009, an unknown type 131051.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError, model_validator

from soko.simulators.whatsapp.graph_errors import graph_error

TextOf1024 = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
TextOf4096 = Annotated[str, StringConstraints(min_length=1, max_length=4096)]
TextOf60 = Annotated[str, StringConstraints(min_length=1, max_length=60)]
TextOf24 = Annotated[str, StringConstraints(min_length=1, max_length=24)]
TextOf20 = Annotated[str, StringConstraints(min_length=1, max_length=20)]
ReplyId = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^\S([\s\S]*\S)?$")]
RowId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ROWS_IN_A_LIST: Final = 10
BSUID: Final = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A reply button or a list row as the customer sees it."""

    id: str
    title: str
    description: str | None = None


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a message shows, whatever its type."""

    text: str | None = None
    buttons: tuple[Choice, ...] = ()
    list_button: str | None = None
    rows: tuple[Choice, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """An accepted send. Exactly one of `phone` (digits) and `bsuid` says who gets it; `input` is the address as it was given."""

    phone: str | None
    bsuid: str | None
    input: str
    type: str
    content: Content
    tracker: str | None
    reply_to: str | None


@dataclass(frozen=True, kw_only=True)
class MarkRead:
    """The other body of the same endpoint: blue ticks, perhaps with typing dots, for an inbound message."""

    wamid: str
    typing: bool


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Context(_Part):
    message_id: str


class _Envelope(_Part):
    messaging_product: Literal["whatsapp"]
    recipient_type: Literal["individual"] = "individual"
    to: str | None = None
    recipient: str | None = None
    type: str = "text"
    status: Literal["read"] | None = None
    message_id: str | None = None
    typing_indicator: Mapping[str, object] | None = None
    context: _Context | None = None
    biz_opaque_callback_data: Annotated[str, StringConstraints(max_length=512)] | None = None


class _Text(_Part):
    body: TextOf4096

    def to_content(self) -> Content:
        return Content(text=self.body)


class _Body(_Part):
    text: TextOf1024


class _Footer(_Part):
    text: TextOf60


class _Header(_Part):
    type: Literal["text", "image", "video", "document"]
    text: TextOf60 | None = None


class _TextHeader(_Part):
    type: Literal["text"]  # a list has no other header
    text: TextOf60


class _Reply(_Part):
    id: ReplyId
    title: TextOf20


class _Button(_Part):
    type: Literal["reply"]
    reply: _Reply


class _Buttons(_Part):
    buttons: Annotated[tuple[_Button, ...], Field(min_length=1, max_length=3)]

    @model_validator(mode="after")
    def _unique(self) -> Self:
        _refuse_twins("button ids", [each.reply.id for each in self.buttons])
        _refuse_twins("button titles", [each.reply.title for each in self.buttons])
        return self


class _ButtonMessage(_Part):
    type: Literal["button"]
    header: _Header | None = None
    body: _Body
    footer: _Footer | None = None
    action: _Buttons

    def to_content(self) -> Content:
        choices = tuple(Choice(id=each.reply.id, title=each.reply.title) for each in self.action.buttons)
        return Content(text=self.body.text, buttons=choices)


class _Row(_Part):
    id: RowId
    title: TextOf24
    description: Annotated[str, StringConstraints(max_length=72)] | None = None


class _Section(_Part):
    title: TextOf24 | None = None
    rows: Annotated[tuple[_Row, ...], Field(min_length=1)]


class _List(_Part):
    button: TextOf20
    sections: Annotated[tuple[_Section, ...], Field(min_length=1, max_length=10)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        ids = [row.id for section in self.sections for row in section.rows]
        _refuse_twins("row ids", ids)
        if len(ids) > ROWS_IN_A_LIST:
            raise ValueError(f"a list has at most {ROWS_IN_A_LIST} rows in all its sections together, this one has {len(ids)}")
        if len(self.sections) > 1 and any(section.title is None for section in self.sections):
            raise ValueError("every section needs a title when there is more than one")
        return self


class _ListMessage(_Part):
    type: Literal["list"]
    header: _TextHeader | None = None
    body: _Body
    footer: _Footer | None = None
    action: _List

    def to_content(self) -> Content:
        rows = tuple(
            Choice(id=row.id, title=row.title, description=row.description)
            for section in self.action.sections
            for row in section.rows
        )
        return Content(text=self.body.text, list_button=self.action.button, rows=rows)


class _OtherInteractive(_Part):
    type: Literal[
        "cta_url",
        "flow",
        "product",
        "product_list",
        "catalog_message",
        "location_request_message",
        "request_contact_info",
        "address_message",
        "voice_call",
    ]
    body: _Body | None = None
    action: Mapping[str, object]

    def to_content(self) -> Content:
        return Content(text=self.body.text if self.body else None)


class _Media(_Part):
    id: str | None = None
    link: str | None = None
    caption: TextOf1024 | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.id is None) == (self.link is None):
            raise ValueError("media needs either an id or a link")
        return self

    def to_content(self) -> Content:
        return Content(text=self.caption)


class _Location(_Part):
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]
    name: str | None = None

    def to_content(self) -> Content:
        return Content(text=self.name)


class _Reaction(_Part):
    message_id: str
    emoji: str

    def to_content(self) -> Content:
        return Content(text=self.emoji)


class _Language(_Part):
    code: str


class _Value(_Part):
    text: str = ""


class _Component(_Part):
    parameters: list[_Value] = []


class _Template(_Part):
    name: str
    language: _Language
    components: list[_Component] = []

    def to_content(self) -> Content:
        """Show its name and values: the words are Meta's to know."""
        return Content(text=" · ".join([self.name, *(value.text for part in self.components for value in part.parameters)]))


_Interactive = Annotated[_ButtonMessage | _ListMessage | _OtherInteractive, Field(discriminator="type")]
_Any = _Text | _ButtonMessage | _ListMessage | _OtherInteractive | _Media | _Location | _Reaction | _Template
_MEDIA: Final[TypeAdapter[_Any]] = TypeAdapter(_Media)
CONTENT: Final[Mapping[str, TypeAdapter[_Any]]] = {
    "text": TypeAdapter(_Text),
    "interactive": TypeAdapter(_Interactive),
    "image": _MEDIA,
    "video": _MEDIA,
    "audio": _MEDIA,
    "document": _MEDIA,
    "sticker": _MEDIA,
    "location": TypeAdapter(_Location),
    "reaction": TypeAdapter(_Reaction),
    "template": TypeAdapter(_Template),
}


def parse_send(raw: bytes) -> Outgoing | MarkRead:
    """Read a body as Meta does, or refuse it with Meta's error."""
    try:
        body = json.loads(raw)
    except ValueError:
        raise graph_error(400, 100, "The body is not JSON.") from None
    if not isinstance(body, dict):
        raise graph_error(400, 100, "The body is not a JSON object.")
    try:
        envelope = _Envelope.model_validate(body)
    except ValidationError as error:
        raise _limit_error(error, "") from None
    if envelope.status == "read":
        if envelope.message_id is None:
            raise graph_error(400, 131008, "Required parameter 'message_id' is missing.")
        return MarkRead(wamid=envelope.message_id, typing=envelope.typing_indicator is not None)
    return _to_outgoing(envelope, body)


def _to_outgoing(envelope: _Envelope, body: Mapping[str, object]) -> Outgoing:
    if envelope.type not in CONTENT:
        raise graph_error(400, 131051, f"Message type '{envelope.type}' is not supported.")
    if envelope.type not in body:
        raise graph_error(400, 131008, f"Required parameter '{envelope.type}' is missing.")
    try:
        content = CONTENT[envelope.type].validate_python(body[envelope.type]).to_content()
    except ValidationError as error:
        raise _limit_error(error, envelope.type) from None
    phone, bsuid = _address(envelope)
    return Outgoing(
        phone=phone,
        bsuid=bsuid,
        input=envelope.to or envelope.recipient or "",
        type=envelope.type,
        content=content,
        tracker=envelope.biz_opaque_callback_data,
        reply_to=envelope.context.message_id if envelope.context else None,
    )


def _address(envelope: _Envelope) -> tuple[str | None, str | None]:
    """Phone and user id. A user id in `to` comes back as neither: Meta takes such a send and it vanishes."""
    if envelope.to:
        if BSUID.fullmatch(envelope.to):
            return None, None
        digits = re.sub(r"[\s()+-]", "", envelope.to)
        if not re.fullmatch(r"[0-9]{7,15}", digits):
            raise graph_error(400, 131009, f"to: '{envelope.to}' is not a phone number.")
        return digits, None
    if not envelope.recipient:
        raise graph_error(400, 131008, "Required parameter 'to' or 'recipient' is missing.")
    if not BSUID.fullmatch(envelope.recipient):
        raise graph_error(400, 131009, f"recipient: '{envelope.recipient}' is not a business-scoped user id.")
    return None, envelope.recipient


def _refuse_twins(what: str, values: Sequence[str]) -> None:
    twins = sorted({each for each in values if values.count(each) > 1})
    if twins:
        raise ValueError(f"{what} must differ, {twins[0]!r} is there twice")


def _limit_error(error: ValidationError, prefix: str) -> Exception:
    first = error.errors()[0]
    place = ".".join(str(part) for part in (prefix, *first["loc"]) if part != "")
    if first["type"] == "missing":
        return graph_error(400, 131008, f"Required parameter '{place}' is missing.")
    return graph_error(400, 131009, f"{place}: {first['msg']}.")
