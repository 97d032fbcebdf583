from datetime import datetime

import pytest

from conversation.whatsapp.inbound import Text
from router.databases import Databases
from router.ids import VendorId
from router.rate_limits import PER_MINUTE, RateLimits, Subject
from tests.conversation.test_turn import Chat


@pytest.mark.security(29)
@pytest.mark.parametrize("redis_is_away", [False, True])
def test_who_writes_too_fast_is_told_once_and_dropped_and_others_are_heard(
    databases: Databases, vendor_id: VendorId, now: datetime, redis_url: str, *, redis_is_away: bool
) -> None:
    url = "redis://127.0.0.1:1/0" if redis_is_away else redis_url
    chat = Chat(databases, vendor_id, now, RateLimits(url, {**PER_MINUTE, Subject.MESSAGE: 4}))
    assert all(chat.say(Text(text="Habari"), wamid=f"wamid.{n}") for n in range(4))
    before = chat.rows("SELECT state, turn FROM conversations")
    for _ in range(2):
        assert chat.say(Text(text="Habari"), wamid="wamid.0") == [], "delivered again: it was heard, and is not written again"
    (told,) = chat.say(Text(text="2 unga"), wamid="wamid.4")
    assert "Please wait a minute" in told
    assert [chat.say(Text(text="2 unga"), wamid=f"wamid.{n}") for n in range(5, 9)] == [[]] * 4
    assert chat.rows("SELECT state, turn FROM conversations") == [{**before[0], "turn": before[0]["turn"] + 1}]
    assert chat.rows("SELECT * FROM order_lines") == []
    assert chat.say(Text(text="Habari"), wamid="wamid.x", phone="254700000002")
    kept = chat.rows("SELECT source_id FROM inbox WHERE failed_at IS NULL AND handled_at IS NOT NULL ORDER BY id")
    assert [row["source_id"] for row in kept] == [*(f"wamid.{n}" for n in range(5)), "wamid.x"]


def test_it_is_told_in_the_customers_language(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    chat = Chat(databases, vendor_id, now, RateLimits(None, {**PER_MINUTE, Subject.MESSAGE: 2}))
    chat.say(Text(text="Habari"))
    chat.say(Text(text="kiswahili"))
    assert "subiri dakika moja" in chat.say(Text(text="Habari"))[0]
