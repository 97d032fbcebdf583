"""Callback bodies as Daraja writes them."""

import json
from typing import Any

from router.payment_intents.store import Intent


def success(
    intent: Intent, *, amount: object = None, receipt: object = "NLJ7RT61SV", phone: object = None, code: object = 0, **ids: str
) -> str:
    """Build the callback of a prompt that was paid."""
    items: list[dict[str, Any]] = [
        {"Name": "Amount", "Value": float(intent.amount) if amount is None else amount},
        {"Name": "MpesaReceiptNumber", "Value": receipt},
        {"Name": "Balance"},
        {"Name": "TransactionDate", "Value": 20261120123012},
        {"Name": "PhoneNumber", "Value": int(intent.msisdn) if phone is None else phone},
    ]
    return _body(intent, code, "The service request is processed successfully.", {"CallbackMetadata": {"Item": items}}, ids)


def failure(intent: Intent, code: object = 1032, desc: str = "Request cancelled by user", **ids: str) -> str:
    """Build the callback of a prompt that was not paid."""
    return _body(intent, code, desc, {}, ids)


def _body(intent: Intent, code: object, desc: str, more: dict[str, Any], ids: dict[str, str]) -> str:
    told = {
        "MerchantRequestID": ids.get("merchant", intent.attempt.merchant_request_id or "29115-34620561-1"),
        "CheckoutRequestID": ids.get("checkout", intent.attempt.checkout_request_id or "ws_CO_191220191020363925"),
        "ResultCode": code,
        "ResultDesc": desc,
    }
    return json.dumps({"Body": {"stkCallback": told | more}})


def c2b(account: str, *, receipt: str = "RKTQDM7W6S", amount: str = "430.00", shortcode: str = "174379") -> str:
    """Build M-Pesa's report of a payment by hand: every value a string."""
    row = {"TransactionType": "Pay Bill", "TransID": receipt, "TransTime": "20261120123012", "TransAmount": amount}
    row |= {"BusinessShortCode": shortcode, "BillRefNumber": account, "InvoiceNumber": "", "OrgAccountBalance": ""}
    return json.dumps(row | {"ThirdPartyTransID": "", "MSISDN": "2547 ***** 126", "FirstName": "NICHOLAS", "LastName": ""})


def pulled(account: str, *, receipt: str = "RKTQDM7W6S", amount: str = "430.00") -> str:
    """Build a row of Pull Transactions."""
    row = {"transactionId": receipt, "trxDate": "2026-11-20T12:30:12+03:00", "msisdn": "2547*****126", "sender": "MPESA"}
    return json.dumps(row | {"transactiontype": "c2b-pay-bill-debit", "billreference": account, "amount": amount})
