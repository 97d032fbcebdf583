import json

import pytest

from payments.callback import names_another_phone, parse_callback
from payments.result_codes import MEANINGS, Outcome, meaning_of, parse_code

OFFICIAL_SUCCESS = (
    '{"Body":{"stkCallback":{"MerchantRequestID":"29115-34620561-1","CheckoutRequestID":"ws_CO_191220191020363925","ResultCode":0,'
    '"ResultDesc":"The service request is processed successfully.","CallbackMetadata":{"Item":[{"Name":"Amount","Value":1.00},'
    '{"Name":"MpesaReceiptNumber","Value":"NLJ7RT61SV"},{"Name":"TransactionDate","Value":20191219102115},'
    '{"Name":"PhoneNumber","Value":254708374149}]}}}}'
)
OFFICIAL_FAILURE = (
    '{"Body":{"stkCallback":{"MerchantRequestID":"f1e2-4b95-a71d-b30d3cdbb7a7942864","CheckoutRequestID":'
    '"ws_CO_21072024125243250722943992","ResultCode":1032,"ResultDesc":"Request cancelled by user"}}}'
)


def test_the_official_samples_are_read() -> None:
    paid, cancelled = parse_callback(OFFICIAL_SUCCESS), parse_callback(OFFICIAL_FAILURE)
    assert paid is not None
    assert (paid.code, paid.amount, paid.receipt, paid.payer) == ("0", 1, "NLJ7RT61SV", "254708374149")
    assert paid.checkout_request_id == "ws_CO_191220191020363925"
    assert cancelled is not None
    assert (cancelled.code, cancelled.amount, cancelled.receipt, cancelled.payer) == ("1032", None, None, None)


@pytest.mark.case(36)
def test_items_come_in_any_order_with_or_without_values() -> None:
    body = json.loads(OFFICIAL_SUCCESS)
    items = body["Body"]["stkCallback"]["CallbackMetadata"]["Item"]
    items.reverse()
    items.insert(1, {"Name": "Balance"})
    items.insert(0, {"Value": 1})
    items.append("odd")
    result = parse_callback(json.dumps(body))
    assert result is not None
    assert (result.amount, result.receipt) == (1, "NLJ7RT61SV")


def test_text_that_the_database_cannot_hold_is_replaced() -> None:
    result = parse_callback(OFFICIAL_FAILURE.replace("cancelled by user", "\\u0000\\ud800"))
    assert result is not None
    assert result.desc == "Request ??"


@pytest.mark.parametrize("body", ["", "{", "[]", "7", '{"Body": {"stkCallback": {"ResultDesc": "x"}}}', "[" * 20_000])
def test_what_is_no_callback_is_none(body: str) -> None:
    assert parse_callback(body) is None


@pytest.mark.parametrize(
    ("payer", "contradicts"),
    [
        (None, False),
        ("254712345678", False),
        ("0712345678", False),
        ("0712345***", False),
        ("254712***678", False),
        ("2547 ***** 678", False),
        ("254712345679", True),
        ("254713***678", True),
    ],
)
def test_only_digits_that_are_shown_can_contradict_the_phone(payer: str | None, *, contradicts: bool) -> None:
    assert names_another_phone(payer, "254712345678") is contradicts


@pytest.mark.parametrize(("value", "code"), [(0, "0"), ("0", "0"), (1032, "1032"), ("SFC_IC0003", "SFC_IC0003")])
def test_codes_are_numbers_or_text(value: object, code: str) -> None:
    assert parse_code(value) == code


@pytest.mark.parametrize("value", [True, False, 0.0, None, [], {}, "0.0", "", "-0", "\u0660"])
@pytest.mark.case(35)
def test_only_zero_itself_is_a_success(value: object) -> None:
    assert meaning_of(parse_code(value)).outcome is Outcome.REVIEW


def test_only_codes_that_safaricom_documents_are_final() -> None:
    final = {code for code, meaning in MEANINGS.items() if meaning.outcome not in (Outcome.REVIEW, Outcome.PENDING)}
    assert all("portal" in MEANINGS[code].source for code in final)
    assert {code for code in MEANINGS if meaning_of(code).outcome is Outcome.PAID} == {"0"}
