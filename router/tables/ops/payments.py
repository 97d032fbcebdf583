"""Money that arrived: one row for each M-Pesa receipt, whichever way we heard of it."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime, ForeignKeyConstraint, Index, Integer, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from router.tables.registries import OpsTable


class PaymentRow(OpsTable, table=True):
    """`receipt` is missing only while M-Pesa has confirmed by query alone; `amount` and shortcode are the intent's own.

    Paid by hand there may be no intent, and no order either: then `unmatched_because` says why, and a person may give it one.
    """

    __tablename__ = "payments"
    __table_args__ = (
        UniqueConstraint("receipt"),  # M-Pesa's own key: no vendor may claim another's money
        UniqueConstraint("vendor_id", "intent_id"),
        ForeignKeyConstraint(
            ["vendor_id", "intent_id", "shortcode_id", "amount"],
            ["payment_intents.vendor_id", "payment_intents.id", "payment_intents.shortcode_id", "payment_intents.amount"],
        ),
        ForeignKeyConstraint(["vendor_id", "shortcode_id"], ["vendor_shortcodes.vendor_id", "vendor_shortcodes.id"]),
        ForeignKeyConstraint(["vendor_id", "order_id"], ["orders.vendor_id", "orders.id"]),
        Index("payments_of_order", "vendor_id", "order_id"),
        Index("payments_by_date", "vendor_id", "paid_at", "id"),
        Index("payments_unmatched", "vendor_id", "paid_at", postgresql_where=text("order_id IS NULL")),
    )

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    intent_id: UUID | None = Field(sa_column=Column(Uuid))
    order_id: UUID | None = Field(sa_column=Column(Uuid))
    shortcode_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    amount: int = Field(sa_column=Column(Integer, nullable=False))
    receipt: str | None = Field(sa_column=Column(Text))
    payer: str | None = Field(sa_column=Column(Text))
    confirmed_by: str = Field(sa_column=Column(Text, nullable=False))
    paid_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    account: str | None = Field(sa_column=Column(Text))
    unmatched_because: str | None = Field(sa_column=Column(Text))
    assigned_by: str | None = Field(sa_column=Column(Text))
    assigned_because: str | None = Field(sa_column=Column(Text))
