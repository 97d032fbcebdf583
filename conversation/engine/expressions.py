"""Conditions and texts: a closed subset of Jinja's syntax, parsed and refused at load, run from compiled code.

Two walls. The first is the list of allowed AST nodes below: what is not on it does not load. The second is Jinja's
own ImmutableSandboxedEnvironment with StrictUndefined, narrowed to plain dicts, lists and numbers.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final, cast

from jinja2 import StrictUndefined, nodes
from jinja2.environment import TemplateExpression
from jinja2.exceptions import TemplateSyntaxError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from conversation.engine.values import JSON
from conversation.errors import Broken, LimitCrossed

LONGEST_EXPRESSION: Final = 1_000
LONGEST_TEXT: Final = 8_000
LARGEST_OUTPUT: Final = 16_000
LARGEST_NUMBER: Final = 10**12
DEEPEST: Final = 20
MOST_NODES: Final = 400
MOST_TAGS: Final = 60
MOST_OPEN: Final = 40
_KEPT: Final = 4096  # sources parsed and compiled once a process: loading again, as `--watch` does, is quick
ROUNDS_ASSUMED: Final = 20  # of a loop, in a text's cost

_HABITS: Final = {  # of other languages
    re.compile("&&?"): "and",
    re.compile(r"\|\|"): "or",
    re.compile("==="): "==",
    re.compile("(?<![=!<>])=(?!=)"): "==",
    re.compile("!(?!=)"): "not",
}
_BRACKETS: Final = re.compile(r"[(\[{)\]}]")
_LEAVES: Final = (nodes.TemplateData, nodes.Name)
_EXPRESSIONS: Final = (
    *_LEAVES, nodes.Const, nodes.Getattr, nodes.Getitem, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Add,
    nodes.Sub, nodes.Mul, nodes.Neg, nodes.CondExpr, nodes.Filter, nodes.Test, nodes.Call, nodes.List,
)  # fmt: skip
_TEXTS: Final = (nodes.Template, nodes.Output, nodes.If, nodes.For)
_INSTEAD: Final = {
    nodes.Div: "`/` is not allowed: money is whole shillings",
    nodes.FloorDiv: "`//` is not allowed",
    nodes.Mod: "`%` is not allowed",
    nodes.Pow: "`**` is not allowed",
    nodes.Concat: "`~` is not allowed: write the texts side by side",
    nodes.Slice: "slices are not allowed",
    nodes.Assign: "`set` is not allowed in a text: use a `set:` entry under `do:`",
}

_OWNERS: Final = (nodes.Name, nodes.Getattr, nodes.Getitem)
_JINJAS_OWN: Final = frozenset({"self", "super", "loop", "caller", "varargs", "kwargs", "context", "environment"})


class ExpressionError(ValueError):
    """Why an expression or a text does not load. `word` is where to point, `line` counts from 1 within the source."""

    def __init__(self, message: str, *, word: str = "", line: int = 1) -> None:
        super().__init__(message)
        self.word = word
        self.line = line


class _Sandbox(ImmutableSandboxedEnvironment):
    """Only plain data: fields of dicts, items of lists, bounded numbers, and the functions it was given."""

    intercepted_binops = frozenset({"+", "-", "*"})

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping) and isinstance(argument, str) and argument in obj:
            return obj[argument]
        if isinstance(obj, list | tuple) and type(argument) is int and -len(obj) <= argument < len(obj):
            return obj[argument]
        return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if type(left) is not int or type(right) is not int:
            raise Broken(f"`{operator}` needs two whole numbers")
        result = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}[operator](left, right)
        if abs(result) > LARGEST_NUMBER:
            raise LimitCrossed("a number in an expression grew too large")
        return result


def _kes(amount: int) -> str:
    return f"KES {amount:,}"


def _phone(number: str) -> str:
    digits = "".join(char for char in number if char.isdigit())
    return f"+{digits[:3]} {digits[3:6]} {digits[6:9]} {digits[9:]}".rstrip()


def _join(items: list[JSON], between: str = ", ") -> str:
    return between.join(str(item) for item in items)


def _default(value: Any, otherwise: JSON = "") -> Any:
    return otherwise if isinstance(value, StrictUndefined) or value is None or value == "" else value


def _length(items: list[JSON] | str) -> int:
    return len(items)


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "kes": _kes,
    "phone": _phone,
    "join": _join,
    "default": _default,
    "length": _length,
}


def is_written(value: JSON, text: str) -> bool:
    """Whether a sum or a phone stands in a text, as it is or as its filter writes it: KES 42 does not stand in KES 420."""
    match value:
        case bool() | None:
            return False
        case int():
            forms = (_kes(value), str(value))
        case str() if value:
            forms = (_phone(value), value)
        case _:
            return False
    return any(re.search(rf"(?<![\d,]){re.escape(form)}(?!\d|,\d)", text) for form in forms)


TESTS: Final = frozenset({"none", "defined"})


def make_environment(functions: Mapping[str, Callable[..., JSON]]) -> ImmutableSandboxedEnvironment:
    """Return the environment of a bundle: these functions, our filters, and nothing of Jinja's own. The same for the same."""
    return _make_environment(tuple(functions.items()))


