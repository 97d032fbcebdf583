"""Customers of a vendor, to be read."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, BaseModel

from router import capabilities, listing
from router.errors import Refused
from router.http.api import Api
from router.http.callers import build_caller
from router.http.pages import After, Limit, Page, parse_cursor, to_page
from router.http.problems import PROBLEMS, ProblemRoute
from router.ids import VendorId
from router.keys import Operation
from router.phones import parse_msisdn
from router.work import unit_of_work


class CustomerOut(BaseModel):
    """`phone` is digits with country code, null when WhatsApp does not tell it."""

    id: UUID
    phone: str | None
    name: str | None
    language: str | None
    created_at: datetime


def build_routes(api: Api) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["customers"], route_class=ProblemRoute, responses=PROBLEMS)
    reader = build_caller(api, Operation.READ_CUSTOMERS)

    @routes.get("/customers")
    def list_customers(
        vendor_id: Annotated[VendorId, Depends(reader)],
        phone: Annotated[str | None, Query(max_length=32), AfterValidator(lambda text: text and parse_msisdn(text))] = None,
        limit: Limit = 50,
        after: After = None,
    ) -> Page[CustomerOut]:
        """List customers, the first to write first; or the one with a phone."""
        place = parse_cursor(after)
        capabilities.require(api.databases, vendor_id, capabilities.ORDERS)
        with unit_of_work(api.databases, vendor_id) as work:
            rows = listing.list_rows(work, listing.CUSTOMERS, after=place, limit=limit, phone=phone)
        return to_page([CustomerOut(**row) for row in rows], [(row["created_at"], row["id"]) for row in rows], limit)

    @routes.get("/customers/{customer_id}")
    def get_customer(customer_id: UUID, vendor_id: Annotated[VendorId, Depends(reader)]) -> CustomerOut:
        """Return one customer of this vendor."""
        capabilities.require(api.databases, vendor_id, capabilities.ORDERS)
        with unit_of_work(api.databases, vendor_id) as work:
            row = listing.get_row(work, listing.CUSTOMER, customer_id)
        if row is None:
            raise Refused("unknown_customer", "this vendor has no such customer")
        return CustomerOut(**row)

    return routes
