"""What a shop sold, and under which words, while turns were taken."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, DateTime, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from router.tables.registries import OpsTable


class ShelfRow(OpsTable, table=True):
    """One version of a vendor's words, named by its content."""

    __tablename__ = "shelves"

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    digest: str = Field(sa_column=Column(Text, primary_key=True))
    items: list[dict[str, Any]] = Field(sa_column=Column(JSONB, nullable=False))
    seen_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
