"""Where a vendor can be visited, and when."""

from typing import Any
from uuid import UUID

from sqlalchemy import Column, ForeignKey, Integer, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from router.tables.registries import PlatformTable


class VendorBranchRow(PlatformTable, table=True):
    """One branch; `id` is the vendor's own word for it, `hours` as router.branches.Hours; empty: always open."""

    __tablename__ = "vendor_branches"

    vendor_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("vendors.id"), primary_key=True))
    id: str = Field(sa_column=Column(Text, primary_key=True))
    position: int = Field(sa_column=Column(Integer, nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    about: str = Field(sa_column=Column(Text, nullable=False))
    hours: list[Any] = Field(sa_column=Column(JSONB, nullable=False))
