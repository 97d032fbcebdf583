"""What type an expression has, and whether a text may be written: names, fields, missing values, money."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, cast

from jinja2 import nodes

from conversation.authoring.problems import suggest
from conversation.engine.catalogue import Catalogue
from conversation.engine.types import (
    BOOL,
    INT,
    MONEY,
    NONE,
    NUMBERS,
    STRING,
    WORDS,
    Fields,
    ListOf,
    OneOf,
    OrNone,
    Scalar,
    Type,
    describe,
    fits,
)


class TypeRefused(Exception):  # caught beside its place and turned into a Problem
    """Why an expression has no type. `word` is where to point."""

    def __init__(self, code: str, message: str, node: nodes.Node, *, word: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.word = word or word_of(node)
        self.hint = hint
        self.line = node.lineno


@dataclass(frozen=True, kw_only=True)
class Scope:
    """The names an expression may use, and the paths that a guard around it has shown to be there."""

    names: Mapping[str, Type]
    there: frozenset[str] = field(default_factory=frozenset)

    def plus(self, names: Mapping[str, Type]) -> "Scope":
        """The same scope with more names."""
        return Scope(names={**self.names, **names}, there=self.there)

    def given(self, guard: nodes.Expr) -> "Scope":
        """The same scope where `guard` holds."""
        return Scope(names=self.names, there=self.there | set(_shown(guard)))

    def unless(self, guard: nodes.Expr) -> "Scope":
        """The same scope where `guard` does not hold."""
        return Scope(names=self.names, there=self.there | set(_shown_by_failing(guard)))


_COMPARED: Final = {"eq": "==", "ne": "!=", "lt": "<", "lteq": "<=", "gt": ">", "gteq": ">=", "in": "in", "notin": "not in"}


def path_of(node: nodes.Node) -> str | None:
    """Write a.b.c as "a.b.c"; None for anything else."""
    match node:
        case nodes.Name(name=name):
            return str(name)
        case nodes.Getattr(node=owner, attr=attr):
            before = path_of(owner)
            return f"{before}.{attr}" if before else None
    return None


def _shown(guard: nodes.Expr) -> Iterator[str]:
    match guard:
        case nodes.And(left=left, right=right):
            yield from _shown(left)
            yield from _shown(right)
        case nodes.Not(node=nodes.Test(node=tested, name="none")):
            path = path_of(tested)
            if path:
                yield path
        case nodes.Name() | nodes.Getattr():
            path = path_of(guard)
            if path:
                yield path


def _shown_by_failing(guard: nodes.Expr) -> Iterator[str]:
    match guard:
        case nodes.Or(left=left, right=right):
            yield from _shown_by_failing(left)
            yield from _shown_by_failing(right)
        case nodes.Not(node=denied):
            yield from _shown(denied)
        case nodes.Test(node=tested, name="none"):
            path = path_of(tested)
            if path:
                yield path


def type_of(node: nodes.Expr, scope: Scope, catalogue: Catalogue) -> Type:
    """Return the type. Raises TypeRefused."""
    return _Typer(catalogue).type_of(node, scope)


def check_text(template: nodes.Template, scope: Scope, catalogue: Catalogue) -> None:
    """Check everything a text writes. Raises TypeRefused."""
    typer = _Typer(catalogue)
    for node in template.body:
        typer.check_piece(node, scope)


class _Typer:
    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def check_piece(self, node: nodes.Node, scope: Scope) -> None:
        match node:
            case nodes.Output():
                for piece in node.nodes:
                    if not isinstance(piece, nodes.TemplateData):
                        self._writable(piece, scope)
            case nodes.If():
                test = cast("nodes.Expr", node.test)
                self.type_of(test, scope)
                for inner in node.body:
                    self.check_piece(inner, scope.given(test))
                for branch in node.elif_:
                    self.check_piece(branch, scope)
                for inner in node.else_:
                    self.check_piece(inner, scope)
            case nodes.For():
                over = self.type_of(cast("nodes.Expr", node.iter), scope)
                if not isinstance(over, ListOf):
                    raise TypeRefused("X3", f"only a list can be looped over; this is {describe(over)}", node.iter)
                target = node.target.name if isinstance(node.target, nodes.Name) else ""
                for inner in node.body:
                    self.check_piece(inner, scope.plus({target: over.item}))

    def _writable(self, node: nodes.Expr, scope: Scope) -> None:
        kind = self._there(node, scope)
        if isinstance(kind, Fields | ListOf) or kind in (BOOL, NONE):
            hint = "use `| join(', ')` or a {% for %}" if isinstance(kind, ListOf) else "name one of its fields"
            raise TypeRefused("X3", f"{describe(kind)} cannot be written in a text", node, hint=hint)

    def _there(self, node: nodes.Expr, scope: Scope) -> Type:
        kind = self.type_of(node, scope)
        if isinstance(kind, OrNone):
            raise TypeRefused("X4", f"`{word_of(node)}` may be none here", node, hint="use `| default('…')`, or ask with `if`")
        return kind

    def type_of(self, node: nodes.Expr, scope: Scope) -> Type:
        match node:
            case nodes.Const(value=value):
                return _const(value)
            case nodes.Name() | nodes.Getattr() | nodes.Getitem():
                return self._field(node, scope)
            case nodes.And(left=left, right=right):
                self.type_of(left, scope)
                self.type_of(right, scope.given(left))
                return BOOL
            case nodes.Or(left=left, right=right):
                self.type_of(left, scope)
                self.type_of(right, scope)
                return BOOL
            case nodes.Not(node=inner):
                self.type_of(inner, scope)
                return BOOL
            case nodes.Test(node=inner):
                self.type_of(inner, scope)
                return BOOL
            case nodes.Add() | nodes.Sub() | nodes.Mul():
                return self._sum(node, scope)
            case nodes.Neg(node=inner):
                return self._number(inner, scope)
            case nodes.Compare():
                return self._compare(node, scope)
            case nodes.CondExpr():
                return self._either(node, scope)
            case nodes.Filter():
                return self._filter(node, scope)
            case nodes.Call():
                return self._call(node, scope)
            case nodes.List(items=items):
                return ListOf(item=self.type_of(items[0], scope) if items else STRING, most=len(items))
        raise TypeError(f"no expression may hold a {type(node).__name__}")

    def _field(self, node: nodes.Expr, scope: Scope) -> Type:
        match node:
            case nodes.Name(name=name):
                if name not in scope.names:
                    raise TypeRefused(
                        "X2", f"there is nothing called `{name}` here", node, word=name, hint=suggest(name, scope.names)
                    )
                kind = scope.names[name]
            case nodes.Getitem(node=owner, arg=nodes.Const(value=index)):
                over = self._there(owner, scope)
                if not isinstance(over, ListOf):
                    raise TypeRefused("X3", f"only a list has items; this is {describe(over)}", owner)
                kind = over.item if index == 0 and path_of(owner) in scope.there else OrNone(type=over.item)
            case nodes.Getattr(node=owner, attr=attr):
                holder = self._there(owner, scope)
                if not isinstance(holder, Fields):
                    raise TypeRefused("X2", f"`{word_of(owner)}` is {describe(holder)} and has no fields", node, word=attr)
                if attr not in holder.fields:
                    raise TypeRefused(
                        "X2", f"`{word_of(owner)}` has no field `{attr}`", node, word=attr, hint=suggest(attr, holder.fields)
                    )
                kind = holder.fields[attr]
        return kind.type if isinstance(kind, OrNone) and path_of(node) in scope.there else kind

    def _number(self, node: nodes.Expr, scope: Scope) -> Scalar:
        kind = self._there(node, scope)
        if not isinstance(kind, Scalar) or kind.name not in NUMBERS:
            raise TypeRefused("X3", f"a number is needed; this is {describe(kind)}", node)
        return kind

    def _sum(self, node: nodes.Add | nodes.Sub | nodes.Mul, scope: Scope) -> Type:
        left, right = self._number(node.left, scope), self._number(node.right, scope)
        if isinstance(node, nodes.Mul) and left == right == MONEY:
            raise TypeRefused("X3", "money times money is nothing", node.left)
        return MONEY if MONEY in (left, right) else INT

    def _compare(self, node: nodes.Compare, scope: Scope) -> Type:
        left_node = node.expr
        for operand in node.ops:
            left, right = self.type_of(left_node, scope), self.type_of(operand.expr, scope)
            if not _comparable(left, right, operand.op):
                message = f"`{_COMPARED[operand.op]}` compares {describe(left)} with {describe(right)} here: that never holds"
                about = operand.expr if word_of(operand.expr) else left_node
                raise TypeRefused("X3", message, about, hint=_values(left) or _values(right))
            left_node = operand.expr
        return BOOL

    def _either(self, node: nodes.CondExpr, scope: Scope) -> Type:
        self.type_of(node.test, scope)
        left = self.type_of(node.expr1, scope.given(node.test))
        right = self.type_of(node.expr2, scope) if node.expr2 is not None else NONE
        for one, other in ((left, right), (right, left)):
            if fits(one, other):
                return other
        if isinstance(left, Scalar) and isinstance(right, Scalar) and left.name == right.name == "string":
            return STRING
        raise TypeRefused("X3", f"one side is {describe(left)}, the other {describe(right)}", node, word="else")

    def _filter(self, node: nodes.Filter, scope: Scope) -> Type:
        value = cast("nodes.Expr", node.node)  # only a {% filter %} block has none, and none loads
        args = [self.type_of(arg, scope) for arg in node.args]
        if node.name == "default":
            kind = self.type_of(value, scope)
            inner = kind.type if isinstance(kind, OrNone) else kind
            if len(args) != 1 or not (fits(args[0], inner) or _stringy(args[0], inner)):
                raise TypeRefused("X3", f"`default` needs one value of type {describe(inner)}", node, word="default")
            return STRING if inner != args[0] and _stringy(args[0], inner) else inner
        kind = self._there(value, scope)
        wanted, gives, most = _FILTERS[node.name]
        if not _is(kind, wanted) or len(args) > most:
            raise TypeRefused("X3", f"`{node.name}` is for {wanted}; this is {describe(kind)}", node, word=node.name)
        return gives

    def _call(self, node: nodes.Call, scope: Scope) -> Type:
        name = node.node.name if isinstance(node.node, nodes.Name) else ""
        function = self.catalogue.functions[name]
        if len(node.args) != len(function.takes):
            raise TypeRefused("X3", f"`{name}` takes {', '.join(map(describe, function.takes))}", node, word=name)
        for arg, wanted in zip(node.args, function.takes, strict=True):
            given = self.type_of(arg, scope)
            if not fits(given, wanted):
                raise TypeRefused(
                    "X3", f"`{name}` needs {describe(wanted)} here; this is {describe(given)}", node, word=word_of(arg) or name
                )
        return function.gives


_FILTERS: Final[Mapping[str, tuple[str, Type, int]]] = {
    "kes": ("money", STRING, 0),
    "phone": ("phone", Scalar(name="string", longest=20), 0),
    "join": ("a list of words", STRING, 1),
    "length": ("a list or a text", INT, 0),
}


def _is(kind: Type, wanted: str) -> bool:
    match wanted:
        case "money":
            return isinstance(kind, Scalar) and kind.name in NUMBERS
        case "phone":
            return isinstance(kind, Scalar) and kind.name == "phone"
        case "a list of words":
            return isinstance(kind, ListOf) and isinstance(kind.item, Scalar | OneOf)
        case _:
            return isinstance(kind, ListOf) or _wordy(kind)


def _wordy(kind: Type) -> bool:
    return isinstance(kind, OneOf) or (isinstance(kind, Scalar) and kind.name in WORDS)


def _stringy(given: Type, wanted: Type) -> bool:
    return isinstance(given, Scalar) and given.name == "string" and _wordy(wanted)


def _comparable(left: Type, right: Type, operator: str) -> bool:
    left, right = _inner(left), _inner(right)
    if operator in ("in", "notin"):
        return isinstance(right, ListOf) and _comparable(left, right.item, "eq")
    numbers = all(isinstance(side, Scalar) and side.name in NUMBERS for side in (left, right))
    if operator not in ("eq", "ne"):
        return numbers
    if NONE in (left, right) or numbers or left == right == BOOL:
        return True
    for one, other in ((left, right), (right, left)):
        if isinstance(one, OneOf) and isinstance(other, _Word):
            return other.word in one.values
    return _wordy(left) and _wordy(right)


@dataclass(frozen=True, kw_only=True)
class _Word(Scalar):
    """The type of a word written out: a string that knows its value."""

    word: str = ""


def _const(value: object) -> Type:
    match value:
        case bool():
            return BOOL
        case int():
            return INT
        case None:
            return NONE
        case _:
            return _Word(name="string", longest=len(str(value)), word=str(value))


def _inner(kind: Type) -> Type:
    return kind.type if isinstance(kind, OrNone) else kind


def _values(kind: Type) -> str:
    inner = _inner(kind)
    return "it is one of " + ", ".join(inner.values) if isinstance(inner, OneOf) else ""


def word_of(node: nodes.Node) -> str:
    """Something of a node that the author can recognise in the line."""
    path = path_of(node)
    if path:
        return path
    match node:
        case nodes.Filter(node=inner) if inner is not None:
            return word_of(inner)
        case nodes.Call(node=nodes.Name(name=name)):
            return str(name)
        case nodes.Const(value=value):
            return str(value)
    return ""


def shows(template: nodes.Template, path: str) -> bool:
    """Whether a text always writes the value of `path`, whatever the conditions in it."""
    for output in template.body:
        if isinstance(output, nodes.Output):
            for piece in output.nodes:
                inner: nodes.Node | None = piece
                while isinstance(inner, nodes.Filter):
                    inner = inner.node
                if inner is not None and path_of(inner) == path:
                    return True
    return False
