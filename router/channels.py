"""Which number belongs to which vendor, and what came for numbers that nobody owns."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from router.databases import Databases
from router.errors import Refused
from router.ids import VendorId
from router.json_values import JSON, storable, to_jsonb
from router.secret_refs import require_reference
from router.vendors import get_vendor

NUMBER_ID: Final = re.compile(r"[0-9]{1,32}")
PHONE: Final = re.compile(r"[1-9][0-9]{6,14}")
FIND: Final = "SELECT vendor_id, phone_number_id, display_phone, token_ref FROM vendor_channels WHERE phone_number_id = %s"
OF_VENDOR: Final = """
    SELECT vendor_id, phone_number_id, display_phone, token_ref FROM vendor_channels
    WHERE vendor_id = %s ORDER BY created_at, phone_number_id LIMIT 1
    """
LIST: Final = """
    SELECT vendor_id, phone_number_id, display_phone, token_ref FROM vendor_channels
    WHERE vendor_id = %s ORDER BY created_at, phone_number_id
    """
PUT: Final = """
    INSERT INTO vendor_channels (phone_number_id, vendor_id, display_phone, token_ref)
    VALUES (%(phone_number_id)s, %(vendor_id)s, %(display_phone)s, %(token_ref)s)
    ON CONFLICT (phone_number_id) DO UPDATE SET display_phone = excluded.display_phone, token_ref = excluded.token_ref
    WHERE vendor_channels.vendor_id = excluded.vendor_id
    """
REMOVE: Final = "DELETE FROM vendor_channels WHERE vendor_id = %s AND phone_number_id = %s"
KEEP_STRAY: Final = """
    INSERT INTO stray_updates (phone_number_id, kind, body, body_sha256, received_at) VALUES (%s, %s, %s, %s, %s)
    ON CONFLICT (body_sha256) DO UPDATE SET seen_count = stray_updates.seen_count + 1
    """


@dataclass(frozen=True, kw_only=True)
class Channel:
    """A vendor's number: `phone_number_id` is the provider's name for it, `token_ref` a secret reference."""

    vendor_id: VendorId
    phone_number_id: str
    display_phone: str
    token_ref: str


def find_channel(databases: Databases, phone_number_id: str) -> Channel | None:
    """Return the channel as of at most two seconds ago; None when no vendor owns this number."""
    return databases.cache.get(("channel", phone_number_id), lambda: _read(databases, FIND, phone_number_id))


def get_channel_of(databases: Databases, vendor_id: VendorId) -> Channel | None:
    """Return the vendor's first channel; None when it has none."""
    return databases.cache.get(("channel of", vendor_id), lambda: _read(databases, OF_VENDOR, vendor_id))


def list_channels(databases: Databases, vendor_id: VendorId) -> list[Channel]:
    """List the vendor's channels as of now, the oldest first. Raises Refused("unknown_vendor")."""
    get_vendor(databases, vendor_id)
    with databases.platform() as conn:
        return [Channel(**row) for row in conn.execute(LIST, (vendor_id,))]


def put_channel(databases: Databases, vendor_id: VendorId, *, phone_number_id: str, display_phone: str, token_ref: str) -> None:
    """Give a vendor a channel, or change it. Raises Refused: unknown_vendor, channel_*, secret_kind_unsupported."""
    get_vendor(databases, vendor_id)
    if not NUMBER_ID.fullmatch(phone_number_id):
        raise Refused("channel_wrong", f"{phone_number_id!r} is no phone number id: Meta shows those digits beside the number")
    display_phone = re.sub(r"[ +-]", "", display_phone)
    if not PHONE.fullmatch(display_phone):
        raise Refused("channel_wrong", f"{display_phone!r} is no phone number: write it with its country, 254700100001")
    require_reference(token_ref)
    values = {"phone_number_id": phone_number_id, "vendor_id": vendor_id, "display_phone": display_phone, "token_ref": token_ref}
    with databases.platform() as conn:
        if not conn.execute(PUT, values).rowcount:
            raise Refused("channel_taken", f"the number {phone_number_id} belongs to another vendor: take it away there first")
    databases.cache.forget()


def remove_channel(databases: Databases, vendor_id: VendorId, phone_number_id: str) -> None:
    """Take a channel away; messages to it are then nobody's. Raises Refused("unknown_channel")."""
    with databases.platform() as conn:
        if not conn.execute(REMOVE, (vendor_id, phone_number_id)).rowcount:
            raise Refused("unknown_channel", f"this vendor has no number {phone_number_id}")
    databases.cache.forget()


def keep_stray(databases: Databases, *, phone_number_id: str | None, kind: str, body: Mapping[str, JSON], now: datetime) -> None:
    """Keep an update that belongs to no vendor; a repeated one is counted."""
    digest = sha256(json.dumps(storable(body), sort_keys=True).encode()).digest()
    with databases.platform() as conn:
        conn.execute(KEEP_STRAY, (phone_number_id, kind, to_jsonb(body), digest, now))


def _read(databases: Databases, statement: str, key: object) -> Channel | None:
    with databases.platform() as conn:
        row = conn.execute(statement, (key,)).fetchone()
    return None if row is None else Channel(**row)
