"""What the commands about one vendor share: its argument, and its databases, open for one transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

if TYPE_CHECKING:
    from router.databases import Databases
    from router.ids import VendorId
    from router.work import Work

VendorArgument = Annotated[UUID, typer.Argument(help="the vendor's id")]
JsonOption = Annotated[bool, typer.Option("--json", help="one JSON object a line")]


@contextmanager
def open_platform() -> "Iterator[Databases]":
    """Open the databases that the settings name."""
    from soko.assembly import open_databases
    from soko.embedded import engines
    from soko.settings import load_settings

    settings = load_settings()
    with engines(settings) as urls, open_databases(settings, urls) as databases:
        yield databases


@contextmanager
def open_vendor(vendor: UUID) -> "Iterator[tuple[Databases, VendorId]]":
    """Open the databases, for one vendor."""
    from router.ids import VendorId

    with open_platform() as databases:
        yield databases, VendorId(vendor)


@contextmanager
def open_work(vendor: UUID) -> "Iterator[Work]":
    """Open one unit of work on the vendor's databases; it commits at the end of the block."""
    from router.work import unit_of_work

    with open_vendor(vendor) as (databases, vendor_id), unit_of_work(databases, vendor_id) as work:
        yield work
