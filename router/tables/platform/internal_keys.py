"""Keys of those who call our HTTP API, as hashes."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime, ForeignKey, Index, LargeBinary, SmallInteger, Text, UniqueConstraint, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field

from router.tables.registries import PlatformTable


class InternalKeyRow(PlatformTable, table=True):
    """`vendor_id` null: the key speaks for every vendor; `operations` null: it may do everything but admin.

    Two live keys may share a name, in `slot` 1 and 2: the second takes over from the first.
    """

    __tablename__ = "internal_keys"
    __table_args__ = (
        UniqueConstraint("key_sha256"),
        Index("internal_keys_two_live", "name", "slot", unique=True, postgresql_where=text("revoked_at IS NULL")),
    )

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True, server_default=text("gen_random_uuid()")))
    name: str = Field(sa_column=Column(Text, nullable=False))
    key_sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    vendor_id: UUID | None = Field(sa_column=Column(Uuid, ForeignKey("vendors.id")))
    operations: list[str] | None = Field(sa_column=Column(ARRAY(Text)))
    slot: int = Field(sa_column=Column(SmallInteger, nullable=False, server_default=text("1")))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
    not_after: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    revoked_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
