"""The copy of a vendor's shortcode that its payment intents point to."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime, Text, Uuid
from sqlmodel import Field

from router.tables.registries import OpsTable


class ShortcodeCopyRow(OpsTable, table=True):
    """Same id as the platform's row. Where the money goes never changes in a copy; the secret's reference may."""

    __tablename__ = "vendor_shortcodes"

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    kind: str = Field(sa_column=Column(Text, nullable=False))
    business_shortcode: str = Field(sa_column=Column(Text, nullable=False))
    party_b: str = Field(sa_column=Column(Text, nullable=False))
    environment: str = Field(sa_column=Column(Text, nullable=False))
    secret_ref: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
    c2b_registered_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    pull_registered_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    pulled_until: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
    next_pull_at: datetime | None = Field(sa_column=Column(DateTime(timezone=True)))
