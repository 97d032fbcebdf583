"""The one M-Pesa prompt of a payment intent."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlmodel import Field

from router.tables.registries import OpsTable


class StkAttemptRow(OpsTable, table=True):
    """Its key is the intent's id, so there is one for ever; the status only moves forward, `dispatched_at` is written once.

    `due_at` is when to push, `next_query_at` when to look again at a prompt without a result.
    """

    __tablename__ = "stk_attempts"
    __table_args__ = (
        ForeignKeyConstraint(
            ["vendor_id", "intent_id", "shortcode_id", "amount", "msisdn", "pay_message_id"],
            [
                "payment_intents.vendor_id",
                "payment_intents.id",
                "payment_intents.shortcode_id",
                "payment_intents.amount",
                "payment_intents.msisdn",
                "payment_intents.pay_message_id",
            ],
        ),
        UniqueConstraint("vendor_id", "callback_token_sha256"),
        UniqueConstraint("vendor_id", "merchant_request_id"),
        UniqueConstraint("vendor_id", "checkout_request_id"),
        Index("stk_attempts_to_push", "vendor_id", "due_at", postgresql_where=text("status = 'prepared'")),
        Index("stk_attempts_to_query", "vendor_id", "next_query_at", postgresql_where=text("next_query_at IS NOT NULL")),
        # One prompt at a time on a phone, whichever vendor asks: the only read here that is not keyed by vendor.
        Index("stk_attempts_of_phone", "msisdn", "dispatched_at"),
    )

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    intent_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    shortcode_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    amount: int = Field(sa_column=Column(Integer, nullable=False))
    msisdn: str = Field(sa_column=Column(Text, nullable=False))
    pay_message_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    status: str = Field(sa_column=Column(Text, nullable=False, server_default="prepared"))
    due_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    dispatched_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    callback_token_sha256: bytes | None = Field(sa_column=Column(LargeBinary))
    merchant_request_id: str | None = Field(sa_column=Column(Text))
    checkout_request_id: str | None = Field(sa_column=Column(Text))
    error: str | None = Field(sa_column=Column(Text))
    result_code: str | None = Field(sa_column=Column(Text))
    result_desc: str | None = Field(sa_column=Column(Text))
    result_source: str | None = Field(sa_column=Column(Text))
    next_query_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    last_query_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    claimed_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    claimed_receipt: str | None = Field(sa_column=Column(Text))
    claimed_payer: str | None = Field(sa_column=Column(Text))
    queries: int = Field(sa_column=Column(SmallInteger, nullable=False, server_default=text("0")))
