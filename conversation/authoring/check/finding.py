"""Finding things of one kind anywhere inside a flow, whatever it is built of."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TypeVar

from jinja2 import nodes

from conversation.authoring.expression_types import path_of
from conversation.authoring.nodes import Items, Map, Node, Scalar
from conversation.engine.expressions import Expression, Template
from conversation.engine.flow import At, Bundle, StartLater

T = TypeVar("T")


class Parts:
    """What the flows of a bundle are built of: found once, asked for by every check."""

    def __init__(self, bundle: Bundle) -> None:
        self._of = {flow.name: tuple(each_of((flow.states, flow.reminder), object)) for flow in bundle.flows.values()}
        self.by_clock = sorted({later.flow for name in bundle.flows for later in self.of(name, StartLater)})

    def of(self, flow: str, kind: type[T]) -> Iterator[T]:
        """Every `kind` within a flow, once each, in the order it is built."""
        return (part for part in self._of[flow] if isinstance(part, kind))


def each_of(part: object, kind: type[T]) -> Iterator[T]:
    """Every `kind` within a part of a flow, once each, in the order it is built."""
    seen: set[int] = set()
    todo: list[object] = [part]
    while todo:
        here = todo.pop()
        if isinstance(here, At):
            continue
        if isinstance(here, tuple):
            todo.extend(reversed(here))
        elif isinstance(here, Mapping):
            todo.extend(reversed([*here.values()]))
        elif id(here) not in seen:
            seen.add(id(here))
            if isinstance(here, kind):
                yield here
            todo.extend([getattr(here, name) for name in _parts_of(type(here))])  # type: ignore[arg-type]  # every class has a hash


@cache
def _parts_of(kind: type) -> tuple[str, ...]:
    """The fields of what a flow is built of that may hold parts of it, the last one first."""
    if issubclass(kind, Expression | Template) or not is_dataclass(kind):
        return ()
    return tuple(field.name for field in reversed(fields(kind)) if field.type not in (str, int, bool, At))


def written_paths(template: nodes.Template) -> dict[str, nodes.Expr]:
    """Every path that a text writes somewhere ("order.total"), without what belongs to its own loops."""
    own: set[str] = set()
    found: dict[str, nodes.Expr] = {}
    parts: Iterator[nodes.For | nodes.Output] = template.find_all((nodes.For, nodes.Output))
    for part in parts:
        if isinstance(part, nodes.For):
            own |= {part.target.name} if isinstance(part.target, nodes.Name) else set()
            continue
        for piece in part.nodes:
            inner: nodes.Expr | None = piece
            while isinstance(inner, nodes.Filter):
                inner = inner.node
            path = path_of(inner) if inner is not None else None
            if path:
                found[path] = piece
    return {path: piece for path, piece in found.items() if path.partition(".")[0] not in own}


def entries(node: Node) -> Iterator[tuple[Scalar, Node]]:
    """Every key with its value, however deep."""
    match node:
        case Map():
            for key, value in node.entries:
                yield key, value
                yield from entries(value)
        case Items():
            for item in node.items:
                yield from entries(item)
        case Scalar():
            return
