"""What M-Pesa reports of money paid to a shortcode, as it came, and the addresses it was given to report to."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlmodel import Field

from router.tables.registries import OpsTable


class MoneyReportRow(OpsTable, table=True):
    """A C2B confirmation or a row of Pull Transactions; the same body again is counted."""

    __tablename__ = "money_reports"
    __table_args__ = (
        UniqueConstraint("vendor_id", "shortcode_id", "channel", "body_sha256"),
        ForeignKeyConstraint(["vendor_id", "shortcode_id"], ["vendor_shortcodes.vendor_id", "vendor_shortcodes.id"]),
        Index("money_reports_unhandled", "vendor_id", "id", postgresql_where=text("handled_at IS NULL")),
    )

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    shortcode_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    channel: str = Field(sa_column=Column(Text, nullable=False))
    body: str = Field(sa_column=Column(Text, nullable=False))
    body_sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    peer: str | None = Field(sa_column=Column(Text))
    seen_count: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("1")))
    received_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    try_again_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    handled_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    verdict: str | None = Field(sa_column=Column(Text))


class C2bAddressRow(OpsTable, table=True):
    """An address M-Pesa may report to, by the hash of the token in it; for ever, because M-Pesa keeps what it was told."""

    __tablename__ = "c2b_addresses"
    __table_args__ = (
        ForeignKeyConstraint(["vendor_id", "shortcode_id"], ["vendor_shortcodes.vendor_id", "vendor_shortcodes.id"]),
    )

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    token_sha256: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    shortcode_id: UUID = Field(sa_column=Column(Uuid, nullable=False))
    made_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
