"""The unit of work: the only transaction, the only commit."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from psycopg import Connection
from psycopg.rows import DictRow

from router.databases import Databases
from router.ids import VendorId
from router.wakeups import Job


@dataclass(frozen=True, kw_only=True)
class Work:
    """One open transaction on one vendor's ops database; `databases` is there for reads of the platform.

    `wakes`: the jobs that have something to do once it is committed.
    """

    vendor_id: VendorId
    conn: Connection[DictRow]
    databases: Databases
    wakes: set[Job] = field(default_factory=set)


@contextmanager
def unit_of_work(databases: Databases, vendor_id: VendorId) -> Iterator[Work]:
    """Commit when the block ends, and wake whom it wakes; roll back when it raises.

    Raises Refused("unknown_vendor"), Unavailable, Broken.
    """
    with databases.ops(vendor_id) as conn:
        work = Work(vendor_id=vendor_id, conn=conn, databases=databases)
        yield work
    if work.wakes:
        databases.wake(work.wakes, vendor_id)
