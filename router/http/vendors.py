"""Vendors and what they may do: for administrators of the platform."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict

from router import listing
from router.http.api import Api
from router.http.callers import build_admin
from router.http.pages import After, Limit, Page, parse_cursor, to_page
from router.http.problems import PROBLEMS, ProblemRoute
from router.ids import VendorId
from router.vendors import get_vendor


class VendorOut(BaseModel):
    """Who sells here; where its data lives is not told."""

    id: UUID
    name: str
    isolation_level: str
    language: str
    created_at: datetime


class CapabilityOut(BaseModel):
    """One switch of a vendor; one that is not listed is off."""

    capability_key: str
    enabled: bool


class CapabilitiesOut(BaseModel):
    """Every switch of a vendor that was ever set."""

    items: list[CapabilityOut]


class CapabilityIn(BaseModel):
    """On or off."""

    model_config = ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [{"enabled": True}]})

    enabled: bool


CapabilityKey = Annotated[str, Path(max_length=64, pattern=r"^[a-z_]+\.[a-z_]+$", examples=["commerce.orders"])]


def build_routes(api: Api) -> APIRouter:
    """Return the routes."""
    admin = Depends(build_admin(api))
    routes = APIRouter(tags=["admin"], route_class=ProblemRoute, responses=PROBLEMS, dependencies=[admin])

    @routes.get("/vendors")
    def list_vendors(limit: Limit = 50, after: After = None) -> Page[VendorOut]:
        """List vendors, the oldest first."""
        rows = listing.list_vendors(api.databases, after=parse_cursor(after), limit=limit)
        return to_page([VendorOut(**row) for row in rows], [(row["created_at"], row["id"]) for row in rows], limit)

    @routes.get("/vendors/{vendor_id}/capabilities")
    def list_capabilities(vendor_id: UUID) -> CapabilitiesOut:
        """List what a vendor may do."""
        vendor = get_vendor(api.databases, VendorId(vendor_id))
        rows = listing.list_capabilities(api.databases, vendor.id)
        return CapabilitiesOut(items=[CapabilityOut(**row) for row in rows])

    @routes.put("/vendors/{vendor_id}/capabilities/{capability}")
    def put_capability(vendor_id: UUID, capability: CapabilityKey, body: CapabilityIn) -> CapabilityOut:
        """Switch a capability on or off; it is so everywhere within two seconds."""
        vendor = get_vendor(api.databases, VendorId(vendor_id))
        listing.set_capability(api.databases, vendor.id, capability, enabled=body.enabled)
        return CapabilityOut(capability_key=capability, enabled=body.enabled)

    return routes
