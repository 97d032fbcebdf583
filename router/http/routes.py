"""Every route of the HTTP API, in the order in which docs/api.md has them."""

from fastapi import APIRouter

from router.http import catalog, customers, orders, payments, usage, vendors
from router.http.api import Api


def build_routes(api: Api) -> APIRouter:
    """Return all of them."""
    routes = APIRouter()
    for noun in (orders, catalog, customers, payments, usage, vendors):
        routes.include_router(noun.build_routes(api))
    return routes
