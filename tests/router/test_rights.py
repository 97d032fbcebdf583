"""What a person may ask for: an export that misses nothing, an erasure that leaves nothing but the books."""

import json
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any, LiteralString

import pytest
from sqlalchemy import BigInteger, Boolean, Date, DateTime, Integer, SmallInteger, Uuid

from conversation.whatsapp.inbound import DeliveryStatus, StatusUpdate, Text
from payments import by_hand
from router import channels, conversations, migrating, persons, rights
from router.databases import Databases
from router.errors import Broken, Refused, Unavailable
from router.ids import VendorId
from router.payment_intents import callbacks, reports
from router.revisions import Which
from router.seeding import DUKA_LA_PILI, MAMA_DUKA
from router.tables.registries import Xid8
from router.usage import effects
from router.work import unit_of_work
from soko.settings import Settings
from tests.conversation.test_kept_turns import MPESA, PAID
from tests.conversation.test_turn import Chat
from tests.operator import operating
from tests.payments.bodies import c2b
from tests.router.api import open_shared_api
from tests.router.asgi import Client
from tests.router.test_http import HEADERS
from tests.soko.lived import PHONE, live, to_transcript
from tests.soko.test_cli import soko

# Whoever is known by one of these is known: the phone, its end as M-Pesa's ids have it, as WhatsApp's ids have it, the name.
NAMES = (PHONE, PHONE[-9:], b64encode(PHONE.encode()).decode()[:12], "Wanjiku")
CANNOT_NAME = (Uuid, Integer, BigInteger, SmallInteger, Boolean, Date, DateTime, Xid8)
BOOKS: LiteralString = """
    SELECT (SELECT sum(total) FROM orders) AS orders, (SELECT sum(amount) FROM payments) AS payments,
           (SELECT count(*) FROM payments) AS n, (SELECT string_agg(receipt, ',' ORDER BY receipt) FROM payments) AS receipts,
           (SELECT sum(amount) FROM payment_intents) AS intents, (SELECT sum(quantity) FROM usage_records) AS usage,
           (SELECT count(*) FROM inbox WHERE is_pay) AS consents
    """
# Whatever a guard says, the person stands in every column that is declared to hold one.
PLANTED: tuple[LiteralString, ...] = (
    "UPDATE customers SET bsuid = 'KE.' || phone, language = phone",
    "UPDATE conversations SET snapshot = snapshot || jsonb_build_object('note', '{0}'), flow = '{0}', state = '{0}'",
    "UPDATE inbox SET text = CASE WHEN is_pay THEN text ELSE '{0}' END, intent = '{0}', error = '{0}', trace = to_jsonb(body)",
    "UPDATE usage_records SET key = key || '{0}' WHERE meter = 'message_in'",
    "UPDATE inbox SET source_id = source_id || '{0}' WHERE kind = 'message'",
    "UPDATE outbox SET wamid = '{0}' || id, error = '{0}', message = message || jsonb_build_object('x', '{0}')",
    "UPDATE domain_events SET data = data || jsonb_build_object('note', '{0}')",
    "UPDATE payment_events SET data = data || jsonb_build_object('PhoneNumber', '{0}')",
    "UPDATE stk_attempts SET error = '{0}', claimed_payer = '{0}', checkout_request_id = '{0}'",
    "UPDATE payments SET payer = '{0}', account = '{0}', assigned_by = 'W', assigned_because = '{0}'",
    "UPDATE orders SET cancel_reason = '{0}'",
)
NO_TEXT = {"erased_at", "handled_at", "failed_at", "status", "request_sha256", "body_sha256"}
LATER = datetime(2026, 3, 5, 9, tzinfo=UTC)
NUMBER = "100000000000001"


def wamid(n: int) -> str:
    return "wamid." + b64encode(f"{PHONE}{n}".encode()).decode()


def leave_traces(databases: Databases, vendor_id: VendorId) -> None:
    """Let one customer do all that leaves something behind."""
    live(databases, to_transcript(PAID, mpesa=MPESA))
    client = Client(open_shared_api(databases, LATER))
    body = {"vendor_id": str(vendor_id), "customer_phone": PHONE, "amount": 30}
    made = client.post("/orders", headers=HEADERS | {"idempotency-key": f"till-{PHONE}"}, json=body).json()
    client.post(f"/orders/{made['id']}/confirm", headers=HEADERS | {"idempotency-key": f"go-{PHONE}"}, json={})
    chat = Chat(databases, vendor_id, LATER)
    update = StatusUpdate(
        wamid=wamid(1),
        phone_number_id=NUMBER,
        tracker=None,
        status=DeliveryStatus.READ,
        error=None,
        at=LATER,
        recipient=PHONE,
        raw={"recipient_id": PHONE},
    )
    chat.turns.accept([update])
    channels.keep_stray(databases, phone_number_id="1", kind="x", body={"from": PHONE}, now=LATER)
    with unit_of_work(databases, vendor_id) as work:
        row = work.conn.execute("SELECT id FROM payment_intents").fetchone()
        assert row is not None
        callbacks.keep_callback(work, row["id"], body=f"{PHONE} ws_CO_201120261230000{PHONE[-9:]}", peer=None)
        shortcode = work.conn.execute("SELECT id FROM vendor_shortcodes").fetchone()
        assert shortcode is not None
        for receipt, account in (("RKTQDM7W61", PHONE), ("RKTQDM7W62", f"0{PHONE[3:]}")):
            reports.keep(work, shortcode["id"], reports.Channel.C2B, body=c2b(account, receipt=receipt), peer=None, now=LATER)
    while by_hand.settle_next_report(databases, vendor_id=vendor_id, now=LATER + by_hand.PROMPT_EXPLAINS):
        pass
    with unit_of_work(databases, vendor_id) as work:
        work.conn.execute("UPDATE callbacks SET handled_at = received_at, verdict = 'x' WHERE handled_at IS NULL")


