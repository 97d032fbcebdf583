"""A catalogue as a CSV file, read without a database: what each line says, or what is wrong with it.

Columns, by the names in the first line, in any order: `sku` names the item and `name`, `price` are needed too; `short_name`,
`unit`, `category`, `aliases` (apart by `;`), `stock`, `active` and `position` may be left out. Comma or semicolon between.
An empty `stock` leaves the count as it is, `-` means not counted, a number is a new count.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from router.errors import Refused

MOST_BYTES: Final = 2_000_000
MOST_LINES: Final = 5_000
NEEDED: Final = ("sku", "name", "price")
NOT_COUNTED: Final = "-"


def _to_bool(text: object) -> object:
    return {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}.get(str(text).lower(), text)


def _to_aliases(text: object) -> object:
    return tuple(word for part in str(text).split(";") if (word := " ".join(part.split())))


def _plain(text: str) -> str:
    if any(not character.isprintable() for character in text):
        raise ValueError("no line breaks or control characters")
    return text


Text = Annotated[str, AfterValidator(_plain)]
Whole = Annotated[int, Field(ge=0, le=1_000_000)]


class Entry(BaseModel):
    """One item as a line tells it. `stock` None: leave the count; `counted` False: do not count any more."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    sku: Annotated[Text, Field(min_length=1, max_length=64)]
    name: Annotated[Text, Field(min_length=1, max_length=120)]
    short_name: Annotated[Text, Field(max_length=24)] = ""
    unit: Annotated[Text, Field(max_length=12)] = ""
    price: Annotated[int, Field(ge=1, le=1_000_000)]
    category: Annotated[Text, Field(max_length=24)] = ""
    aliases: Annotated[tuple[Annotated[Text, Field(max_length=60)], ...], BeforeValidator(_to_aliases), Field(max_length=30)] = ()
    stock: Whole | None = None
    counted: bool = True
    active: Annotated[bool, BeforeValidator(_to_bool)] = True
    position: Whole | None = None

    @model_validator(mode="after")
    def _is_short(self) -> Self:
        if not self.short_name and len(self.name) > 24:
            raise ValueError("the name has more than 24 characters: give a short_name for WhatsApp's lists")
        return self


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """What is wrong at one place of a line; `column` is empty when it is the line as a whole."""

    column: str
    message: str


@dataclass(frozen=True, kw_only=True)
class ReadLine:
    """One line of the file by its number, the first being 1: an entry, or what is wrong."""

    line: int
    sku: str
    entry: Entry | None
    wrong: tuple[Wrong, ...]


def read_file(content: bytes) -> list[ReadLine]:
    """Read every line. Raises Refused("bad_file") when it is not such a file at all."""
    rows = csv.DictReader(io.StringIO(_decoded(content), newline=""), delimiter=_delimiter(content), strict=True)
    try:
        columns = tuple((name or "").strip().lower() for name in rows.fieldnames or ())
        _check_columns(columns)
        rows.fieldnames = columns
        found = [_read(rows.line_num, row) for row in rows if any(row.values())]
    except csv.Error as error:
        raise Refused("bad_file", f"line {rows.line_num} is not CSV: {error}") from None
    if len(found) > MOST_LINES:
        raise Refused("bad_file", f"the file has {len(found)} items; at most {MOST_LINES} go in at once: split it")
    return _only_once(found)


def _decoded(content: bytes) -> str:
    if len(content) > MOST_BYTES:
        raise Refused("bad_file", f"the file has more than {MOST_BYTES // 1_000_000} MB: split it")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise Refused("bad_file", f"line {line} is not UTF-8: save the sheet as “CSV UTF-8”") from None


def _delimiter(content: bytes) -> str:
    first = content.partition(b"\n")[0]
    return ";" if first.count(b";") > first.count(b",") else ","


def _check_columns(columns: Sequence[str]) -> None:
    known = [name for name in Entry.model_fields if name != "counted"]
    missing = [name for name in NEEDED if name not in columns]
    strange = [name for name in columns if name not in known]
    if missing:
        raise Refused("bad_file", f"the first line names no column {' and no '.join(missing)}; it may name {', '.join(known)}")
    if strange:
        raise Refused("bad_file", f"nobody knows the column {', '.join(map(repr, strange))}; known are {', '.join(known)}")
    if len(set(columns)) < len(columns):
        raise Refused("bad_file", "the first line names a column twice")


def _read(line: int, row: Mapping[str | None, object]) -> ReadLine:
    sku = str(row.get("sku") or "").strip()
    if None in row:
        return ReadLine(line=line, sku=sku, entry=None, wrong=(Wrong(column="", message="more cells than columns"),))
    cells: dict[str, object] = {str(name): cell for name, cell in row.items() if cell not in (None, "")}
    if str(cells.get("stock", "")).strip() == NOT_COUNTED:
        cells = {name: cell for name, cell in cells.items() if name != "stock"} | {"counted": False}
    try:
        return ReadLine(line=line, sku=sku, entry=Entry.model_validate(cells), wrong=())
    except ValidationError as error:
        wrong = tuple(
            Wrong(column=str(problem["loc"][0]) if problem["loc"] else "", message=problem["msg"].removeprefix("Value error, "))
            for problem in error.errors()
        )
        return ReadLine(line=line, sku=sku, entry=None, wrong=wrong)


def _only_once(lines: Sequence[ReadLine]) -> list[ReadLine]:
    first: dict[str, int] = {}
    checked: list[ReadLine] = []
    for each in lines:
        seen = first.setdefault(each.sku, each.line) if each.sku else each.line
        if seen == each.line:
            checked.append(each)
        else:
            again = Wrong(column="sku", message=f"line {seen} has this item already")
            checked.append(ReadLine(line=each.line, sku=each.sku, entry=None, wrong=(*each.wrong, again)))
    return checked
