"""Lengths and counts of the Cloud API. Checked here before a message is sent, because Meta refuses what breaks them.

Source: Meta's reference of POST /{phone_number_id}/messages and its OpenAPI description v23.0, read in September 2026. For the
body of a list one page says 4096, the OpenAPI 1024: we keep to 1024. Lengths are characters (code points), not bytes.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from router.json_values import JSON

TEXT: Final = 4096
BODY: Final = 1024  # a text with buttons or with a list
BUTTONS: Final = 3
BUTTON_TITLE: Final = 20
BUTTON_ID: Final = 256
LIST_BUTTON: Final = 20
ROWS: Final = 10
ROW_TITLE: Final = 24
ROW_ABOUT: Final = 72
ROW_ID: Final = 200
TRACKER: Final = 512


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Button(_Part):
    """A reply button."""

    id: Annotated[str, Field(min_length=1, max_length=BUTTON_ID, pattern=r"^\S(?:[\s\S]*\S)?$")]
    title: Annotated[str, Field(min_length=1, max_length=BUTTON_TITLE)]


class Row(_Part):
    """A row of a list."""

    id: Annotated[str, Field(min_length=1, max_length=ROW_ID)]
    title: Annotated[str, Field(min_length=1, max_length=ROW_TITLE)]
    about: Annotated[str, Field(max_length=ROW_ABOUT)] | None = None


class Menu(_Part):
    """A list, and the button that opens it."""

    button: Annotated[str, Field(min_length=1, max_length=LIST_BUTTON)]
    rows: Annotated[list[Row], Field(min_length=1, max_length=ROWS)]

    @model_validator(mode="after")
    def _refuse_twins(self) -> Self:
        _refuse_twins("row ids", [row.id for row in self.rows])
        return self


class Template(_Part):
    """A template that Meta has approved, with the values of its body."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,512}$")]
    language: Annotated[str, Field(min_length=2, max_length=8)]
    values: list[Annotated[str, Field(min_length=1, max_length=BODY)]]


class OutgoingMessage(_Part):
    """A message as the outbox keeps it. Shape: {"text", "buttons": [{"id", "title"}], "list": {"button", "rows": […]}, …}."""

    text: Annotated[str, Field(min_length=1, max_length=TEXT)]
    buttons: Annotated[list[Button], Field(min_length=1, max_length=BUTTONS)] | None = None
    menu: Annotated[Menu | None, Field(alias="list")] = None
    template: Template | None = None

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.buttons is not None and self.menu is not None:
            raise ValueError("a message has buttons or a list, not both")
        if self.template is not None and (self.buttons is not None or self.menu is not None):
            raise ValueError("a template brings its own buttons")
        if (self.buttons or self.menu) and len(self.text) > BODY:
            raise ValueError(f"text: {len(self.text)} characters, at most {BODY} above buttons or a list")
        if self.buttons:
            _refuse_twins("button ids", [button.id for button in self.buttons])
            _refuse_twins("button titles", [button.title for button in self.buttons])
        return self


def check(message: Mapping[str, JSON]) -> list[str]:
    """Say every limit this message breaks, with its place; an empty list means that it may go."""
    try:
        OutgoingMessage.model_validate(message)
    except ValidationError as error:
        return _sentences(error)
    return []


def _refuse_twins(what: str, values: Sequence[str]) -> None:
    twins = [each for each in dict.fromkeys(values) if values.count(each) > 1]
    if twins:
        raise ValueError(f"{what} must differ, {twins[0]!r} is there twice")


def _sentences(error: ValidationError) -> list[str]:
    sentences = []
    for each in error.errors():
        place, limits = ".".join(map(str, each["loc"])), each.get("ctx", {})
        match each["type"]:
            case "value_error":
                words = str(limits["error"])
            case "string_too_long":
                words = f"{len(each['input'])} characters, at most {limits['max_length']}"
            case "string_too_short" | "too_short":
                words = "is empty"
            case "too_long":
                words = f"{limits['actual_length']} of them, at most {limits['max_length']}"
            case "string_pattern_mismatch":
                words = "begins or ends with a space"
            case "missing":
                words = "is missing"
            case "extra_forbidden":
                words = "is a part we do not know how to send"
            case _:
                words = each["msg"]
        sentences.append(f"{place}: {words}" if place else words)
    return sentences
