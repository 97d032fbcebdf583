"""How fast the pure engine is, beside the same conversation in python-statemachine and in plain Jinja with a dict.

`./run bench engine` prints a table and writes bench/engine.md. One process, no database; every row says the same texts to
the same messages, which is checked before anything is measured. All three read baskets with the same reader.
"""

import json
import platform
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from jinja2 import Template
from statemachine import State, StateMachine

from conversation.authoring.load import load_bundle
from conversation.engine.context import Context
from conversation.engine.effects import Call, Send
from conversation.engine.entities import read_basket_edit
from conversation.engine.events import Event, Happened, Returned, Said
from conversation.engine.expressions import make_environment
from conversation.engine.flow import Bundle
from conversation.engine.lexicon import build_lexicon
from conversation.engine.snapshot import Snapshot
from conversation.engine.step import step
from conversation.engine.values import JSON
from conversation.services import CATALOGUE

SAID: Final = ("habari", "2 unga na 1 sukari", "msaada", "toa 1 sukari", "confirm", "sawa nitalipa", "PAY")
PAID: Final = "SBC1234XYZ"
TURNS: Final = len(SAID) + 1
SECONDS: Final = 3.0
START: Final = datetime(2026, 3, 2, 6, 15, tzinfo=UTC)
_GOODS: Final = {"1": ("Unga 2kg", 215, ["unga"]), "2": ("Sukari 1kg", 160, ["sukari"])}
VENDOR: Final[dict[str, JSON]] = {"id": "v", "name": "Mama Duka"}
CUSTOMER: Final[dict[str, JSON]] = {"phone": "254700000001", "first_name": "Mteja", "language": "en"}


def product(key: str) -> dict[str, JSON]:
    """One product as flows see it."""
    name, price, _ = _GOODS[key]
    return {"id": key, "name": name, "short_name": name, "unit": "each", "price": price, "stock": 9}


LEXICON: Final = build_lexicon([{**product(key), "aliases": list(_GOODS[key][2])} for key in _GOODS])


class Basket:
    """The order of one conversation, kept in a dict: what a database holds in production."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.status = "DRAFT"
        self.attempt: str | None = None
        self.receipt: str | None = None

    def edit(self, change: Mapping[str, Any]) -> None:
        """Put in and take out."""
        for line in change["add"]:
            self.lines[line["product"]] = self.lines.get(line["product"], 0) + line["qty"]
        for line in change["remove"]:
            left = self.lines.pop(line["product"], 0) - (line["qty"] or 999)
            if left > 0:
                self.lines[line["product"]] = left

    def seen(self) -> dict[str, JSON]:
        """As flows and templates see it."""
        lines: list[JSON] = [
            {"product": key, "name": _GOODS[key][0], "qty": qty, "total": qty * _GOODS[key][1]} for key, qty in self.lines.items()
        ]
        return {
            "id": "order-1",
            "number": "S0001",
            "lines": lines,
            "total": sum(qty * _GOODS[key][1] for key, qty in self.lines.items()),
            "is_confirmed": self.status == "CONFIRMED",
            "is_paid": self.status == "PAID",
            "receipt": self.receipt,
            "payment_attempt": self.attempt,
            "payment_unclear": False,
        }


# ---------------------------------------------------------------- the engine


class ByEngine:
    """The shop's own flow. `through_json`: the snapshot is written and read between the turns, as in production."""

    def __init__(self, bundle: Bundle, *, through_json: bool) -> None:
        self.bundle, self.through_json = bundle, through_json
        self.steps = 0

    def talk(self) -> list[str]:
        """One conversation; returns what was said to the customer."""
        basket, snapshot, texts = Basket(), Snapshot.fresh("seed"), list[str]()
        for number, text in enumerate(SAID):
            snapshot = self._turn(snapshot, Said(id=str(number), at=START + timedelta(seconds=number), text=text), basket, texts)
        basket.status, basket.receipt = "PAID", PAID
        paid = Happened(
            id="9",
            at=START + timedelta(seconds=20),
            name="payments.result",
            key="attempt-1",
            outcome="paid",
            carries={"receipt": PAID},
        )
        self._turn(snapshot, paid, basket, texts)
        return texts

    def _turn(self, snapshot: Snapshot, event: Event, basket: Basket, texts: list[str]) -> Snapshot:
        if self.through_json:
            snapshot = Snapshot.from_json(json.loads(json.dumps(snapshot.to_json())))
        while True:
            context = Context(vendor=VENDOR, customer=CUSTOMER, order=basket.seen(), lexicon=LEXICON)
            taken = step(self.bundle, snapshot, event, context)
            self.steps += 1
            texts += [effect.message.text for effect in taken.effects if isinstance(effect, Send)]
            snapshot = taken.snapshot
            call = taken.effects[-1] if taken.effects else None
            if not isinstance(call, Call):
                return snapshot
            event = Returned(
                at=event.at, outcome="sent" if call.name == "payments.stk_push" else "ok", value=_answer(call, basket)
            )


