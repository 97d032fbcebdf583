"""Customers of a vendor: to be read, and what a customer may ask for: all that is kept, or to be forgotten."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, BaseModel, ConfigDict

from router import listing, rights
from router.errors import Refused
from router.http.api import Api
from router.http.callers import build_caller
from router.http.pages import After, Limit, Page, parse_cursor, to_page
from router.http.problems import PROBLEMS, ProblemRoute
from router.ids import CustomerId, VendorId
from router.keys import Operation
from router.phones import parse_msisdn
from router.work import unit_of_work


class CustomerOut(BaseModel):
    """`phone` is digits with country code, null when WhatsApp does not tell it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "7f3e7e7a-58c1-4a2f-9a53-0a3c1f6f1d22",
                    "phone": "254703283383",
                    "name": "Mteja",
                    "language": "sw",
                    "created_at": "2026-11-20T09:30:00Z",
                }
            ]
        }
    )

    id: UUID
    phone: str | None
    name: str | None
    language: str | None
    created_at: datetime


class Everything(BaseModel):
    """Every row that holds something of one customer, by table."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"tables": {"customers": [{"phone": "254703283383"}]}}]})

    tables: dict[str, list[dict[str, Any]]]


class ErasedOut(BaseModel):
    """Whom this id stood for is forgotten; `rows` were changed or deleted, by table."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"customer_id": "7f3e7e7a-58c1-4a2f-9a53-0a3c1f6f1d22", "rows": {"customers": 1, "orders": 2, "inbox": 7}}
            ]
        }
    )

    customer_id: UUID
    rows: dict[str, int]


def build_routes(api: Api) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["customers"], route_class=ProblemRoute, responses=PROBLEMS)
    reader, keeper = (build_caller(api, operation) for operation in (Operation.READ_CUSTOMERS, Operation.CUSTOMER_RIGHTS))

    @routes.get("/customers")
    def list_customers(
        vendor_id: Annotated[VendorId, Depends(reader)],
        phone: Annotated[str | None, Query(max_length=32), AfterValidator(lambda text: text and parse_msisdn(text))] = None,
        limit: Limit = 50,
        after: After = None,
    ) -> Page[CustomerOut]:
        """List customers, the first to write first; or the one with a phone."""
        place = parse_cursor(after)
        phones = None if phone is None else api.databases.forms(phone)
        with unit_of_work(api.databases, vendor_id) as work:
            rows = listing.list_rows(work, listing.CUSTOMERS, after=place, limit=limit, phones=phones)
        return to_page([CustomerOut(**row) for row in rows], [(row["created_at"], row["id"]) for row in rows], limit)

    @routes.get("/customers/{customer_id}")
    def get_customer(customer_id: UUID, vendor_id: Annotated[VendorId, Depends(reader)]) -> CustomerOut:
        """Return one customer of this vendor."""
        with unit_of_work(api.databases, vendor_id) as work:
            row = listing.get_row(work, listing.CUSTOMER, customer_id)
        if row is None:
            raise Refused("unknown_customer", "this vendor has no such customer")
        return CustomerOut(**row)

    # No capability stands before these two: what a person may ask for does not depend on what the vendor may sell.
    @routes.get("/customers/{customer_id}/everything")
    def export_customer(customer_id: UUID, vendor_id: Annotated[VendorId, Depends(keeper)]) -> Everything:
        """Return all that is kept about one customer of this vendor, whole rows."""
        tables = rights.export(api.databases, vendor_id, CustomerId(customer_id))
        _require_known("customers" in tables)
        return Everything.model_validate({"tables": tables})

    @routes.delete("/customers/{customer_id}")
    def erase_customer(customer_id: UUID, vendor_id: Annotated[VendorId, Depends(keeper)]) -> ErasedOut:
        """Forget one customer of this vendor. Amounts and receipts stay; 409 while a payment or a message is on its way.

        To be repeated as often as wanted, and once after a month: what WhatsApp or M-Pesa tell late names the phone again.
        """
        erased = rights.erase(api.databases, vendor_id, CustomerId(customer_id), now=api.clock())
        _require_known(bool(erased.customers))
        return ErasedOut(customer_id=customer_id, rows=dict(erased.rows))

    return routes


def _require_known(known: bool) -> None:  # noqa: FBT001 — an assertion
    if not known:
        raise Refused("unknown_customer", "this vendor has no such customer")
