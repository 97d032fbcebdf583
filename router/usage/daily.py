"""Once a day and vendor: measure storage, compare usage with what happened, add the day up on the platform."""

import json
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Final

from router import metering
from router.databases import Databases
from router.ids import VendorId
from router.metering import Meter
from router.usage.days import day_of, start_of
from router.usage.effects import Difference, compare
from router.work import Work, unit_of_work

WAIT: Final = timedelta(hours=1)  # after midnight, so that a clock that is behind still writes into its own day
CHECKED: Final = "SELECT differences FROM usage_checks WHERE vendor_id = %s AND day = %s"
SIZES: Final = " UNION ALL ".join(
    f"SELECT coalesce(sum(pg_column_size(t)), 0) AS bytes FROM {table} t WHERE vendor_id = %(vendor_id)s"  # noqa: S608 — our names
    for table in ("inbox", "outbox", "orders", "order_lines", "conversations", "customers", "domain_events", "usage_records")
)
STORAGE: Final = f"SELECT (sum(bytes) / 1024)::bigint AS kilobytes FROM ({SIZES}) sizes"  # noqa: S608 — a constant
ADDED_UP: Final = """
    SELECT day, meter, category, sum(quantity)::bigint AS quantity FROM usage_records
    WHERE vendor_id = %(vendor_id)s AND day BETWEEN %(since)s AND %(until)s
    GROUP BY day, meter, category ORDER BY day, meter, category
    """
WRITE: Final = """
    INSERT INTO usage_days (vendor_id, day, meter, category, quantity)
    SELECT %(vendor_id)s, u.day, u.meter, u.category, u.quantity
    FROM jsonb_to_recordset(%(days)s::jsonb) AS u(day date, meter text, category text, quantity bigint)
    ON CONFLICT (vendor_id, day, meter, category) DO UPDATE SET quantity = excluded.quantity
      WHERE usage_days.quantity < excluded.quantity
    """
WRITE_CHECK: Final = """
    INSERT INTO usage_checks (vendor_id, day, differences, checked_at) VALUES (%s, %s, %s, %s)
    ON CONFLICT (vendor_id, day) DO UPDATE SET differences = excluded.differences, checked_at = excluded.checked_at
    """
LATE_DAYS: Final = 35  # how far back a day's sum is looked at again for rows that came late


def due_day(now: datetime) -> date:
    """Return the last Nairobi day that is over for good."""
    return day_of(now - WAIT) - timedelta(days=1)


def run(databases: Databases, vendor_id: VendorId, day: date, *, now: datetime) -> list[Difference]:
    """Do the day of one vendor; safe to repeat. Returns how usage differs from what happened: nothing, if all is well."""
    with unit_of_work(databases, vendor_id) as work:
        _measure(work, day)
        differences = compare(work, day)
        values = {"vendor_id": vendor_id, "since": day - timedelta(days=LATE_DAYS), "until": day}
        rows = work.conn.execute(ADDED_UP, values).fetchall()
    told = [row | {"day": row["day"].isoformat()} for row in rows]
    with databases.platform(vendor_id) as conn:
        conn.execute(WRITE, {"vendor_id": vendor_id, "days": json.dumps(told)})
        conn.execute(WRITE_CHECK, (vendor_id, day, json.dumps([asdict(each) for each in differences]), now))
    return differences


def is_done(databases: Databases, vendor_id: VendorId, day: date) -> bool:
    """Tell whether this vendor's day was done."""
    with databases.platform(vendor_id) as conn:
        return conn.execute(CHECKED, (vendor_id, day)).fetchone() is not None


def list_vendors(databases: Databases, *, before: date) -> list[VendorId]:
    """List the vendors that were there before a day ended."""
    with databases.platform() as conn:
        rows = conn.execute("SELECT id FROM vendors WHERE created_at < %s ORDER BY id", (start_of(before + timedelta(days=1)),))
        return [VendorId(row["id"]) for row in rows]


def _measure(work: Work, day: date) -> None:
    row = work.conn.execute(STORAGE, {"vendor_id": work.vendor_id}).fetchone()
    kilobytes = 0 if row is None else int(row["kilobytes"])
    at = start_of(day + timedelta(days=1)) - timedelta(microseconds=1)
    metering.record(work, meter=Meter.STORAGE, key=day.isoformat(), quantity=kilobytes, now=at)