@lru_cache(maxsize=16)
def _make_environment(functions: tuple[tuple[str, Callable[..., JSON]], ...]) -> ImmutableSandboxedEnvironment:
    environment = _Sandbox(undefined=StrictUndefined, autoescape=False, cache_size=0, keep_trailing_newline=False)
    environment.globals = dict(functions)
    environment.filters = dict(FILTERS)
    environment.tests = {name: test for name, test in environment.tests.items() if name in TESTS}
    return environment


@dataclass(frozen=True, kw_only=True)
class Expression:
    """One compiled condition or value. `names` are those it reads, `paths` the same with fields, `cost` its number of parts."""

    source: str
    names: frozenset[str]
    paths: tuple[str, ...]
    cost: int
    run: Callable[..., Any]

    def evaluate(self, names: Mapping[str, JSON]) -> JSON:
        """Run it. Raises Broken when a name is not set, LimitCrossed when a number grows too large."""
        try:
            return cast("JSON", self.run(names))
        except UndefinedError as error:
            raise Broken(f"`{self.source}`: {error}") from error
        except (TypeError, ValueError) as error:
            raise Broken(f"`{self.source}` cannot be worked out: {error}") from error


@dataclass(frozen=True, kw_only=True)
class Template:
    """One compiled text. `constant` is set when nothing in it changes."""

    source: str
    names: frozenset[str]
    cost: int
    constant: str | None
    pieces: Callable[[Mapping[str, JSON]], Iterator[str]]

    def render(self, names: Mapping[str, JSON]) -> str:
        """Run it, outer white space gone. Raises Broken for a name that is not set, LimitCrossed past 16,000 characters."""
        if self.constant is not None:
            return self.constant
        written: list[str] = []
        size = 0
        try:
            for piece in self.pieces(names):
                size += len(piece)
                if size > LARGEST_OUTPUT:
                    raise LimitCrossed(f"a text grew past {LARGEST_OUTPUT} characters")
                written.append(piece)
        except UndefinedError as error:
            raise Broken(f"a text cannot be written: {error}") from error
        except (TypeError, ValueError) as error:
            raise Broken(f"a text cannot be written: {error}") from error
        return "".join(written).strip()


@dataclass(frozen=True, kw_only=True)
class _Uses:
    """What a source reads, and its number of parts; those of a loop count for each round."""

    names: frozenset[str]
    cost: int


def parse_expression(environment: ImmutableSandboxedEnvironment, source: str) -> nodes.Expr:
    """Parse and refuse. Raises ExpressionError."""
    return _read_expression(environment, source)[0]


def parse_text(environment: ImmutableSandboxedEnvironment, source: str) -> nodes.Template:
    """Parse and refuse. Raises ExpressionError."""
    return _read_text(environment, source)[0]


@lru_cache(maxsize=_KEPT)
def _read_expression(environment: ImmutableSandboxedEnvironment, source: str) -> tuple[nodes.Expr, _Uses]:
    if len(source) > LONGEST_EXPRESSION:
        raise ExpressionError(f"this expression has {len(source)} characters; {LONGEST_EXPRESSION} is the most")
    if "}}" in source or "{{" in source or "{%" in source:
        raise ExpressionError("write a condition without {{ }}: it is not a text", word="{{" if "{{" in source else "")
    template = _parse(environment, "{{ " + source + " }}")
    output = template.body[0] if len(template.body) == 1 else None
    if not isinstance(output, nodes.Output) or len(output.nodes) != 1 or isinstance(output.nodes[0], nodes.TemplateData):
        raise ExpressionError("this is not one expression")
    return output.nodes[0], _refuse(output.nodes[0], environment, _EXPRESSIONS)


