"""Who has work waiting: a plain read over one ops database, so that each claim after it names its vendor."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final, LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

from router.ids import VendorId
from router.wakeups import Job

_DUE: Final[Mapping[Job, LiteralString]] = {
    Job.SEND: """
        SELECT vendor_id FROM outbox WHERE status IN ('pending', 'unknown') AND due_at <= %(now)s
        UNION SELECT vendor_id FROM outbox WHERE status = 'sending' AND lease_until <= %(now)s""",
    Job.PUSH: "SELECT DISTINCT vendor_id FROM stk_attempts WHERE status = 'prepared' AND due_at <= %(now)s",
    Job.QUERY: "SELECT DISTINCT vendor_id FROM stk_attempts WHERE next_query_at <= %(now)s",
    Job.SETTLE: """
        SELECT DISTINCT vendor_id FROM callbacks
        WHERE handled_at IS NULL AND coalesce(try_again_at, %(now)s) <= %(now)s""",
    Job.TURN: """
        SELECT vendor_id FROM inbox WHERE kind = 'event' AND handled_at IS NULL AND failed_at IS NULL
        UNION SELECT vendor_id FROM timers WHERE fired_at IS NULL AND due_at <= %(now)s""",
}


def find(conn: Connection[DictRow], jobs: Collection[Job], *, now: datetime) -> list[tuple[Job, VendorId]]:
    """List each of these jobs with each vendor that has rows due for it."""
    return [(job, row["vendor_id"]) for job in jobs for row in conn.execute(_DUE[job], {"now": now})]
