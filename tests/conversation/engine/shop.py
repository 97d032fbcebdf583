"""A small shop around the engine: answers its calls from a few dicts, and passes every snapshot through JSON."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast

from conversation.authoring.load import load_bundle
from conversation.engine.context import Context
from conversation.engine.effects import Call, Effect, Ended, HandOff, Message, Send, SetTimer
from conversation.engine.events import Event, Happened, Returned, Said, Shared, Tapped, TimerFired
from conversation.engine.flow import Bundle
from conversation.engine.lexicon import Lexicon, build_lexicon
from conversation.engine.snapshot import Snapshot
from conversation.engine.step import Step, step
from conversation.engine.values import JSON, Record
from conversation.services import CATALOGUE

FLOWS = Path(__file__).parents[3] / "flows"
START = datetime(2026, 3, 2, 6, 15, tzinfo=UTC)  # 9:15 in Nairobi
NAMES: list[tuple[str, int, list[str]]] = [
    ("Unga 2kg", 210, ["maize flour"]),
    ("Sukari 1kg", 160, ["sugar"]),
    ("Maziwa 500ml", 60, ["milk", "dairy"]),
    ("Maziwa Lala 500ml", 70, ["mala", "dairy"]),
    ("Mkate 400g", 65, ["bread"]),
    ("Mafuta 1L", 320, ["cooking oil", "oil"]),
]


def product(index: int) -> dict[str, JSON]:
    name, price, _ = NAMES[index]
    return {"id": str(index), "name": name, "short_name": name, "unit": "each", "price": price, "stock": 9}


@cache
def shop_bundle() -> Bundle:
    return load_bundle(FLOWS, CATALOGUE)


@cache
def shop_lexicon() -> Lexicon:
    return build_lexicon([{**product(index), "aliases": list(NAMES[index][2])} for index in range(len(NAMES))])


def through_json(snapshot: Snapshot) -> Snapshot:
    read = Snapshot.from_json(json.loads(json.dumps(snapshot.to_json())))
    assert read.to_json() == json.loads(json.dumps(snapshot.to_json()))
    return read


@dataclass
class Shop:
    """One customer's conversation. `push` and `query` script what M-Pesa's side answers."""

    bundle: Bundle = field(default_factory=shop_bundle)
    snapshot: Snapshot = field(default_factory=lambda: Snapshot.fresh("seed"))
    now: datetime = START
    status: str = "DRAFT"
    basket: dict[str, int] = field(default_factory=dict)
    attempt: str | None = None
    receipt: str | None = None
    unclear: bool = False
    push: str = "sent"
    query: list[str] = field(default_factory=list)
    language: str = "en"
    more_lines: list[JSON] = field(default_factory=list)  # of the order, beside the basket's
    effects: list[Effect] = field(default_factory=list)  # of the last turn
    trace: list[dict[str, JSON]] = field(default_factory=list)
    log: list[JSON] = field(default_factory=list)
    messages: list[tuple[str, Message]] = field(default_factory=list)  # of the last turn, with their places
    pushes: list[Call] = field(default_factory=list)
    shown: list[dict[str, str]] = field(default_factory=list)  # title -> choice id of every menu ever shown
    count: int = 0

    def context(self) -> Context:
        lines: list[JSON] = [
            {"product": key, "name": NAMES[int(key)][0], "qty": qty, "total": qty * NAMES[int(key)][1]}
            for key, qty in self.basket.items()
        ]
        lines += self.more_lines
        order: Record = {
            "id": "order-1",
            "number": "S0001" if lines else "",
            "lines": lines,
            "total": sum(qty * NAMES[int(key)][1] for key, qty in self.basket.items()),
            "is_confirmed": self.status == "CONFIRMED",
            "is_paid": self.status == "PAID",
            "receipt": self.receipt,
            "payment_attempt": self.attempt,
            "payment_unclear": self.unclear,
        }
        return Context(
            vendor={"id": "vendor-1", "name": "Mama Duka"},
            customer={"phone": "254700000001", "first_name": "Mteja", "language": self.language},
            order=order,
            lexicon=shop_lexicon(),
        )

    def take(self, event: Event) -> "Shop":
        self.effects, self.trace, self.messages = [], [], []
        taken = self._step(event)
        while taken.effects and isinstance(call := taken.effects[-1], Call):
            outcome, value = self._answer(call)
            taken = self._step(Returned(at=event.at, outcome=outcome, value=value))
        self.log.append([self.snapshot.to_json(), [repr(effect) for effect in self.effects], list(self.trace)])
        return self

    def _step(self, event: Event) -> Step:
        taken = step(self.bundle, through_json(self.snapshot), event, self.context())
        self.snapshot = taken.snapshot
        self.effects += taken.effects
        self.trace += [entry.to_json() for entry in taken.trace]
        for effect in taken.effects:
            if isinstance(effect, Send):
                self._show(effect)
        return taken

    def _show(self, send: Send) -> None:
        self.messages.append((send.place, send.message))
        choices = {button.title: button.id for button in send.message.buttons}
        choices |= {row.title: row.id for row in (send.message.menu.rows if send.message.menu else ())}
        if choices:
            self.shown.append(choices)

    def _answer(self, call: Call) -> tuple[str, JSON]:
        match call.name:
            case "catalog.page":
                return "ok", {"products": [product(index) for index in range(len(NAMES))], "has_more": False}
            case "orders.edit":
                return self._edit(call.args)
            case "orders.confirm":
                self.status = "CONFIRMED"
            case "orders.cancel":
                self.status = "CANCELLED"
            case "orders.amend":
                self.status = "DRAFT"
            case "payments.stk_push":
                self.pushes.append(call)
                if self.push == "sent":
                    self.attempt = f"attempt-{len(self.pushes)}"
                return self.push, {"attempt": self.attempt} if self.push == "sent" else {"under_review": self.unclear}
            case _:
                return (self.query.pop(0) if self.query else "pending"), {"reason": "failed", "why": "failed"}
        return "ok", None

    def _edit(self, args: Record) -> tuple[str, JSON]:
        if self.status != "DRAFT":
            return "locked", None
        for line in cast("list[dict[str, Any]]", args["remove"]):
            left = self.basket.pop(line["product"], 0) - (line["qty"] or 999)
            if left > 0:
                self.basket[line["product"]] = left
        for line in cast("list[dict[str, Any]]", args["add"]):
            if line["qty"] > 9:
                return "out_of_stock", {"name": line["name"], "left": 9}
            self.basket[line["product"]] = self.basket.get(line["product"], 0) + line["qty"]
        return "ok", None

    # --- what happens to it

    def tick(self, **time: float) -> datetime:
        self.count += 1
        self.now += timedelta(**(time or {"seconds": 5}))
        return self.now

    def say(self, text: str) -> "Shop":
        at = self.tick()
        return self.take(Said(id=str(self.count), at=at, text=text))

    def tap(self, title: str, menu: int = -1) -> "Shop":
        return self.tap_id(self.shown[menu][title], title)

    def tap_id(self, choice_id: str, title: str) -> "Shop":
        at = self.tick()
        return self.take(Tapped(id=str(self.count), at=at, choice_id=choice_id, title=title))

    def share(self, what: str) -> "Shop":
        at = self.tick()
        return self.take(Shared(id=str(self.count), at=at, what=what))

    def fire(self, name: str, turn: int | None = None) -> "Shop":
        return self.take(
            TimerFired(at=self.tick(), name=name, turn=turn if turn is not None else self.snapshot.waiting_turn or 0)
        )

    def result(self, outcome: str, key: str | None = None, receipt: str | None = None, why: str | None = None) -> "Shop":
        at = self.tick()
        key = key or self.attempt or "attempt-0"
        if outcome == "paid" and key == self.attempt:
            self.status, self.receipt = "PAID", receipt or "SBC1234XYZ"
        carries: Record = {"receipt": receipt, "why": why or outcome}
        return self.take(Happened(id=str(self.count), at=at, name="payments.result", key=key, outcome=outcome, carries=carries))

    def progress(self, outcome: str, why: str = "unknown") -> "Shop":
        event = Happened(
            id=str(self.count),
            at=self.tick(),
            name="payments.progress",
            key=self.attempt or "attempt-0",
            outcome=outcome,
            carries={"why": why},
        )
        return self.take(event)

    def to_pay(self) -> "Shop":
        """Walk a customer to the open PAY question."""
        return self.say("2 unga").say("ok")

    # --- what is to be seen

    @property
    def texts(self) -> list[str]:
        return [message.text for _, message in self.messages]

    @property
    def places(self) -> list[str]:
        return [place for place, _ in self.messages]

    @property
    def state(self) -> str | None:
        return self.snapshot.state

    @property
    def calls(self) -> list[str]:
        return [effect.name for effect in self.effects if isinstance(effect, Call)]

    @property
    def timers(self) -> dict[str, datetime]:
        return {effect.name: effect.due_at for effect in self.effects if isinstance(effect, SetTimer)}

    @property
    def ended(self) -> list[str]:
        return [effect.result for effect in self.effects if isinstance(effect, Ended)]

    @property
    def handed_off(self) -> list[str]:
        return [effect.note for effect in self.effects if isinstance(effect, HandOff)]

    def rung(self) -> JSON:
        return next(entry["rung"] for entry in self.trace if entry["what"] == "matched")
