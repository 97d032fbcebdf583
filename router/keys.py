"""Keys of those who call our HTTP API. Random keys of 256 bits need no slow hash: sha256 is enough."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from secrets import token_urlsafe
from typing import Final
from uuid import UUID

from router.databases import Databases
from router.errors import Refused
from router.ids import VendorId
from router.vendors import get_vendor

PREFIX: Final = "soko_"  # so that a scanner finds a key that was committed somewhere
FIND: Final = """
    SELECT id, key_sha256, vendor_id, operations FROM internal_keys
    WHERE key_sha256 = %s AND revoked_at IS NULL AND (not_after IS NULL OR not_after > now())
    """
END_EXPIRED: Final = """
    UPDATE internal_keys SET revoked_at = not_after WHERE name = %s AND revoked_at IS NULL AND not_after <= %s
    """
# The index internal_keys_two_live refuses a third one, also when two are made at once.
CREATE: Final = """
    INSERT INTO internal_keys (name, key_sha256, vendor_id, operations, not_after, created_at, slot)
    SELECT %(name)s, %(hash)s, %(vendor_id)s, %(operations)s, %(not_after)s, %(now)s, slot
    FROM generate_series(1, 2) AS slot
    WHERE NOT EXISTS (SELECT FROM internal_keys k WHERE k.name = %(name)s AND k.revoked_at IS NULL AND k.slot = slot.slot)
    ORDER BY slot LIMIT 1
    ON CONFLICT (name, slot) WHERE revoked_at IS NULL DO NOTHING RETURNING id
    """
LIST: Final = """
    SELECT id, name, vendor_id, operations, created_at, not_after, revoked_at FROM internal_keys
    WHERE %(all)s OR (revoked_at IS NULL AND (not_after IS NULL OR not_after > %(now)s)) ORDER BY name, created_at, id
    """
REVOKE: Final = "UPDATE internal_keys SET revoked_at = coalesce(revoked_at, %s) WHERE id = %s"


class Operation(StrEnum):
    """What a key may be made for. `admin` reads and changes vendors and capabilities, and is never given by default."""

    READ_ORDERS = "orders.read"
    WRITE_ORDERS = "orders.write"
    READ_CATALOG = "catalog.read"
    WRITE_CATALOG = "catalog.write"
    READ_CUSTOMERS = "customers.read"
    CUSTOMER_RIGHTS = "customers.rights"
    READ_PAYMENTS = "payments.read"
    READ_USAGE = "usage.read"
    READ_EVENTS = "events.read"
    WRITE_WEBHOOKS = "webhooks.write"
    ADMIN = "admin"


@dataclass(frozen=True, kw_only=True)
class Key:
    """What is known of a key. `vendor_id` None: it speaks for every vendor; `operations` None: all but admin."""

    id: UUID
    name: str
    vendor_id: VendorId | None
    operations: tuple[Operation, ...] | None
    created_at: datetime
    not_after: datetime | None
    revoked_at: datetime | None


def check_key(databases: Databases, key: str, vendor_id: VendorId | None, operation: Operation) -> UUID:
    """Return the id of a live key that may do this for this vendor; `vendor_id` None: for the platform as a whole.

    Raises Refused: key_unknown, key_vendor_mismatch, key_operation.
    """
    digest = hash_key(key)
    with databases.platform() as conn:
        row = conn.execute(FIND, (digest,)).fetchone()
    # The lookup goes by the hash, so its timing tells nothing about a key; the comparison does not either.
    if row is None or not compare_digest(row["key_sha256"], digest):
        raise Refused("key_unknown", "the x-internal-key is missing, wrong, expired or revoked")
    if row["vendor_id"] is not None and row["vendor_id"] != vendor_id:
        raise Refused("key_vendor_mismatch", "this key does not speak for this vendor")
    allowed = row["operations"] is None and operation is not Operation.ADMIN
    if not allowed and operation not in (row["operations"] or ()):
        raise Refused("key_operation", f"this key was not made for {operation}")
    return UUID(int=row["id"].int)


def create(
    databases: Databases,
    *,
    name: str,
    vendor_id: VendorId | None,
    operations: Collection[Operation],
    not_after: datetime | None,
    now: datetime,
) -> tuple[UUID, str]:
    """Make a key; returns its id and the key itself, which nobody can read again. No operations: all but admin.

    Raises Refused: unknown_vendor, two_keys_live (revoke one of that name first), bad_expiry.
    """
    if vendor_id is not None:
        get_vendor(databases, vendor_id)
    if not_after is not None and not_after <= now:
        raise Refused("bad_expiry", "the key would have expired before it is made")
    key = PREFIX + token_urlsafe(32)
    values = {
        "name": name,
        "hash": hash_key(key),
        "vendor_id": vendor_id,
        "operations": sorted(operations) or None,
        "not_after": not_after,
        "now": now,
    }
    with databases.platform() as conn:
        conn.execute(END_EXPIRED, (name, now))
        row = conn.execute(CREATE, values).fetchone()
    if row is None:
        raise Refused("two_keys_live", f"two keys named {name!r} are live: revoke the older one, then make the new one")
    return row["id"], key


def list_keys(databases: Databases, *, now: datetime, ended: bool = False) -> list[Key]:
    """List live keys; with `ended` also those that expired or were revoked."""
    with databases.platform() as conn:
        rows = conn.execute(LIST, {"all": ended, "now": now}).fetchall()
    return [Key(**(row | {"operations": _operations(row["operations"])})) for row in rows]


def revoke(databases: Databases, key_id: UUID, *, now: datetime) -> None:
    """End a key at once; one that has ended stays so. Raises Refused("unknown_key")."""
    with databases.platform() as conn:
        if conn.execute(REVOKE, (now, key_id)).rowcount == 0:
            raise Refused("unknown_key", f"there is no key {key_id}: soko key list --all")


def hash_key(key: str) -> bytes:
    """Return what is stored of a key."""
    return sha256(key.encode(errors="surrogatepass")).digest()


def _operations(stored: list[str] | None) -> tuple[Operation, ...] | None:
    return None if stored is None else tuple(Operation(name) for name in stored)
