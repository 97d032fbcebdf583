"""No way leads back to the POST of a push: not by a library, not by a loop, not by RQ. Read from the source."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
NEAR_A_PUSH: Final = ("payments/daraja.py", "payments/stk.py", "worker/jobs/push_stk.py", "worker/sweep.py", "router/wakeups.py")
HELPERS: Final = frozenset({"tenacity", "backoff", "retrying", "stamina", "urllib3", "requests"})


def find_repeats(source: str) -> Iterator[str]:
    """Find what could send a push twice: an import that repeats, RQ's retries, or a loop around `push`."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (f"imports {name.name}" for name in names if name.name.partition(".")[0] in HELPERS)
            case ast.ImportFrom(module=str(module), names=names):
                if module.partition(".")[0] in HELPERS or (module == "rq" and any(name.name == "Retry" for name in names)):
                    yield f"imports from {module}"
            case ast.Call(keywords=keywords):
                for keyword in keywords:
                    if keyword.arg in ("retry", "retries") and not _says_none(keyword.value):
                        yield f"passes {keyword.arg}="
            case ast.For() | ast.While():
                yield from (f"a loop around {call}" for call in _pushes_in(node))
            case ast.FunctionDef(decorator_list=decorators):
                yield from (f"decorated {ast.unparse(each)}" for each in decorators if "retry" in ast.unparse(each).lower())


def _says_none(value: ast.expr) -> bool:
    """Tell a retry that is none: 0, None, or redis-py's own with no tries, which concerns Redis and no HTTP."""
    return ast.unparse(value) in ("0", "None", "Retry(NoBackoff(), 0)")


def _pushes_in(loop: ast.AST) -> Iterator[str]:
    """Find calls that POST: `daraja.push(…)`, `self._post(…)`. `stk.push_next` takes another attempt each time."""
    for node in ast.walk(loop):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("push", "_post", "post"):
            yield ast.unparse(node.func)


def repeats() -> Iterator[str]:
    """Find them in all files near a push."""
    for path in NEAR_A_PUSH:
        for found in find_repeats((ROOT / path).read_text(encoding="utf-8")):
            yield f"{path} may push twice: {found}"
