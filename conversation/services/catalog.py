"""Reading the vendor's catalogue."""

from typing import Final

from pydantic import Field

from conversation.engine.catalogue import CallSpec, Outcome
from conversation.engine.values import JSON
from conversation.services.declare import Id, Shape, fields_of, service
from conversation.services.desk import Answer, Desk
from conversation.services.shapes import Product, ProductPage
from router import capabilities, catalog, stock
from router.catalog import CatalogItem
from router.errors import Refused
from router.orders.lines import most


class PageArgs(Shape):
    """Which page of whose catalogue; pages count from 1."""

    vendor: Id
    page: int = Field(ge=1, le=10_000)


def page(desk: Desk, args: PageArgs) -> Answer:
    """One page of what can be had now. A page past the end is the first again, so that "more" goes round."""
    try:
        capabilities.require(desk.work.databases, desk.work.vendor_id, capabilities.CATALOG)
    except Refused:
        return Answer(outcome="error")
    shelf = [item for item in stock.list_shelf(desk.work) if most(item)]
    found = catalog.to_page(shelf, args.page)
    if not found.items and args.page > 1:
        found = catalog.to_page(shelf, 1)
    if not found.items:
        return Answer(outcome="empty")
    products: list[JSON] = [to_product(item) for item in found.items]
    return Answer(outcome="ok", value={"products": products, "has_more": found.has_more})


def to_product(item: CatalogItem) -> dict[str, JSON]:
    """Return an item in the shape that flows see."""
    return Product(
        id=str(item.id), name=item.name, short_name=item.short_name, unit=item.unit, price=item.price, stock=most(item)
    ).model_dump()


SERVICES: Final = (
    service(
        CallSpec(
            name="catalog.page",
            about="One page of what the vendor sells, nine products at a time",
            takes=fields_of(PageArgs, "args").fields,
            returns=fields_of(ProductPage, "product_page"),
            outcomes={
                "ok": Outcome(name="ok", continues=True),
                "empty": Outcome(name="empty"),
                "error": Outcome(name="error"),
            },
        ),
        PageArgs,
        page,
    ),
)
