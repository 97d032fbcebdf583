"""Who has work waiting: one plain read over one ops database, so that each claim after it names its vendor."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from psycopg import Connection
from psycopg.rows import DictRow

from router.ids import VendorId
from router.wakeups import Job

KINDS: Final[Mapping[str, Job]] = {
    "send": Job.SEND,
    "push": Job.PUSH,
    "query": Job.QUERY,
    "pull": Job.PULL,
    "settle": Job.SETTLE,
    "turn": Job.TURN,
    "expire": Job.EXPIRE,
    "webhook": Job.WEBHOOK,
}
# The statements are in the database: they run as the owner of the tables and tell nothing but these two columns.
_DUE: Final = "SELECT kind, vendor_id FROM vendors_with_work(%s, %s)"


def find(conn: Connection[DictRow], jobs: Collection[Job], *, now: datetime) -> list[tuple[Job, VendorId]]:
    """List each of these jobs with each vendor that has rows due for it."""
    kinds = [kind for kind, job in KINDS.items() if job in jobs]
    return [(KINDS[row["kind"]], VendorId(row["vendor_id"])) for row in conn.execute(_DUE, (kinds, now))]
