"""Answers of the HTTP API to writes with an Idempotency-Key."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, DateTime, LargeBinary, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from router.tables.registries import OpsTable


class ApiAnswerRow(OpsTable, table=True):
    """Written in the transaction of the write itself; `answer` is null only while that runs."""

    __tablename__ = "api_answers"

    vendor_id: UUID = Field(sa_column=Column(Uuid, primary_key=True))
    key: str = Field(sa_column=Column(Text, primary_key=True))
    request_sha256: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    answer: dict[str, Any] | None = Field(sa_column=Column(JSONB))
    at: datetime = Field(sa_column=Column(DateTime(timezone=True), nullable=False))
