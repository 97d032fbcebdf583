"""Past-tense facts, append-only."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Column, Computed, DateTime, Identity, Index, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from router.tables.registries import OpsTable, Xid8


class DomainEventRow(OpsTable, table=True):
    """Identity order is not commit order, so a reader's cursor is `(xid, id)` below the oldest running transaction."""

    __tablename__ = "domain_events"
    __table_args__ = (
        Index("domain_events_cursor", "vendor_id", "xid", "id"),
        Index("domain_events_by_order", "vendor_id", "order_id", "id", postgresql_where=text("order_id IS NOT NULL")),
    )

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    xid: str = Field(sa_column=Column(Xid8, nullable=False, server_default=text("pg_current_xact_id()")))
    type: str = Field(sa_column=Column(Text, nullable=False))
    subject: str = Field(sa_column=Column(Text, nullable=False))
    data: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    order_id: str | None = Field(
        sa_column=Column(
            Text,
            Computed("CASE WHEN starts_with(type, 'order_') THEN subject ELSE data ->> 'order_id' END", persisted=True),
        )
    )
