"""Every bundle of flows that was ever published, as its files: a conversation may still be in it."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, DateTime, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from router.tables.registries import PlatformTable


class FlowBundleRow(PlatformTable, table=True):
    """`files`: shown path -> text."""

    __tablename__ = "flow_bundles"

    hash: str = Field(sa_column=Column(Text, primary_key=True))
    files: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    created_at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False, server_default=text("now()")))
