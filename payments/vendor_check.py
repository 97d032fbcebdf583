"""Is a vendor ready to be paid? Looked at from the row to Safaricom's own answer, without a prompt and without money."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from payments.credentials import Credentials, open_credentials
from payments.daraja import Answered, Daraja, NoAnswer, StkQuestion
from router import capabilities
from router.databases import Databases
from router.errors import Refused, Unavailable
from router.ids import VendorId
from router.payment_intents import shortcodes
from router.payment_intents.shortcodes import Shortcode
from router.work import unit_of_work

HOSTS: Final = {"sandbox": "sandbox.safaricom.co.ke", "production": "api.safaricom.co.ke"}
NO_SUCH_PROMPT: Final = (
    "ws_CO_010120260000000000000000"  # asked about so that Safaricom looks at the Password; never a prompt of ours
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at; `fix` says what to do where it is not good."""

    good: bool
    what: str
    fix: str = ""


def check(
    databases: Databases,
    daraja: Daraja,
    *,
    vendor_id: VendorId,
    daraja_url: str,
    open_secret: Callable[[str], str],
    now: datetime,
) -> Iterator[Finding]:
    """Look at a vendor's set-up, in the order in which it has to be right; stops where the next look needs the last.

    No transaction is open while the vault or Safaricom is asked.
    """
    with unit_of_work(databases, vendor_id) as work:
        may = capabilities.has(databases, vendor_id, capabilities.MPESA_STK)
        active = shortcodes.list_shortcodes(work)
    yield Finding(
        good=may,
        what=f"the vendor has the capability {capabilities.MPESA_STK}",
        fix=f'allow it: PUT /vendors/{vendor_id}/capabilities/{capabilities.MPESA_STK} with {{"enabled": true}}',
    )
    yield Finding(
        good=len(active) == 1,
        what=f"the vendor has {len(active)} active shortcodes",
        fix="money needs exactly one: add it to vendor_shortcodes, or set active to false in the others",
    )
    if len(active) != 1:
        return
    yield from _check_numbers(active[0], daraja_url)
    try:
        credentials = open_credentials(active[0].secret_ref, open_secret)
    except (Refused, Unavailable) as error:
        yield Finding(good=False, what="the secret of the shortcode opens", fix=str(error))
        return
    yield Finding(good=True, what="the secret of the shortcode opens, and has a consumer key, a consumer secret and a passkey")
    yield from _ask_safaricom(daraja, active[0], credentials, now=now)


def _check_numbers(shortcode: Shortcode, daraja_url: str) -> Iterator[Finding]:
    same = shortcode.business_shortcode == shortcode.party_b
    if shortcode.kind == "till":
        yield Finding(
            good=not same,
            what=f"the till {shortcode.party_b} has the store number {shortcode.business_shortcode}",
            fix="business_shortcode is the store (head office) number, party_b the till; ask Safaricom for the store number",
        )
    else:
        yield Finding(
            good=same,
            what=f"the paybill {shortcode.business_shortcode} is paid itself",
            fix=f"party_b is {shortcode.party_b}; for a paybill both numbers are the paybill",
        )
    host, wanted = urlsplit(daraja_url).hostname, HOSTS.get(shortcode.environment)
    yield Finding(
        good=host not in HOSTS.values() or host == wanted,
        what=f"a {shortcode.environment} shortcode is asked about at {host}",
        fix=f"set SOKO_DARAJA_URL to https://{wanted}, or use a shortcode of the environment that is set",
    )


def _ask_safaricom(daraja: Daraja, shortcode: Shortcode, credentials: Credentials, *, now: datetime) -> Iterator[Finding]:
    try:
        daraja.authorise(credentials)
    except Unavailable as error:
        yield Finding(good=False, what="Safaricom gives an access token for the consumer key", fix=str(error))
        return
    yield Finding(good=True, what="Safaricom gives an access token for the consumer key")
    question = StkQuestion(business_shortcode=shortcode.business_shortcode, checkout_request_id=NO_SUCH_PROMPT, at=now)
    what = f"Safaricom knows the shortcode {shortcode.business_shortcode} with this passkey"
    match daraja.query(question, credentials):
        case NoAnswer(reason=reason):
            yield _judge(what, reason)
        case Answered():
            yield Finding(good=True, what=what)


def _judge(what: str, reason: str) -> Finding:
    """Read Safaricom's answer about a prompt that never was: that it does not know it is what a good set-up is told."""
    told = reason.lower()
    if ("does not exist" in told and "merchant" not in told) or "checkoutrequestid" in told:
        return Finding(good=True, what=what)
    if "merchant does not exist" in told:
        fix = "Safaricom does not know this shortcode for M-Pesa Express: check the number, and that Go-Live was done for it"
    elif "wrong credentials" in told:
        fix = "the passkey does not belong to this shortcode: use the one Safaricom mailed after Go-Live, without spaces"
    elif "apiproduct" in told:
        fix = "the Daraja app has no M-Pesa Express: add that product to the app on the portal"
    else:
        fix = f"Safaricom's answer tells nothing about the set-up; try again in a minute ({reason})"
    return Finding(good=False, what=what, fix=fix)
