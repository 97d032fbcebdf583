"""Where a vendor's money goes: the platform's row, and its copy beside the intents that point to it."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import uuid4

from router.databases import Databases
from router.errors import Broken, Refused
from router.ids import ShortcodeId, VendorId
from router.secret_refs import require_reference
from router.vendors import get_vendor
from router.work import Work


@dataclass(frozen=True, kw_only=True)
class Shortcode:
    """Where the vendor's money goes. Paybill: both numbers are the same. Till: `business_shortcode` is the store number."""

    id: ShortcodeId
    kind: str  # paybill | till
    business_shortcode: str
    party_b: str
    environment: str
    secret_ref: str = field(compare=False)  # the terms are equal when the reference to the secret has moved


@dataclass(frozen=True, kw_only=True)
class Pulling:
    """A shortcode whose payments are due to be fetched; all up to `pulled_until` were."""

    shortcode: Shortcode
    pulled_until: datetime


_ACTIVE_SHORTCODES: Final = """
    SELECT id, kind, business_shortcode, party_b, environment, secret_ref
      FROM vendor_shortcodes WHERE vendor_id = %s AND active ORDER BY created_at
    """
_REST: Final = "UPDATE vendor_shortcodes SET active = false WHERE vendor_id = %(vendor_id)s AND active AND id <> %(id)s"
_SAME: Final = """
    SELECT id FROM vendor_shortcodes WHERE vendor_id = %(vendor_id)s AND kind = %(kind)s AND environment = %(environment)s
      AND business_shortcode = %(business_shortcode)s AND party_b = %(party_b)s
     ORDER BY created_at DESC LIMIT 1
    """
_SET: Final = """
    INSERT INTO vendor_shortcodes (id, vendor_id, kind, business_shortcode, party_b, environment, secret_ref, created_at)
    VALUES (%(id)s, %(vendor_id)s, %(kind)s, %(business_shortcode)s, %(party_b)s, %(environment)s, %(secret_ref)s, %(now)s)
    ON CONFLICT (id) DO UPDATE SET secret_ref = excluded.secret_ref, active = true
    """
ONE_OWNER: Final = "vendor_shortcodes_one_owner"
_NUMBER: Final = re.compile(r"[0-9]{5,7}")
_KEEP_SHORTCODE: Final = """
    INSERT INTO vendor_shortcodes (vendor_id, id, kind, business_shortcode, party_b, environment, secret_ref, created_at)
    VALUES (%(vendor_id)s, %(id)s, %(kind)s, %(business_shortcode)s, %(party_b)s, %(environment)s, %(secret_ref)s, %(now)s)
    ON CONFLICT (vendor_id, id) DO UPDATE SET secret_ref = excluded.secret_ref
    RETURNING id, kind, business_shortcode, party_b, environment, secret_ref
    """

_NOTE_C2B: Final = "UPDATE vendor_shortcodes SET c2b_registered_at = %s WHERE vendor_id = %s AND id = %s"
_NOTE_PULL: Final = """
    UPDATE vendor_shortcodes
       SET pull_registered_at = %(now)s, pulled_until = coalesce(pulled_until, %(now)s), next_pull_at = %(now)s
     WHERE vendor_id = %(vendor_id)s AND id = %(id)s
    """
_CLAIM_PULL: Final = """
    UPDATE vendor_shortcodes SET next_pull_at = %(next_at)s
     WHERE vendor_id = %(vendor_id)s AND id = (
       SELECT id FROM vendor_shortcodes WHERE vendor_id = %(vendor_id)s AND next_pull_at <= %(now)s
        ORDER BY next_pull_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING id, kind, business_shortcode, party_b, environment, secret_ref, pulled_until
    """
_PULL_NOW: Final = "UPDATE vendor_shortcodes SET next_pull_at = %s WHERE vendor_id = %s AND next_pull_at IS NOT NULL"
_PUT_OFF_PULL: Final = "UPDATE vendor_shortcodes SET next_pull_at = %s WHERE vendor_id = %s AND id = %s"
_NOTE_PULLED: Final = """
    UPDATE vendor_shortcodes
       SET pulled_until = greatest(pulled_until, %(until)s), next_pull_at = coalesce(%(again_at)s, next_pull_at)
     WHERE vendor_id = %(vendor_id)s AND id = %(id)s
    """


def list_shortcodes(work: Work) -> list[Shortcode]:
    """Read the vendor's active shortcodes from the platform."""
    with work.databases.platform(work.vendor_id) as conn:
        return [Shortcode(**row) for row in conn.execute(_ACTIVE_SHORTCODES, (work.vendor_id,))]


