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
