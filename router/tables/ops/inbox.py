"""What came from outside, kept until handled."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from router.tables.registries import OpsTable


class InboxRow(OpsTable, table=True):
    """`(vendor_id, kind, source_id)` makes a repeated delivery end here; `is_pay` is computed by the database from `text`."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("vendor_id", "kind", "source_id"),
        # The target of the foreign key that a consent to pay must satisfy.
        UniqueConstraint("vendor_id", "id", "customer_id", "is_pay"),
        ForeignKeyConstraint(["vendor_id", "customer_id"], ["customers.vendor_id", "customers.id"]),
        ForeignKeyConstraint(["vendor_id", "conversation_id"], ["conversations.vendor_id", "conversations.id"]),
        Index(
            "inbox_unhandled",
            "vendor_id",
            "kind",
            "received_at",
            postgresql_where=text("handled_at IS NULL AND failed_at IS NULL"),
        ),
        Index("inbox_of_conversation", "vendor_id", "conversation_id", "id"),
    )

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    source_id: str = Field(sa_column=Column(Text, nullable=False))
    customer_id: UUID | None = Field(sa_column=Column(Uuid))
    conversation_id: UUID | None = Field(sa_column=Column(Uuid))
    body: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    text: str | None = Field(sa_column=Column(Text))
    is_pay: bool = Field(sa_column=Column(Boolean, Computed("is_pay(text)", persisted=True), nullable=False))
    received_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    handled_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    failed_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    error: str | None = Field(sa_column=Column(Text))
    trace: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    turn: int | None = Field(sa_column=Column(Integer))
    intent: str | None = Field(sa_column=Column(Text))
