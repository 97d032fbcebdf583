"""Vendors on their way to another ops database."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, DateTime, ForeignKey, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from router.tables.registries import PlatformTable


class VendorMoveRow(PlatformTable, table=True):
    """One unfinished move; `to_target` null: to the shared ops database."""

    __tablename__ = "vendor_moves"

    vendor_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("vendors.id"), primary_key=True))
    to_target: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    started_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
