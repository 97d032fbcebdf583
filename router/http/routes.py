"""Every route of the HTTP API, in the order in which docs/api.md has them."""

from collections.abc import Sequence

from fastapi import APIRouter

from router.http import branches, catalog, customers, events, orders, payments, usage, vendors, webhooks
from router.http.api import Api
from router.http.problems import ProblemRoute


def build_routes(api: Api) -> APIRouter:
    """Return all of them."""
    routes = APIRouter()
    for noun in (orders, catalog, customers, payments, usage, events, webhooks, vendors, branches):
        built = noun.build_routes(api)
        _tell_what_each_path_does([route for route in built.routes if isinstance(route, ProblemRoute)])
        routes.include_router(built)
    return routes


def _tell_what_each_path_does(routes: Sequence[ProblemRoute]) -> None:
    for route in routes:
        route.allowed = frozenset(method for other in routes if other.path == route.path for method in other.methods or ())
