"""How many of each counted item are free to be sold."""

from uuid import UUID

from sqlalchemy import Column, Integer, Uuid
from sqlmodel import Field

from router.tables.registries import OpsTable


class StockLevelRow(OpsTable, table=True):
    """`free` goes down at a confirm and up at a cancel; `count_no` is the catalogue's count that it began from."""

    __tablename__ = "stock_levels"

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    item_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    count_no: int = Field(sa_column=Column(Integer, nullable=False))
    free: int = Field(sa_column=Column(Integer, nullable=False))
