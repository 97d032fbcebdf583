"""What an order holds, with the prices of the moment it was put in."""

from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Column, ForeignKeyConstraint, Integer, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from router.tables.registries import OpsTable


class OrderLineRow(OpsTable, table=True):
    """`item_id` null: an open line, an amount without an item. `held`: a confirm took it off the stock."""

    __tablename__ = "order_lines"
    __table_args__ = (
        UniqueConstraint("vendor_id", "order_id", "item_id"),
        ForeignKeyConstraint(["vendor_id", "order_id"], ["orders.vendor_id", "orders.id"]),
    )

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    order_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    position: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    item_id: UUID | None = Field(sa_column=Column(Uuid))
    name: str = Field(sa_column=Column(Text, nullable=False))
    unit: str = Field(sa_column=Column(Text, nullable=False))
    qty: int = Field(sa_column=Column(Integer, nullable=False))
    price: int = Field(sa_column=Column(Integer, nullable=False))
    total: int = Field(sa_column=Column(BigInteger, nullable=False))
    held: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("false")))
