"""Who calls: every endpoint names a vendor and shows a key that may do this for it, and not too often."""

from collections.abc import Callable
from typing import Annotated, Final
from uuid import UUID

from fastapi import Header, Security
from fastapi.security import APIKeyHeader

from router.http.api import Api
from router.http.problems import KEY_HEADER
from router.ids import VendorId
from router.keys import Operation, check_key
from router.rate_limits import Subject
from router.vendors import get_vendor

VendorHeader = Annotated[UUID, Header(alias="x-vendor-id", description="The vendor this request is about")]
KEY: Final = APIKeyHeader(name=KEY_HEADER, scheme_name="key", description="`soko key create` makes one", auto_error=False)
KeyHeader = Annotated[str | None, Security(KEY)]
# What an Idempotency-Key may look like: printable, as clients make them.
IdempotencyKey = Annotated[
    str | None, Header(max_length=255, pattern=r"^[\x21-\x7e]+$", description="Repeat a write safely with it")
]
REPLAYED = "Idempotent-Replayed"


def build_caller(api: Api, operation: Operation) -> Callable[..., VendorId]:
    """Return a dependency that admits the caller to an operation, and gives the vendor.

    It raises Refused: key_unknown (401), key_vendor_mismatch and key_operation (403), unknown_vendor (404), Throttled (429).
    """

    def caller(vendor: VendorHeader, key: KeyHeader = None) -> VendorId:
        vendor_id = VendorId(vendor)
        _admit(api, key or "", vendor_id, operation)
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
