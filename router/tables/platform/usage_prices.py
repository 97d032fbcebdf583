"""What usage costs, from a month on."""

from datetime import date

from sqlalchemy import Column, Date, Integer, Text, text
from sqlmodel import Field

from router.tables.registries import PlatformTable


class UsagePriceRow(PlatformTable, table=True):
    """`cents` (of a shilling) for every `per` units; `category` empty: every category that has no price of its own."""

    __tablename__ = "usage_prices"

    meter: str = Field(sa_column=Column(Text, primary_key=True))
    category: str = Field(sa_column=Column(Text, primary_key=True, server_default=text("''")))
    valid_from: date = Field(sa_column=Column(Date, primary_key=True))
    per: int = Field(sa_column=Column(Integer, nullable=False))
    cents: int = Field(sa_column=Column(Integer, nullable=False))
