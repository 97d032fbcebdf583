from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args

import pytest
from pydantic import SecretStr

from conversation.authoring.transcripts import Outcome, PushAnswer, QueryAnswer
from payments.callback import parse_callback
from payments.credentials import Credentials
from payments.daraja import Accepted, Ambiguous, Answered, NoAnswer, Rejected, StkQuestion, StkRequest, TransactionType
from payments.result_codes import meaning_of
from soko.replay.mpesa import RESULTS, ScriptedMpesa

NOW = datetime(2026, 3, 2, 6, 15, tzinfo=UTC)
KEYS = Credentials(consumer_key=SecretStr("k"), consumer_secret=SecretStr("s"), passkey=SecretStr("p"))
TOKEN = SecretStr("replay")
QUESTION = StkQuestion(business_shortcode="174379", checkout_request_id="ws_CO_replay_1", at=NOW)
REQUEST = StkRequest(
    business_shortcode="174379",
    transaction_type=TransactionType.PAYBILL,
    amount=430,
    msisdn="254700000001",
    party_b="174379",
    callback_url="https://replay.example/hooks/pay/v/t",
    account_ref="S0001",
    description="Order payment",
    at=NOW,
)


def scripted(*, pushes: Sequence[PushAnswer], queries: Sequence[QueryAnswer]) -> ScriptedMpesa:
    return ScriptedMpesa(pushes=pushes, queries=queries, clock=lambda: NOW)


def test_pushes_are_answered_as_listed() -> None:
    mpesa = scripted(
        pushes=[
            PushAnswer(line=1, answer="accepted"),
            PushAnswer(line=1, answer="rejected"),
            PushAnswer(line=1, answer="unknown"),
        ],
        queries=[],
    )

    answers = [mpesa.push(REQUEST, KEYS, TOKEN) for _ in range(3)]

    assert [type(answer) for answer in answers] == [Accepted, Rejected, Ambiguous]
    assert mpesa.unscripted == []
    assert mpesa.left_over() is None


def test_queries_are_answered_as_listed() -> None:
    mpesa = scripted(pushes=[], queries=[QueryAnswer(line=1, answer="pending"), QueryAnswer(line=1, answer="no_funds")])

    assert isinstance(mpesa.query(QUESTION, KEYS), NoAnswer)
    answer = mpesa.query(QUESTION, KEYS)

    assert isinstance(answer, Answered)
    assert meaning_of(answer.result_code).outcome == "no_funds"


def test_one_more_than_listed_is_noted() -> None:
    mpesa = scripted(pushes=[], queries=[])

    assert isinstance(mpesa.push(REQUEST, KEYS, TOKEN), Rejected)
    assert isinstance(mpesa.query(QUESTION, KEYS), NoAnswer)

    assert mpesa.unscripted == ["push 1 (KES 430), and mpesa.push lists 0", "query 1, and mpesa.query lists 0"]


def test_one_less_than_listed_is_named_by_its_line() -> None:
    mpesa = scripted(pushes=[PushAnswer(line=8, answer="accepted")], queries=[QueryAnswer(line=9, answer="pending")])

    assert mpesa.left_over() == (8, "mpesa.push lists 1, and 0 were made")
    mpesa.push(REQUEST, KEYS, TOKEN)
    assert mpesa.left_over() == (9, "mpesa.query lists 1, and 0 were made")


@pytest.mark.parametrize("outcome", get_args(Outcome))
def test_our_result_codes_mean_what_payments_reads_in_them(outcome: Outcome) -> None:
    assert meaning_of(str(RESULTS[outcome][0])).why == outcome


def test_a_callback_is_what_payments_reads() -> None:
    mpesa = scripted(pushes=[PushAnswer(line=1, answer="accepted")], queries=[])
    mpesa.push(REQUEST, KEYS, TOKEN)
    paid = parse_callback(mpesa.callback(mpesa.prompts[0], "paid", receipt="SBC1234XYZ", at=NOW))
    failed = parse_callback(mpesa.callback(mpesa.prompts[0], "cancelled", receipt=None, at=NOW))

    assert paid is not None
    assert (paid.code, paid.amount, paid.receipt, paid.payer) == ("0", 430, "SBC1234XYZ", "254700000001")
    assert failed is not None
    assert (failed.code, failed.receipt) == ("1032", None)


def test_the_receipt_that_a_query_announced_comes_with_the_callback() -> None:
    mpesa = scripted(
        pushes=[PushAnswer(line=1, answer="accepted")], queries=[QueryAnswer(line=1, answer="paid", receipt="SBC9999XYZ")]
    )
    mpesa.push(REQUEST, KEYS, TOKEN)
    mpesa.query(QUESTION, KEYS)
    told = parse_callback(mpesa.callback(mpesa.prompts[0], "paid", receipt=None, at=NOW))

    assert told is not None
    assert told.receipt == "SBC9999XYZ"


def test_a_query_agrees_with_the_result_that_was_told_unless_another_answer_is_listed() -> None:
    mpesa = scripted(pushes=[PushAnswer(line=1, answer="accepted")], queries=[QueryAnswer(line=1, answer="no_funds")])
    mpesa.push(REQUEST, KEYS, TOKEN)
    mpesa.callback(mpesa.prompts[0], "paid", receipt=None, at=NOW)

    listed, agreeing = mpesa.query(QUESTION, KEYS), mpesa.query(QUESTION, KEYS)

    assert isinstance(listed, Answered)
    assert meaning_of(listed.result_code).outcome == "no_funds"
    assert listed == agreeing  # what M-Pesa has said itself counts from then on
    mpesa.callback(mpesa.prompts[0], "paid", receipt=None, at=NOW)
    last = mpesa.query(QUESTION, KEYS)
    assert isinstance(last, Answered)
    assert meaning_of(last.result_code).outcome == "paid"
    assert mpesa.unscripted == []