@pytest.fixture
def lived(databases: Databases, vendor_id: VendorId) -> Databases:
    """Give databases in which one customer stands in every table and column that can hold one."""
    leave_traces(databases, vendor_id)
    for statement in PLANTED:
        alter(databases, statement.format(PHONE))
    return databases


def alter(databases: Databases, statement: LiteralString) -> None:
    """Write what no guard would let pass."""
    with operating(databases, ops=True) as conn:
        conn.execute("SET LOCAL session_replication_role = replica")
        conn.execute(statement)


def dump(databases: Databases) -> dict[str, list[str]]:
    """Every row of every table of both databases, as text."""
    found: dict[str, list[str]] = {}
    for ops, which in ((True, Which.OPS), (False, Which.PLATFORM)):
        with operating(databases, ops=ops) as conn:
            for table in migrating.metadata(which).tables:
                rows = conn.execute(f"SELECT to_jsonb(t)::text AS row FROM {table} t".encode()).fetchall()
                found.setdefault(table, []).extend(row["row"] for row in rows)
    return found


def naming(dumped: dict[str, list[str]]) -> dict[str, int]:
    """How many rows of which tables name the person."""
    counts = {table: sum(any(name in row for name in NAMES) for row in rows) for table, rows in dumped.items()}
    return {table: count for table, count in counts.items() if count}


def books(databases: Databases) -> dict[str, Any] | None:
    with operating(databases, ops=True) as conn:
        return conn.execute(BOOKS).fetchone()


def test_every_column_that_can_name_somebody_is_decided() -> None:
    undecided, unknown = [], []
    for which, personal in ((Which.OPS, persons.OPS), (Which.PLATFORM, persons.PLATFORM)):
        tables = migrating.metadata(which).tables
        for name, table in tables.items():
            declared = set(persons.IMPERSONAL.get(name, ()))
            gone = name in personal and not personal[name].becomes
            declared |= set(personal[name].becomes) if name in personal else set()
            naming = {column.name for column in table.columns if not isinstance(column.type, CANNOT_NAME)}
            undecided += [] if gone else [f"{name}.{column}" for column in naming - declared]
            unknown += [f"{name}.{column}" for column in declared - set(table.columns.keys())]
        unknown += [name for name in personal if name not in tables]
    assert (undecided, unknown) == ([], []), "decide in router/persons.py whether it can name a customer"


@pytest.mark.security(27)
def test_an_export_shows_every_row_that_names_the_person(lived: Databases, vendor_id: VendorId) -> None:
    before = naming(dump(lived))
    with operating(lived, ops=True) as conn:
        for table, personal in persons.OPS.items():
            for column in set(personal.becomes) - NO_TEXT:
                rows = conn.execute(f"SELECT {column}::text AS value FROM {table}".encode()).fetchall()
                assert naming({table: [str(row["value"]) for row in rows]}), f"{table}.{column} is not planted"
    assert set(before) == {*persons.OPS, *persons.PLATFORM} - {"timers"}

    found = {**rights.export(lived, vendor_id, PHONE), **rights.export_platform(lived, PHONE)}

    shown = {table: [json.dumps(row, ensure_ascii=False) for row in rows] for table, rows in found.items()}
    assert naming(shown) == before
    assert rights.export(lived, VendorId(DUKA_LA_PILI), PHONE) == {}


@pytest.mark.security(28)
def test_an_erasure_leaves_the_books_and_nobody_in_them(lived: Databases, vendor_id: VendorId) -> None:
    before = books(lived)
    with unit_of_work(lived, vendor_id) as work:
        differences = effects.compare(work, LATER.date()), effects.compare(work, datetime(2026, 3, 2, tzinfo=UTC).date())

    erased = rights.erase(lived, vendor_id, PHONE, now=LATER)

    assert naming(dump(lived)) == {"stray_updates": 1}
    rights.erase_platform(lived, PHONE)
    assert naming(dump(lived)) == {}
    assert books(lived) == before
    with unit_of_work(lived, vendor_id) as work:
        assert differences == (
            effects.compare(work, LATER.date()),
            effects.compare(work, datetime(2026, 3, 2, tzinfo=UTC).date()),
        )
        events = work.conn.execute("SELECT subject, data FROM domain_events WHERE type = 'customer_erased'").fetchall()
        assert work.conn.execute("SELECT DISTINCT status FROM orders WHERE source = 'api'").fetchall() == [
            {"status": "CANCELLED"}
        ]
    assert [row["subject"] for row in events] == [str(each) for each in erased.customers]
    assert rights.erase(lived, vendor_id, PHONE, now=LATER).customers == ()
    again = rights.erase(lived, vendor_id, erased.customers[0], now=LATER)
    assert again.customers == erased.customers
    assert books(lived) == before
    with unit_of_work(lived, vendor_id) as work:
        told = work.conn.execute("SELECT id FROM domain_events WHERE type = 'customer_erased'").fetchall()
    assert len(told) == len(events), "a repeat tells nobody again"


