"""A customer who writes on WhatsApp and a phone that M-Pesa asks: real turns, and the worker's steps one at a time."""

from datetime import datetime

from conversation.whatsapp.inbound import Text
from payments.daraja import Daraja
from router import inbox, timers
from router.inbox import EntryKind
from router.payment_intents.store import Intent
from router.work import unit_of_work
from tests.conversation.test_turn import Chat
from tests.payments.shop import Shop

CUSTOMER = "254700000001"
PAY = Text(text="PAY")


class Talk(Chat):
    """One customer of a shop, by the shop's own clock."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        super().__init__(shop.databases, shop.vendor_id, shop.clock())

    @property
    def now(self) -> datetime:
        return self.shop.clock()

    @now.setter
    def now(self, at: datetime) -> None:
        self.shop.clock.now = at

    def order(self) -> None:
        """Confirm a basket of KES 430: the next word may be PAY."""
        self.say(Text(text="2 unga"))
        assert "Reply *PAY*" in self.tap("Confirm")[-1]

    def push(self, daraja: Daraja) -> list[str]:
        """Push what is due, and nothing more; then let the customer hear what came of it."""
        while self.shop.push(daraja):
            pass
        return self.hear()

    def work(self, daraja: Daraja) -> list[str]:
        """Push, settle and ask what is due; then let the customer hear what came of it."""
        while self.shop.push(daraja) or self.shop.settle() or self.shop.query(daraja):
            pass
        return self.hear()

    def hear(self) -> list[str]:
        """Let the conversation hear what happened and which timers came due; gives what the customer is told."""
        before = len(self.rows("SELECT id FROM outbox"))
        with unit_of_work(self.databases, self.vendor_id) as work:
            happened = inbox.list_unhandled(work, kind=EntryKind.EVENT, before=self.now, limit=100)
            due = timers.claim_due(work, now=self.now, limit=100)
        for entry in happened:
            self.turns.handle(self.vendor_id, entry.id)
        for timer in due:
            self.turns.fire(self.vendor_id, timer)
        return [row["text"] for row in self.rows("SELECT message ->> 'text' AS text FROM outbox ORDER BY id")[before:]]

    def intents(self) -> list[Intent]:
        """Give the intents, oldest first."""
        return [self.shop.intent(row["id"]) for row in self.rows("SELECT id FROM payment_intents ORDER BY created_at, id")]
