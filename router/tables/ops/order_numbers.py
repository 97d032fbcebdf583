"""The last order number given out, a vendor."""

from uuid import UUID

from sqlalchemy import Column, Integer, Uuid
from sqlmodel import Field

from router.tables.registries import OpsTable


class OrderNumberRow(OpsTable, table=True):
    """A counter row instead of a sequence: a rolled-back order leaves no gap, and it moves with its vendor."""

    __tablename__ = "order_numbers"

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    last: int = Field(sa_column=Column(Integer, nullable=False))
