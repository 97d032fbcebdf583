"""What a vendor sells."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Boolean, Column, DateTime, ForeignKey, Integer, Text, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from router.tables.registries import PlatformTable


class CatalogItemRow(PlatformTable, table=True):
    """Price in whole shillings; `stock` null means "not counted"; `short_name` and `unit` fit a chat list row.

    `stock` is how many were free to be sold when somebody last counted, `count_no` how often that was done.
    """

    __tablename__ = "catalog_items"
    __table_args__ = (UniqueConstraint("vendor_id", "sku"),)

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True, server_default=text("gen_random_uuid()")))
    vendor_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("vendors.id"), nullable=False))
    sku: str = Field(sa_column=Column(Text, nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    short_name: str = Field(sa_column=Column(Text, nullable=False))
    unit: str = Field(sa_column=Column(Text, nullable=False))
    price: int = Field(sa_column=Column(Integer, nullable=False))
    stock: int | None = Field(sa_column=Column(Integer))
    category: str = Field(sa_column=Column(Text, nullable=False, server_default=text("''")))
    count_no: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("1")))
    aliases: list[str] = Field(sa_column=Column(ARRAY(Text), nullable=False, server_default=text("'{}'")))
    active: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("true")))
    position: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
    updated_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
