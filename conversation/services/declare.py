"""Turn pydantic models into the types that flows are checked against, so that each is written down once."""

from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict

from conversation.engine.catalogue import CallSpec
from conversation.engine.types import BOOL, INT, SCALARS, STRING, Fields, ListOf, OneOf, OrNone, Scalar, Type
from conversation.services.desk import Answer, Desk


@dataclass(frozen=True)
class Kind:
    """Marks what a plain int or str is to flows: money, id or phone."""

    name: str


Money = Annotated[int, Kind("money")]
Id = Annotated[str, Kind("id")]
Phone = Annotated[str, Kind("phone")]

_PLAIN: Final[dict[object, Type]] = {str: STRING, int: INT, bool: BOOL}


class Shape(BaseModel):
    """A typed record of the catalogue. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


ArgsT = TypeVar("ArgsT", bound=Shape)


@dataclass(frozen=True, kw_only=True)
class Service:
    """A call's declaration beside the code that runs it."""

    spec: CallSpec
    run: Callable[[Desk, dict[str, Any]], Answer]


def service(spec: CallSpec, args: type[ArgsT], run: Callable[[Desk, ArgsT], Answer]) -> Service:
    """Bind the code to its declaration; arguments are parsed by `args` before the code sees them."""
    return Service(spec=spec, run=lambda desk, given: run(desk, args.model_validate(given)))


def fields_of(model: type[BaseModel], name: str) -> Fields:
    """Return the record type of a model, under the name that flows use."""
    return Fields(
        name=name,
        fields={field: _type_of(info.annotation, list(info.metadata)) for field, info in model.model_fields.items()},
    )


def _type_of(annotation: Any, marks: list[Any]) -> Type:
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *more = get_args(annotation)
        return _type_of(inner, [*marks, *more])
    most = next((length for mark in marks if (length := getattr(mark, "max_length", None)) is not None), None)
    kind = next((mark.name for mark in marks if isinstance(mark, Kind)), None)
    if kind is not None:
        return SCALARS[kind]
    if origin in (Union, UnionType):
        (inner,) = (option for option in get_args(annotation) if option is not NoneType)
        return OrNone(type=_type_of(inner, marks))
    if origin in (list, tuple):
        return ListOf(item=_type_of(get_args(annotation)[0], []), most=most)
    if origin is Literal:
        return OneOf(values=get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return fields_of(annotation, annotation.__name__.lower())
    return Scalar(name="string", longest=most) if annotation is str else _PLAIN[annotation]