@lru_cache(maxsize=_KEPT)
def _read_text(environment: ImmutableSandboxedEnvironment, source: str) -> tuple[nodes.Template, _Uses]:
    if len(source) > LONGEST_TEXT:
        raise ExpressionError(f"this text has {len(source)} characters; {LONGEST_TEXT} is the most")
    if "{" not in source:  # half of all texts: nothing in them moves
        template = nodes.Template([nodes.Output([nodes.TemplateData(source)], lineno=1)], lineno=1)
        return template, _Uses(names=frozenset(), cost=3)
    template = _parse(environment, source)
    return template, _refuse(template, environment, (*_EXPRESSIONS, *_TEXTS))


@lru_cache(maxsize=_KEPT)
def compile_expression(environment: ImmutableSandboxedEnvironment, source: str) -> Expression:
    """Parse and refuse; it is compiled at its first use. Raises ExpressionError."""
    parsed, uses = _read_expression(environment, source)
    run = cache(lambda: _compile(environment, parsed))
    paths = tuple(sorted(set(_paths(parsed))))
    return Expression(source=source, names=uses.names, paths=paths, cost=uses.cost, run=lambda names: run()(names))


def _compile(environment: ImmutableSandboxedEnvironment, parsed: nodes.Expr) -> Callable[..., Any]:
    """What environment.compile_expression does, without parsing it a second time."""
    kept = nodes.Assign(nodes.Name("result", "store"), parsed, lineno=1)
    run = TemplateExpression(environment.from_string(nodes.Template([kept], lineno=1)), undefined_to_none=False)
    return _strict(run)


@lru_cache(maxsize=_KEPT)
def compile_text(environment: ImmutableSandboxedEnvironment, source: str) -> Template:
    """Parse and refuse; it is compiled at its first use. Raises ExpressionError."""
    parsed, uses = _read_text(environment, source)
    outputs = [output for output in parsed.body if isinstance(output, nodes.Output)]
    pieces_in = [piece for output in outputs for piece in output.nodes]
    plain = "".join(piece.data for piece in pieces_in if isinstance(piece, nodes.TemplateData))
    moving = len(outputs) < len(parsed.body) or any(not isinstance(piece, nodes.TemplateData) for piece in pieces_in)
    if not moving:
        constant = plain.strip()
        return Template(source=source, names=uses.names, cost=uses.cost, constant=constant, pieces=lambda _: iter((constant,)))
    compiled = cache(lambda: environment.from_string(parsed))

    def pieces(names: Mapping[str, JSON]) -> Iterator[str]:
        return compiled().root_render_func(compiled().new_context(dict(names)))

    return Template(source=source, names=uses.names, cost=uses.cost, constant=None, pieces=pieces)


def _strict(run: Callable[..., Any]) -> Callable[..., Any]:
    def evaluate(names: Mapping[str, JSON]) -> Any:
        value = run(names)
        if isinstance(value, StrictUndefined):
            value._fail_with_undefined_error()  # noqa: SLF001  # the one way to make it speak
        return value

    return evaluate


def _parse(environment: ImmutableSandboxedEnvironment, source: str) -> nodes.Template:
    if source.count("{%") > MOST_TAGS or _open_brackets(source) > MOST_OPEN:
        raise ExpressionError("nested too deeply")  # before the parser spends a second on it
    try:
        return environment.parse(source)
    except TemplateSyntaxError as error:
        for sign, instead in _HABITS.items():
            if found := sign.search(source):
                raise ExpressionError(f"`{found[0]}` is written `{instead}` here", word=found[0], line=error.lineno) from error
        raise ExpressionError(f"cannot be read: {error.message}", line=error.lineno) from error
    except RecursionError as error:
        raise ExpressionError("nested too deeply") from error


def _open_brackets(source: str) -> int:
    depth = most = 0
    for bracket in _BRACKETS.findall(source):
        depth += 1 if bracket in "([{" else -1
        most = max(most, depth)
    return most


def _paths(node: nodes.Node) -> Iterator[str]:
    """What an expression reads, each as "order.total"."""
    path = _path(node)
    if path is not None:
        yield path
    elif isinstance(node, nodes.Call):  # the function's own name is nothing that is read
        for arg in node.args:
            yield from _paths(arg)
    else:
        for child in node.iter_child_nodes():
            yield from _paths(child)


def _path(node: nodes.Node) -> str | None:
    match node:
        case nodes.Name(name=name):
            return name
        case nodes.Getattr(node=owner, attr=attr) if (path := _path(owner)) is not None:
            return f"{path}.{attr}"
    return None


