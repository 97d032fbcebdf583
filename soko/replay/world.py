"""The world of one transcript: its shop, its customer, its clock, and a worker that does at once what is due."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final
from urllib.parse import urlsplit

from fastapi import HTTPException, Request
from fastapi.routing import APIRoute

from conversation import people
from conversation.authoring.draws import find_seed, targets_of
from conversation.authoring.matching import Choice, Reply, to_reply
from conversation.authoring.transcript_yaml import did_you_mean
from conversation.authoring.transcripts import Given, GivenOrder, Transcript
from conversation.context import Shelves
from conversation.engine.context import to_slug
from conversation.engine.flow import Bundle
from conversation.engine.snapshot import Snapshot
from conversation.live_flows import LiveFlows
from conversation.turn import TurnReport, Turns
from conversation.whatsapp.inbound import Incoming, Location, Media, Tap, Text, Utterance
from conversation.whatsapp.outbound import CloudApi
from payments import stk
from payments.webhook import build_routes
from router import catalog, channels, conversations, customers, rehearsal
from router.databases import Databases
from router.ids import ConversationId, VendorId
from router.json_values import JSON
from router.orders import store as orders
from router.orders.lines import Want
from router.rehearsal import Rehearsal
from router.secret_refs import open_secret
from router.wakeups import Wakeups
from router.work import Work, unit_of_work
from soko.replay.mpesa import Prompt, ScriptedMpesa
from worker.jobs import query_stk, settle_payment, take_turns
from worker.tools import Tools

CALLBACKS: Final = "https://replay.example"
MOST_ROUNDS: Final = 50


class Impossible(Exception):
    """A transcript asks for something its world does not have."""


@dataclass(kw_only=True)
class Clock:
    """The time of a transcript. It moves when the transcript says so."""

    now: datetime

    def __call__(self) -> datetime:
        """Tell the time."""
        return self.now


@dataclass(frozen=True, kw_only=True)
class Props:
    """What transcripts of one folder share, and none of them changes."""

    bundle: Bundle
    cloud_api: CloudApi
    shelves: Shelves
    push: Callable[..., bool] = stk.push_next  # as the push job does it


class World:
    """Everything one transcript touches. `databases` forgets it all when the transcript is over."""

    def __init__(self, databases: Rehearsal, props: Props, transcript: Transcript) -> None:
        given = transcript.given
        self.clock = Clock(now=given.now)
        self.mpesa = ScriptedMpesa(pushes=transcript.pushes, queries=transcript.queries, clock=self.clock)
        self.replies: list[Reply] = []
        self.messages: list[rehearsal.Said] = []  # of the replies, as they stand in the outbox
        self.reports: list[TurnReport] = []
        self.last_heard_at = given.now
        self._databases = databases
        self._push_next = props.push
        self._phone, self._name = given.phone, given.first_name
        self._vendor_id = _make_vendor(databases, given) if given.products else _find_vendor(databases, given.vendor)
        self._number_id = _number_of(databases, self._vendor_id)
        self._intent: str | None = None
        self._turns = Turns(
            databases=databases,
            flows=LiveFlows(props.bundle),
            wakeups=Wakeups(None),
            clock=self.clock,
            observe=self.reports.append,
            shelves=props.shelves,
            classify=lambda _text: self._intent,
        )
        self._tools = Tools(
            databases=databases,
            turns=self._turns,
            cloud_api=props.cloud_api,
            daraja=self.mpesa,
            wakeups=Wakeups(None),
            open_secret=_open_plain,
            clock=self.clock,
            trace_days=1,
            callback_base_url=CALLBACKS,
        )
        self._callback: tuple[Prompt, str] | None = None
        self._heard = 0
        self._last_said = 0
        self._prepare(transcript, props.bundle)

    # ------------------------------------------------------------ what a transcript can do

    def write(self, text: str, intent: str | None = None) -> None:
        """The customer writes, and a classifier makes this intent of it."""
        self._intent = intent
        self._hear(Text(text=text), {"type": "text", "text": {"body": text}})

    def tap(self, choice: Choice, *, in_list: bool) -> None:
        """The customer taps a button or a row, however old."""
        kind = "list_reply" if in_list else "button_reply"
        told: JSON = {"type": kind, kind: {"id": choice.id, "title": choice.title}}
        self._hear(Tap(choice_id=choice.id, title=choice.title), {"type": "interactive", "interactive": told})

    def send(self, kind: str, caption: str | None) -> None:
        """The customer sends something without words."""
        part: dict[str, JSON] = {"id": "1"} if caption is None else {"id": "1", "caption": caption}
        self._hear(Media(kind=kind, caption=caption), {"type": kind, kind: part})

    def share(self, latitude: float, longitude: float, name: str | None) -> None:
        """The customer sends a place."""
        place: JSON = {"latitude": latitude, "longitude": longitude, "name": name}
        self._hear(Location(lat=latitude, lon=longitude, name=name), {"type": "location", "location": place})

    def person_writes(self, text: str) -> None:
        """One of the vendor's people writes."""
        with unit_of_work(self._databases, self._vendor_id) as work:
            people.say(work, self._conversation_id(), text, now=self.clock.now)
        self._do_what_is_due()

    def person_is_done(self) -> None:
        """The vendor's people give the conversation back."""
        with unit_of_work(self._databases, self._vendor_id) as work:
            people.give_back(work, self._conversation_id(), now=self.clock.now)
        self._do_what_is_due()

    def change_vendor(self, stock: Mapping[str, int], stops: Sequence[str]) -> None:
        """The vendor changes what is left of products, and sells some or does something no more."""
        for name, left in stock.items():
            rehearsal.set_stock(self._databases, self._vendor_id, self._item(name).name, left)
        for what in stops:
            if not rehearsal.stop(self._databases, self._vendor_id, what):
                rehearsal.take_off(self._databases, self._vendor_id, self._item(what).name)
        if stock or stops:
            self._databases.cache.forget()

    def move_clock(self, until: datetime) -> None:
        """Let time pass, stopping at each moment at which something falls due."""
        for _ in range(MOST_ROUNDS * 20):
            next_at = self._look().next_at
            if next_at is None or next_at > until:
                break
            self.clock.now = next_at
            self._do_what_is_due()
        self.clock.now = until
        self._do_what_is_due()

    def post_callback(self, prompt: Prompt, body: str) -> None:
        """M-Pesa posts a result to the address that the push gave it."""
        self._callback = (prompt, body)
        *_, vendor, token = urlsplit(prompt.request.callback_url).path.split("/")
        request = Request({"type": "http", "client": ("192.0.2.1", 443), "headers": []})
        try:
            self._receive_callback(vendor=vendor, token=token, request=request, body=body)
        except HTTPException as error:
            raise Impossible(f"M-Pesa's callback was answered {error.status_code}") from error
        self._do_what_is_due()

    def post_callback_again(self) -> None:
        """M-Pesa posts the same bytes once more. Errors: Impossible when it posted none."""
        if self._callback is None:
            raise Impossible("M-Pesa posted no result yet that it could post again")
        self.post_callback(*self._callback)

    @cached_property
    def _receive_callback(self) -> Callable[..., object]:
        """The function behind POST /hooks/pay/{vendor}/{token}, to be called without a server in between."""
        routes = build_routes(self._databases, Wakeups(None), clock=self.clock).routes
        return next(route.endpoint for route in routes if isinstance(route, APIRoute))

    # ------------------------------------------------------------ what can be seen

    def calls(self, since: int = 0) -> list[tuple[str, Mapping[str, JSON]]]:
        """List the calls of the turns after the first `since`."""
        return [(call.name, call.args) for report in self.reports[since:] for call in report.calls]

    def count_calls(self) -> Counter[str]:
        """Count the calls of the whole transcript by name."""
        return Counter(name for name, _ in self.calls())

    def order(self) -> rehearsal.OrderSeen | None:
        """Read the order the conversation is about."""
        return rehearsal.get_order(self._databases.read(self._vendor_id))

    def consents(self) -> list[rehearsal.ConsentSeen]:
        """Read every prompt with the message that allowed it."""
        return rehearsal.list_consents(self._databases.read(self._vendor_id))

    # ------------------------------------------------------------ how it goes on

    def _conversation_id(self) -> ConversationId:
        if not self.reports:
            raise Impossible("nobody has written yet: there is no conversation that a person could take part in")
        return self.reports[-1].conversation_id

    def _hear(self, utterance: Utterance, said: Mapping[str, JSON]) -> None:
        self._heard += 1
        wamid = f"wamid.replay.{self._heard}"
        message: JSON = {"id": wamid, "from": self._phone, "timestamp": str(int(self.clock.now.timestamp())), **said}
        contact: JSON = {"wa_id": self._phone, "profile": {"name": self._name or ""}}
        value: JSON = {"metadata": {"phone_number_id": self._number_id}, "contacts": [contact], "messages": [message]}
        update = Incoming(
            wamid=wamid,
            phone_number_id=self._number_id,
            sender_phone=self._phone,
            sender_bsuid=None,
            name=self._name,
            sent_at=self.clock.now,
            utterance=utterance,
            raw={"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]},
        )
        self.last_heard_at = self.clock.now
        self._turns.accept([update])
        self._do_what_is_due()

    def _do_what_is_due(self) -> None:
        """Do what a worker would do now, until nothing is left, with the worker's own jobs."""
        for _ in range(MOST_ROUNDS):
            seen = self._look()
            if not seen.due:
                break
            # One kind a round: a job may do what the next one would have found.
            if seen.push:
                self._push()
            elif seen.settle:
                settle_payment.drain(self._tools, self._vendor_id)
            elif seen.query:
                query_stk.drain(self._tools, self._vendor_id)
            else:
                self._take_turns()
        else:
            raise Impossible(f"the same work stays due for ever: {seen}")
        self._collect(seen)

    def _take_turns(self) -> None:
        before = len(self.reports)
        take_turns.drain(self._tools, self._vendor_id)
        if len(self.reports) == before and not self._failures():
            raise Impossible("a timer broke its turn; the log says how")

    def _push(self) -> None:
        """Do as the push job does, without its threads: a rehearsal has one connection."""
        self._push_next(
            self._databases,
            self.mpesa,
            vendor_id=self._vendor_id,
            now=self.clock.now,
            callback_base_url=CALLBACKS,
            open_secret=_open_plain,
        )

    def _look(self) -> rehearsal.Look:
        return rehearsal.look(self._databases.read(self._vendor_id), after=self._last_said, now=self.clock.now)

    def _failures(self) -> list[str]:
        return rehearsal.list_failed(self._databases.read(self._vendor_id))

    def _collect(self, seen: rehearsal.Look) -> None:
        for said in seen.said:
            self._last_said = said.id
            self.messages.append(said)
            self.replies.append(to_reply(said.place, said.message))
        if seen.failed:
            raise Impossible(f"the turn failed, and the customer was only told the trouble text:\n{self._failures()[-1]}")

    def _prepare(self, transcript: Transcript, bundle: Bundle) -> None:
        given, languages = transcript.given, bundle.languages
        if given.language is not None and given.language not in languages:
            raise Impossible(f"given.customer.language: these flows speak {', '.join(languages)}, not {given.language}")
        self.change_vendor(given.stock, ())
        if given.language is None and given.order is None and not given.draws:
            return  # nobody knows this customer: the first message makes the row
        with unit_of_work(self._databases, self._vendor_id) as work:
            customer = customers.recognise(work, phone=given.phone, bsuid=None, name=given.first_name, now=given.now)
            if given.language is not None:
                customers.set_language(work, customer.id, given.language)
            if given.order is not None:
                self._give_order(work, given.order, customer)
            if given.draws:
                self._give_draws(work, given.draws, customer, bundle)

    def _give_draws(self, work: Work, draws: Mapping[str, str], customer: customers.Customer, bundle: Bundle) -> None:
        seed = find_seed(bundle, draws)
        if seed is None:
            drawn = "; ".join(f"{place}: {' or '.join(targets)}" for place, targets in targets_of(bundle).items())
            raise Impossible(f"given.draws: no split of these flows leads there{f'; there is {drawn}' if drawn else ''}")
        now = self.clock.now
        conversation = conversations.lock(work, customer_id=customer.id, phone_number_id=self._number_id, now=now)
        conversations.save(
            work,
            conversation.id,
            snapshot=Snapshot.fresh(seed).to_json(),
            turn=0,
            before_turn=0,
            order_id=conversation.order_id,
            flow=None,
            state=None,
            last_inbound_at=None,
            now=now,
        )

    def _give_order(self, work: Work, given: GivenOrder, customer: customers.Customer) -> None:
        now = self.clock.now
        conversation = conversations.lock(work, customer_id=customer.id, phone_number_id=self._number_id, now=now)
        add = [Want(item_id=self._item(name).id, qty=qty) for name, qty in given.lines.items()]
        edited = orders.edit(work, order_id=conversation.order_id, customer_id=customer.id, add=add, remove=(), now=now)
        if isinstance(edited, orders.OutOfStock):
            raise Impossible(f"given.order: only {edited.left} of {edited.name} can be had")
        if given.status == "CONFIRMED":
            orders.confirm(work, order_id=conversation.order_id, now=now)

    def _item(self, name: str) -> catalog.CatalogItem:
        items = catalog.list_items(self._databases, self._vendor_id)
        found = next((item for item in items if name in (item.name, item.short_name)), None)
        if found is None:
            raise Impossible(f"the shop has no product {name!r}{did_you_mean(name, [item.short_name for item in items])}")
        return found


def _make_vendor(databases: Databases, given: Given) -> VendorId:
    """A vendor that only this transcript knows: one of those that replays know, under its name and with its shelf."""
    vendor_id = next(iter(rehearsal.list_vendors(databases)))
    products = [
        {
            "name": each.name,
            "short_name": each.short_name,
            "unit": each.unit,
            "price": each.price,
            "category": each.category,
            "aliases": list(each.also),
        }
        for each in given.products
    ]
    rehearsal.become(databases, vendor_id, given.vendor, products)
    databases.cache.forget()
    return vendor_id


def _find_vendor(databases: Databases, slug: str) -> VendorId:
    known = {to_slug(name): vendor_id for vendor_id, name in rehearsal.list_vendors(databases).items()}
    if slug not in known:
        raise Impossible(f"there is no vendor {slug!r}{did_you_mean(slug, list(known))}")
    return known[slug]


def _number_of(databases: Databases, vendor_id: VendorId) -> str:
    channel = channels.get_channel_of(databases, vendor_id)
    if channel is None:
        raise Impossible("the vendor has no WhatsApp number")
    return channel.phone_number_id


def _open_plain(reference: str) -> str:
    return open_secret(reference, allow_plain=True)
