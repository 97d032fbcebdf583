"""At most three payment intents a customer and Nairobi day, over all vendors."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Column, Date, DateTime, SmallInteger, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from router.tables.registries import PlatformTable


class DailyIntentSlotRow(PlatformTable, table=True):
    """One of the three slots, taken; `customer_phone` has 12 digits, `day` is counted in Africa/Nairobi."""

    __tablename__ = "daily_intent_slots"
    __table_args__ = (UniqueConstraint("intent_id"),)

    customer_phone: str = Field(sa_column=Column(Text, primary_key=True))
    day: date = Field(sa_column=Column(Date, primary_key=True))
    slot: int = Field(sa_column=Column(SmallInteger, primary_key=True, autoincrement=False))
    vendor_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    intent_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
