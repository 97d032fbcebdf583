"""Money paid by hand reaches the conversation like any other: by one event, through the one door."""

from datetime import datetime

from conversation.whatsapp.inbound import Text
from router import inbox
from router.databases import Databases
from router.ids import VendorId
from router.inbox import EntryKind
from router.orders import store as orders
from router.work import unit_of_work
from tests.conversation.test_turn import Chat
from tests.payments.bodies import c2b
from tests.payments.shop import Clock, Shop


class Paid:
    """A chat and the vendor's paybill."""

    def __init__(self, databases: Databases, vendor_id: VendorId, now: datetime) -> None:
        self.chat = Chat(databases, vendor_id, now)
        self.shop = Shop(databases=databases, vendor_id=vendor_id, clock=Clock(now=now))

    def pay(self, account: str, amount: int, receipt: str) -> list[str]:
        """Pay by hand, and give what the customer is told."""
        before = len(self.chat.rows("SELECT id FROM outbox"))
        self.shop.report(c2b(account, receipt=receipt, amount=str(amount)))
        assert self.shop.settle_reports() == 1
        with unit_of_work(self.chat.databases, self.chat.vendor_id) as work:
            waiting = inbox.list_unhandled(work, kind=EntryKind.EVENT, before=self.chat.now, limit=9)
        for entry in waiting:
            self.chat.turns.handle(self.chat.vendor_id, entry.id)
        return [row["text"] for row in self.chat.rows("SELECT message ->> 'text' AS text FROM outbox ORDER BY id")[before:]]


def test_money_by_hand_is_answered_with_the_receipt_also_after_the_chat_has_gone(
    databases: Databases, vendor_id: VendorId, now: datetime
) -> None:
    customer = Paid(databases, vendor_id, now)
    customer.chat.say(Text(text="2 sukari"))
    said = customer.chat.tap("Confirm")
    (order,) = customer.chat.rows("SELECT number, total, status FROM orders")
    assert order["status"] == "CONFIRMED", said
    told = customer.pay(order["number"], order["total"], "RKTQDM7W61")
    assert any("RKTQDM7W61" in each for each in told), told

    # The story of that order is over. Another one, made for the same customer by a program, is paid by hand too.
    with unit_of_work(databases, vendor_id) as work:
        made = orders.create(
            work,
            customer_phone="254700000001",
            amount=30,
            lines=(),
            idempotency_key=None,
            request_sha256=b"",
            now=customer.chat.now,
        )
        orders.confirm(work, order_id=made.id, now=customer.chat.now)
    told = customer.pay(made.number, 30, "RKTQDM7W62")
    assert any("RKTQDM7W62" in each for each in told), told
