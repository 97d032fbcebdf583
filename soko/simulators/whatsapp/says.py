"""What a person does, as the admin API takes it: say a text, tap, share a picture or a place; and the block Meta makes of it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from soko.simulators.whatsapp.chats import ChatMessage
from soko.simulators.whatsapp.sends import Choice, Content

MediaKind = Literal["image", "audio", "video", "document", "sticker"]
MIME_TYPES: Mapping[str, str] = {
    "image": "image/jpeg",
    "audio": "audio/ogg; codecs=opus",
    "video": "video/mp4",
    "document": "application/pdf",
    "sticker": "image/webp",
}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class Media(_Strict):
    """A picture, a voice note … as it arrives: the app gets an id, never the bytes."""

    id: str | None = None
    mime_type: str | None = None
    caption: str | None = None


class Place(_Strict):
    """A shared location, in degrees."""

    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None


class Say(_Strict):
    """One message of one person. Exactly one of the kinds; `part` is any other kind as Meta writes it, with its `type`."""

    phone_number_id: str
    sender: str | None = Field(default=None, alias="from")
    bsuid: str | None = None
    name: str | None = None
    wamid: str | None = None
    sent_seconds_ago: float = 0.0
    text: str | None = None
    tap: str | None = None
    image: Media | None = None
    audio: Media | None = None
    video: Media | None = None
    document: Media | None = None
    sticker: Media | None = None
    location: Place | None = None
    part: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = (self.text, self.tap, self.location, self.part, *(media for _, media in self.media()))
        if sum(each is not None for each in kinds) != 1:
            raise ValueError("say exactly one of text, tap, image, audio, video, document, sticker, location, part")
        if self.sender is None and self.bsuid is None:
            raise ValueError("say who it is: 'from' (a phone) or 'bsuid'")
        if self.part is not None and "type" not in self.part:
            raise ValueError("part needs its 'type', as in Meta's message")
        return self

    def media(self) -> list[tuple[str, Media]]:
        """The media of this message with its kind: none or one."""
        kinds = (
            ("image", self.image),
            ("audio", self.audio),
            ("video", self.video),
            ("document", self.document),
            ("sticker", self.sticker),
        )
        return [(kind, media) for kind, media in kinds if media is not None]


class SayRequest(Say):
    """One message, delivered now: `duplicates` times in parallel, or not at all (`hold`: the bytes come back instead)."""

    duplicates: int = Field(default=1, ge=1, le=200)
    hold: bool = False


class BatchRequest(_Strict):
    """Several messages in one POST of Meta's."""

    batch: list[Say] = Field(min_length=1)
    duplicates: int = Field(default=1, ge=1, le=200)
    hold: bool = False


class DeliverRequest(_Strict):
    """Bytes to deliver as they are. `tamper` changes them after signing, `unsigned` sends no signature."""

    body: str | dict[str, Any]
    tamper: bool = False
    unsigned: bool = False
    duplicates: int = Field(default=1, ge=1, le=200)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a person does, in Meta's words (`type` and `part`) and as the chat shows it."""

    type: str
    part: Mapping[str, object]
    content: Content
    choice: Choice | None = None
    reply_to: str | None = None


def to_tap(message: ChatMessage, choice: Choice) -> Wish:
    """A tap: a button answers with button_reply, a list row with list_reply."""
    if choice in message.content.buttons:
        block: dict[str, object] = {"type": "button_reply", "button_reply": {"id": choice.id, "title": choice.title}}
    else:
        about = {"description": choice.description} if choice.description else {}
        block = {"type": "list_reply", "list_reply": {"id": choice.id, "title": choice.title, **about}}
    content = Content(text=choice.title)
    return Wish(type="interactive", part={"interactive": block}, content=content, choice=choice, reply_to=message.wamid)


def to_wish(say: Say) -> Wish:
    """Everything but a tap."""
    if say.text is not None:
        return Wish(type="text", part={"text": {"body": say.text}}, content=Content(text=say.text))
    if say.location is not None:
        place = say.location.model_dump(exclude_none=True)
        return Wish(type="location", part={"location": place}, content=Content(text=say.location.name))
    if say.part is not None:
        own = {key: value for key, value in say.part.items() if key != "type"}
        return Wish(type=str(say.part["type"]), part=own, content=Content())
    kind, media = say.media()[0]
    caption = {"caption": media.caption} if media.caption else {}
    own = {"mime_type": media.mime_type or MIME_TYPES[kind], "sha256": secrets.token_urlsafe(32), "id": media.id or _media_id()}
    return Wish(type=kind, part={kind: {**caption, **own}}, content=Content(text=media.caption))


def _media_id() -> str:
    return str(10**15 + secrets.randbelow(9 * 10**15))
