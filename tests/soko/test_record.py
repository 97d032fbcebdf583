"""`soko record`: conversations that took place become transcripts that pass, and hold nothing private."""

from pathlib import Path

import pytest

from conversation.authoring.read_transcripts import parse_transcripts
from conversation.authoring.transcripts import GivenProduct
from conversation.kept_turns import read_conversation, read_lexicons
from router.databases import Databases
from router.ids import VendorId
from router.work import unit_of_work
from soko.replay.record import CannotRecord, Told, _refuse_private, push_answers, record
from soko.replay.stage import Stage
from tests.operator import operating
from tests.soko.lived import PHONE, conversation_id, flows, live, to_transcript

FILE = str(Path(__file__).parents[2] / "flows" / "tests" / "recorded.test.yaml")
PAID = """\
  - customer: Habari
  - customer: naitwa Wanjiku, 2 unga na 1 sukari na 1 kuku tafadhali
  - clock: +20s
  - customer: toa 1 sukari
  - customer: {tap: Confirm}
  - customer: sawa nitalipa na 0712 345 678
  - customer: pay
  - event: {payments.result: {attempt: 1, outcome: paid, receipt: UKN7IKCAXR}, after: 14s}
  - customer: asante
"""
CANCELLED = """\
  - customer: 2 unga
  - clock: +31m
  - customer: {tap: Confirm}
  - customer: {tap: Cancel order}
"""
WRONG_PIN = """\
  - customer: 2 unga
  - customer: {tap: Confirm}
  - customer: {tap: PAY}
  - event: {payments.result: {attempt: 1, outcome: wrong_pin}, after: 25s}
  - customer: {tap: PAY, of: pay.ask, nth: 1}
  - customer: {tap: PAY}
  - event: {payments.result: {attempt: 2, outcome: paid, receipt: UKN7IKCAXQ}, after: 12s}
"""
NO_CALLBACK = """\
  - customer: 2 unga
  - customer: ok
  - customer: PAY
  - clock: +90s
  - clock: +90s
"""
HANDOFF = """\
  - customer: shida
  - customer: {image: true}
  - customer: {location: {lat: -1.1, lon: 36.9, name: Kwa Wanjiku}}
  - customer: My unga was wet, call 0722000111
"""


def write_down(
    databases: Databases,
    vendor_id: VendorId,
    stage: Stage,
    *,
    name: str = "Wanjiku Kamau",
    products: tuple[GivenProduct, ...] = (),
) -> str:
    with unit_of_work(databases, vendor_id) as work:
        turns = read_conversation(work, conversation_id(databases, vendor_id))
        told = Told(name=name, pushes=push_answers(work, turns), products=products)
        lexicons = read_lexicons(work)
    with operating(databases, ops=True) as conn:
        conn.execute("SELECT soko_test.reset()")  # transcripts are played where nobody has been before
    return record(turns, told=told, bundle=flows(), lexicons=lexicons, stage=stage, file=FILE, name="recorded")


@pytest.mark.parametrize(
    ("acts", "mpesa", "there"),
    [
        (PAID, "{push: [accepted]}", ["2 unga na 1 sukari", "SBC0001XYZ", "after: 14s", "push: [accepted]", "tafadhali"]),
        (CANCELLED, "", ["clock: +30m", "tap: Cancel order", "order: CANCELLED"]),
        (WRONG_PIN, "{push: [accepted, accepted]}", ["outcome: wrong_pin", "of: shop.pay.ask, nth: 1", "attempt: 2"]),
        (NO_CALLBACK, "{push: [accepted], query: [pending, paid]}", ["query: [pending, paid]", "order: PAID"]),
        (HANDOFF, "", ["image: true", "location: {lat: -1.2864, lon: 36.8172}"]),
    ],
    ids=["paid", "cancelled", "wrong pin", "no callback", "handed to people"],
)
def test_a_recorded_conversation_passes_and_holds_nothing_private(
    databases: Databases,
    vendor_id: VendorId,
    transcript_stage: Stage,
    acts: str,
    mpesa: str,
    there: list[str],
) -> None:
    live(databases, to_transcript(acts, mpesa=mpesa))

    text = write_down(databases, vendor_id, transcript_stage)

    for part in there:
        assert part in text
    for private in (PHONE[-9:], "345 678", "0722", "Wanjiku", "Kamau", "UKN7", "kuku", "nitalipa", "wet", "36.9"):
        assert private not in text
    (transcript,) = parse_transcripts(text, file=FILE)
    assert transcript_stage.play(transcript).failure is None


