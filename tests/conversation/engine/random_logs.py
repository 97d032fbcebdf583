"""Random logs of events over the real flows: made from a number, the same on every machine."""

import random

from conversation.engine.values import JSON
from tests.conversation.engine.shop import Shop

SAID = (
    "hi", "2 unga", "2 unga na 1 sukari na 1 kuku", "toa unga", "ok", "pay", "PAY", "cart", "cancel", "help", "kiswahili", "mtu",
    "mbili", "3", "more", "🔥", "qwerty", "nusu kilo sukari", "unga mbili, mkate", "",
)  # fmt: skip
OUTCOMES = ("paid", "cancelled", "timed_out", "no_funds", "wrong_pin", "failed")


def play(seed: int, turns: int = 30) -> list[JSON]:
    """Play one log; return snapshot, effects and trace of every turn."""
    chance = random.Random(seed)
    shop = Shop(query=[chance.choice(("pending", "not_paid", "paid")) for _ in range(5)])
    timers: list[tuple[str, int]] = []
    for _ in range(turns):
        shop.push = chance.choice(("sent", "sent", "sent", "refused", "daily_limit"))
        match chance.randrange(7):
            case 0 if shop.shown:
                menu = chance.randrange(len(shop.shown))
                shop.tap(chance.choice(list(shop.shown[menu])), menu=menu)
            case 1 if shop.shown:
                shop.tap(chance.choice(list(shop.shown[-1])))
            case 2 if timers:
                shop.fire(*chance.choice(timers[-4:]))
            case 3:
                shop.result(chance.choice(OUTCOMES), key=chance.choice((shop.attempt, "attempt-of-old")))
            case 4 if chance.random() < 0.2:
                shop.share(chance.choice(("image", "sticker")))
            case _:
                shop.say(chance.choice(SAID))
        if shop.snapshot.idle and shop.status in ("PAID", "CANCELLED"):
            shop.status, shop.basket, shop.attempt, shop.receipt = "DRAFT", {}, None, None
        timers += [(name, shop.snapshot.waiting_turn or 0) for name in shop.timers]
    return shop.log
