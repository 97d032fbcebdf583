"""Finding things of one kind anywhere inside a flow, whatever it is built of."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from jinja2 import nodes

from conversation.authoring.expression_types import path_of
from conversation.authoring.nodes import Items, Map, Node, Scalar
from conversation.engine.expressions import Expression, Template
from conversation.engine.flow import At

T = TypeVar("T")


def each_of(part: object, kind: type[T]) -> Iterator[T]:
    """Every `kind` within a part of a flow, once each, in the order it is built."""
    seen: set[int] = set()
    todo: list[object] = [part]
    while todo:
        here = todo.pop()
        if isinstance(here, str | int | At | Expression | Template) or here is None or id(here) in seen:
            continue
        if isinstance(here, Mapping):
            todo.extend(reversed(list(here.values())))
        elif isinstance(here, tuple):
            todo.extend(reversed(here))
        elif names := tuple(getattr(here, "__dataclass_fields__", ())):
            seen.add(id(here))
            if isinstance(here, kind):
                yield here
            todo.extend(getattr(here, name) for name in reversed(names))


def written_paths(template: nodes.Template) -> dict[str, nodes.Expr]:
    """Every path that a text writes somewhere ("order.total"), without what belongs to its own loops."""
    own = {loop.target.name for loop in template.find_all(nodes.For) if isinstance(loop.target, nodes.Name)}
    found: dict[str, nodes.Expr] = {}
    for output in template.find_all(nodes.Output):
        for piece in output.nodes:
            inner: nodes.Expr | None = piece
            while isinstance(inner, nodes.Filter):
                inner = inner.node
            path = path_of(inner) if inner is not None else None
            if path and path.partition(".")[0] not in own:
                found[path] = piece
    return found


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
