"""What a closed month charges for."""

from datetime import date
from uuid import UUID

from sqlalchemy import BigInteger, Column, Date, ForeignKeyConstraint, Integer, Text, Uuid
from sqlmodel import Field

from router.tables.registries import PlatformTable


class UsageStatementLineRow(PlatformTable, table=True):
    """`used_in` before `month`: usage that came after its own month was closed."""

    __tablename__ = "usage_statement_lines"
    __table_args__ = (ForeignKeyConstraint(["vendor_id", "month"], ["usage_statements.vendor_id", "usage_statements.month"]),)

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    month: date = Field(sa_column=Column(Date, primary_key=True))
    used_in: date = Field(sa_column=Column(Date, primary_key=True))
    meter: str = Field(sa_column=Column(Text, primary_key=True))
    category: str = Field(sa_column=Column(Text, primary_key=True))
    quantity: int = Field(sa_column=Column(BigInteger, nullable=False))
    per: int = Field(sa_column=Column(Integer, nullable=False))
    cents: int = Field(sa_column=Column(Integer, nullable=False))
    amount_cents: int = Field(sa_column=Column(BigInteger, nullable=False))
