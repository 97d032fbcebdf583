"""Updates for a number that no vendor owns: acknowledged, kept, shown to an operator."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, Identity, Integer, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from router.tables.registries import PlatformTable


class StrayUpdateRow(PlatformTable, table=True):
    """Unique by the body's sha256; `seen_count` counts deliveries."""

    __tablename__ = "stray_updates"
    __table_args__ = (UniqueConstraint("body_sha256"),)

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    phone_number_id: str | None = Field(sa_column=Column(Text))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    body: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    body_sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    seen_count: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("1")))
    received_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
