"""A vendor's day as payments see it: a customer, a confirmed order, the PAY, and everybody's clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from pydantic import SecretStr

from payments import by_hand, reconcile, requests, settle, stk
from payments.credentials import Credentials
from payments.daraja import Accepted, Ambiguous, Answered, Daraja, Endpoint, NoAnswer, Rejected, StkQuestion, StkRequest
from payments.requests import Prepared
from router import conversations, inbox
from router.databases import Databases
from router.ids import ConversationId, CustomerId, IntentId, OrderId, ShortcodeId, VendorId
from router.inbox import EntryKind, NewEntry
from router.orders import store as orders
from router.payment_intents import callbacks, reports, shortcodes, store
from router.payment_intents.reports import Channel
from router.payment_intents.store import Intent
from router.secret_refs import open_secret
from router.work import unit_of_work

PHONE = "254712345678"
_numbers = count(1)


@dataclass
class Clock:
    """The time of the test, of the app and of the simulator alike."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **units: float) -> datetime:
        self.now += timedelta(**units)
        return self.now


@dataclass(frozen=True, kw_only=True)
class Ordered:
    order_id: OrderId
    customer_id: CustomerId
    conversation_id: ConversationId
    phone: str
    total: int


def open_plain(reference: str) -> str:
    return open_secret(reference, allow_plain=True)


@dataclass(kw_only=True)
class Answers:
    """M-Pesa as it answers every status query alike; None gives no answer. It takes no pushes."""

    code: str | None = "0"
    asked: int = 0

    def authorise(self, credentials: Credentials) -> SecretStr:
        raise AssertionError("only a push asks for a token by itself")

    def push(self, request: StkRequest, credentials: Credentials, token: SecretStr) -> Accepted | Rejected | Ambiguous:
        raise AssertionError("nothing may be pushed here")

    def ask(self, endpoint: Endpoint, body: Mapping[str, str | int], credentials: Credentials) -> NoAnswer:
        raise AssertionError("nothing is registered or pulled here")

    def query(self, question: StkQuestion, credentials: Credentials) -> Answered | NoAnswer:
        self.asked += 1
        return NoAnswer(reason="busy") if self.code is None else Answered(result_code=self.code, result_desc="as the test says")


