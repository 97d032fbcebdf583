"""Moments at which a conversation wants to be woken."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
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
from sqlmodel import Field

from router.tables.registries import OpsTable


class TimerRow(OpsTable, table=True):
    """Set by a turn; a later turn of the conversation drops it."""

    __tablename__ = "timers"
    __table_args__ = (
        UniqueConstraint("vendor_id", "conversation_id", "turn", "name"),
        ForeignKeyConstraint(["vendor_id", "conversation_id"], ["conversations.vendor_id", "conversations.id"]),
        Index("timers_due", "vendor_id", "due_at", postgresql_where=text("fired_at IS NULL")),
    )

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    conversation_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    turn: int = Field(sa_column=Column(Integer, nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    due_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    fired_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
