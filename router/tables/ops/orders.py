"""Orders; their life is the table in router/orders/status.py, repeated by a trigger."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, ForeignKeyConstraint, Index, LargeBinary, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from router.tables.registries import OpsTable


class OrderRow(OpsTable, table=True):
    """`source` is chat or api; a customer has at most one open chat order."""

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("vendor_id", "number"),
        UniqueConstraint("vendor_id", "idempotency_key"),
        # The target of the foreign key that a payment intent must satisfy.
        UniqueConstraint("vendor_id", "id", "customer_id"),
        ForeignKeyConstraint(["vendor_id", "customer_id"], ["customers.vendor_id", "customers.id"]),
        Index(
            "orders_one_open_chat_order",
            "vendor_id",
            "customer_id",
            unique=True,
            postgresql_where=text("source = 'chat' AND status IN ('DRAFT', 'CONFIRMED')"),
        ),
        Index("orders_by_age", "vendor_id", "created_at", "id"),
        Index("orders_confirmed", "vendor_id", "confirmed_at", postgresql_where=text("status = 'CONFIRMED'")),
    )

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    number: str = Field(sa_column=Column(Text, nullable=False))
    customer_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    status: str = Field(sa_column=Column(Text, nullable=False, server_default="DRAFT"))
    source: str = Field(sa_column=Column(Text, nullable=False))
    total: int = Field(sa_column=Column(BigInteger, nullable=False, server_default=text("0")))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    updated_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    confirmed_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    paid_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    cancelled_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    cancel_reason: str | None = Field(sa_column=Column(Text))
    receipt: str | None = Field(sa_column=Column(Text))
    idempotency_key: str | None = Field(sa_column=Column(Text))
    request_sha256: bytes | None = Field(sa_column=Column(LargeBinary))
