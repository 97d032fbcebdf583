"""Turns on the real databases: what they leave behind, and what they leave behind when they fail."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from conversation.engine.match import is_consent_word
from conversation.engine.values import JSON
from conversation.live_flows import LiveFlows
from conversation.turn import TurnReport, Turns
from conversation.whatsapp.inbound import DeliveryStatus, Incoming, OtherUpdate, StatusUpdate, Tap, Text, Utterance
from router import inbox, timers
from router.databases import Databases
from router.errors import Broken
from router.ids import VendorId
from router.inbox import EntryKind
from router.rate_limits import RateLimits
from router.wakeups import Wakeups
from router.work import unit_of_work
from tests.flows import load_flows
from tests.operator import operating

NUMBER = "100000000000001"


class Chat:
    """One customer's side of a conversation, with a clock of its own."""

    def __init__(self, databases: Databases, vendor_id: VendorId, now: datetime, limits: RateLimits | None = None) -> None:
        self.databases = databases
        self.vendor_id = vendor_id
        self.now = now
        self.reports: list[TurnReport] = []
        self._wamids = count(1)
        self.turns = Turns(
            databases=databases,
            flows=LiveFlows(load_flows()),
            wakeups=Wakeups(None),
            clock=lambda: self.now,
            observe=self.reports.append,
            limits=limits,
        )

    def say(
        self, utterance: Utterance, *, number: str = NUMBER, wamid: str | None = None, phone: str = "254700000001"
    ) -> list[str]:
        wamid = wamid or f"wamid.{next(self._wamids)}"
        before = len(self.rows("SELECT id FROM outbox"))
        self.now += timedelta(seconds=1)
        self.turns.accept(
            [
                Incoming(
                    wamid=wamid,
                    phone_number_id=number,
                    sender_phone=phone,
                    sender_bsuid=None,
                    name="Mteja",
                    sent_at=self.now,
                    utterance=utterance,
                    raw=envelope(wamid, utterance),
                )
            ]
        )
        return [row["text"] for row in self.rows("SELECT message ->> 'text' AS text FROM outbox ORDER BY id")[before:]]

    def tap(self, title: str) -> list[str]:
        (button,) = self.rows(
            "SELECT b ->> 'id' AS id FROM outbox, jsonb_array_elements(message -> 'buttons') b"
            f" WHERE b ->> 'title' = '{title}' ORDER BY outbox.id DESC LIMIT 1"
        )
        return self.say(Tap(choice_id=button["id"], title=title))

    def rows(self, statement: str) -> list[dict[str, Any]]:
        with self.databases.ops(self.vendor_id) as conn:
            return conn.execute(statement).fetchall()


def envelope(wamid: str, utterance: Utterance) -> dict[str, JSON]:
    assert isinstance(utterance, Text | Tap)
    body: dict[str, JSON] = (
        {"text": {"body": utterance.text}, "type": "text"} if isinstance(utterance, Text) else {"type": "button"}
    )
    message: dict[str, JSON] = {"id": wamid, "from": "254700000001", "timestamp": "1771234567", **body}
    value: dict[str, JSON] = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": NUMBER, "display_phone_number": "254711000001"},
        "contacts": [{"wa_id": "254700000001", "profile": {"name": "Mteja"}}],
        "messages": [message],
    }
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages", "value": value}]}]}


@pytest.fixture
def chat(databases: Databases, vendor_id: VendorId, now: datetime) -> Chat:
    return Chat(databases, vendor_id, now)


@pytest.fixture
def broken_orders(chat: Chat) -> Iterator[None]:
    """Make every order line fail, as a bug of ours would."""
    with operating(chat.databases, ops=True) as conn:
        conn.execute("CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a bug'; END $$")
        conn.execute("CREATE TRIGGER broken BEFORE INSERT ON order_lines FOR EACH ROW EXECUTE FUNCTION broken()")
    yield
    mend(chat)


def mend(chat: Chat) -> None:
    with operating(chat.databases, ops=True) as conn:
        conn.execute("DROP TRIGGER IF EXISTS broken ON order_lines")
        conn.execute("DROP FUNCTION IF EXISTS broken()")


def test_one_message_leaves_inbox_outbox_snapshot_and_order_in_one_commit(chat: Chat) -> None:
    chat.say(Text(text="Habari"))
    replies = chat.say(Text(text="2 unga"))
    assert "KES 430" in replies[-1]
    (conversation,) = chat.rows("SELECT turn, flow, state, snapshot ->> 'turn' AS told FROM conversations")
    assert (conversation["turn"], conversation["flow"], conversation["state"], conversation["told"]) == (2, "shop", "cart", "2")
    assert [row["turn"] for row in chat.rows("SELECT turn FROM inbox WHERE handled_at IS NOT NULL ORDER BY id")] == [1, 2]
    with chat.databases.ops(chat.vendor_id) as conn:
        # Every row of the turn was written by one transaction.
        found = conn.execute(
            "SELECT xmin::text FROM inbox WHERE turn = 2 UNION SELECT xmin::text FROM outbox WHERE turn = 2"
            " UNION SELECT xmin::text FROM conversations UNION SELECT xmin::text FROM order_lines"
        ).fetchall()
    assert len(found) == 1


def test_a_known_message_ends_at_the_inbox(chat: Chat) -> None:
    assert chat.say(Text(text="Habari"), wamid="wamid.same")
    assert chat.say(Text(text="Habari"), wamid="wamid.same") == []
    assert len(chat.reports) == 1


