import json
from csv import DictReader
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as options
from hypothesis import strategies as st

from router import inbox, metering, outbox
from router.databases import Databases
from router.errors import Broken, Refused
from router.ids import OrderId, VendorId
from router.inbox import EntryKind, NewEntry
from router.json_values import JSON
from router.metering import Meter
from router.orders import store
from router.outbox import NewMessage
from router.seeding import DUKA_LA_PILI
from router.usage import daily, days, effects, invoice, prices, statements
from router.usage.prices import Price
from router.work import Work, unit_of_work
from tests.router.chats import open_chat

NOVEMBER, DECEMBER = date(2026, 11, 1), date(2026, 12, 1)


def count(databases: Databases, vendor_id: VendorId, meter: str, quantity: int, at: datetime, category: str = "") -> None:
    with unit_of_work(databases, vendor_id) as work:
        metering.record(work, meter=meter, key=uuid4().hex, category=category, quantity=quantity, now=at)


def charge(databases: Databases, meter: str, cents: int, *, per: int = 1, category: str = "", since: date = NOVEMBER) -> None:
    prices.set_price(databases, Price(meter=meter, category=category, valid_from=since, per=per, cents=cents))


def used(work: Work) -> dict[tuple[str, str], int]:
    rows = work.conn.execute("SELECT meter, category, sum(quantity)::int AS n FROM usage_records GROUP BY 1, 2").fetchall()
    return {(row["meter"], row["category"]): row["n"] for row in rows}


def hear(work: Work, now: datetime, wamid: str, *, kind: EntryKind = EntryKind.MESSAGE, failed: bool = False) -> None:
    chat = open_chat(work, now)
    entry = NewEntry(
        kind=kind, source_id=wamid, body={}, text="hi", received_at=now, customer_id=chat.customer_id, conversation_id=chat.id,
        category="text",
    )  # fmt: skip
    if failed:
        inbox.keep_failed(work, entry, error="x", trace={}, now=now)
    else:
        inbox.accept(work, entry, turn=1)


def say(work: Work, now: datetime, turn: int, **message: JSON) -> None:
    chat = open_chat(work, now)
    said = NewMessage(
        conversation_id=chat.id, phone_number_id="1", recipient="254700000001", turn=turn, n=0, place="x", message=message,
        due_at=now,
    )  # fmt: skip
    outbox.add(work, [said])


def order(work: Work, now: datetime, order_id: OrderId, *, confirm: bool) -> None:
    store.create(
        work, customer_phone="254700000001", amount=30, lines=(), idempotency_key=order_id.hex, request_sha256=b"", now=now,
        order_id=order_id,
    )  # fmt: skip
    if confirm:
        store.confirm(work, order_id=order_id, now=now)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["hear", "status", "fail", "say", "order", "confirm"]),
        st.integers(0, 3),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=8,
)


