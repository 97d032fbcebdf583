"""What Daraja posted, as it came; and the audit trail of every payment intent."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from router.tables.registries import OpsTable


class CallbackRow(OpsTable, table=True):
    """The same body for the same intent is one row, however often it comes: `seen_count` counts."""

    __tablename__ = "callbacks"
    __table_args__ = (
        UniqueConstraint("vendor_id", "intent_id", "body_sha256"),
        ForeignKeyConstraint(["vendor_id", "intent_id"], ["payment_intents.vendor_id", "payment_intents.id"]),
        Index("callbacks_unhandled", "vendor_id", "id", postgresql_where=text("handled_at IS NULL")),
    )

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    intent_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    body: str = Field(sa_column=Column(Text, nullable=False))
    body_sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    peer: str | None = Field(sa_column=Column(Text))
    seen_count: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("1")))
    received_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
    try_again_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    handled_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    verdict: str | None = Field(sa_column=Column(Text))


class PaymentEventRow(OpsTable, table=True):
    """Append-only: what allowed the prompt, what was sent, what came back, in order."""

    __tablename__ = "payment_events"
    __table_args__ = (
        ForeignKeyConstraint(["vendor_id", "intent_id"], ["payment_intents.vendor_id", "payment_intents.id"]),
        Index("payment_events_of_intent", "vendor_id", "intent_id", "id"),
    )

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    intent_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    event: str = Field(sa_column=Column(Text, nullable=False))
    from_status: str | None = Field(sa_column=Column(Text))
    to_status: str | None = Field(sa_column=Column(Text))
    data: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False, server_default=text("'{}'::jsonb")))
