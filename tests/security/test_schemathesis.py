"""A sample of what `./run bench api` asks, and that every operation shows how it is used."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import load_all_checks
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from router.clock import utc_now
from router.databases import Databases
from router.seeding import MAMA_DUKA
from tests.router.api import open_shared_api
from tests.router.asgi import Client

HEADERS = {"x-vendor-id": str(MAMA_DUKA), "x-internal-key": "dev-internal-secret"}
QUICK = settings(max_examples=1, deadline=None, database=None, derandomize=True, phases=[Phase.generate])


@pytest.mark.security(31)
@pytest.mark.parametrize("mode", GenerationMode)
def test_whatever_is_asked_the_answer_is_as_described_and_never_5xx(databases: Databases, mode: GenerationMode) -> None:
    client = Client(open_shared_api(databases, utc_now()))
    load_all_checks()
    asked = 0
    for found in schemathesis.openapi.from_dict(client._app.openapi()).get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()

        @given(case=operation.as_strategy(mode, headers=HEADERS))
        @settings(QUICK, suppress_health_check=list(HealthCheck))
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            how = case.as_transport_kwargs(base_url="http://soko.test", headers=HEADERS)
            how.pop("cookies", None)
            if "data" in how:
                how["content"] = how.pop("data")
            answer = client.request(how.pop("method"), how.pop("url"), **how)
            # What JSON Schema cannot say is 422 all the same: bench/schemathesis.toml. The other one sends requests of its own.
            case.validate_response(answer, excluded_checks=[positive_data_acceptance, ignored_auth])

        ask()
    assert asked >= 21


def shapes(told: dict[str, Any], schema: Any) -> Iterator[str]:
    """Name the shapes that an answer is made of."""
    if isinstance(schema, dict):
        name = str(schema.get("$ref", "")).rpartition("/")[2]
        if name:
            yield name
            yield from shapes(told, told["components"]["schemas"][name])
        for inner in schema.values():
            yield from shapes(told, inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from shapes(told, inner)


def test_every_operation_shows_an_example_of_what_it_takes_and_gives(databases: Databases) -> None:
    told = open_shared_api(databases, utc_now()).openapi()
    without = []
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            answers = [answer for code, answer in operation["responses"].items() if code.startswith("2")]
            for what in (operation.get("requestBody"), *answers):
                shown = any("examples" in told["components"]["schemas"][name] for name in shapes(told, what))
                if what and not shown and not any("example" in media for media in what["content"].values()):
                    without.append(f"{method} {path}")
    assert without == []
