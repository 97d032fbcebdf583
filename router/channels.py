"""Which number belongs to which vendor, and what came for numbers that nobody owns."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from router.databases import Databases
from router.ids import VendorId
from router.json_values import JSON, storable, to_jsonb

FIND: Final = "SELECT vendor_id, phone_number_id, display_phone, token_ref FROM vendor_channels WHERE phone_number_id = %s"
OF_VENDOR: Final = """
    SELECT vendor_id, phone_number_id, display_phone, token_ref FROM vendor_channels
    WHERE vendor_id = %s ORDER BY created_at, phone_number_id LIMIT 1
    """
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


def keep_stray(databases: Databases, *, phone_number_id: str | None, kind: str, body: Mapping[str, JSON], now: datetime) -> None:
    """Keep an update that belongs to no vendor; a repeated one is counted."""
    digest = sha256(json.dumps(storable(body), sort_keys=True).encode()).digest()
    with databases.platform() as conn:
        conn.execute(KEEP_STRAY, (phone_number_id, kind, to_jsonb(body), digest, now))


def _read(databases: Databases, statement: str, key: object) -> Channel | None:
    with databases.platform() as conn:
        row = conn.execute(statement, (key,)).fetchone()
    return None if row is None else Channel(**row)
