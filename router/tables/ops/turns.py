"""Every turn as it went, kept for some days."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, DateTime, Index, Integer, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from router.tables.registries import OpsTable


class TurnRow(OpsTable, table=True):
    """What came in, what was read, decided and asked for; `bundle` and `shelf` name the flows and words it was taken with."""

    __tablename__ = "turns"
    __table_args__ = (Index("turns_by_time", "at", postgresql_using="brin"),)

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    conversation_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    turn: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    bundle: str = Field(sa_column=Column(Text, nullable=False))
    shelf: str = Field(sa_column=Column(Text, nullable=False))
    record: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
