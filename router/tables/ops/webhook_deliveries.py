"""One event on its way to one endpoint."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, ForeignKeyConstraint, Index, Integer, Text, Uuid, text
from sqlmodel import Field

from router.tables.registries import OpsTable


class WebhookDeliveryRow(OpsTable, table=True):
    """`due_at`: when to try (again), or until when somebody is trying; `answer` is the last HTTP status."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        ForeignKeyConstraint(
            ["vendor_id", "endpoint_id"], ["webhook_endpoints.vendor_id", "webhook_endpoints.id"], ondelete="CASCADE"
        ),
        Index(
            "webhook_deliveries_due",
            "vendor_id",
            "endpoint_id",
            "event_id",
            postgresql_where=text("status IN ('pending', 'sending')"),
        ),
        Index("webhook_deliveries_held", "vendor_id", "endpoint_id", unique=True, postgresql_where=text("status = 'sending'")),
        Index("webhook_deliveries_ended", "vendor_id", "ended_at", postgresql_where=text("ended_at IS NOT NULL")),
    )

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    endpoint_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    event_id: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    status: str = Field(sa_column=Column(Text, nullable=False, server_default=text("'pending'")))
    attempts: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    due_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    answer: int | None = Field(sa_column=Column(Integer))
    error: str | None = Field(sa_column=Column(Text))
    ended_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
