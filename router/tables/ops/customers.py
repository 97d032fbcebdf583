"""People who write to a vendor."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime, Index, Text, UniqueConstraint, Uuid
from sqlmodel import Field

from router.tables.registries import OpsTable


class CustomerRow(OpsTable, table=True):
    """Known by phone (digits with country code), business-scoped user id, or both; `merged_into` when two rows were one.

    `erased_at`: the person asked to be forgotten, and the row stands for nobody any more.
    """

    __tablename__ = "customers"
    __table_args__ = (
        UniqueConstraint("vendor_id", "phone"),
        UniqueConstraint("vendor_id", "bsuid"),
        Index("customers_by_age", "vendor_id", "created_at", "id"),
    )

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    phone: str | None = Field(sa_column=Column(Text))
    bsuid: str | None = Field(sa_column=Column(Text))
    name: str | None = Field(sa_column=Column(Text))
    language: str | None = Field(sa_column=Column(Text))
    merged_into: UUID | None = Field(sa_column=Column(Uuid))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    erased_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
