"""Which number belongs to which vendor."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime, ForeignKey, Index, Text, Uuid, text
from sqlmodel import Field

from router.tables.registries import PlatformTable


class VendorChannelRow(PlatformTable, table=True):
    """`token_ref` is a reference to the sending token, never the token."""

    __tablename__ = "vendor_channels"
    __table_args__ = (Index("vendor_channels_vendor_id_idx", "vendor_id"),)

    phone_number_id: str = Field(sa_column=Column(Text, primary_key=True))
    vendor_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("vendors.id"), nullable=False))
    display_phone: str = Field(sa_column=Column(Text, nullable=False))
    token_ref: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
