"""docs/api.md, made from the OpenAPI of the routes, so that it says what the code does."""

import json
from typing import Any

from fastapi import FastAPI

from router.http.api import Api
from router.http.problems import Problem
from router.http.routes import build_routes

HEAD = """# The HTTP API

Made by `soko api --page`; `./run check` compares. The same as OpenAPI: `soko api`, or `/openapi.json` of a running server.

Every request carries `x-internal-key` (`soko key create`) and, except for `/vendors`, `x-vendor-id`. Amounts are whole shillings,
in usage cents. A list has at most a hundred `items`; `next`, unless null, goes into `after` of the next request. Errors are
problem details, `application/problem+json`: `type` is stable (`urn:soko:out_of_stock`), `detail` is for people, `errors` names
fields. 429 and 503 say in `Retry-After` after how many seconds to come back. A write with an `Idempotency-Key` can be repeated:
the same key and request get the first answer again, with `Idempotent-Replayed: true`.
"""


def build_app(api: Api) -> FastAPI:
    """Return an app with every route and nothing else."""
    app = FastAPI(title="Soko", summary="Shops inside WhatsApp, paid by M-Pesa", version="0.1.0")
    app.include_router(build_routes(api))
    return app


def describe(api: Api) -> dict[str, Any]:
    """Return the OpenAPI of every route."""
    return build_app(api).openapi()


def to_page(told: dict[str, Any]) -> str:
    """Draw the page."""
    problem = Problem.model_json_schema(mode="serialization")
    schemas = told["components"]["schemas"] | {"Problem": problem} | problem["$defs"]
    parts = [HEAD]
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            parts += [f"## {method.upper()} {path}\n", " ".join(operation["description"].split()) + "\n"]
            parts += _parameters(operation)
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            if body:
                name = _name(body)
                parts.append(f"Body: [{name}](#{name.lower()})\n")
                parts += [f"```json\n{json.dumps(example)}\n```\n" for example in schemas[name].get("examples", [])]
            parts += [
                f"Answers {code}: {_answer(response['content'])}\n"
                for code, response in operation["responses"].items()
                if code.startswith("2")
            ]
    parts.append("# Shapes\n")
    for name, schema in sorted(schemas.items()):
        if "properties" not in schema or name in ("HTTPValidationError", "ValidationError"):
            continue
        parts += [f"## {name}\n", " ".join(schema.get("description", "").split()) + "\n", "| field | is |\n|---|---|"]
        needed = schema.get("required", [])
        for field, kind in schema["properties"].items():
            parts.append(f"| `{field}` | {_kind(kind)}{'' if field in needed else ', optional'} |")
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


def _answer(content: dict[str, Any]) -> str:
    if "application/json" not in content:
        return " or ".join(kind for kind in content if kind != "text/plain")
    name = _name(content["application/json"]["schema"])
    return f"[{name}](#{name.lower()})"


def _parameters(operation: dict[str, Any]) -> list[str]:
    own = [each for each in operation.get("parameters", []) if each["in"] != "header" or each["name"] == "idempotency-key"]
    if not own:
        return []
    rows = [
        f"| `{each['name']}` | {each['in']} | {_kind(each['schema'])}{'' if each.get('required') else ', optional'} |"
        for each in own
    ]
    return ["| parameter | in | is |\n|---|---|---|", *rows, ""]


def _name(schema: dict[str, Any]) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"[{_name(schema)}](#{_name(schema).lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}" if "items" in schema else "list"
    if "enum" in schema:
        return " / ".join(map(str, schema["enum"]))
    least, most = schema.get("minimum"), schema.get("maximum")
    bounds = "" if least is None and most is None else f" {'' if least is None else least}…{'' if most is None else most}"
    return f"{schema.get('format') or schema.get('type', 'anything')}{bounds}"