@dataclass(frozen=True, kw_only=True)
class Shop:
    databases: Databases
    vendor_id: VendorId
    clock: Clock
    callback_base_url: str = "http://127.0.0.1:9"
    opened: list[str] = field(default_factory=list)

    # the customer

    def order(self, total: int = 430, phone: str = PHONE) -> Ordered:
        """Make a CONFIRMED order of one customer."""
        now = self.clock()
        with unit_of_work(self.databases, self.vendor_id) as work:
            order = orders.create(
                work, customer_phone=phone, amount=total, lines=(), idempotency_key=None, request_sha256=b"", now=now
            )
            conversation = conversations.lock(work, customer_id=order.customer_id, phone_number_id="100000000000001", now=now)
            assert isinstance(orders.confirm(work, order_id=order.id, now=now), orders.Confirmed)
        return Ordered(
            order_id=order.id, customer_id=order.customer_id, conversation_id=conversation.id, phone=phone, total=total
        )

    def say(self, ordered: Ordered, text: str = "PAY", source_id: str | None = None) -> int:
        """Store a message of the customer; gives its inbox id."""
        entry = NewEntry(
            kind=EntryKind.MESSAGE,
            source_id=source_id or f"wamid.{next(_numbers)}",
            body={},
            text=text,
            received_at=self.clock(),
            customer_id=ordered.customer_id,
            conversation_id=ordered.conversation_id,
        )
        with unit_of_work(self.databases, self.vendor_id) as work:
            message_id = inbox.accept(work, entry)
        assert message_id is not None
        return message_id

    def prepare(self, ordered: Ordered, message_id: int, **changes: Any) -> Prepared | requests.Busy | requests.Refused:
        terms: dict[str, Any] = {
            "order_id": ordered.order_id,
            "customer_id": ordered.customer_id,
            "amount": ordered.total,
            "msisdn": ordered.phone,
            "pay_message_id": message_id,
            "now": self.clock(),
        }
        with unit_of_work(self.databases, self.vendor_id) as work:
            return requests.prepare(work, **(terms | changes))

    def consented(self, total: int = 430, phone: str = PHONE) -> Intent:
        """Make an order, PAY included."""
        ordered = self.order(total, phone)
        prepared = self.prepare(ordered, self.say(ordered))
        assert isinstance(prepared, Prepared), prepared
        return self.intent(prepared.intent_id)

    # the worker

    def push(self, daraja: Daraja) -> bool:
        return stk.push_next(
            self.databases,
            daraja,
            vendor_id=self.vendor_id,
            now=self.clock(),
            callback_base_url=self.callback_base_url,
            open_secret=self.open_secret,
        )

    def query(self, daraja: Daraja) -> bool:
        return reconcile.query_next(
            self.databases, daraja, vendor_id=self.vendor_id, now=self.clock(), open_secret=self.open_secret
        )

    def settle(self) -> bool:
        return settle.settle_next(self.databases, vendor_id=self.vendor_id, now=self.clock())

    def confirm(self, code: str | None = "0") -> int:
        """Send every status query that is due, all answered alike; gives their number."""
        answers = Answers(code=code)
        while self.query(answers):
            pass
        return answers.asked

    def sweep(self) -> int:
        with unit_of_work(self.databases, self.vendor_id) as work:
            return reconcile.sweep(work, now=self.clock())

    def open_secret(self, reference: str) -> str:
        self.opened.append(reference)
        return open_plain(reference)

    # M-Pesa without HTTP

    def call_back(self, intent_id: IntentId, body: str) -> None:
        """Store a callback as the webhook would."""
        with unit_of_work(self.databases, self.vendor_id) as work:
            callbacks.keep_callback(work, intent_id, body=body, peer=None)

    def shortcode_id(self) -> ShortcodeId:
        """Give the vendor's shortcode, with its copy beside the money."""
        with unit_of_work(self.databases, self.vendor_id) as work:
            (active,) = shortcodes.list_shortcodes(work)
            return shortcodes.keep_shortcode(work, active, now=self.clock()).id

    def report(self, body: str, channel: Channel = Channel.C2B) -> None:
        """Store a report of money as the webhook would, or the job that fetches them."""
        shortcode_id = self.shortcode_id()
        with unit_of_work(self.databases, self.vendor_id) as work:
            reports.keep(work, shortcode_id, channel, body=body, peer=None, now=self.clock())

    def settle_reports(self) -> int:
        """Settle every report that waits; gives their number."""
        done = 0
        while by_hand.settle_next_report(self.databases, vendor_id=self.vendor_id, now=self.clock()):
            done += 1
        return done

    def ask(self, intent_id: IntentId) -> None:
        """Let the conversation ask, which makes a status query due."""
        with unit_of_work(self.databases, self.vendor_id) as work:
            requests.ask(work, intent_id=intent_id, now=self.clock())

    # looking

    def intent(self, intent_id: IntentId) -> Intent:
        with unit_of_work(self.databases, self.vendor_id) as work:
            found = store.get(work, intent_id)
        assert found is not None
        return found

    def states(self, intent_id: IntentId) -> tuple[str, str, str]:
        """Give the statuses of the intent, of its attempt and of its order."""
        intent = self.intent(intent_id)
        (order,) = self.rows("SELECT status FROM orders WHERE id = %s", intent.order_id)
        return str(intent.status), str(intent.attempt.status), order["status"]

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        with self.databases.ops(self.vendor_id) as conn:
            return conn.execute(statement.encode(), values).fetchall()

    def news(self) -> list[tuple[str, str | None]]:
        """Give the outcomes told to conversations, with their receipts."""
        return [(body["outcome"], body["carries"]["receipt"]) for body in self._told("payments.result")]

    def progress(self) -> list[str]:
        """Give how prompts stood whose end nobody knew, as conversations heard of it."""
        return [body["outcome"] for body in self._told("payments.progress")]

    def why(self) -> str:
        """Give the words of the latest news, an end or not."""
        return str(self._told("payments")[-1]["carries"]["why"])

    def _told(self, name: str) -> list[dict[str, Any]]:
        rows = self.rows("SELECT body FROM inbox WHERE kind = 'event' AND source_id LIKE %s ORDER BY id", f"{name}%")
        return [row["body"] for row in rows]

    def events(self, pattern: str = "payment%") -> list[str]:
        return [row["type"] for row in self.rows("SELECT type FROM domain_events WHERE type LIKE %s ORDER BY id", pattern)]
