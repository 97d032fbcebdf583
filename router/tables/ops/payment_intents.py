"""Our wish to be paid for one order, born by the customer's PAY."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlmodel import Field

from router.tables.registries import OpsTable


class PaymentIntentRow(OpsTable, table=True):
    """Its terms are frozen and it is never deleted; `amount` in whole KES, `day` counted in Africa/Nairobi."""

    __tablename__ = "payment_intents"
    __table_args__ = (
        ForeignKeyConstraint(["vendor_id", "order_id", "customer_id"], ["orders.vendor_id", "orders.id", "orders.customer_id"]),
        ForeignKeyConstraint(["vendor_id", "shortcode_id"], ["vendor_shortcodes.vendor_id", "vendor_shortcodes.id"]),
        # The consent: a message of this customer whose whole text is PAY.
        ForeignKeyConstraint(
            ["vendor_id", "pay_message_id", "customer_id", "pay_is_pay"],
            ["inbox.vendor_id", "inbox.id", "inbox.customer_id", "inbox.is_pay"],
        ),
        UniqueConstraint("vendor_id", "pay_message_id"),  # a PAY is used once
        UniqueConstraint("vendor_id", "account_ref"),
        UniqueConstraint("vendor_id", "customer_id", "day", "day_slot"),
        # The target of the foreign keys of the attempt and of the payment: both repeat these terms.
        UniqueConstraint("vendor_id", "id", "shortcode_id", "amount", "msisdn", "pay_message_id", name="payment_intents_terms"),
        UniqueConstraint("vendor_id", "id", "shortcode_id", "amount", name="payment_intents_money"),
        Index(
            "payment_intents_one_live",
            "vendor_id",
            "order_id",
            unique=True,
            postgresql_where=text("status IN ('consented', 'processing')"),
        ),
        Index("payment_intents_of_order", "vendor_id", "order_id"),
    )

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    order_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    customer_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    shortcode_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    amount: int = Field(sa_column=Column(Integer, nullable=False))
    msisdn: str = Field(sa_column=Column(Text, nullable=False))
    account_ref: str = Field(sa_column=Column(Text, nullable=False))
    pay_message_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    pay_is_pay: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("true")))
    day: date = Field(sa_column=Column(Date, nullable=False))
    day_slot: int = Field(sa_column=Column(SmallInteger, nullable=False))
    status: str = Field(sa_column=Column(Text, nullable=False, server_default="consented"))
    reason: str | None = Field(sa_column=Column(Text))
    late: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("false")))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    paid_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