def test_who_was_erased_and_writes_again_is_somebody_new(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    chat = Chat(databases, vendor_id, now)
    chat.say(Text(text="Habari"))
    (old,) = chat.rows("SELECT id, customer_id FROM conversations")
    rights.erase(databases, vendor_id, "254700000001", now=now)
    assert chat.rows("SELECT DISTINCT status FROM outbox") == [{"status": "failed"}]
    chat.say(Text(text="Habari tena"))
    assert {row["id"] for row in chat.rows("SELECT id FROM customers")} > {old["customer_id"]}
    with unit_of_work(databases, vendor_id) as work, pytest.raises(Unavailable, match="erased a moment ago"):
        conversations.lock(work, customer_id=old["customer_id"], phone_number_id=NUMBER, now=now)


IN_FLIGHT: dict[LiteralString, tuple[LiteralString, str]] = {
    "UPDATE payment_intents SET status = 'needs_review', reason = 'x', paid_at = NULL": (
        "UPDATE payment_intents SET status = 'paid', paid_at = created_at",
        "money_in_flight",
    ),
    "UPDATE callbacks SET handled_at = NULL, verdict = NULL": (
        "UPDATE callbacks SET handled_at = received_at, verdict = 'x'",
        "money_in_flight",
    ),
    "UPDATE stk_attempts SET next_query_at = now()": ("UPDATE stk_attempts SET next_query_at = NULL", "money_in_flight"),
    "UPDATE outbox SET status = 'unknown'": ("UPDATE outbox SET status = 'sent'", "message_in_flight"),
}


def test_nothing_is_erased_while_something_is_in_flight(lived: Databases, vendor_id: VendorId) -> None:
    before = naming(dump(lived))
    for change, (back, code) in IN_FLIGHT.items():
        alter(lived, change)
        with pytest.raises(Refused) as refused:
            rights.erase(lived, vendor_id, PHONE, now=LATER)
        assert (change, refused.value.code) == (change, code)
        alter(lived, back)
    with pytest.raises(Refused, match="less than 24 hours old"):
        rights.erase(lived, vendor_id, PHONE, now=datetime(2026, 3, 2, 12, tzinfo=UTC))
    assert naming(dump(lived)) == before
    rights.erase(lived, vendor_id, PHONE, now=LATER)


def test_an_erasure_can_change_nothing_but_the_person(lived: Databases, vendor_id: VendorId) -> None:
    for change in (
        "UPDATE orders SET total = 1",
        "UPDATE payment_intents SET amount = 1",
        "UPDATE stk_attempts SET claimed_receipt = 'AAAAAAAAAA'",
        "UPDATE callbacks SET received_at = now()",
        "UPDATE inbox SET received_at = now()",
        "UPDATE domain_events SET type = 'x'",
        "UPDATE usage_records SET quantity = 0",
        "DELETE FROM orders",
        "DELETE FROM payment_events",
    ):
        with pytest.raises(Broken, match="takes the person out of"), lived.ops(vendor_id) as conn:
            conn.execute(f"SET LOCAL app.erasing = 'on'; {change}".encode())


def test_by_http_and_on_the_command_line(lived: Databases, settings: Settings) -> None:
    environment = {
        "SOKO_PLATFORM_URL": str(settings.platform_url),
        "SOKO_OPS_URL": str(settings.ops_url),
        "SOKO_REDIS_URL": str(settings.redis_url),
    }
    client = Client(open_shared_api(lived, LATER))
    customer = client.get(f"/customers?phone={PHONE}", headers=HEADERS).json()["items"][0]["id"]
    assert PHONE in client.get(f"/customers/{customer}/everything", headers=HEADERS).text
    for method, path in (("GET", f"/customers/{MAMA_DUKA}/everything"), ("DELETE", f"/customers/{MAMA_DUKA}")):
        assert client.send(method, path, headers=HEADERS, json={}).status_code == 404
    shown = soko("customer", "export", "0712345678", environment=environment)
    assert list(json.loads(shown.output)["vendors"]) == [str(MAMA_DUKA)]
    assert client.send("DELETE", f"/customers/{customer}", headers=HEADERS, json={}).json()["customer_id"] == customer
    erased = soko("customer", "erase", "0712345678", "--yes", environment=environment)
    assert (erased.exit_code, "1 stray_updates" in erased.output) == (0, True), erased.output
    assert naming(dump(lived)) == {}
    assert soko("customer", "erase", "12", "--yes", environment=environment).exit_code == 2
