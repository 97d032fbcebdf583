"""What a vendor used, written once, keyed by its cause."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime, Integer, Text, Uuid
from sqlmodel import Field

from router.tables.registries import OpsTable


class UsageRecordRow(OpsTable, table=True):
    """Written in the transaction of the effect it counts, so that a retry counts nothing twice."""

    __tablename__ = "usage_records"

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    meter: str = Field(sa_column=Column(Text, primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    quantity: int = Field(sa_column=Column(Integer, nullable=False))
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
