"""Where a vendor's money goes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, Column, DateTime, ForeignKey, Index, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from router.tables.registries import PlatformTable


class VendorShortcodeRow(PlatformTable, table=True):
    """A Paybill (both numbers the same) or a Till (`business_shortcode` the store number, `party_b` the till)."""

    __tablename__ = "vendor_shortcodes"
    __table_args__ = (
        UniqueConstraint("id", "vendor_id"),
        Index("vendor_shortcodes_vendor_id_idx", "vendor_id"),
        # Two vendors may share Safaricom's sandbox shortcode, but money that is real has one owner.
        Index(
            "vendor_shortcodes_one_owner", "party_b", unique=True, postgresql_where=text("environment = 'production' AND active")
        ),
    )

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True, server_default=text("gen_random_uuid()")))
    vendor_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("vendors.id"), nullable=False))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    business_shortcode: str = Field(sa_column=Column(Text, nullable=False))
    party_b: str = Field(sa_column=Column(Text, nullable=False))
    environment: str = Field(sa_column=Column(Text, nullable=False))
    secret_ref: str = Field(sa_column=Column(Text, nullable=False))
    active: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("true")))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
