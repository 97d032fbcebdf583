"""How often a vendor asked for what it may not do, a day."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Column, Date, DateTime, ForeignKey, Integer, Text, Uuid, text
from sqlmodel import Field

from router.tables.registries import PlatformTable


class CapabilityDenialRow(PlatformTable, table=True):
    """One capability of one vendor on one Nairobi day."""

    __tablename__ = "capability_denials"

    vendor_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("vendors.id"), primary_key=True))
    capability_key: str = Field(sa_column=Column(Text, primary_key=True))
    day: date = Field(sa_column=Column(Date, primary_key=True))
    times: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("1")))
    last_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
