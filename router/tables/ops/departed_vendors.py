"""Vendors that have moved away from this ops database."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime, Uuid, text
from sqlmodel import Field

from router.tables.registries import OpsTable


class DepartedVendorRow(OpsTable, table=True):
    """Whoever finds this row has an old address: the vendor's rows here are only what it left behind."""

    __tablename__ = "departed_vendors"

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
