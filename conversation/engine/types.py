"""The types of slots, arguments and context fields: what the authoring checks reason about."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias


@dataclass(frozen=True, kw_only=True)
class Scalar:
    """string, int, money (whole KES), bool, id or phone. `longest` bounds a string's characters."""

    name: str
    longest: int | None = None


@dataclass(frozen=True, kw_only=True)
class OneOf:
    """A word out of a fixed set."""

    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Fields:
    """A record with named, typed fields."""

    name: str
    fields: "Mapping[str, Type]"


@dataclass(frozen=True, kw_only=True)
class ListOf:
    """A list; `most` bounds its length."""

    item: "Type"
    most: int | None = None


@dataclass(frozen=True, kw_only=True)
class OrNone:
    """A value that may be missing."""

    type: "Type"


Type: TypeAlias = Scalar | OneOf | Fields | ListOf | OrNone

STRING: Final = Scalar(name="string")
INT: Final = Scalar(name="int")
MONEY: Final = Scalar(name="money")
BOOL: Final = Scalar(name="bool")
ID: Final = Scalar(name="id")
PHONE: Final = Scalar(name="phone")
NONE: Final = Scalar(name="none")
SCALARS: Final = {scalar.name: scalar for scalar in (STRING, INT, MONEY, BOOL, ID, PHONE)}
NUMBERS: Final = frozenset({"int", "money"})
WORDS: Final = frozenset({"string", "id", "phone"})


def describe(kind: Type) -> str:
    """Say a type in the words authors write it with."""
    match kind:
        case Scalar():
            return f"{kind.name} {kind.longest}" if kind.longest else kind.name
        case OneOf():
            return "one of " + "/".join(kind.values)
        case Fields():
            return kind.name
        case ListOf():
            return f"list of {describe(kind.item)}" + (f" {kind.most}" if kind.most else "")
        case OrNone():
            return f"{describe(kind.type)} or none"


def fits(given: Type, wanted: Type) -> bool:
    """Whether a value of type `given` may stand where `wanted` is asked for."""
    match given, wanted:
        case OrNone(), OrNone():
            return fits(given.type, wanted.type)
        case Scalar(name="none"), OrNone():
            return True
        case _, OrNone():
            return fits(given, wanted.type)
        case OrNone(), _:
            return False
        case Scalar(), Scalar():
            numbers = given.name in NUMBERS and wanted.name in NUMBERS and (given.name == "int" or wanted.name == "money")
            text = wanted.name == "string" and given.name in WORDS and _shorter(given.longest, wanted.longest)
            return (given.name == wanted.name and _shorter(given.longest, wanted.longest)) or numbers or text
        case OneOf(), OneOf():
            return set(given.values) <= set(wanted.values)
        case OneOf(), Scalar(name="string"):
            return True
        case ListOf(), ListOf():
            return fits(given.item, wanted.item)
        case Fields(), Fields():
            return all(name in given.fields and fits(given.fields[name], kind) for name, kind in wanted.fields.items())
        case _:
            return False


def _shorter(given: int | None, wanted: int | None) -> bool:
    return wanted is None or (given is not None and given <= wanted)
