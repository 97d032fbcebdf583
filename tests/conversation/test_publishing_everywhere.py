"""A publish while people stand in every state there is, and keep writing: nobody is lost, money finishes where it began."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

from conversation.engine.flow import Bundle
from router import inbox
from router.databases import Databases
from router.ids import VendorId
from router.inbox import EntryKind
from router.work import unit_of_work
from tests.conversation.test_publishing import TIED, Town, migration, new_replies, new_words, phone_of, renamed
from tests.payments.bodies import c2b
from tests.payments.shop import Clock, Shop
from tests.soko.lived import live, to_transcript

MANY: Final = 17  # people in each place
PROBLEM: Final = ("support", "Report a problem")
WAYS_IN: Final[Mapping[str | None, tuple[str, ...]]] = {
    "shop.browse": ("hi",),
    "shop.quantity": ("hi", "Sukari 1kg"),
    "shop.which": (TIED,),
    "shop.cart": ("1 unga",),
    "shop.pay": ("1 unga", "ok"),
    "shop.waiting": ("1 unga", "ok", "PAY"),
    "support.menu": PROBLEM[:1],
    "pick_branch.pick": PROBLEM,
    "support.details": (*PROBLEM, "Town"),
    "support.complained": (*PROBLEM, "Town", "It is late", "2", "yesterday", "no"),
    "support.person": ("support", "Talk to somebody"),
    "follow_up.ask": (),  # only the clock leads there: see ASKED
    None: ("hi", "agent"),  # their last flow is over
}
WITH_ORDER: Final = ("shop.cart", "shop.pay", "shop.waiting")  # each walks there; of the others one is like another
ASKED: Final = """\
  - customer: problem
  - customer: {tap: Talk to somebody}
  - person: {done: true}
  - clock: +3h
"""
SILENT: Final = ("support.complained", "support.person")  # people have the chat: the flow answers nothing
MOVED: Final[Mapping[str | None, str | None]] = {
    "shop.which": "shop.choose",
    None: "shop.browse",
    "follow_up.ask": None,  # whose one try the first of two question marks has used
}
STANDING: Final = """
    SELECT k.phone, c.flow || '.' || c.state AS place, c.snapshot ->> 'bundle' AS bundle
    FROM conversations c JOIN customers k ON k.id = c.customer_id
    """
OWED: Final = """
    SELECT o.number, o.total FROM orders o JOIN conversations c ON c.order_id = o.id WHERE c.state = 'waiting' ORDER BY o.number
    """
SIMPLER: Final = "We made ordering simpler."


def waiting_places(bundle: Bundle) -> set[str]:
    """Every state in which a conversation can rest."""
    return {f"{flow.name}.{state.name}" for flow in bundle.flows.values() for state in flow.states.values() if state.waits}


def standing(town: Town) -> dict[str, tuple[str | None, str]]:
    """By phone, the place and the bundle that each customer is in."""
    return {row["phone"]: (row["place"], row["bundle"]) for row in town.rows(STANDING)}


def settle_everywhere(town: Town) -> dict[int, str | None]:
    """Put people into every place, by real turns."""
    people: dict[int, str | None] = {}
    for place, words in WAYS_IN.items():
        first = len(people)
        walking = MANY if place in WITH_ORDER else 1
        if place == "follow_up.ask":
            live(town.databases, to_transcript(ASKED, phone=phone_of(first)), town.flows.bundle)
        for who in range(first, first + walking):
            for text in words:
                town.say(who, text)
        town.settle(first, range(first + walking, first + MANY))
        people |= dict.fromkeys(range(first, first + MANY), place)
    return people


def pay_by_hand(town: Town) -> None:
    """Let the money of every order come that has been asked for, and the conversations hear of it."""
    shop = Shop(databases=town.databases, vendor_id=town.vendor_id, clock=Clock(now=town.now))
    for index, order in enumerate(town.rows(OWED)):
        shop.report(c2b(order["number"], receipt=f"RKTQDM7W{index:02}", amount=str(order["total"])))
    while shop.settle_reports():
        pass
    with unit_of_work(town.databases, town.vendor_id) as work:
        entries = inbox.list_unhandled(work, kind=EntryKind.EVENT, before=town.now, limit=99)
    for entry in entries:
        town.turns.handle(town.vendor_id, entry.id)


def test_a_publish_with_people_in_every_state_loses_nobody(databases: Databases, vendor_id: VendorId) -> None:
    town = Town(databases, vendor_id, datetime(2026, 3, 2, 9, 20, tzinfo=UTC))
    assert waiting_places(town.flows.bundle) == WAYS_IN.keys() - {None}  # else write the way into the new state above
    people = settle_everywhere(town)
    old = town.flows.bundle.hash
    before = {phone: place for phone, (place, _) in standing(town).items()}
    assert before == {phone_of(who): place for who, place in people.items()}
    assert len(people) >= 200

    files = renamed(new_replies(new_words()))
    rules = migration(town.databases, f"states:\n  which: {{to: choose, say: {SIMPLER}}}\n")
    mixed = sorted(people, key=lambda who: who % MANY)  # some of each place write before it, some while it happens
    with ThreadPoolExecutor(2) as pool:
        writing = {who: pool.submit(town.say, who, "?") for who in mixed}
        writing[mixed[len(mixed) // 4]].result()
        town.publish(files, rules)
        assert town.flows.refresh()
        during = {who: replies.result() for who, replies in writing.items()}
    after = {who: town.say(who, "?") for who in mixed}

    new = town.flows.bundle.hash
    assert new != old
    assert town.rows("SELECT error FROM inbox WHERE failed_at IS NOT NULL") == []
    now = standing(town)
    for who, place in people.items():
        assert (during[who] and after[who]) or place in SILENT, place
        assert now[phone_of(who)] == (MOVED.get(place, place), old if place == "shop.waiting" else new)
        heard = [*during[who], *after[who]]
        if place == "shop.which":
            assert heard.count(SIMPLER) == 1
            assert any("do you mean" in reply for reply in heard)
        if place == "shop.pay":
            assert any("Reply *PAY*" in reply for reply in heard)

    pay_by_hand(town)
    now = standing(town)
    assert {now[phone_of(who)] for who, place in people.items() if place == "shop.waiting"} == {(None, old)}
    assert len(town.rows("SELECT 1 FROM orders WHERE status = 'PAID'")) == MANY
