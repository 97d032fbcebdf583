"""Who sells here."""

from dataclasses import dataclass
from enum import StrEnum

from router.databases import Databases
from router.errors import Refused
from router.ids import VendorId

LIST = "SELECT id FROM vendors ORDER BY id"
GET = "SELECT id, name, isolation_level, language, alert_phone FROM vendors WHERE id = %s"


class IsolationLevel(StrEnum):
    """Whether a vendor shares the ops database or has its own."""

    SHARED = "shared"
    DEDICATED_DB = "dedicated_db"


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """`language` is the two-letter code a new customer is greeted in; `alert_phone` is told of paid orders, 12 digits."""

    id: VendorId
    name: str
    isolation_level: IsolationLevel
    language: str
    alert_phone: str | None


def get_vendor(databases: Databases, vendor_id: VendorId) -> Vendor:
    """Return the vendor as of at most two seconds ago. Raises Refused("unknown_vendor")."""
    return databases.cache.get(("vendor", vendor_id), lambda: _read(databases, vendor_id))


def list_ids(databases: Databases) -> list[VendorId]:
    """Name every vendor: what looks at all of them opens each one's work."""
    with databases.platform() as conn:
        return [VendorId(row["id"]) for row in conn.execute(LIST)]


def _read(databases: Databases, vendor_id: VendorId) -> Vendor:
    with databases.platform() as conn:
        row = conn.execute(GET, (vendor_id,)).fetchone()
    if row is None:
        raise Refused("unknown_vendor", f"there is no vendor {vendor_id}")
    return Vendor(
        id=VendorId(row["id"]),
        name=row["name"],
        isolation_level=IsolationLevel(row["isolation_level"]),
        language=row["language"],
        alert_phone=row["alert_phone"],
    )