def _answer(call: Call, basket: Basket) -> JSON:
    match call.name:
        case "catalog.page":
            return {"products": [product(key) for key in _GOODS], "has_more": False}
        case "orders.edit":
            basket.edit(call.args)
        case "orders.confirm":
            basket.status = "CONFIRMED"
        case _:
            basket.attempt = "attempt-1"
            return {"attempt": basket.attempt}
    return None


# ---------------------------------------------------------------- the two others


class Words:
    """The shop's own texts as plain Jinja templates."""

    def __init__(self, bundle: Bundle) -> None:
        environment = make_environment({name: function.run for name, function in CATALOGUE.functions.items()})
        self._templates: dict[str, Template] = {
            place: environment.from_string(text.templates["en"].source) for place, text in bundle.texts.items()
        }

    def write(self, place: str, basket: Basket) -> str:
        """Write one text."""
        names = {"vendor": VENDOR, "customer": CUSTOMER, "order": basket.seen()}
        return self._templates[place].render(names).strip()


class ByDict:
    """Plain code: the state is a word in a dict, the replies are an if for each."""

    def __init__(self, words: Words) -> None:
        self.words = words

    def talk(self) -> list[str]:
        """One conversation."""
        basket, texts = Basket(), list[str]()
        session: dict[str, str] = {"state": "start"}
        for text in SAID:
            texts += [self.words.write(place, basket) for place in self._hear(session, text, basket)]
        basket.status, basket.receipt = "PAID", PAID
        return [*texts, self.words.write("shop.receipt.say", basket)]

    @staticmethod
    def _hear(session: dict[str, str], text: str, basket: Basket) -> list[str]:
        said = text.strip().casefold()
        state = session["state"]
        if state == "start":
            session["state"] = "browse"
            return ["shop.greet.say", "shop.browse.ask"]
        if said in ("help", "msaada", "saidia"):
            return ["shop.commands.help.say", f"shop.{state}.ask"]
        if state == "cart" and said in ("confirm", "ok", "thibitisha", "sawa"):
            basket.status, session["state"] = "CONFIRMED", "pay"
            return ["shop.pay.ask"]
        if state == "pay" and said == "pay":
            basket.attempt, session["state"] = "attempt-1", "waiting"
            return ["shop.charge.say"]
        edit: Any = read_basket_edit(text, LEXICON) if state in ("browse", "cart") else None
        if edit is not None:
            basket.edit(edit)
            session["state"] = "cart"
            return ["shop.cart.ask"]
        return [f"shop.{state}.unmatched.say"]


