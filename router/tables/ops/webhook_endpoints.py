"""Where a vendor wants its events delivered."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, Column, DateTime, Integer, Text, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from router.tables.registries import OpsTable, Xid8


class WebhookEndpointRow(OpsTable, table=True):
    """`version` names the secret, which is stored nowhere; the one before it signs too until `old_until`. `types` null: all."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (UniqueConstraint("vendor_id", "url"),)

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True, server_default=text("gen_random_uuid()")))
    url: str = Field(sa_column=Column(Text, nullable=False))
    types: list[str] | None = Field(sa_column=Column(ARRAY(Text)))
    version: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("1")))
    old_until: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    cursor_xid: str = Field(sa_column=Column(Xid8, nullable=False))
    cursor_id: int = Field(sa_column=Column(BigInteger, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    failures: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("0")))
    failing_since: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    rest_until: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    disabled_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    disabled_because: str | None = Field(sa_column=Column(Text))