def _refuse(root: nodes.Node, environment: ImmutableSandboxedEnvironment, allowed: tuple[type[nodes.Node], ...]) -> _Uses:
    seen = cost = 0
    read: set[str] = set()
    own: set[str] = set()
    open_nodes: list[tuple[nodes.Node, int, bool]] = [(root, 0, False)]
    while open_nodes:
        node, depth, looping = open_nodes.pop()
        seen += 1
        if depth > DEEPEST or seen > MOST_NODES:
            raise ExpressionError("this is too long or nested too deeply: split it up", line=node.lineno)
        _refuse_node(node, environment, allowed, looping=looping)
        cost += ROUNDS_ASSUMED if looping else 1
        if isinstance(node, nodes.Name):
            (own if node.ctx == "store" else read).add(node.name)
        inside = looping or isinstance(node, nodes.For)
        open_nodes.extend((child, depth + 1, inside) for child in node.iter_child_nodes())
    return _Uses(names=frozenset(read - own), cost=cost)


def _refuse_node(
    node: nodes.Node, environment: ImmutableSandboxedEnvironment, allowed: tuple[type[nodes.Node], ...], *, looping: bool
) -> None:
    if type(node) not in allowed:
        instead = _INSTEAD.get(type(node), f"`{type(node).__name__.lower()}` is not allowed here")
        raise ExpressionError(instead, line=node.lineno)
    reason, word = _refuse_value(node) or _refuse_use(node, environment) or _refuse_loop(node, looping=looping) or ("", "")
    if reason:
        raise ExpressionError(reason, word=word, line=node.lineno)


def _refuse_value(node: nodes.Node) -> tuple[str, str] | None:
    match node:
        case nodes.Name(name=name) | nodes.Getattr(attr=name) if name.startswith("_") or "__" in name:
            return "names with an underscore in front are not allowed", name
        case nodes.Name(name=name) if name in _JINJAS_OWN:
            return f"there is nothing called `{name}` here", name
        case nodes.Getattr(node=owner) | nodes.Getitem(node=owner) if not isinstance(owner, _OWNERS):
            return "only a named value has fields", ""
        case nodes.Getitem(arg=arg) if not (isinstance(arg, nodes.Const) and type(arg.value) is int):
            return "only a number may stand in [ ]", ""
        case nodes.Const(value=value) if not (value is None or isinstance(value, bool | int | str)):
            return "only whole numbers and words are allowed", str(value)
        case nodes.Const(value=int(value)) if abs(value) > LARGEST_NUMBER:
            return "this number is too large", ""
        case nodes.List(items=items) if not all(isinstance(item, nodes.Const) for item in items):
            return "a list may hold only words and numbers", ""
        case nodes.Mul() | nodes.Add() | nodes.Sub() if not (_may_be_number(node.left) and _may_be_number(node.right)):
            return "arithmetic is for whole numbers only", ""
        case nodes.CondExpr(expr2=None):
            return "an inline `if` needs its `else`", "if"
    return None


def _refuse_use(node: nodes.Node, environment: ImmutableSandboxedEnvironment) -> tuple[str, str] | None:
    match node:
        case nodes.Filter(name=name) if name not in FILTERS:
            return f"there is no filter `{name}`", name
        case nodes.Test(name=name) if name not in TESTS:
            return f"there is no test `is {name}`", name
        case nodes.Call(node=called) if not isinstance(called, nodes.Name):
            return "only listed functions can be called", ""
        case nodes.Call(node=nodes.Name(name=name)) if name not in environment.globals:
            return f"there is no function `{name}`", name
        case nodes.Filter() | nodes.Test() | nodes.Call() if node.kwargs or node.dyn_args or node.dyn_kwargs:
            return "arguments are written in order, without names", ""
    return None


def _refuse_loop(node: nodes.Node, *, looping: bool) -> tuple[str, str] | None:
    if not isinstance(node, nodes.For):
        return None
    if looping:
        return "a loop inside a loop is not allowed", "for"
    plain = isinstance(node.target, nodes.Name) and isinstance(node.iter, nodes.Name | nodes.Getattr)
    if not plain or node.else_ or node.test or node.recursive:
        return "a loop is written {% for line in order.lines %}…{% endfor %}, nothing more", "for"
    return None


def _may_be_number(node: nodes.Expr) -> bool:
    return not isinstance(node, nodes.List) and not (isinstance(node, nodes.Const) and type(node.value) is not int)