class ShopMachine(StateMachine):
    """The conversation's states for python-statemachine."""

    start = State(initial=True)
    browse = State()
    cart = State()
    pay = State()
    waiting = State()
    receipt = State(final=True)

    greet = start.to(browse)
    edit = browse.to(cart) | cart.to.itself()
    confirm = cart.to(pay)
    consent = pay.to(waiting)
    paid = waiting.to(receipt)

    def __init__(self, words: Words) -> None:
        self.words, self.basket, self.texts = words, Basket(), list[str]()
        super().__init__()

    def say(self, *places: str) -> None:
        """Say texts."""
        self.texts += [self.words.write(place, self.basket) for place in places]

    def on_greet(self) -> None:
        """Welcome."""
        self.say("shop.greet.say", "shop.browse.ask")

    def on_edit(self, change: Mapping[str, Any]) -> None:
        """Change the basket."""
        self.basket.edit(change)
        self.say("shop.cart.ask")

    def on_confirm(self) -> None:
        """Freeze it."""
        self.basket.status = "CONFIRMED"
        self.say("shop.pay.ask")

    def on_consent(self) -> None:
        """Push."""
        self.basket.attempt = "attempt-1"
        self.say("shop.charge.say")

    def on_paid(self) -> None:
        """Thank."""
        self.basket.status, self.basket.receipt = "PAID", PAID
        self.say("shop.receipt.say")

    def hear(self, text: str) -> None:
        """Turn a message into an event of the machine."""
        said = text.strip().casefold()
        if self.start.is_active:
            self.greet()
        elif said in ("help", "msaada", "saidia"):
            self.say("shop.commands.help.say", f"shop.{next(iter(self.configuration)).id}.ask")
        elif self.cart.is_active and said in ("confirm", "ok", "thibitisha", "sawa"):
            self.confirm()
        elif self.pay.is_active and said == "pay":
            self.consent()
        elif (self.browse.is_active or self.cart.is_active) and (change := read_basket_edit(text, LEXICON)) is not None:
            self.edit(change=change)
        else:
            self.say(f"shop.{next(iter(self.configuration)).id}.unmatched.say")


class ByStateMachine:
    """The same by python-statemachine."""

    def __init__(self, words: Words) -> None:
        self.words = words

    def talk(self) -> list[str]:
        """One conversation."""
        machine = ShopMachine(self.words)
        for text in SAID:
            machine.hear(text)
        machine.paid()
        return machine.texts


# ---------------------------------------------------------------- measuring


def _rate(talk: Callable[[], list[str]]) -> float:
    """Turns a second, after some conversations to warm up: the best of three spans."""
    for _ in range(50):
        talk()
    best = 0.0
    for _ in range(3):
        begin, talks = time.perf_counter(), 0
        while time.perf_counter() - begin < SECONDS / 3:
            talk()
            talks += 1
        best = max(best, talks * TURNS / (time.perf_counter() - begin))
    return best


def main() -> None:
    """Check that all say the same, measure, and write down."""
    bundle = load_bundle(Path(__file__).parents[1] / "flows", CATALOGUE)
    words = Words(bundle)
    engine, in_json = ByEngine(bundle, through_json=False), ByEngine(bundle, through_json=True)
    machine, plain = ByStateMachine(words), ByDict(words)
    said = engine.talk()
    steps = engine.steps
    for other in (in_json, machine, plain):
        if other.talk() != said:
            raise SystemExit(f"{type(other).__name__} says something else:\n{other.talk()}\n{said}")
    rows = [
        ("the engine", _rate(engine.talk)),
        ("the engine, its snapshot through JSON between the turns", _rate(in_json.talk)),
        (f"python-statemachine {version('python-statemachine')} and Jinja", _rate(machine.talk)),
        ("plain Jinja and a dict", _rate(plain.talk)),
    ]
    _write(rows, steps)


def _write(rows: list[tuple[str, float]], steps: int) -> None:
    lines = ["| what | turns a second |", "|---|---|", *(f"| {name} | {rate:,.0f} |" for name, rate in rows)]
    own, machine, plain = rows[0][1], rows[2][1], rows[3][1]
    lines += [
        "",
        f"One conversation is {TURNS} turns: from a greeting to the receipt, with a digression, a change of mind and a message"
        f" that is not understood. The engine takes it in {steps} pure steps (a turn that calls a service has more than one):"
        f" {own * steps / TURNS:,.0f} steps a second.",
        "",
        f"The engine takes {own / machine:.2f} of the turns of python-statemachine (one machine a conversation), and"
        f" {own / plain:.2f} of those of plain code. The two others know this one conversation only: they have no taps on old"
        " menus, no tries, no timers, no second language, no trace, no snapshot, no limits, and nothing that keeps a charge from"
        " running without a PAY.",
        "",
        f"Python {platform.python_version()}, one process.",
    ]
    text = "\n".join(lines) + "\n"
    print(text)  # noqa: T201 - the point of it
    head = "# The engine\n\nMade by `./run bench engine`; compare the rows with each other, not with another machine.\n\n"
    (Path(__file__).parent / "engine.md").write_text(head + text)


if __name__ == "__main__":
    main()
