"""Waiting until events can be read: a transaction that any test has open on this server holds them back."""

from threading import Event

from router.databases import Databases
from router.ids import VendorId

_BEHIND = "SELECT coalesce(max(xid) >= pg_snapshot_xmin(pg_current_snapshot()), false) AS behind FROM domain_events"


def settle(databases: Databases, vendor_id: VendorId) -> None:
    """Wait until all that happened can be read; the suite's own timeout ends this."""
    behind, pause = True, Event()
    while behind:
        with databases.ops(vendor_id) as conn:
            row = conn.execute(_BEHIND).fetchone()
        behind = row is not None and row["behind"]
        pause.wait(0.01 if behind else 0)
