"""What a vendor used on one Nairobi day, added up from its ops database."""

from datetime import date
from uuid import UUID

from sqlalchemy import BigInteger, Column, Date, ForeignKey, Text, Uuid
from sqlmodel import Field

from router.tables.registries import PlatformTable


class UsageDayRow(PlatformTable, table=True):
    """Written anew until the day is complete; `quantity` in the meter's unit."""

    __tablename__ = "usage_days"

    vendor_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("vendors.id"), primary_key=True))
    day: date = Field(sa_column=Column(Date, primary_key=True))
    meter: str = Field(sa_column=Column(Text, primary_key=True))
    category: str = Field(sa_column=Column(Text, primary_key=True))
    quantity: int = Field(sa_column=Column(BigInteger, nullable=False))
