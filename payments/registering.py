"""Tell M-Pesa where to report money that is paid by hand, and switch Pull Transactions on. Done once for a shortcode.

In production M-Pesa takes the C2B addresses once and keeps them; changing them means deleting the old ones on its portal first.
Source: Daraja 3.0 portal, Customer to Business and Pull Transactions, read 2025-12-28.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from payments.credentials import open_credentials
from payments.daraja import Daraja, Endpoint, NoAnswer, NotAsked, Told, read_json
from payments.result_codes import parse_code
from payments.tokens import draw_token
from payments.vendor_check import Finding
from router.databases import Databases
from router.errors import Refused
from router.ids import VendorId
from router.payment_intents import reports, shortcodes
from router.payment_intents.shortcodes import Shortcode
from router.work import unit_of_work

_PULL_IS_ON = ("1000", "1001")  # switched on now, or before


@dataclass(frozen=True, kw_only=True)
class Registering:
    """A vendor's one active shortcode, about to be registered. Refused: no_shortcode, and those of open_credentials."""

    databases: Databases
    daraja: Daraja
    vendor_id: VendorId
    callback_base_url: str
    open_secret: Callable[[str], str]
    now: datetime

    def c2b(self, *, strict: bool) -> Finding:
        """Give M-Pesa a new pair of addresses. They are ours before M-Pesa hears of them, and stay ours whatever it answers.

        `strict`: while we cannot be reached, M-Pesa refuses payments by hand in place of taking them.
        """
        shortcode = self._shortcode()
        credentials = open_credentials(shortcode.secret_ref, self.open_secret)
        token = draw_token()
        with unit_of_work(self.databases, self.vendor_id) as work:
            reports.add_address(work, shortcode.id, token_sha256=sha256(token.encode()).digest(), now=self.now)
        address = f"{self.callback_base_url}/hooks/c2b/{self.vendor_id}/{token}"
        body = {
            "ShortCode": shortcode.business_shortcode,
            "ResponseType": "Cancelled" if strict else "Completed",
            "ConfirmationURL": f"{address}/paid",
            "ValidationURL": f"{address}/check",
        }
        what = f"M-Pesa reports payments by hand to {shortcode.party_b}"
        good, told = _read(self.daraja.ask(Endpoint.C2B_REGISTER, body, credentials), "ResponseCode", ("0",))
        if not good:
            return Finding(good=False, what=what, fix=_c2b_fix(told))
        with unit_of_work(self.databases, self.vendor_id) as work:
            shortcodes.note_c2b(work, shortcode.id, now=self.now)
        return Finding(good=True, what=what)

    def pull(self, *, phone: str) -> Finding:
        """Switch Pull Transactions on; `phone` is the number that Safaricom knows as the shortcode's own."""
        shortcode = self._shortcode()
        credentials = open_credentials(shortcode.secret_ref, self.open_secret)
        body = {
            "ShortCode": shortcode.business_shortcode,
            "RequestType": "Pull",
            "NominatedNumber": phone,
            "CallBackURL": f"{self.callback_base_url}/hooks/pull",  # asked for, and never called
        }
        good, told = _read(self.daraja.ask(Endpoint.PULL_REGISTER, body, credentials), "ResponseStatus", _PULL_IS_ON)
        what = f"what was paid to {shortcode.party_b} can be fetched"
        if not good:
            return Finding(good=False, what=what, fix=f"M-Pesa's answer: {told}. Pull needs a shortcode that has gone live")
        with unit_of_work(self.databases, self.vendor_id) as work:
            shortcodes.note_pull(work, shortcode.id, now=self.now)
        return Finding(good=True, what=what)

    def _shortcode(self) -> Shortcode:
        with unit_of_work(self.databases, self.vendor_id) as work:
            active = shortcodes.list_shortcodes(work)
            if len(active) != 1:
                raise Refused("no_shortcode", f"the vendor has {len(active)} active shortcodes, and money needs exactly one")
            return shortcodes.keep_shortcode(work, active[0], now=self.now)


def _read(answer: Told | NoAnswer | NotAsked, name: str, wanted: tuple[str, ...]) -> tuple[bool, str]:
    """Tell whether M-Pesa agreed, and what it said."""
    if not isinstance(answer, Told):
        return False, answer.reason
    read = read_json(answer.body)
    if read is None:
        return False, f"HTTP {answer.status} without JSON"
    words = [str(read[key]) for key in ("errorCode", "errorMessage", "ResponseMessage", "ResponseDescription") if key in read]
    return parse_code(read.get(name)) in wanted, " ".join(words) or f"HTTP {answer.status}"


def _c2b_fix(told: str) -> str:
    if "already registered" in told.lower():
        return "delete the old addresses on M-Pesa's portal (Self-services, URL management), then register again"
    if "duplicate notification" in told.lower():
        return "an aggregator receives this shortcode's reports: ask Safaricom (apisupport@safaricom.co.ke) to release it"
    return f"M-Pesa's answer: {told}. The Daraja app needs the product M-Pesa C2B"
