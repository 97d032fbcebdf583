"""What a vendor has been allowed to do; no row means no."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, Column, DateTime, ForeignKey, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from router.tables.registries import PlatformTable


class VendorCapabilityRow(PlatformTable, table=True):
    """One switch of one vendor."""

    __tablename__ = "vendor_capabilities"
    __table_args__ = (UniqueConstraint("vendor_id", "capability_key"),)

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True, server_default=text("gen_random_uuid()")))
    vendor_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("vendors.id"), nullable=False))
    capability_key: str = Field(sa_column=Column(Text, nullable=False))
    enabled: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
