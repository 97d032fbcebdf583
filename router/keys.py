"""Keys of those who call our HTTP API. Random keys of 256 bits need no slow hash: sha256 is enough."""

from hashlib import sha256
from hmac import compare_digest
from typing import Final

from router.databases import Databases
from router.errors import Refused
from router.ids import VendorId

FIND: Final = """
    SELECT key_sha256, vendor_id FROM internal_keys
    WHERE key_sha256 = %s AND revoked_at IS NULL AND (not_after IS NULL OR not_after > now())
    """


def check_key(databases: Databases, key: str, vendor_id: VendorId) -> None:
    """Pass when the key is live and speaks for this vendor. Raises Refused: key_unknown, key_vendor_mismatch."""
    digest = hash_key(key)
    with databases.platform() as conn:
        row = conn.execute(FIND, (digest,)).fetchone()
    # The lookup goes by the hash, so its timing tells nothing about a key; the comparison does not either.
    if row is None or not compare_digest(row["key_sha256"], digest):
        raise Refused("key_unknown", "the x-internal-key is missing, wrong, expired or revoked")
    if row["vendor_id"] is not None and row["vendor_id"] != vendor_id:
        raise Refused("key_vendor_mismatch", "this key does not speak for this vendor")


def hash_key(key: str) -> bytes:
    """Return what is stored of a key."""
    return sha256(key.encode(errors="surrogatepass")).digest()
