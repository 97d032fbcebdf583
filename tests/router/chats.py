"""A conversation to hang rows on, in tests of what belongs to one."""

from datetime import datetime

from router import conversations, customers
from router.conversations import Conversation
from router.work import Work


def open_chat(work: Work, now: datetime, phone: str = "254700000001") -> Conversation:
    """Return the conversation of this phone's owner, locked."""
    customer = customers.recognise(work, phone=phone, bsuid=None, name=None, now=now)
    return conversations.lock(work, customer_id=customer.id, phone_number_id="100000000000001", now=now)
