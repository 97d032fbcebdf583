"""When which bundle became the live one, and the rules for those who were in another. The newest row is live."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, ForeignKey, Identity, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from router.tables.registries import PlatformTable


class FlowPublicationRow(PlatformTable, table=True):
    """`migrations`: shown path -> text of the migration files that came along."""

    __tablename__ = "flow_publications"

    id: int = Field(sa_column=Column(BigInteger, Identity(always=True), primary_key=True))
    bundle_hash: str = Field(sa_column=Column(Text, ForeignKey("flow_bundles.hash"), nullable=False))
    migrations: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    published_by: str = Field(sa_column=Column(Text, nullable=False))
    published_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
