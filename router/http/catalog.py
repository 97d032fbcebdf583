"""The catalogue: what is on sale, and writing one item."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from router import capabilities, stock
from router.catalog import CatalogItem
from router.catalog_file import Entry, ReadLine
from router.catalog_import import write_lines
from router.http.api import Api
from router.http.callers import build_caller
from router.http.pages import MOST, Limit
from router.http.problems import PROBLEMS, InvalidField, ProblemRoute
from router.ids import VendorId
from router.keys import Operation
from router.work import unit_of_work


class ItemOut(BaseModel):
    """One item; `price` in whole shillings, `free` how many can be had now, null when they are not counted."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "4d1f7a52-7f7b-4b0e-8a39-6b1f6ad0a001",
                    "sku": "chai-50",
                    "name": "Chai 50g",
                    "short_name": "Chai 50g",
                    "unit": "50g",
                    "price": 45,
                    "free": 12,
                    "category": "Vinywaji",
                    "aliases": ["chai", "tea"],
                }
            ]
        }
    )

    id: UUID
    sku: str
    name: str
    short_name: str
    unit: str
    price: int
    free: int | None
    category: str
    aliases: list[str]


class ItemsOut(BaseModel):
    """`next` is the sku to ask for after this page; null on the last."""

    items: list[ItemOut]
    next: str | None


class ItemIn(Entry):
    """An item; `stock` is a new count of what is free to be sold, null leaves the count, `counted` false ends counting."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"sku": "chai-50", "name": "Chai 50g", "unit": "50g", "price": 45, "stock": 12, "aliases": ["chai", "tea"]}
            ]
        },
    )

    aliases: Annotated[tuple[Annotated[str, Field(min_length=1, max_length=60)], ...], Field(max_length=30)] = ()
    active: bool = True


class ItemWritten(BaseModel):
    """added, changed or same."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sku": "chai-50", "outcome": "added"}]})

    sku: str
    outcome: str


def build_routes(api: Api) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["catalogue"], route_class=ProblemRoute, responses=PROBLEMS)
    reader, writer = (build_caller(api, operation) for operation in (Operation.READ_CATALOG, Operation.WRITE_CATALOG))

    @routes.get("/catalog")
    def list_items(
        vendor_id: Annotated[VendorId, Depends(reader)],
        category: Annotated[str | None, Query(max_length=24)] = None,
        limit: Limit = 50,
        after: Annotated[str | None, Query(max_length=64, description="`next` of the page before")] = None,
    ) -> ItemsOut:
        """List what is on sale, by sku."""
        capabilities.require(api.databases, vendor_id, capabilities.CATALOG)
        with unit_of_work(api.databases, vendor_id) as work:
            shelf = sorted(stock.list_shelf(work), key=lambda item: item.sku)
        found = [item for item in shelf if category in (None, item.category) and item.sku > (after or "")]
        page = found[: min(limit, MOST)]
        return ItemsOut(items=[_out(item) for item in page], next=page[-1].sku if len(found) > len(page) else None)

    @routes.put("/catalog/{sku}")
    def put_item(sku: str, body: ItemIn, vendor_id: Annotated[VendorId, Depends(writer)]) -> ItemWritten:
        """Put one item into the catalogue, new or as it is from now on. Safe to repeat, except that `stock` counts anew."""
        if body.sku != sku:
            raise InvalidField("sku", "the sku of the body is not that of the path")
        report = write_lines(api.databases, vendor_id, [ReadLine(line=1, sku=sku, entry=body, wrong=())])
        return ItemWritten(sku=sku, outcome=report.lines[0].outcome)

    return routes


def _out(item: CatalogItem) -> ItemOut:
    return ItemOut(
        id=item.id,
        sku=item.sku,
        name=item.name,
        short_name=item.short_name,
        unit=item.unit,
        price=item.price,
        free=item.stock,
        category=item.category,
        aliases=list(item.aliases),
    )
