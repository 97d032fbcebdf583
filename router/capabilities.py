"""What a vendor has been allowed to do. No row, or a row that is not enabled or not valid now, means no."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NoReturn

import structlog

from router.databases import Databases
from router.errors import Refused
from router.ids import VendorId
from router.metering import Meter
from router.work import Work

CATALOG: Final = "commerce.catalog"
ORDERS: Final = "commerce.orders"
MPESA_STK: Final = "payments.mpesa_stk"
# What a grant's `most_a_day` counts; the others have no such limit.
COUNTED: Final[Mapping[str, Meter]] = {ORDERS: Meter.ORDER_CONFIRMED, MPESA_STK: Meter.STK_PUSH}

GRANTED: Final = """
    SELECT capability_key, most_a_day FROM vendor_capabilities WHERE vendor_id = %s AND enabled
      AND coalesce(valid_from <= now(), true) AND coalesce(valid_until > now(), true)
    """
USED: Final = """
    SELECT coalesce(sum(quantity), 0) AS used FROM usage_records
    WHERE vendor_id = %s AND day = (%s::timestamptz AT TIME ZONE 'Africa/Nairobi')::date AND meter = %s
    """
DENIED: Final = """
    INSERT INTO capability_denials (vendor_id, capability_key, day)
    SELECT id, %s, (now() AT TIME ZONE 'Africa/Nairobi')::date FROM vendors WHERE id = %s
    ON CONFLICT (vendor_id, capability_key, day) DO UPDATE SET times = capability_denials.times + 1, last_at = now()
    """
log = structlog.get_logger(__name__)


def require(databases: Databases, vendor_id: VendorId, key: str) -> None:
    """Pass when this vendor has this capability. Raises Refused("capability_off"); who asked in vain is counted."""
    if not has(databases, vendor_id, key):
        _deny(databases, vendor_id, key, "capability_off", f"the capability {key} is not enabled for this vendor")


def require_room(work: Work, key: str, *, now: datetime) -> None:
    """The same, and what its grant allows for a day is not used up. Raises Refused: capability_off, capability_used_up.

    Transactions that run at the same moment do not see each other: a limit may be passed by as many as run at once.
    """
    require(work.databases, work.vendor_id, key)
    most = _granted(work.databases, work.vendor_id)[key]
    if most is None:
        return
    row = work.conn.execute(USED, (work.vendor_id, now, COUNTED[key])).fetchone()
    if row is None or row["used"] >= most:
        told = f"the capability {key} is used up for today: this vendor may do it {most} times a day"
        _deny(work.databases, work.vendor_id, key, "capability_used_up", told)


def has(databases: Databases, vendor_id: VendorId, key: str) -> bool:
    """Tell whether this vendor has this capability, as of at most two seconds ago."""
    return key in _granted(databases, vendor_id)


def _granted(databases: Databases, vendor_id: VendorId) -> Mapping[str, int | None]:
    return databases.cache.get(("capabilities", vendor_id), lambda: _read(databases, vendor_id))


def _read(databases: Databases, vendor_id: VendorId) -> Mapping[str, int | None]:
    with databases.platform(vendor_id) as conn:
        return {row["capability_key"]: row["most_a_day"] for row in conn.execute(GRANTED, (vendor_id,))}


def _deny(databases: Databases, vendor_id: VendorId, key: str, code: str, message: str) -> NoReturn:
    log.warning("capability_denied", vendor_id=str(vendor_id), capability=key, reason=code)
    with databases.platform(vendor_id) as conn:
        conn.execute(DENIED, (key, vendor_id))
    raise Refused(code, message)
