"""Who calls: every endpoint of the control plane names a vendor and shows a key that speaks for it."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import Header

from router.databases import Databases
from router.errors import Refused
from router.http.problems import KEY_HEADER, InvalidField
from router.ids import VendorId
from router.keys import Operation, check_key
from router.vendors import get_vendor

VendorHeader = Annotated[str | None, Header(alias="x-vendor-id", description="The vendor this request is about")]
KeyHeader = Annotated[str | None, Header(alias=KEY_HEADER, description="A key that speaks for this vendor")]


def admit(databases: Databases, *, vendor: str | None, key: str | None, operation: Operation) -> VendorId:
    """Return the vendor of this request.

    Raises Refused: key_unknown (401), key_vendor_mismatch and key_operation (403), unknown_vendor (404); InvalidField for a
    header that is not an id (422).
    """
    if not key:
        raise Refused("key_unknown", "the x-internal-key is missing, wrong, expired or revoked")
    vendor_id = _vendor_id(vendor)
    check_key(databases, key, vendor_id, operation)
    return get_vendor(databases, vendor_id).id


def build_caller(databases: Databases, operation: Operation) -> Callable[..., VendorId]:
    """Return a dependency that admits the caller to an operation, and gives the vendor."""

    def caller(vendor: VendorHeader = None, key: KeyHeader = None) -> VendorId:
        return admit(databases, vendor=vendor, key=key, operation=operation)

    return caller


def _vendor_id(text: str | None) -> VendorId:
    try:
        return VendorId(UUID(text or ""))
    except ValueError:
        raise InvalidField("x-vendor-id", "give the vendor's id, a UUID, in the header x-vendor-id") from None