def test_a_turn_that_fails_keeps_the_message_tells_the_customer_and_can_be_retried(chat: Chat, broken_orders: None) -> None:
    chat.say(Text(text="Habari"))
    replies = chat.say(Text(text="2 unga"), wamid="wamid.bad")
    assert replies == [load_flows().trouble_text("en", "")]
    assert chat.rows("SELECT id FROM orders") == []
    (kept,) = chat.rows("SELECT id, error, trace FROM inbox WHERE failed_at IS NOT NULL")
    assert "a bug" in str(kept["error"])
    assert chat.say(Text(text="2 unga"), wamid="wamid.bad") == []  # redelivered: it is known
    assert chat.say(Text(text="msaada"))  # the conversation goes on meanwhile

    mend(chat)
    with unit_of_work(chat.databases, chat.vendor_id) as work:
        assert [entry.id for entry in inbox.list_failed(work, limit=10)] == [int(kept["id"])]
        inbox.reopen(work, int(kept["id"]))
    chat.turns.handle(chat.vendor_id, int(kept["id"]))
    assert [row["qty"] for row in chat.rows("SELECT qty FROM order_lines")] == [2]
    chat.turns.handle(chat.vendor_id, int(kept["id"]))  # twice is once
    assert [row["qty"] for row in chat.rows("SELECT qty FROM order_lines")] == [2]


def test_only_a_failed_entry_can_be_reopened(chat: Chat) -> None:
    chat.say(Text(text="Habari"))
    with unit_of_work(chat.databases, chat.vendor_id) as work, pytest.raises(Broken, match="not a failed one"):
        inbox.reopen(work, 1)


def test_a_timer_fires_once_and_one_of_a_wait_that_is_over_changes_nothing(chat: Chat) -> None:
    chat.say(Text(text="2 unga"))
    (reminder,) = [row for row in chat.rows("SELECT id, name, due_at FROM timers") if "remind" in str(row["name"])]
    chat.now += timedelta(minutes=31)
    with unit_of_work(chat.databases, chat.vendor_id) as work:
        (due,) = timers.claim_due(work, now=chat.now, limit=10)
    before = len(chat.rows("SELECT id FROM outbox"))
    chat.turns.fire(chat.vendor_id, due)
    chat.turns.fire(chat.vendor_id, due)
    assert len(chat.rows("SELECT id FROM outbox")) == before + 1
    assert str(due.id) == str(reminder["id"])
    chat.say(Text(text="toa unga"))
    (turn,) = {row["turn"] for row in chat.rows("SELECT turn FROM timers WHERE fired_at IS NULL")}
    assert turn == chat.reports[-1].snapshot.waiting_turn


def test_after_a_paid_or_cancelled_order_the_next_run_has_a_new_one(chat: Chat) -> None:
    chat.say(Text(text="2 unga"))
    chat.tap("Cancel order")
    replies = chat.say(Text(text="1 sukari"))
    assert "KES 160" in replies[-1]
    assert [row["status"] for row in chat.rows("SELECT status FROM orders ORDER BY number")] == ["CANCELLED", "DRAFT"]


def test_a_clock_that_runs_behind_does_not_turn_a_conversation_back(chat: Chat) -> None:
    chat.say(Text(text="Habari"))
    later = chat.now
    chat.now -= timedelta(minutes=10)
    chat.say(Text(text="2 unga"))
    (row,) = chat.rows("SELECT last_turn_at FROM conversations")
    assert row["last_turn_at"] == later


def test_an_update_for_a_number_that_nobody_owns_is_kept_and_answered(chat: Chat) -> None:
    chat.say(Text(text="Habari"), number="999999")
    chat.say(Text(text="Habari"), number="999999", wamid="wamid.1")
    with operating(chat.databases) as conn:
        (stray,) = conn.execute("SELECT phone_number_id, seen_count FROM stray_updates").fetchall()
    assert stray == {"phone_number_id": "999999", "seen_count": 2}
    assert chat.rows("SELECT id FROM inbox") == []


def test_statuses_climb_once_and_unknown_kinds_are_stored(chat: Chat) -> None:
    chat.say(Text(text="Habari"))
    (owed, *_) = chat.rows("SELECT id FROM outbox ORDER BY id")
    at = datetime(2026, 11, 20, 9, 31, tzinfo=UTC)
    for status in (DeliveryStatus.SENT, DeliveryStatus.READ, DeliveryStatus.DELIVERED, DeliveryStatus.READ):
        update = StatusUpdate(
            wamid="wamid.out",
            phone_number_id=NUMBER,
            status=status,
            tracker=f"outbox:{owed['id']}",
            error=None,
            recipient="254700000001",
            at=at,
            raw={"status": str(status)},
        )
        chat.turns.accept([update])
    (row,) = chat.rows(f"SELECT status FROM outbox WHERE id = {owed['id']}")
    assert row["status"] == "read"
    other = OtherUpdate(kind="message.reaction", phone_number_id=NUMBER, source_id="abc", raw={"a": 1})
    chat.turns.accept([other, other])
    kinds = [row["kind"] for row in chat.rows("SELECT kind FROM inbox ORDER BY id")]
    assert kinds == [EntryKind.MESSAGE, EntryKind.STATUS, EntryKind.STATUS, EntryKind.STATUS, EntryKind.OTHER]


@pytest.mark.parametrize(
    "text",
    [
        "PAY",
        "pay",
        " Pay ",
        "*PAY*",
        "PAY!",
        "“pay”",
        "pay now",
        "PAYE",
        "p a y",
        "pa\u00fd",
        "\uff30\uff21\uff39",
        "",
        "PAY\n",
        "(pay)",
        "pay…",
        "PAY 👍",
        "payee",
    ],
)
def test_engine_and_router_agree_on_what_the_word_pay_is(text: str) -> None:
    assert is_consent_word(text, ("PAY",)) is inbox.is_pay(text)
