"""The jobs of a worker against the real databases and the WhatsApp simulator."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from uuid import UUID

import httpx
import pytest

from conversation.live_flows import LiveFlows
from conversation.turn import Turns
from conversation.whatsapp.outbound import CloudApi
from payments.access_token import AccessTokens
from payments.daraja import DarajaClient
from router import conversations, customers, due, outbox
from router.databases import SHARED, Databases
from router.ids import ConversationId, VendorId
from router.orders import store as orders
from router.outbox import NewMessage
from router.usage import daily
from router.wakeups import Job, Wakeups
from router.work import unit_of_work
from soko.clock import utc_now
from soko.settings import Settings
from soko.simulators import whatsapp
from soko.simulators.serving import running
from tests.flows import load_flows
from tests.operator import operating
from worker.daily import Daily
from worker.jobs import send_messages
from worker.retries import UNKNOWN_WAIT_SECONDS
from worker.sweep import purge, sweep
from worker.tools import Tools

NUMBER = "100000000000001"
PHONE = "254700000001"


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


@contextmanager
def tools_at(databases: Databases, settings: Settings, graph_url: str, clock: Clock) -> Iterator[Tools]:
    cloud_api = CloudApi(base_url=f"{graph_url}/v26.0")
    daraja = DarajaClient(base_url="http://127.0.0.1:1", tokens=AccessTokens(None))
    yield Tools(
        databases=databases,
        turns=Turns(databases=databases, flows=LiveFlows(load_flows()), wakeups=Wakeups(None), clock=clock),
        cloud_api=cloud_api,
        daraja=daraja,
        wakeups=Wakeups(None),
        open_secret=settings.open_secret,
        clock=clock,
        trace_days=1,
        callback_base_url="http://127.0.0.1:1",
    )
    cloud_api.close()
    daraja.close()


@pytest.fixture
def graph_url() -> Iterator[str]:
    with running(whatsapp.build_app(app_url="http://127.0.0.1:1", retry_waits_seconds=())) as url:
        httpx.put(f"{url}/sim/phones/{PHONE}", json={"last_said_seconds_ago": 60}).raise_for_status()
        yield url


@pytest.fixture
def tools(databases: Databases, settings: Settings, graph_url: str, clock: Clock) -> Iterator[Tools]:
    with tools_at(databases, settings, graph_url, clock) as made:
        yield made


def owe(tools: Tools, vendor_id: VendorId, *texts: str, turn: int = 1) -> ConversationId:
    now = tools.clock()
    with unit_of_work(tools.databases, vendor_id) as work:
        customer = customers.recognise(work, phone=PHONE, bsuid=None, name=None, now=now)
        conversation = conversations.lock(work, customer_id=customer.id, phone_number_id=NUMBER, now=now)
        outbox.add(
            work,
            [
                NewMessage(
                    conversation_id=conversation.id,
                    phone_number_id=NUMBER,
                    recipient=PHONE,
                    turn=turn,
                    n=n,
                    place="shop.greet.say",
                    message={"text": text},
                    due_at=now,
                )
                for n, text in enumerate(texts)
            ],
        )
    return conversation.id


def sent(graph_url: str) -> list[str]:
    chat = httpx.get(f"{graph_url}/sim/messages", params={"phone": PHONE}).json()
    return [message["text"] for message in chat if message["direction"] == "out"]


def statuses(tools: Tools, vendor_id: VendorId) -> list[str]:
    with tools.databases.ops(vendor_id) as conn:
        return [row["status"] for row in conn.execute("SELECT status FROM outbox ORDER BY id")]


def test_replies_leave_in_the_order_they_were_written(tools: Tools, vendor_id: VendorId, graph_url: str) -> None:
    owe(tools, vendor_id, "one", "two", "three")
    owe(tools, vendor_id, "four", turn=2)
    send_messages.drain(tools, vendor_id)
    assert sent(graph_url) == ["one", "two", "three", "four"]
    assert statuses(tools, vendor_id) == ["sent"] * 4


def test_a_message_meta_cannot_take_now_holds_back_those_after_it(
    tools: Tools, vendor_id: VendorId, graph_url: str, clock: Clock
) -> None:
    script = {"last_said_seconds_ago": 60, "send_error": {"http": 429, "code": 130429, "times": 1}}
    httpx.put(f"{graph_url}/sim/phones/{PHONE}", json=script).raise_for_status()
    owe(tools, vendor_id, "one", "two")
    send_messages.drain(tools, vendor_id)
    assert sent(graph_url) == []
    clock.now += timedelta(minutes=5)
    send_messages.drain(tools, vendor_id)
    assert sent(graph_url) == ["one", "two"]


def test_a_lost_answer_is_sent_once_more_after_a_wait_and_no_oftener(
    tools: Tools, vendor_id: VendorId, graph_url: str, clock: Clock
) -> None:
    httpx.put(f"{graph_url}/sim/phones/{PHONE}", json={"last_said_seconds_ago": 60, "lose_answer": True}).raise_for_status()
    owe(tools, vendor_id, "one")
    for _ in range(4):
        send_messages.drain(tools, vendor_id)
        clock.now += timedelta(seconds=UNKNOWN_WAIT_SECONDS + 1)
    assert sent(graph_url) == ["one", "one"]
    assert statuses(tools, vendor_id) == ["failed"]


def test_a_claim_of_a_killed_worker_is_taken_over_when_its_lease_ends(
    tools: Tools, vendor_id: VendorId, graph_url: str, clock: Clock
) -> None:
    owe(tools, vendor_id, "one")
    with unit_of_work(tools.databases, vendor_id) as work:
        assert len(outbox.claim(work, now=clock(), lease_seconds=20, limit=16)) == 1
    send_messages.drain(tools, vendor_id)
    assert sent(graph_url) == []
    for _ in range(3):
        clock.now += timedelta(seconds=UNKNOWN_WAIT_SECONDS + 20)
        sweep(tools, [Job.SEND])
    assert sent(graph_url) == ["one"]


def test_the_sweep_finds_what_no_wakeup_told_of(tools: Tools, vendor_id: VendorId, graph_url: str) -> None:
    owe(tools, vendor_id, "one")
    with tools.databases.across(SHARED) as conn:
        assert due.find(conn, list(Job), now=tools.clock()) == [(Job.SEND, vendor_id)]
    sweep(tools, list(Job))
    assert sent(graph_url) == ["one"]
    with tools.databases.across(SHARED) as conn:
        assert due.find(conn, list(Job), now=tools.clock()) == []


def test_a_number_without_a_channel_fails_its_message_and_says_which(tools: Tools, vendor_id: VendorId) -> None:
    owe(tools, vendor_id, "one")
    with tools.databases.ops(vendor_id) as conn:
        conn.execute("UPDATE outbox SET phone_number_id = '999'")
    send_messages.drain(tools, vendor_id)
    with tools.databases.ops(vendor_id) as conn:
        row = conn.execute("SELECT status, error FROM outbox").fetchone()
    assert row is not None
    assert row["status"] == "failed"
    assert "999" in row["error"]


def test_a_token_that_cannot_be_opened_waits_for_the_operator_and_was_never_sent(
    tools: Tools, vendor_id: VendorId, graph_url: str, clock: Clock
) -> None:
    owe(tools, vendor_id, "one")
    with operating(tools.databases) as conn:
        conn.execute("UPDATE vendor_channels SET token_ref = 'env:NO_SUCH_TOKEN'")
    tools.databases.cache.forget()
    send_messages.drain(tools, vendor_id)
    assert statuses(tools, vendor_id) == ["pending"]
    with operating(tools.databases) as conn:
        conn.execute("UPDATE vendor_channels SET token_ref = 'plain:sim-token-1' WHERE vendor_id = %s", (vendor_id,))
    tools.databases.cache.forget()
    clock.now += timedelta(minutes=2)
    send_messages.drain(tools, vendor_id)
    assert sent(graph_url) == ["one"]


def test_one_vendors_unusable_database_does_not_stop_the_sweep_of_the_others(
    tools: Tools, vendor_id: VendorId, graph_url: str
) -> None:
    owe(tools, vendor_id, "one")
    with operating(tools.databases) as conn:
        for target in ('{"type": "postgres", "host": "localhost"}', '{"type": "postgres", "passwordSecretRef": "env:NO_SUCH"}'):
            conn.execute(
                "INSERT INTO vendors (name, isolation_level, db_target, created_at, updated_at)"
                " VALUES ('Broken', 'dedicated_db', %s::jsonb, now(), now())",
                (target,),
            )
    sweep(tools, [Job.SEND])
    assert sent(graph_url) == ["one"]


def test_one_vendors_failing_job_does_not_stop_the_jobs_of_the_others(tools: Tools, vendor_id: VendorId, graph_url: str) -> None:
    owe(tools, vendor_id, "one")
    other = VendorId(UUID("5b6f0c1e-8d24-4f7a-9c3b-2e1d7a604b02"))
    owe(tools, other, "two")
    with operating(tools.databases, ops=True) as conn:
        conn.execute("CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a bug'; END $$")
        conn.execute(
            "CREATE TRIGGER broken BEFORE UPDATE ON outbox FOR EACH ROW"
            f" WHEN (NEW.vendor_id = '{other}') EXECUTE FUNCTION broken()"
        )
    try:
        sweep(tools, [Job.SEND])
        assert sent(graph_url) == ["one"]
    finally:
        with operating(tools.databases, ops=True) as conn:
            conn.execute("DROP TRIGGER broken ON outbox")
            conn.execute("DROP FUNCTION broken()")


def test_an_order_that_nobody_pays_in_two_days_is_cancelled(
    databases: Databases, settings: Settings, vendor_id: VendorId, clock: Clock
) -> None:
    with unit_of_work(databases, vendor_id) as work:
        order_id = orders.create(
            work, customer_phone=PHONE, amount=30, lines=(), idempotency_key=None, request_sha256=b"", now=clock.now
        ).id
        orders.confirm(work, order_id=order_id, now=clock.now)
    with tools_at(databases, settings, "http://127.0.0.1:1", clock) as tools:
        for hours, status in ((47, "CONFIRMED"), (1, "CANCELLED")):
            clock.now += timedelta(hours=hours)
            sweep(tools, [Job.EXPIRE])
            with unit_of_work(databases, vendor_id) as work:
                order = orders.get(work, order_id)
            assert order is not None
            assert order.status == status


def test_a_day_is_done_once_for_every_vendor(databases: Databases, settings: Settings, vendor_id: VendorId, clock: Clock) -> None:
    clock.now = utc_now() + timedelta(days=2)  # vendors are made by the database's clock
    once = Daily()
    with tools_at(databases, settings, "http://127.0.0.1:1", clock) as tools:
        once.run(tools)
    with operating(databases) as conn:
        (row,) = conn.execute(
            "SELECT count(DISTINCT vendor_id) AS vendors, count(DISTINCT day) AS days FROM usage_checks"
        ).fetchall()
        assert (row["vendors"], row["days"]) == (2, 1)
    assert daily.is_done(databases, vendor_id, daily.due_day(clock.now))


def test_turns_are_forgotten_after_their_days(tools: Tools, vendor_id: VendorId, clock: Clock) -> None:
    with tools.databases.ops(vendor_id) as conn:
        for turn, age in enumerate((timedelta(hours=25), timedelta(hours=23))):
            conn.execute(
                "INSERT INTO turns (vendor_id, conversation_id, turn, at, bundle, shelf, record)"
                " VALUES (%s, %s, %s, %s, '', '', '{}')",
                (vendor_id, vendor_id, turn, clock.now - age),
            )

    purge(tools)

    with tools.databases.ops(vendor_id) as conn:
        assert [row["turn"] for row in conn.execute("SELECT turn FROM turns")] == [1]
