"""What a vendor has been allowed to do. No row, or a row that is not enabled, means no."""

from typing import Final

from router.databases import Databases
from router.errors import Refused
from router.ids import VendorId

CATALOG: Final = "commerce.catalog"
ORDERS: Final = "commerce.orders"
MPESA_STK: Final = "payments.mpesa_stk"

ENABLED: Final = "SELECT capability_key FROM vendor_capabilities WHERE vendor_id = %s AND enabled"


def require(databases: Databases, vendor_id: VendorId, key: str) -> None:
    """Pass when this vendor has this capability. Raises Refused("capability_off")."""
    if not has(databases, vendor_id, key):
        raise Refused("capability_off", f"the capability {key} is not enabled for this vendor")


def has(databases: Databases, vendor_id: VendorId, key: str) -> bool:
    """Tell whether this vendor has this capability, as of at most two seconds ago."""
    return key in databases.cache.get(("capabilities", vendor_id), lambda: _read(databases, vendor_id))


def _read(databases: Databases, vendor_id: VendorId) -> frozenset[str]:
    with databases.platform(vendor_id) as conn:
        return frozenset(row["capability_key"] for row in conn.execute(ENABLED, (vendor_id,)))
