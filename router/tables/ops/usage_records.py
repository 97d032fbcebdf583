"""What a vendor used, written once, keyed by its cause."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Column, Computed, Date, DateTime, Index, Integer, Text, Uuid, text
from sqlmodel import Field

from router.tables.registries import OpsTable


class UsageRecordRow(OpsTable, table=True):
    """Written in the transaction of the effect it counts, so that a retry counts nothing twice."""

    __tablename__ = "usage_records"
    __table_args__ = (Index("usage_records_by_day", "vendor_id", "day", "meter", "category", postgresql_include=["quantity"]),)

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    meter: str = Field(sa_column=Column(Text, primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    quantity: int = Field(sa_column=Column(Integer, nullable=False))
    category: str = Field(sa_column=Column(Text, nullable=False, server_default=text("''")))
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    day: date = Field(
        sa_column=Column(Date, Computed("(at AT TIME ZONE 'Africa/Nairobi')::date", persisted=True), nullable=False)
    )
