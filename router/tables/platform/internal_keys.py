"""Keys of those who call our HTTP API, as hashes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime, ForeignKey, LargeBinary, Text, UniqueConstraint, Uuid, text
from sqlmodel import Field

from router.tables.registries import PlatformTable


class InternalKeyRow(PlatformTable, table=True):
    """`vendor_id` null: the key speaks for every vendor."""

    __tablename__ = "internal_keys"
    __table_args__ = (UniqueConstraint("key_sha256"),)

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True, server_default=text("gen_random_uuid()")))
    name: str = Field(sa_column=Column(Text, nullable=False))
    key_sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    vendor_id: UUID | None = Field(sa_column=Column(Uuid, ForeignKey("vendors.id")))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
    not_after: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    revoked_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
