# ruff: noqa: RUF001 - letters that only look like PAY are the point of this file
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from router import conversations, customers, inbox
from router.databases import Databases
from router.errors import Broken
from router.ids import ConversationId, CustomerId, VendorId
from router.inbox import EntryKind, NewEntry, is_pay
from router.seeding import DUKA_LA_PILI
from router.work import Work, unit_of_work

PAY: tuple[str, ...] = (
    "pay",
    "PAY",
    "Pay",
    "pAy",
    " PAY! ",
    "*PAY*",
    "_pay_",
    "~Pay~",
    "PAY.",
    "pay…",
    "“PAY”",
    "‘pay’",
    "—pay—",
    "– PAY –",
)
PAY += (
    "\tpay\n",
    "\xa0PAY\xa0",
    "PAY?",
    "(pay)",
    "[PAY]",
    "{pay}",
    "<pay>",
    '"pay"',
    "'pay'",
    "`pay`",
    "#pay",
    "@pay",
    "$PAY$",
    "%pay%",
)
PAY += (
    "pay\\",
    "/pay/",
    "^pay|",
    "+pay=",
    "&pay;",
    ":pay,",
    "-pay-",
    "\r\nPAY\x0b\x0c",
    "!!!PAY!!!",
    "*_~PAY~_*",
    "PAY\r\n",
    "  pay",
)
NOT_PAY: tuple[str | None, ...] = (
    "pay now",
    "PAYE",
    "paý",
    "ＰＡＹ",
    "p a y",
    "",
    None,
    " ",
    "...",
    "p.a.y",
    "pa",
    "ay",
    "payy",
    "paypay",
    "pay pay",
    "xPAY",
    "PAY1",
)
NOT_PAY += (
    "1PAY",
    "PΑY",
    "РАY",
    "pay\u200b",
    "\u200bpay",
    "pay👍",
    "lipa",
    "paid",
    "nipay",
    "pay\u3000",
    "\u2003pay",
    "pąy",
    "PAY\u0301",
)
NOT_PAY += (
    "don't pay",
    "pay-me",
    "*P*AY",
    "pay\x00pay",
    "¡pay!",
    "pay\u202e",
    "\ufeffpay",
    "ᴘᴀʏ",
    "🅿🅰🆈",
    "\x1cpay",
    "pay\x85",
    "\x1fpay",
)


@pytest.fixture
def work(databases: Databases, vendor_id: VendorId) -> Iterator[Work]:
    with unit_of_work(databases, vendor_id) as opened:
        yield opened


def entry(now: datetime, source_id: str = "wamid.1", **changes: object) -> NewEntry:
    made = NewEntry(kind=EntryKind.MESSAGE, source_id=source_id, body={"id": source_id}, text="PAY", received_at=now)
    return replace(made, **changes)  # type: ignore[arg-type]  # a test's own fields


@pytest.mark.parametrize(("text", "expected"), [(text, True) for text in PAY] + [(text, False) for text in NOT_PAY])
def test_pay_means_the_whole_message_is_the_word_pay(text: str | None, expected: bool) -> None:  # noqa: FBT001
    assert is_pay(text) is expected


def test_the_database_and_python_agree_on_what_pay_is(work: Work, now: datetime) -> None:
    texts = [text for text in (*PAY, *NOT_PAY) if text is None or "\x00" not in text]
    assert len(texts) >= 60
    for number, text in enumerate(texts):
        entry_id = inbox.accept(work, entry(now, f"wamid.{number}", text=text))
        row = work.conn.execute(
            "SELECT is_pay FROM inbox WHERE vendor_id = %s AND id = %s", (work.vendor_id, entry_id)
        ).fetchone()
        assert row == {"is_pay": is_pay(text)}, repr(text)


def test_every_ignored_character_is_ignored_by_the_database_too(work: Work) -> None:
    for character in inbox.AROUND_PAY:
        row = work.conn.execute("SELECT is_pay(%s) AS answer", (f"{character}pay{character}",)).fetchone()
        assert row == {"answer": True}, repr(character)


