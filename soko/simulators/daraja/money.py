"""Money on the simulated M-Pesa: every receipt with its shortcode, who is told of it, and who may fetch it.

Source: Daraja 3.0 portal, Customer to Business and Pull Transactions, read 2025-12-28.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from fastapi import Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from soko.simulators.daraja.checks import NAIROBI, check_address, matching, read_fields, text_of
from soko.simulators.daraja.refusals import invalid, refusal
from soko.simulators.daraja.vendors import Vendor

PAGE: Final = 20  # rows of one answer; the portal names no number
Telling = Literal["normal", "never", "twice"]


@dataclass(frozen=True, kw_only=True)
class Registration:
    """Where a shortcode's money is reported. `accepts_unheard`: what M-Pesa does when it asks and gets no answer."""

    confirmation_url: str
    validation_url: str
    accepts_unheard: bool


@dataclass(frozen=True, kw_only=True)
class Transaction:
    """One receipt. `account` as the payer typed it; `by_hand` without a prompt; `listed` in Pull Transactions."""

    receipt: str
    vendor: Vendor
    amount: int
    account: str
    phone: str
    at: datetime
    by_hand: bool
    listed: bool


class ByHand(BaseModel):
    """A person pays in the M-Pesa menu. `report` tells how M-Pesa reports it, after `report_seconds`.

    `receipt` gives one that was used before.
    """

    phone: str
    paybill: str
    account: str = ""
    amount: int = Field(ge=1)
    report: Telling = "normal"
    report_seconds: float = Field(default=0, ge=0)
    listed: bool = True
    receipt: str | None = None


class Money:
    """Receipts and registrations behind one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._registrations: dict[str, Registration] = {}
        self._pulls: set[str] = set()
        self._transactions: list[Transaction] = []
        self.validation_on = False  # off until Safaricom is asked by mail

    def forget(self) -> None:
        """Begin anew; what was registered stays, as it does at Safaricom."""
        with self._lock:
            self._transactions.clear()

    def unregister(self) -> None:
        """Delete the addresses, as a vendor may on the portal."""
        with self._lock:
            self._registrations.clear()
            self._pulls.clear()
            self.validation_on = False

    def add(self, transaction: Transaction) -> Registration | None:
        """Book a receipt, and tell who hears of it."""
        with self._lock:
            self._transactions.append(transaction)
            return self._registrations.get(transaction.vendor.short_code)

    def registration_of(self, vendor: Vendor) -> Registration | None:
        """Where this shortcode's money is reported."""
        with self._lock:
            return self._registrations.get(vendor.short_code)

    def transactions(self) -> Sequence[Transaction]:
        """Every receipt so far."""
        with self._lock:
            return list(self._transactions)

    # what the app may ask

    def register_c2b(self, raw: bytes, *, content_type: str, owner: Vendor) -> Response:
        """Take the addresses of a shortcode, once."""
        fields = read_fields(raw, content_type)
        if matching(fields, "ShortCode", r"[0-9]{5,7}") != owner.short_code:
            raise invalid("ShortCode")
        response_type = text_of(fields, "ResponseType")
        if response_type not in ("Completed", "Cancelled"):
            raise invalid("ResponseType")
        registration = Registration(
            confirmation_url=check_address(fields, "ConfirmationURL"),
            validation_url=check_address(fields, "ValidationURL"),
            accepts_unheard=response_type == "Completed",
        )
        with self._lock:
            if owner.short_code in self._registrations:
                raise refusal("500.003.1001", "Urls are already registered")
            self._registrations[owner.short_code] = registration
        answer = {"OriginatorCoversationID": "7619-37765134-1", "ResponseCode": "0", "ResponseDescription": "Success"}
        return JSONResponse(answer)

    def register_pull(self, raw: bytes, *, content_type: str, owner: Vendor) -> Response:
        """Let a shortcode fetch its receipts."""
        fields = read_fields(raw, content_type)
        if text_of(fields, "ShortCode") != owner.short_code or text_of(fields, "RequestType") != "Pull":
            raise invalid("ShortCode")
        matching(fields, "NominatedNumber", r"254[17][0-9]{8}")
        check_address(fields, "CallBackURL")
        with self._lock:
            status = "1001" if owner.short_code in self._pulls else "1000"
            self._pulls.add(owner.short_code)
        return JSONResponse({"ResponseRefID": "18633-7271215-1", "ResponseStatus": status, "ShortCode": owner.short_code})

    def list_pulled(self, raw: bytes, *, content_type: str, owner: Vendor) -> Response:
        """Give the receipts of a window, a page at a time."""
        fields = read_fields(raw, content_type)
        if text_of(fields, "ShortCode") != owner.short_code or owner.short_code not in self._pulls:
            raise invalid("ShortCode")
        since, until = (_moment(fields, name) for name in ("StartDate", "EndDate"))
        offset = int(matching(fields, "OffSetValue", r"[0-9]{1,6}"))
        found = [
            each
            for each in self.transactions()
            if each.listed and each.vendor == owner and since <= each.at.replace(microsecond=0) <= until
        ]
        rows = [_row(each) for each in found[offset : offset + PAGE]]
        answer = {"ResponseRefID": "26178-42530161-2", "ResponseCode": "1000" if rows else "1001", "Response": [rows]}
        return JSONResponse(answer)


def report_body(transaction: Transaction) -> bytes:
    """Build a C2B confirmation, which is a validation too: every value a string, the phone masked."""
    row = {
        "TransactionType": "Pay Bill" if transaction.vendor.kind == "paybill" else "Buy Goods",
        "TransID": transaction.receipt,
        "TransTime": f"{transaction.at.astimezone(NAIROBI):%Y%m%d%H%M%S}",
        "TransAmount": f"{transaction.amount}.00",
        "BusinessShortCode": transaction.vendor.party_b,
        "BillRefNumber": transaction.account if transaction.vendor.kind == "paybill" else "",
        "InvoiceNumber": "",
        "OrgAccountBalance": "",
        "ThirdPartyTransID": "",
        "MSISDN": f"{transaction.phone[:4]} ***** {transaction.phone[-3:]}",
        "FirstName": "MTEJA",
        "MiddleName": "",
        "LastName": "",
    }
    return json.dumps(row).encode()


def _row(transaction: Transaction) -> dict[str, str]:
    return {
        "transactionId": transaction.receipt,
        "trxDate": transaction.at.astimezone(NAIROBI).isoformat(timespec="seconds"),
        "msisdn": transaction.phone,
        "sender": "MPESA",
        "transactiontype": "c2b-pay-bill-debit",
        "billreference": transaction.account if transaction.vendor.kind == "paybill" else "",
        "amount": f"{transaction.amount}.00",
        "organizationname": "Duka",
    }


def _moment(fields: Mapping[str, object], name: str) -> datetime:
    try:
        return datetime.strptime(text_of(fields, name), "%Y-%m-%d %H:%M:%S").replace(tzinfo=NAIROBI)
    except ValueError:
        raise invalid(name) from None