def test_what_cannot_be_played_again_is_told_and_not_written(
    databases: Databases, vendor_id: VendorId, transcript_stage: Stage
) -> None:
    live(databases, to_transcript(CANCELLED))
    with databases.ops(vendor_id) as conn:
        conn.execute('UPDATE turns SET record = record || \'{"to": "shop.limit"}\' WHERE turn = 3')

    with pytest.raises(CannotRecord, match=r"turn 3 goes another way: it said shop\.pay\.ask and went to shop\.limit; now"):
        write_down(databases, vendor_id, transcript_stage)


def test_a_conversation_without_a_beginning_cannot_be_written_down(
    databases: Databases, vendor_id: VendorId, transcript_stage: Stage
) -> None:
    live(databases, to_transcript("  - customer: 2 unga\n"))
    with databases.ops(vendor_id) as conn:
        conn.execute("UPDATE turns SET record = record - 'before'")

    with pytest.raises(CannotRecord, match="no beginning"):
        write_down(databases, vendor_id, transcript_stage)


def test_a_name_that_is_a_word_of_the_shop_goes_from_the_customers_lines_only(
    databases: Databases, vendor_id: VendorId, transcript_stage: Stage
) -> None:
    live(databases, to_transcript("  - customer: hi, Mama Njeri here\n"))

    text = write_down(databases, vendor_id, transcript_stage, name="Mama Njeri")

    assert "Karibu *Mama Duka*, Mteja!" in text
    assert "Njeri" not in text


@pytest.mark.parametrize("private", ["0712 345 678", "UKN7IKCAXR", "Njeri"])
def test_nothing_private_is_handed_over(private: str) -> None:
    with pytest.raises(CannotRecord, match="private"):
        _refuse_private(f"chat:\n  - customer: {private}\n", frozenset({"Njeri"}))


def test_a_shop_that_replays_do_not_know_is_told(databases: Databases, vendor_id: VendorId, transcript_stage: Stage) -> None:
    live(databases, to_transcript("  - customer: hi\n"))
    with databases.ops(vendor_id) as conn:
        conn.execute("UPDATE turns SET record = jsonb_set(record, '{steps,0,context,vendor,name}', '\"Nobody Ltd\"')")

    with pytest.raises(CannotRecord, match="no vendor 'nobody-ltd'"):
        write_down(databases, vendor_id, transcript_stage)


def test_what_another_shop_sells_comes_along(databases: Databases, vendor_id: VendorId, transcript_stage: Stage) -> None:
    live(databases, to_transcript("  - customer: 2 unga\n"))
    sold = GivenProduct(name="Unga wa wimbi", price=99, short_name="Unga", unit="2kg", category="", also=("unga", "wimbi"))
    with databases.ops(vendor_id) as conn:
        conn.execute("UPDATE turns SET record = jsonb_set(record, '{steps,0,context,vendor,name}', '\"Nobody Ltd\"')")

    text = write_down(databases, vendor_id, transcript_stage, products=(sold,))

    assert "vendor: Nobody Ltd, products: [\n    {name: Unga wa wimbi, short_name: Unga, unit: 2kg, price: 99" in text
    assert "2 x Unga wa wimbi KES 198" in text
    (transcript,) = parse_transcripts(text, file=FILE)
    assert transcript.given.products == (sold,)
