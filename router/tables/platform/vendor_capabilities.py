"""What a vendor has been allowed to do; no row means no."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, Column, DateTime, ForeignKey, Integer, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from router.tables.registries import PlatformTable


class VendorCapabilityRow(PlatformTable, table=True):
    """One grant to one vendor: for a time, and for so many uses a day; null binds it to nothing."""

    __tablename__ = "vendor_capabilities"
    __table_args__ = (UniqueConstraint("vendor_id", "capability_key"),)

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True, server_default=text("gen_random_uuid()")))
    vendor_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("vendors.id"), nullable=False))
    capability_key: str = Field(sa_column=Column(Text, nullable=False))
    enabled: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    valid_from: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    valid_until: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    most_a_day: int | None = Field(sa_column=Column(Integer))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
