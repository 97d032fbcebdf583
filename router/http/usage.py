"""What a vendor used in a month, and what that costs."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, ConfigDict

from router.http.api import Api
from router.http.callers import build_caller
from router.http.problems import PROBLEMS, ProblemRoute
from router.ids import VendorId
from router.keys import Operation
from router.usage.days import parse_month
from router.usage.invoice import to_record
from router.usage.statements import get_statement


class UsageLineOut(BaseModel):
    """`quantity` at `cents` (of a shilling) for every `per`; an adjustment came after its own month was closed."""

    used_in: str
    adjustment: bool
    meter: str
    category: str
    quantity: int
    per: int
    cents: int
    amount_cents: int


class UsageOut(BaseModel):
    """`closed_at` null: the month may still grow."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "month": "2026-11",
                    "closed_at": None,
                    "currency": "KES",
                    "lines": [
                        {
                            "used_in": "2026-11",
                            "adjustment": False,
                            "meter": "payment",
                            "category": "",
                            "quantity": 3,
                            "per": 1,
                            "cents": 250,
                            "amount_cents": 750,
                        }
                    ],
                    "total_cents": 750,
                }
            ]
        }
    )

    month: str
    closed_at: datetime | None
    currency: str = "KES"
    lines: list[UsageLineOut]
    total_cents: int


def build_routes(api: Api) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["usage"], route_class=ProblemRoute, responses=PROBLEMS)
    reader = build_caller(api, Operation.READ_USAGE)

    @routes.get("/usage/{month}")
    def get_usage(
        month: Annotated[str, Path(max_length=7, examples=["2026-11"])], vendor_id: Annotated[VendorId, Depends(reader)]
    ) -> UsageOut:
        """Return a month's statement, months being those of Nairobi."""
        statement = get_statement(api.databases, vendor_id, parse_month(month))
        lines = [UsageLineOut.model_validate(to_record(statement, line)) for line in statement.lines]
        return UsageOut(month=month, closed_at=statement.closed_at, lines=lines, total_cents=statement.total_cents)

    return routes
