"""The unit of work: the only transaction, the only commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import DictRow

from router.databases import Databases
from router.ids import VendorId


@dataclass(frozen=True, kw_only=True)
class Work:
    """One open transaction on one vendor's ops database; `databases` is there for reads of the platform."""

    vendor_id: VendorId
    conn: Connection[DictRow]
    databases: Databases


@contextmanager
def unit_of_work(databases: Databases, vendor_id: VendorId) -> Iterator[Work]:
    """Commit when the block ends, roll back when it raises. Raises Refused("unknown_vendor"), Unavailable, Broken."""
    with databases.ops(vendor_id) as conn:
        yield Work(vendor_id=vendor_id, conn=conn, databases=databases)
