"""One conversation a customer, with the engine's whole memory of it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, DateTime, ForeignKeyConstraint, Integer, Text, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from router.tables.registries import OpsTable


class ConversationRow(OpsTable, table=True):
    """`order_id` is reserved before an order row exists; `turn` counts commits and guards against lost updates."""

    __tablename__ = "conversations"
    __table_args__ = (
        UniqueConstraint("vendor_id", "customer_id"),
        ForeignKeyConstraint(["vendor_id", "customer_id"], ["customers.vendor_id", "customers.id"]),
    )

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    customer_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    phone_number_id: str = Field(sa_column=Column(Text, nullable=False))
    snapshot: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    turn: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    order_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    flow: str | None = Field(sa_column=Column(Text))
    state: str | None = Field(sa_column=Column(Text))
    last_inbound_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    last_turn_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
