"""What has to leave, kept until it left."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
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


class OutboxRow(OpsTable, table=True):
    """One message of one turn, or what a vendor is told for a cause.

    `resends` counts how often we sent again because the outcome stayed unknown.
    """

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("vendor_id", "conversation_id", "turn", "n"),
        UniqueConstraint("vendor_id", "wamid"),
        UniqueConstraint("vendor_id", "cause"),
        CheckConstraint("(conversation_id IS NULL) = (cause IS NOT NULL)", name="outbox_conversation_or_cause"),
        ForeignKeyConstraint(["vendor_id", "conversation_id"], ["conversations.vendor_id", "conversations.id"]),
        Index(
            "outbox_due",
            "vendor_id",
            "due_at",
            postgresql_where=text("status IN ('pending', 'sending', 'unknown')"),
        ),
        Index(
            "outbox_unfinished_of_conversation",
            "vendor_id",
            "conversation_id",
            "id",
            postgresql_where=text("status IN ('pending', 'sending', 'unknown')"),
        ),
    )

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    conversation_id: UUID | None = Field(sa_column=Column(Uuid))
    cause: str | None = Field(sa_column=Column(Text))
    phone_number_id: str = Field(sa_column=Column(Text, nullable=False))
    recipient: str = Field(sa_column=Column(Text, nullable=False))
    turn: int = Field(sa_column=Column(Integer, nullable=False))
    n: int = Field(sa_column=Column(Integer, nullable=False))
    place: str = Field(sa_column=Column(Text, nullable=False))
    message: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    status: str = Field(sa_column=Column(Text, nullable=False, server_default="pending"))
    due_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    lease_until: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    attempts: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    resends: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    wamid: str | None = Field(sa_column=Column(Text))
    error: str | None = Field(sa_column=Column(Text))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    sent_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    delivered_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    read_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    failed_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
