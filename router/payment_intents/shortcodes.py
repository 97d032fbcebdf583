"""Where a vendor's money goes: the platform's row, and its copy beside the intents that point to it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from router.errors import Broken
from router.ids import ShortcodeId
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


def put_off_pull(work: Work, shortcode_id: ShortcodeId, *, next_at: datetime) -> None:
    """Fetch at another time."""
    work.conn.execute(_PUT_OFF_PULL, (next_at, work.vendor_id, shortcode_id))


def note_pulled(work: Work, shortcode_id: ShortcodeId, *, until: datetime, again_at: datetime | None) -> None:
    """Write down that everything up to a moment was fetched; `again_at`: there is more, and then it is fetched."""
    work.conn.execute(_NOTE_PULLED, {"vendor_id": work.vendor_id, "id": shortcode_id, "until": until, "again_at": again_at})
