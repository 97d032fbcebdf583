"""Who sells here, and where their operational data lives."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, DateTime, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from router.tables.registries import PlatformTable


class VendorRow(PlatformTable, table=True):
    """`db_target` names a dedicated ops database: type, host, port, database, user, passwordSecretRef."""

    __tablename__ = "vendors"

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True, server_default=text("gen_random_uuid()")))
    name: str = Field(sa_column=Column(Text, nullable=False))
    isolation_level: str = Field(sa_column=Column(Text, nullable=False, server_default="shared"))
    db_target: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    alert_phone: str | None = Field(sa_column=Column(Text))
    language: str = Field(sa_column=Column(Text, nullable=False, server_default="en"))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
    updated_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
