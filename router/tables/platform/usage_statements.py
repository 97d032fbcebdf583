"""Months that are closed. A trigger keeps them as they are."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, Date, DateTime, ForeignKey, Uuid
from sqlmodel import Field

from router.tables.registries import PlatformTable


class UsageStatementRow(PlatformTable, table=True):
    """`month` is its first day; `total_cents` the sum of its lines."""

    __tablename__ = "usage_statements"

    vendor_id: UUID = Field(sa_column=Column(Uuid, ForeignKey("vendors.id"), primary_key=True))
    month: date = Field(sa_column=Column(Date, primary_key=True))
    total_cents: int = Field(sa_column=Column(BigInteger, nullable=False))
    closed_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
