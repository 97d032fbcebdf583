"""The two sets of tables: one registry for the platform database, one for every ops database.

A table class states columns, keys and indexes, which Alembic compares with the database. Checks, functions and
triggers live in the migrations alone.
"""

from sqlalchemy.dialects.postgresql.base import ischema_names
from sqlalchemy.orm import registry
from sqlalchemy.types import UserDefinedType
from sqlmodel import SQLModel


class PlatformTable(SQLModel, registry=registry()):
    """A table of the platform database."""


class OpsTable(SQLModel, registry=registry()):
    """A table of an ops database: `vendor_id` comes first in its primary key and in every unique key."""


class Xid8(UserDefinedType[str]):
    """PostgreSQL's 64-bit transaction id, which SQLAlchemy does not know."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return the type's name in SQL."""
        return "xid8"


ischema_names["xid8"] = Xid8