def list_active(databases: Databases, vendor_id: VendorId) -> list[Shortcode]:
    """The same without a unit of work. Raises Refused("unknown_vendor")."""
    get_vendor(databases, vendor_id)
    with databases.platform(vendor_id) as conn:
        return [Shortcode(**row) for row in conn.execute(_ACTIVE_SHORTCODES, (vendor_id,))]


def set_shortcode(
    databases: Databases,
    vendor_id: VendorId,
    *,
    kind: str,
    business_shortcode: str,
    party_b: str,
    environment: str,
    secret_ref: str,
    now: datetime,
) -> None:
    """Let this shortcode be the only active one. Other numbers make a new row: what was agreed points to the old one.

    Raises Refused: unknown_vendor, shortcode_wrong, shortcode_taken, secret_kind_unsupported, secret_plain_refused.
    """
    get_vendor(databases, vendor_id)
    require_reference(secret_ref)
    if environment == "production" and secret_ref.startswith("plain:"):
        raise Refused("secret_plain_refused", "a plain: secret is for the sandbox: use env:, file: or vault:")
    wrong = next((number for number in (business_shortcode, party_b) if not _NUMBER.fullmatch(number)), None)
    if wrong is not None:
        raise Refused("shortcode_wrong", f"{wrong!r} is no shortcode: paybills, tills and store numbers have 5 to 7 digits")
    values: dict[str, object] = {
        "vendor_id": vendor_id,
        "kind": kind,
        "business_shortcode": business_shortcode,
        "party_b": party_b,
        "environment": environment,
        "secret_ref": secret_ref,
        "now": now,
    }
    try:
        with databases.platform(vendor_id) as conn:
            known = conn.execute(_SAME, values).fetchone()
            values["id"] = uuid4() if known is None else known["id"]
            conn.execute(_REST, values)
            conn.execute(_SET, values)
    except Broken as error:
        if ONE_OWNER not in str(error):
            raise
        raise Refused("shortcode_taken", f"{party_b} takes money for another vendor: one shortcode has one owner") from None


def keep_shortcode(work: Work, shortcode: Shortcode, *, now: datetime) -> Shortcode:
    """Copy a shortcode beside the intents that will point to it, and give the copy as it stands.

    A copy that is already there keeps its terms, so the caller compares: a difference means the platform's row was edited.
    """
    row = work.conn.execute(
        _KEEP_SHORTCODE,
        {
            "vendor_id": work.vendor_id,
            "id": shortcode.id,
            "kind": shortcode.kind,
            "business_shortcode": shortcode.business_shortcode,
            "party_b": shortcode.party_b,
            "environment": shortcode.environment,
            "secret_ref": shortcode.secret_ref,
            "now": now,
        },
    ).fetchone()
    if row is None:
        raise Broken("the copy of a shortcode was not written")
    return Shortcode(**row)


def note_c2b(work: Work, shortcode_id: ShortcodeId, *, now: datetime) -> None:
    """Write down that M-Pesa has taken our addresses."""
    work.conn.execute(_NOTE_C2B, (now, work.vendor_id, shortcode_id))


def note_pull(work: Work, shortcode_id: ShortcodeId, *, now: datetime) -> None:
    """Write down that payments may be fetched, and make the first fetch due."""
    work.conn.execute(_NOTE_PULL, {"vendor_id": work.vendor_id, "id": shortcode_id, "now": now})


def claim_pull(work: Work, *, now: datetime, next_at: datetime) -> Pulling | None:
    """Take a shortcode whose fetch is due, and say when the next one is; None when there is none."""
    row = work.conn.execute(_CLAIM_PULL, {"vendor_id": work.vendor_id, "now": now, "next_at": next_at}).fetchone()
    if row is None:
        return None
    until = row.pop("pulled_until")
    return Pulling(shortcode=Shortcode(**row), pulled_until=until)


def pull_now(work: Work, *, now: datetime) -> None:
    """Make the next fetch due at once, where payments may be fetched."""
    work.conn.execute(_PULL_NOW, (now, work.vendor_id))


def put_off_pull(work: Work, shortcode_id: ShortcodeId, *, next_at: datetime) -> None:
    """Fetch at another time."""
    work.conn.execute(_PUT_OFF_PULL, (next_at, work.vendor_id, shortcode_id))


def note_pulled(work: Work, shortcode_id: ShortcodeId, *, until: datetime, again_at: datetime | None) -> None:
    """Write down that everything up to a moment was fetched; `again_at`: there is more, and then it is fetched."""
    work.conn.execute(_NOTE_PULLED, {"vendor_id": work.vendor_id, "id": shortcode_id, "until": until, "again_at": again_at})