@given(steps=STEPS)
@options(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_usage_equals_what_happened_under_any_retry_and_rollback(
    databases: Databases, vendor_id: VendorId, now: datetime, steps: list[tuple[str, int, int, bool]]
) -> None:
    made = uuid4().hex
    for what, number, day, breaks in steps * 2:  # everything is delivered twice
        at = now + timedelta(days=day)
        try:
            with unit_of_work(databases, vendor_id) as work:
                match what:
                    case "hear" | "status" | "fail":
                        kind = EntryKind.STATUS if what == "status" else EntryKind.MESSAGE
                        hear(work, at, f"{made}{number}", kind=kind, failed=what == "fail")
                    case "say":
                        say(work, at, int(made[:6], 16) * 4 + number)
                    case _:
                        order(work, at, OrderId(uuid4()), confirm=what == "confirm")
                if breaks:
                    raise Refused("broken", "killed before the commit")
        except (Refused, Broken):
            continue
    with unit_of_work(databases, vendor_id) as work:
        for day in range(3):
            assert effects.compare(work, days.day_of(now + timedelta(days=day))) == []


def test_messages_count_by_kind_and_a_conversation_once_a_day(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with unit_of_work(databases, vendor_id) as work:
        for wamid in ("one", "two", "two"):
            hear(work, now, wamid)
        hear(work, now + timedelta(days=1), "three")
        say(work, now, 1)
        say(work, now, 2, template={"name": "ready", "language": "en", "values": []})
        assert used(work) == {
            ("message_in", "text"): 3,
            ("conversation", ""): 2,
            ("message_out", "service"): 1,
            ("message_out", "template"): 1,
        }


def test_a_meter_that_does_not_say_what_happened_is_told(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    today = days.day_of(now)
    count(databases, vendor_id, Meter.ORDER_PAID, 2, now)
    with unit_of_work(databases, vendor_id) as work:
        (difference,) = effects.compare(work, today)
        assert vars(difference) == {"meter": "order_paid", "counted": 2, "happened": 0}
    daily.run(databases, vendor_id, today, now=now)
    with databases.platform(vendor_id) as conn:
        (row,) = conn.execute("SELECT differences FROM usage_checks").fetchall()
    assert row["differences"] == [vars(difference)]


def test_a_record_of_usage_never_changes(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    count(databases, vendor_id, Meter.PAYMENT, 1, now)
    for statement in ("UPDATE usage_records SET quantity = 9", "DELETE FROM usage_records"):
        with pytest.raises(Broken, match="append-only"), unit_of_work(databases, vendor_id) as work:
            work.conn.execute(statement.encode())


def test_a_day_is_added_up_once_and_again_when_something_came_late(databases: Databases, vendor_id: VendorId) -> None:
    noon = datetime(2026, 11, 20, 9, tzinfo=UTC)
    now = noon + timedelta(days=1)

    def added_up() -> list[tuple[date, str, int]]:
        with databases.platform(vendor_id) as conn:
            rows = conn.execute("SELECT day, meter, quantity FROM usage_days WHERE meter <> 'storage' ORDER BY 1, 2").fetchall()
        return [(row["day"], row["meter"], row["quantity"]) for row in rows]

    count(databases, vendor_id, Meter.STK_PUSH, 2, noon)
    day = daily.due_day(now)
    for _ in range(2):
        daily.run(databases, vendor_id, day, now=now)
    assert added_up() == [(date(2026, 11, 20), "stk_push", 2)]
    count(databases, vendor_id, Meter.STK_PUSH, 1, noon)
    daily.run(databases, vendor_id, day + timedelta(days=1), now=now + timedelta(days=1))
    assert added_up() == [(date(2026, 11, 20), "stk_push", 3)]
    assert daily.is_done(databases, vendor_id, day)
    assert not daily.is_done(databases, VendorId(DUKA_LA_PILI), day)


def test_a_day_is_due_an_hour_after_midnight_in_nairobi() -> None:
    assert daily.due_day(datetime(2026, 11, 20, 21, 59, tzinfo=UTC)) == date(2026, 11, 19)
    assert daily.due_day(datetime(2026, 11, 20, 22, 0, tzinfo=UTC)) == date(2026, 11, 20)


def test_what_comes_late_is_charged_next_month_at_the_price_of_its_own(databases: Databases, vendor_id: VendorId) -> None:
    mid, after = datetime(2026, 11, 15, tzinfo=UTC), datetime(2026, 12, 2, tzinfo=UTC)
    charge(databases, "payment", 150)
    charge(databases, "payment", 200, since=DECEMBER)
    count(databases, vendor_id, Meter.PAYMENT, 3, mid)
    closed = statements.close(databases, vendor_id, NOVEMBER, now=after)
    assert (closed.total_cents, closed.closed_at) == (450, after)
    count(databases, vendor_id, Meter.PAYMENT, 1, mid)
    count(databases, vendor_id, Meter.PAYMENT, 2, after)
    again = statements.close(databases, vendor_id, NOVEMBER, now=after + timedelta(days=9))
    assert again == closed
    december = statements.close(databases, vendor_id, DECEMBER, now=datetime(2027, 1, 2, tzinfo=UTC))
    assert [(line.used_in, line.quantity, line.amount_cents) for line in december.lines] == [
        (DECEMBER, 2, 400),
        (NOVEMBER, 1, 150),
    ]
    assert statements.get_statement(databases, vendor_id, date(2027, 1, 1)).lines == ()


def test_a_month_closes_when_it_is_over_and_before_later_ones(databases: Databases, vendor_id: VendorId) -> None:
    with pytest.raises(Refused, match="not over"):
        statements.close(databases, vendor_id, NOVEMBER, now=datetime(2026, 11, 30, 20, 59, tzinfo=UTC))
    statements.close(databases, vendor_id, DECEMBER, now=datetime(2026, 12, 31, 21, tzinfo=UTC))
    with pytest.raises(Refused, match="2026-12 is closed already"):
        statements.close(databases, vendor_id, NOVEMBER, now=datetime(2027, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("statement", ["UPDATE usage_statements SET total_cents = 0", "DELETE FROM usage_statement_lines"])
def test_a_closed_month_never_changes(databases: Databases, vendor_id: VendorId, statement: str) -> None:
    count(databases, vendor_id, Meter.PAYMENT, 3, datetime(2026, 11, 15, tzinfo=UTC))
    statements.close(databases, vendor_id, NOVEMBER, now=datetime(2026, 12, 2, tzinfo=UTC))
    with pytest.raises(Broken, match="never changes"), databases.platform(vendor_id) as conn:
        conn.execute(statement.encode())


def test_the_category_has_its_own_price_or_the_meters(databases: Databases, vendor_id: VendorId) -> None:
    charge(databases, "message_in", 10, per=4)
    charge(databases, "message_in", 7, category="image")
    for category in ("text", "image"):
        count(databases, vendor_id, Meter.MESSAGE_IN, 3, datetime(2026, 11, 15, tzinfo=UTC), category)
    statement = statements.get_statement(databases, vendor_id, NOVEMBER)
    assert [(line.category, line.amount_cents) for line in statement.lines] == [("image", 21), ("text", 8)]  # 7.5 cents


@pytest.mark.parametrize(
    "price",
    [
        Price(meter="meter", category="", valid_from=NOVEMBER, per=1, cents=1),
        Price(meter="payment", category="", valid_from=date(2026, 11, 2), per=1, cents=1),
        Price(meter="payment", category="", valid_from=NOVEMBER, per=0, cents=1),
        Price(meter="payment", category="", valid_from=NOVEMBER, per=1, cents=-1),
    ],
)
def test_a_price_that_cannot_be_is_refused(databases: Databases, price: Price) -> None:
    with pytest.raises(Refused):
        prices.set_price(databases, price)


KEYS = st.tuples(st.sampled_from([NOVEMBER, DECEMBER]), st.sampled_from(list(Meter)), st.text("ab", max_size=1))
QUANTITY = st.integers(-(10**6), 10**6)


@given(
    used=st.dictionaries(KEYS, QUANTITY),
    per=st.integers(1, 1000),
    cents=st.integers(0, 10**5),
)
def test_an_invoice_adds_up_to_the_cent(used: dict[tuple[date, str, str], int], per: int, cents: int) -> None:
    known = [Price(meter=meter, category="", valid_from=NOVEMBER, per=per, cents=cents) for meter in Meter]
    lines = statements.draw_lines(used, {}, known)
    statement = statements.Statement(vendor_id=VendorId(DUKA_LA_PILI), month=DECEMBER, closed_at=None, lines=lines)
    rows = list(DictReader(StringIO(invoice.to_csv(statement))))
    amounts = [int(row["amount_kes"].replace(".", "")) for row in rows]
    assert sum(amounts[:-1]) == amounts[-1] == statement.total_cents
    told = json.loads(invoice.to_json(statement))
    assert sum(line["amount_cents"] for line in told["lines"]) == told["total_cents"] == statement.total_cents
    for line in lines:
        assert abs(line.amount_cents * per - line.quantity * cents) * 2 <= per


@pytest.mark.parametrize("text", ["2026-13", "2026-1", "26-11", "2026-11-01", "", "x" * 99])
def test_a_month_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="write a month as 2026-11"):
        days.parse_month(text)
