"""Who calls: every endpoint names a vendor and shows a key that may do this for it, and not too often."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import Header

from router.errors import Refused
from router.http.api import Api
from router.http.problems import KEY_HEADER, InvalidField
from router.ids import VendorId
from router.keys import Operation, check_key
from router.rate_limits import Subject
from router.vendors import get_vendor

VendorHeader = Annotated[str | None, Header(alias="x-vendor-id", description="The vendor this request is about")]
KeyHeader = Annotated[str | None, Header(alias=KEY_HEADER, description="A key that speaks for this vendor")]
# What an Idempotency-Key may look like: printable, as clients make them.
IdempotencyKey = Annotated[
    str | None, Header(max_length=255, pattern=r"^[\x21-\x7e]+$", description="Repeat a write safely with it")
]
REPLAYED = "Idempotent-Replayed"


def build_caller(api: Api, operation: Operation) -> Callable[..., VendorId]:
    """Return a dependency that admits the caller to an operation, and gives the vendor.

    It raises Refused: key_unknown (401), key_vendor_mismatch and key_operation (403), unknown_vendor (404), Throttled (429);
    InvalidField for a header that is not an id (422).
    """

    def caller(vendor: VendorHeader = None, key: KeyHeader = None) -> VendorId:
        if not key:
            raise Refused("key_unknown", "the x-internal-key is missing, wrong, expired or revoked")
        vendor_id = _vendor_id(vendor)
        _admit(api, key, vendor_id, operation)
        api.limits.check(Subject.VENDOR, str(get_vendor(api.databases, vendor_id).id))
        return vendor_id

    return caller


def build_admin(api: Api) -> Callable[..., None]:
    """Return a dependency that admits an administrator of the platform; the errors are those of a caller."""

    def admin(key: KeyHeader = None) -> None:
        _admit(api, key or "", None, Operation.ADMIN)

    return admin


def _admit(api: Api, key: str, vendor_id: VendorId | None, operation: Operation) -> None:
    api.limits.check(Subject.KEY, str(check_key(api.databases, key, vendor_id, operation)))


def _vendor_id(text: str | None) -> VendorId:
    try:
        return VendorId(UUID(text or ""))
    except ValueError:
        raise InvalidField("x-vendor-id", "give the vendor's id, a UUID, in the header x-vendor-id") from None
