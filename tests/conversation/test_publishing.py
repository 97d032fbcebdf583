"""A publish in the middle of people's conversations, rule by rule: who stays, who moves, what is refused, what is asked again."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Final, LiteralString
from uuid import uuid4

import pytest

from conversation.authoring.differences import compare
from conversation.authoring.load import check_folder, read_published
from conversation.authoring.problems import FlowErrors
from conversation.engine.flow import CallService
from conversation.kept_turns import read_conversation, read_lexicons
from conversation.live_flows import LiveFlows
from conversation.publishing.bundles import build, build_kept
from conversation.publishing.moves import Fate
from conversation.publishing.publish import Proposal, propose, publish
from conversation.recorded import Move
from conversation.services import CATALOGUE
from conversation.turn import TurnReport, Turns
from conversation.whatsapp.inbound import Incoming, Text
from router import publications
from router.databases import Databases
from router.errors import Refused
from router.ids import VendorId
from router.wakeups import Wakeups
from router.work import unit_of_work
from soko.assembly import FLOWS
from soko.offering import Offering
from tests.conversation.authoring.check_fixtures import beside_app, read_fixtures
from tests.operator import operating

NUMBER: Final = "100000000000001"
FILES, _ = read_published(FLOWS)
Files = Mapping[str, bytes]

# What people write to get into a state of the shop.
TIED: Final = "2 nafaka"
WALKS: Final[Mapping[str, tuple[str, ...]]] = {
    "browse": ("hi",),
    "which": (TIED,),
    "cart": ("2 unga",),
    "pay": ("2 unga", "ok"),
    "waiting": ("2 unga", "ok", "PAY"),
}
SHOP: Final = "flows/shop.yaml"
SWAHILI: Final = "flows/text/sw.yaml"
PAY_REPLY: Final = b"- {consent: pay, go: charge}              # the only kind of edge that may lead to payments.stk_push"
REPLIES: Final = """
    SELECT o.message ->> 'text' AS text
    FROM outbox o JOIN conversations c ON c.id = o.conversation_id JOIN customers k ON k.id = c.customer_id
    WHERE k.phone = %s AND o.turn = c.turn ORDER BY o.id
    """
SETTLE: Final = """
    WITH model AS (
      SELECT c.*, k.name FROM conversations c
      JOIN customers k ON k.vendor_id = c.vendor_id AND k.id = c.customer_id WHERE k.phone = %(like)s
    ), person AS (
      INSERT INTO customers (vendor_id, id, phone, name, created_at)
      SELECT vendor_id, gen_random_uuid(), %(phone)s, name, created_at FROM model RETURNING id
    )
    INSERT INTO conversations (vendor_id, id, customer_id, phone_number_id, snapshot, turn, order_id, flow, state,
                               last_inbound_at, last_turn_at, created_at)
    SELECT vendor_id, gen_random_uuid(), p.id, phone_number_id, snapshot, turn, gen_random_uuid(), flow, state,
           last_inbound_at, last_turn_at, created_at FROM model CROSS JOIN person p
    """
WHERE: Final = """
    SELECT state, snapshot ->> 'bundle' AS bundle FROM conversations c JOIN customers k ON k.id = c.customer_id WHERE k.phone = %s
    """


def phone_of(who: int) -> str:
    return f"2547000{who:05}"


def edited(name: str, *edits: tuple[bytes, bytes], files: Files = FILES) -> Files:
    """The flows with these words of one file replaced, everywhere they stand."""
    data = files[name]
    for before, after in edits:
        assert before in data, before
        data = data.replace(before, after)
    return {**files, name: data}


def new_words(files: Files = FILES) -> Files:
    return edited(SWAHILI, (b"Gusa", b"Bonyeza"), files=files)


def new_replies(files: Files = FILES) -> Files:
    """Another way to answer the PAY question."""
    return edited(SHOP, (PAY_REPLY, PAY_REPLY + b"\n      - {words: {en: [never], sw: [kamwe]}, go: cancel}"), files=files)


def renamed(files: Files = FILES) -> Files:
    """`which` is called `choose`."""
    files = edited(SHOP, (b"  which:  ", b"  choose: "), (b"to: which", b"to: choose"), files=files)
    return edited(SWAHILI, (b"  which.", b"  choose."), files=files)


def migration(databases: Databases, rules: str, *, flow: str = "shop") -> Files:
    live = publications.list_publications(databases)[-1].bundle_hash
    return {"flows/migrations/1.yaml": f"migrate: {flow}\nfrom: {live}\n{rules}".encode()}


class Town:
    """Many customers of one vendor, each with a chat, on flows that are published now and then."""

    def __init__(self, databases: Databases, vendor_id: VendorId, now: datetime, files: Files | None = FILES) -> None:
        """`files` are published first; None: whoever else publishes."""
        self.databases = databases
        self.vendor_id = vendor_id
        self.now = now
        self.reports: list[TurnReport] = []
        self._wamids = count(1)
        if files is not None:
            self.publish(files)
        self.flows = LiveFlows(build(files or FILES), databases)
        self.flows.refresh()
        self.turns = self.make_turns()

    def make_turns(self) -> Turns:
        """What takes turns on the flows of this town."""
        return Turns(
            databases=self.databases,
            flows=self.flows,
            wakeups=Wakeups(None),
            clock=lambda: self.now,
            observe=self.reports.append,
        )

    def propose(self, files: Files, migrations: Files = {}) -> Proposal:  # noqa: B006 - never written
        return propose(self.databases, files, migrations)

    def publish(self, files: Files, migrations: Files = {}) -> int:  # noqa: B006 - never written
        return publish(self.databases, self.propose(files, migrations), by="a test", now=self.now)

    def say(self, who: int, text: str) -> list[str]:
        """Let a customer write; returns the replies."""
        wamid = f"wamid.{next(self._wamids)}"
        phone = phone_of(who)
        message = Incoming(
            wamid=wamid,
            phone_number_id=NUMBER,
            sender_phone=phone,
            sender_bsuid=None,
            name="Mteja",
            sent_at=self.now,
            utterance=Text(text=text),
            raw={"id": wamid},
        )
        self.turns.accept([message])
        return [row["text"] for row in self.rows(REPLIES, phone)]

    def rows(self, statement: LiteralString, *values: object) -> list[dict[str, Any]]:
        with self.databases.ops(self.vendor_id) as conn:
            return conn.execute(statement, values).fetchall()

    def settle(self, who: int, others: range) -> None:
        """Put others where a customer without an order stands."""
        with self.databases.ops(self.vendor_id) as conn:
            for other in others:
                conn.execute(SETTLE, {"like": phone_of(who), "phone": phone_of(other)})

    def where(self, who: int) -> tuple[str | None, str]:
        """The state and the bundle that a customer is in."""
        (row,) = self.rows(WHERE, phone_of(who))
        return row["state"], row["bundle"]


@pytest.fixture
def town(databases: Databases, vendor_id: VendorId, now: datetime) -> Town:
    return Town(databases, vendor_id, now)


def fates(proposal: Proposal) -> dict[str, tuple[int, Fate]]:
    return {row.place: (row.people, row.fate) for row in proposal.plan.rows}


def test_the_plan_is_the_table_of_what_happens_to_whom(town: Town) -> None:
    for who, (state, words) in enumerate(WALKS.items()):
        for text in words:
            town.say(who, text)
        assert town.where(who)[0] == state
    proposal = town.propose(renamed(new_replies(new_words())))
    assert fates(proposal) == {
        "shop.browse": (1, Fate.SAME),
        "shop.cart": (1, Fate.WORDS),
        "shop.pay": (1, Fate.ASK),
        "shop.waiting": (1, Fate.PINNED),
        "shop.which": (1, Fate.BLOCKED),
    }
    assert "gone: add `which: <state>`" in proposal.plan.blocked[0].what
    before = publications.find_latest(town.databases)
    with pytest.raises(Refused, match=re.escape("1 person would be stranded: shop.which")):
        publish(town.databases, proposal, by="a test", now=town.now)
    assert publications.find_latest(town.databases) == before


@pytest.mark.parametrize(("kind", "written"), [pytest.param(kind, each, id=kind) for _, kind, each in read_fixtures({"V1"})])
def test_a_publish_is_refused_while_it_would_strand_somebody(
    kind: str, written: dict[str, Any], databases: Databases, vendor_id: VendorId, now: datetime
) -> None:
    town = Town(databases, vendor_id, now, beside_app(written["live"]))
    for who, words in enumerate(written["people"]):
        for text in words:
            town.say(who, text)
    rules = migration(databases, written["migration"], flow="a") if "migration" in written else {}
    proposal = town.propose(beside_app(written["edited"]), rules)
    assert {row.place: row.what for row in proposal.plan.blocked} == {
        place: f"BLOCKED: {why}" for place, why in written["blocked"].items()
    }
    assert bool(written["blocked"]) == (kind == "fails")


def test_a_pay_that_answers_the_old_question_is_asked_again_and_charges_nothing(town: Town) -> None:
    for text in ("2 unga", "ok"):
        town.say(1, text)
    town.publish(new_replies())
    town.flows.refresh()
    (answer,) = town.say(1, "PAY")
    assert "Reply *PAY*" in answer
    assert town.rows("SELECT id FROM payment_intents") == []
    town.say(1, "PAY")
    assert len(town.rows("SELECT id FROM payment_intents")) == 1
    assert town.where(1) == ("waiting", town.flows.bundle.hash)
    with unit_of_work(town.databases, town.vendor_id) as work:
        taken = compare([(read_conversation(work, town.reports[-1].conversation_id), read_lexicons(work))], town.flows.bundle)
    assert (taken.turns, taken.groups) == (4, ())  # what the publish did is no difference between flows


def test_keep_old_lets_people_finish_where_they_are_until_the_old_version_is_over(town: Town) -> None:
    town.say(1, TIED)
    old = town.flows.bundle.hash
    town.publish(renamed(), migration(town.databases, "states:\n  which: keep_old\n"))
    town.flows.refresh()
    assert "Pick one from the list" in town.say(1, "?")[-1]
    assert town.where(1) == ("which", old)
    town.now += timedelta(seconds=town.flows.bundle.publishing.old_versions_live + 1)
    assert town.say(1, "hi")
    assert town.where(1)[1] == town.flows.bundle.hash


def test_who_was_away_for_several_publications_follows_each_of_their_migrations(town: Town) -> None:
    town.say(1, TIED)
    town.publish(renamed(), migration(town.databases, "states:\n  which: {to: choose, say: First.}\n"))
    again = edited(SHOP, (b"  choose: ", b"  decide: "), (b"to: choose", b"to: decide"), files=renamed())
    again = edited(SWAHILI, (b"  choose.", b"  decide."), files=again)
    stranded = town.propose(again)
    assert fates(stranded) == {"shop.which": (1, Fate.BLOCKED)}
    first = town.flows.bundle.hash
    assert "from shop.choose: gone: add `choose: <state>`" in stranded.plan.blocked[0].what
    rules = migration(town.databases, "states:\n  choose: {to: decide, say: Then.}\n")
    stale = f"migrate: shop\nfrom: {first}\nstates:\n  which: choose\n".encode()
    rules = {**rules, "flows/migrations/0.yaml": stale}  # that one fits the version between, and not this one
    assert fates(town.propose(again, rules)) == {"shop.which": (1, Fate.ENTER)}
    town.publish(again, rules)
    town.flows.refresh()
    replies = town.say(1, "?")
    assert replies[0] == "First.\nThen."
    assert "do you mean" in replies[1]
    assert town.where(1) == ("decide", town.flows.bundle.hash)
    with unit_of_work(town.databases, town.vendor_id) as work:
        kept = read_conversation(work, town.reports[-1].conversation_id)
    assert kept[-1].moved == Move(left=first, came_from="shop.which", say="First.\nThen.")


def test_the_bundles_that_people_are_in_are_loaded_before_a_turn_needs_them(town: Town) -> None:
    town.say(1, TIED)
    old = town.flows.bundle.hash
    town.publish(renamed(), migration(town.databases, "states:\n  which: keep_old\n"))
    started = LiveFlows(build(new_words()), town.databases)
    started.refresh()
    started.load_old()
    with operating(town.databases) as conn:
        conn.execute("UPDATE flow_bundles SET files = '{}' WHERE hash = %s", (old,))  # no turn can load it any more
    town.flows = started
    town.turns = town.make_turns()
    assert "Pick one from the list" in town.say(1, "?")[-1]
    assert town.where(1) == ("which", old)


def test_a_rollback_is_a_publish_by_the_same_rules(town: Town) -> None:
    town.publish(renamed())
    town.flows.refresh()
    town.say(1, TIED)
    assert fates(town.propose(FILES)) == {"shop.choose": (1, Fate.BLOCKED)}
    town.publish(FILES, migration(town.databases, "states:\n  choose: which\n"))
    town.flows.refresh()
    assert "do you mean" in town.say(1, "?")[0]
    assert town.where(1) == ("which", town.flows.bundle.hash)


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        ("states:\n  wich: choose\n", "there is no state of the old version `wich`"),
        ("states:\n  which: chose\n", "there is no state `chose`"),
        ("slots:\n  tied: {to: page, with: old.tied}\n", "`with` is int"),
        ("slots:\n  tied: forget\n", "there is no rule for a slot `forget`"),
    ],
)
def test_a_migration_that_does_not_fit_is_refused_by_its_place(town: Town, rules: str, what: str) -> None:
    with pytest.raises(FlowErrors, match=what):
        town.propose(renamed(), migration(town.databases, rules))


def test_a_slot_of_another_type_needs_a_rule_and_is_worked_out_by_it(town: Town) -> None:
    retyped = edited(SHOP, (b"page:    {type: int, default: 1}", b"page:    {type: int or none, default: 1}"))
    assert retyped != FILES
    town.say(1, "hi")
    narrower = edited(SHOP, (b"  tied:    {type: unclear}", b"  tied:    {type: unclear}\n  leaf:    {type: int, default: 1}"))
    town.publish(narrower)
    town.flows.refresh()
    town.say(1, "hi")
    other = edited(SHOP, (b"leaf:    {type: int, default: 1}", b"leaf:    {type: string 9, default: one}"), files=narrower)
    blocked = town.propose(other).plan.blocked
    assert [row.place for row in blocked] == ["shop.browse"]
    assert "`leaf` changed its type" in blocked[0].what
    assert town.propose(other, migration(town.databases, "slots:\n  leaf: drop\n")).plan.blocked == ()


def test_a_bundle_that_the_check_refuses_cannot_be_published(town: Town) -> None:
    with pytest.raises(FlowErrors):
        town.publish(edited(SHOP, (b"pay, go: charge}", b"pay, go: chrage}")))


def test_what_an_older_program_published_is_loaded_whole_where_the_check_asks_for_more_by_now() -> None:
    no_locked = b"          locked: locked  # no transcript of locked: its question has no such button\n"
    older = edited(SHOP, (no_locked + b"          error: closed_today", b"          error: closed_today"))
    with pytest.raises(FlowErrors, match=r"`orders\.confirm` can also end in locked"):
        build(older)
    kept = build_kept(older).flows["shop"].states["confirm"].do
    (call,) = [action for action in kept if isinstance(action, CallService)]
    assert set(call.otherwise) == {"changed", "out_of_stock", "empty", "error"}
    waiting = edited(SHOP, (b"cancelled | timed_out | failed: {do", b"cancelled | failed: {do"))
    assert build_kept(waiting).flows["shop"].states["waiting"].wait is not None


def test_two_who_publish_at_once_do_not_undo_each_other(town: Town) -> None:
    first, second = town.propose(new_words()), town.propose(new_replies())
    publish(town.databases, first, by="a", now=town.now)
    with pytest.raises(Refused, match="somebody published meanwhile"):
        publish(town.databases, second, by="b", now=town.now)


def test_a_publication_that_does_not_load_here_leaves_the_live_flows_as_they_are(town: Town) -> None:
    live = town.flows.bundle
    publications.publish(
        town.databases, "0" * 12, {"flows/app.yaml": b"app: x"}, migrations={}, after=publications.find_latest(town.databases),
        by="another program", now=town.now,
    )  # fmt: skip
    with pytest.raises(FlowErrors):
        town.flows.refresh()
    assert town.flows.bundle is live
    assert town.say(1, "hi")


def test_the_files_of_a_bundle_come_back_as_they_were(databases: Databases) -> None:
    files = {"flows/a.yaml": "a: Ngũgĩ 🧺\n".encode()}
    number = publications.publish(
        databases,
        uuid4().hex[:12],
        files,
        migrations=files,
        after=None,
        by="a test",
        now=datetime.fromisoformat("2026-11-20T09:00Z"),
    )
    assert number is not None
    (kept,) = publications.list_publications(databases)
    assert publications.get_files(databases, kept.bundle_hash) == files
    assert publications.get_migrations(databases, number) == files


def test_work_in_progress_goes_on_with_a_stale_translation_and_a_publish_refuses_it(town: Town, tmp_path: Path) -> None:
    paid = (b"Reply *PAY* and", b"Please reply *PAY* and")
    files = edited(SHOP, paid)
    for name, data in files.items():
        path = tmp_path / name.removeprefix("flows/")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    with pytest.raises(FlowErrors, match="has changed since it was translated"):
        town.publish(files)
    assert [(each.code, each.warns) for each in check_folder(tmp_path, CATALOGUE).problems] == [("L1", False)]
    said: list[str] = []
    Offering(town.databases, tmp_path, said.append).look()
    assert re.search(r"text/sw.yaml:\d+:\d+  L1  warning: `shop.pay.ask` has changed since it was translated", said[0])
    assert len(said) == 2
    assert re.fullmatch(r"Flows \w+ are live", said[1])
    assert town.flows.refresh()
    cart, pay = [town.say(1, text)[-1] for text in ("hi", "swahili", "2 unga", "ok")][-2:]
    assert "Kikapu chako" in cart
    assert "Please reply *PAY*" in pay  # this one is in the base language
