"""Whether a vendor's usage of one Nairobi day equals what happened."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Date, DateTime, ForeignKey, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from router.tables.registries import PlatformTable


class UsageCheckRow(PlatformTable, table=True):
    """`differences` is empty when it does: [{meter, counted, happened}]."""

    __tablename__ = "usage_checks"

    vendor_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("vendors.id"), primary_key=True))
    day: date = Field(sa_column=Column(Date, primary_key=True))
    differences: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    checked_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
