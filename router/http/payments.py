"""Money that M-Pesa says has moved, to be read."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict

from router import capabilities, listing
from router.errors import Refused
from router.http.api import Api
from router.http.callers import build_caller
from router.http.pages import After, Limit, Page, parse_cursor, to_page
from router.http.problems import PROBLEMS, ProblemRoute
from router.ids import VendorId
from router.keys import Operation
from router.payment_intents.statement import list_day, to_csv, yesterday
from router.work import unit_of_work

STATEMENT: Final = """line,at,order,status,amount,receipt,confirmed_by,account,note
order,2026-11-20T12:30:00+03:00,MD-12,PAID,430,,,,
payment,2026-11-20T12:31:00+03:00,MD-12,,430,UKN7IKCAXR,callback,,
"""
_CSV: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/csv": {"example": STATEMENT}}}}


def _day(text: str) -> str:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError("write a day as 2026-11-20")
    return text


Day = Annotated[date, BeforeValidator(_day)]  # pydantic would take a number of seconds


class PaymentOut(BaseModel):
    """`amount` in whole shillings; `confirmed_by` tells how we know. Without an order, `unmatched_because` tells why."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "b7e0c3a4-63d1-4c6e-8f0a-5d2e9a7c4d33",
                    "order_id": "0c0d8a1e-5a3e-4d5f-9d0b-2a8f0e3b7c11",
                    "amount": 430,
                    "currency": "KES",
                    "receipt": "UKN7IKCAXR",
                    "confirmed_by": "callback",
                    "paid_at": "2026-11-20T09:31:00Z",
                }
            ]
        }
    )

    id: UUID
    order_id: UUID | None
    amount: int
    currency: str = "KES"
    receipt: str | None
    confirmed_by: str
    paid_at: datetime
    account: str | None  # as the customer typed it, who paid by hand
    unmatched_because: str | None


def build_routes(api: Api) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["payments"], route_class=ProblemRoute, responses=PROBLEMS)
    reader = build_caller(api, Operation.READ_PAYMENTS)

    @routes.get("/payments")
    def list_payments(
        vendor_id: Annotated[VendorId, Depends(reader)],
        *,
        order_id: UUID | None = None,
        unmatched: bool = False,
        limit: Limit = 50,
        after: After = None,
    ) -> Page[PaymentOut]:
        """List payments, the oldest first; `unmatched` those alone that match no order."""
        place = parse_cursor(after)
        with unit_of_work(api.databases, vendor_id) as work:
            rows = listing.list_rows(work, listing.PAYMENTS, after=place, limit=limit, order_id=order_id, unmatched=unmatched)
        return to_page([PaymentOut(**row) for row in rows], [(row["paid_at"], row["id"]) for row in rows], limit)

    @routes.get("/payments/statement", response_class=PlainTextResponse, responses=_CSV)
    def get_statement(vendor_id: Annotated[VendorId, Depends(reader)], day: Day | None = None) -> PlainTextResponse:
        """Return a day of Nairobi as CSV, yesterday without one: orders, payments with receipts, unmatched money, doubts."""
        capabilities.require(api.databases, vendor_id, capabilities.MPESA_STK)
        with unit_of_work(api.databases, vendor_id) as work:
            lines = list_day(work, day or yesterday(api.clock()))
        return PlainTextResponse(to_csv(lines), media_type="text/csv")

    @routes.get("/payments/{payment_id}")
    def get_payment(payment_id: UUID, vendor_id: Annotated[VendorId, Depends(reader)]) -> PaymentOut:
        """Return one payment to this vendor."""
        with unit_of_work(api.databases, vendor_id) as work:
            row = listing.get_row(work, listing.PAYMENT, payment_id)
        if row is None:
            raise Refused("unknown_payment", "this vendor has no such payment")
        return PaymentOut(**row)

    return routes
