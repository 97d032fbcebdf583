"""Branches and opening hours of vendors: for administrators of the platform."""

from uuid import UUID

from fastapi import APIRouter, Depends

from router.branches import Branches, list_branches, set_branches
from router.http.api import Api
from router.http.callers import build_admin
from router.http.problems import PROBLEMS, ProblemRoute
from router.ids import VendorId


def build_routes(api: Api) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["admin"], route_class=ProblemRoute, responses=PROBLEMS, dependencies=[Depends(build_admin(api))])

    @routes.get("/vendors/{vendor_id}/branches")
    def list_all(vendor_id: UUID) -> Branches:
        """List a vendor's branches with their opening hours, by Nairobi's clock."""
        return _now(vendor_id)

    @routes.put("/vendors/{vendor_id}/branches")
    def put_all(vendor_id: UUID, body: Branches) -> Branches:
        """Let a vendor have these branches and no others; customers see them within two seconds."""
        set_branches(api.databases, VendorId(vendor_id), body)
        return _now(vendor_id)

    def _now(vendor_id: UUID) -> Branches:
        return Branches(branches=tuple(kept.branch for kept in list_branches(api.databases, VendorId(vendor_id))))

    return routes