def test_nobody_can_write_is_pay(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with pytest.raises(Broken, match="is_pay"), unit_of_work(databases, vendor_id) as work:
        work.conn.execute("UPDATE inbox SET is_pay = true")


@pytest.mark.security(12)
@pytest.mark.case(2)
def test_the_same_message_a_hundred_times_at_once_gives_one_id(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    def deliver(_: int) -> int | None:
        with unit_of_work(databases, vendor_id) as work:
            return inbox.accept(work, entry(now))

    with ThreadPoolExecutor(max_workers=50) as pool:
        ids = list(pool.map(deliver, range(100)))
    assert len([entry_id for entry_id in ids if entry_id is not None]) == 1
    with databases.ops(vendor_id) as conn:
        assert conn.execute("SELECT count(*) AS n FROM inbox").fetchone() == {"n": 1}
        assert conn.execute("SELECT meter, key FROM usage_records").fetchall() == [{"meter": "message_in", "key": "wamid.1"}]


def test_the_same_source_id_of_another_kind_or_vendor_is_another_entry(databases: Databases, work: Work, now: datetime) -> None:
    assert inbox.accept(work, entry(now)) is not None
    assert inbox.accept(work, entry(now, kind=EntryKind.STATUS)) is not None
    with unit_of_work(databases, VendorId(DUKA_LA_PILI)) as other:
        assert inbox.accept(other, entry(now)) is not None
    assert inbox.accept(work, entry(now)) is None


def test_only_messages_are_metered(work: Work, now: datetime) -> None:
    inbox.accept(work, entry(now, kind=EntryKind.STATUS))
    assert work.conn.execute("SELECT count(*) AS n FROM usage_records").fetchone() == {"n": 0}


def test_unhandled_entries_come_oldest_first_and_failed_ones_do_not_come(work: Work, now: datetime) -> None:
    ids = [inbox.accept(work, entry(now + timedelta(seconds=n), f"e{n}", kind=EntryKind.EVENT)) for n in range(4)]
    inbox.mark_handled(work, ids[0] or 0, turn=1, now=now)
    inbox.keep_failed(work, entry(now, "e1", kind=EntryKind.EVENT), error="boom", trace={}, now=now)
    found = inbox.list_unhandled(work, kind=EntryKind.EVENT, before=now + timedelta(seconds=9), limit=9)
    assert [e.id for e in found] == ids[2:]
    assert inbox.list_unhandled(work, kind=EntryKind.EVENT, before=now + timedelta(seconds=2), limit=9) == found[:1]
    assert inbox.list_unhandled(work, kind=EntryKind.MESSAGE, before=now + timedelta(seconds=9), limit=9) == []


def test_an_entry_is_handled_once(work: Work, now: datetime) -> None:
    entry_id = inbox.accept(work, entry(now)) or 0
    taken = inbox.get_for_turn(work, entry_id)
    assert taken is not None
    assert (taken.kind, taken.is_pay, taken.body) == (EntryKind.MESSAGE, True, {"id": "wamid.1"})
    inbox.mark_handled(work, entry_id, turn=1, now=now)
    assert inbox.get_for_turn(work, entry_id) is None
    with pytest.raises(Broken, match="not open"):
        inbox.mark_handled(work, entry_id, turn=2, now=now)


def test_a_failed_turn_keeps_its_message_although_its_customer_was_rolled_back(
    databases: Databases, vendor_id: VendorId, now: datetime
) -> None:
    lost = entry(now, customer_id=CustomerId(uuid4()), conversation_id=ConversationId(uuid4()))
    with unit_of_work(databases, vendor_id) as work:
        entry_id = inbox.keep_failed(work, lost, error="KeyError: 'x'", trace={"state": "cart"}, now=now)
        row = work.conn.execute("SELECT customer_id, conversation_id, error, trace FROM inbox").fetchone()
        assert row == {"customer_id": None, "conversation_id": None, "error": "KeyError: 'x'", "trace": {"state": "cart"}}
        assert inbox.get_for_turn(work, entry_id) is None
        assert inbox.accept(work, lost) is None


def test_an_operator_retries_a_failed_entry(work: Work, now: datetime) -> None:
    customer = customers.recognise(work, phone="254700000001", bsuid=None, name=None, now=now)
    conversation = conversations.lock(work, customer_id=customer.id, phone_number_id="1", now=now)
    theirs = entry(now, customer_id=customer.id, conversation_id=conversation.id)
    entry_id = inbox.keep_failed(work, theirs, error="boom", trace={}, now=now)
    assert [kept.id for kept in inbox.list_failed(work, limit=10)] == [entry_id]
    inbox.reopen(work, entry_id)
    assert inbox.list_failed(work, limit=10) == []
    taken = inbox.get_for_turn(work, entry_id)
    assert taken is not None
    assert (taken.customer_id, taken.conversation_id, taken.error) == (customer.id, conversation.id, None)
    with pytest.raises(Broken, match="not a failed one"):
        inbox.reopen(work, entry_id)


def test_keeping_a_failure_never_reopens_what_was_handled_meanwhile(work: Work, now: datetime) -> None:
    entry_id = inbox.accept(work, entry(now)) or 0
    inbox.mark_handled(work, entry_id, turn=1, now=now)
    assert inbox.keep_failed(work, entry(now), error="boom", trace={}, now=now) == entry_id
    row = work.conn.execute("SELECT handled_at, failed_at FROM inbox").fetchone()
    assert row == {"handled_at": now, "failed_at": None}


def test_nothing_that_somebody_can_type_makes_accept_fail(work: Work, now: datetime) -> None:
    text = "a\x00b\ud800c 😀"
    entry_id = inbox.accept(work, entry(now, text=text, body={"text\x00": [text, 1, None, {"deep": text}]})) or 0
    taken = inbox.get_for_turn(work, entry_id)
    assert taken is not None
    assert taken.text == "a\ufffdb\ufffdc 😀"
    assert taken.body == {"text\ufffd": [taken.text, 1, None, {"deep": taken.text}]}


def test_the_message_log_shows_what_came_in_and_what_became_of_it(work: Work, now: datetime) -> None:
    handled = inbox.accept(work, entry(now, "wamid.1", text="hi")) or 0
    inbox.mark_handled(work, handled, turn=1, now=now)
    inbox.keep_failed(work, entry(now, "wamid.2", text="boo"), error="boom", trace={}, now=now)
    inbox.accept(work, entry(now, "wamid.3", text=None))
    inbox.accept(work, entry(now, "wamid.4", kind=EntryKind.STATUS))
    rows = work.conn.execute("SELECT wamid, direction, text, status, at FROM message_log ORDER BY wamid").fetchall()
    assert [tuple(row.values()) for row in rows] == [
        ("wamid.1", "in", "hi", "handled", now),
        ("wamid.2", "in", "boo", "failed", now),
        ("wamid.3", "in", None, "received", now),
    ]
