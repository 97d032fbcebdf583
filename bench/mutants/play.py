"""Adversarial conversations with the pure engine: whatever a customer, M-Pesa and the clock can do, in any order."""

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from conversation.engine.effects import Call, Send
from conversation.engine.events import Event, Returned, Said, Tapped
from conversation.engine.flow import Bundle
from conversation.engine.match import is_consent_word
from conversation.engine.step import Step, step
from conversation.errors import Broken, ContractBroken, LimitCrossed
from tests.conversation.engine.shop import Shop

SAYINGS: Final = (
    "hi", "order", "2 unga", "unga", "1", "2", "toa unga", "ok", "confirm", "PAY", "pay", "cart", "cancel", "help", "agent",
    "swahili", "yes", "hmm", "xyz",
)  # fmt: skip
OUTCOMES: Final = ("paid", "cancelled", "timed_out", "no_funds", "wrong_pin", "failed")
PUSHED: Final = ("sent", "sent", "sent", "busy", "unknown", "refused", "daily_limit")
CONVERSATIONS: Final = 12
STEPS: Final = 12


@dataclass
class Watched(Shop):
    """The shop, with an auditor who knows nothing of the engine: each push is compared with what was said and shown."""

    event: Event | None = None
    wrong: list[str] = field(default_factory=list)
    last_question: str = ""
    title_of: dict[str, str] = field(default_factory=dict)

    def take(self, event: Event) -> Shop:
        """One turn, without the log that tests keep."""
        self.event = event
        self.messages = []
        taken = self._step(event)
        while taken.effects and isinstance(call := taken.effects[-1], Call):
            outcome, value = self._answer(call)
            taken = self._step(Returned(at=event.at, outcome=outcome, value=value))
        for _, message in self.messages:
            self.title_of |= {button.id: button.title for button in message.buttons}
            if message.buttons or message.menu:
                self.last_question = message.text
        return self

    def _step(self, event: Event) -> Step:
        taken = step(self.bundle, self.snapshot, event, self.context())
        self.snapshot = taken.snapshot
        for effect in taken.effects:
            if isinstance(effect, Send):
                self._show(effect)
            elif isinstance(effect, Call) and effect.name == "payments.stk_push":
                self.audit(effect)
        return taken

    def audit(self, call: Call) -> None:
        """Compare one push with what the customer said, saw and has ordered."""
        order = self.context().order
        total = sum(line["total"] for line in order["lines"])  # type: ignore[index, call-overload, union-attr, misc]  # the shop's own lines
        match self.event:
            case Said(text=text):
                said = text
            case Tapped(choice_id=choice):
                said = self.title_of.get(choice, "")
            case _:
                said = ""
        if not is_consent_word(said):
            self.wrong.append("no PAY")
        if (call.args["amount"], call.args["phone"], call.args["order"]) != (total, "254700000001", "order-1"):
            self.wrong.append("wrong terms")
        if self.status != "CONFIRMED":
            self.wrong.append(f"order {self.status}")
        if not re.search(rf"KES {total:,}(?!\d|,\d)", self.last_question) or "+254 700 000 001" not in self.last_question:
            self.wrong.append("not shown")


@dataclass(frozen=True, kw_only=True)
class Played:
    """How the conversations with one mutant went."""

    wrong: frozenset[str]
    stopped: int  # turns that the run-time's contract stopped
    errors: int  # turns that failed otherwise
    pushes: int


def play(bundle: Bundle, seed: str) -> Played:
    """Hold the conversations. The same seed holds the same ones."""
    dice = random.Random(seed)  # noqa: S311  # a replayable die, not a secret
    wrong: set[str] = set()
    stopped = errors = pushes = 0
    for number in range(CONVERSATIONS):
        shop = Watched(bundle=bundle, push=dice.choice(PUSHED), attempt="attempt-0")
        shop.query = [dice.choice(("pending", "not_paid", "paid")) for _ in range(4)]
        for act in _script(number, dice):
            before = shop.snapshot
            try:
                act(shop)
            except ContractBroken:  # nothing of the turn is kept
                shop.snapshot = before
                stopped += 1
            except (Broken, LimitCrossed):
                errors += 1
                break
        wrong |= set(shop.wrong)
        pushes += len(shop.pushes)
    return Played(wrong=frozenset(wrong), stopped=stopped, errors=errors, pushes=pushes)


Act = Callable[[Shop], object]


def _script(number: int, dice: random.Random) -> list[Act]:
    """Half of the conversations begin at the PAY question, a quarter at an empty shop, the rest behind a prompt."""
    first: list[Act] = [_say("2 unga"), _say("ok")] if number % 4 else [_say("hi")]
    if number % 4 == 3:
        first.append(_say("PAY"))
    return first + [_act(dice) for _ in range(STEPS)]


def _act(dice: random.Random) -> Act:
    kind = dice.random()
    if kind < 0.45:
        return _say(dice.choice(SAYINGS))
    if kind < 0.75:
        return _tap(dice.random(), dice.random())
    if kind < 0.85:
        return _fire(dice.random())
    if kind < 0.93:
        return _result(dice.choice(OUTCOMES))
    return _behind(dice.choice(("PAID", "CANCELLED", "basket")))


def _say(text: str) -> Act:
    return lambda shop: shop.say(text)


def _tap(menu: float, choice: float) -> Act:
    def act(shop: Shop) -> None:
        if shop.shown:
            shown = shop.shown[-1] if menu < 0.7 else shop.shown[int(menu * len(shop.shown))]
            title, choice_id = list(shown.items())[int(choice * len(shown))]
            shop.tap_id(choice_id, title)

    return act


def _fire(which: float) -> Act:
    def act(shop: Shop) -> None:
        wait = shop.snapshot.frames[-1].wait if shop.snapshot.frames else None
        names = [*(wait.timers if wait else ()), *(f"expires@{wait.since}" for _ in range(1) if wait)]
        if names:
            shop.fire(names[int(which * len(names))])

    return act


def _result(outcome: str) -> Act:
    return lambda shop: shop.result(outcome)


def _behind(what: str) -> Act:
    """Something changes the order while the conversation does not look."""

    def act(shop: Shop) -> None:
        if what == "basket":
            shop.basket["1"] = shop.basket.get("1", 0) + 1
        elif shop.status == "CONFIRMED":
            shop.status = what
            shop.receipt = "SBC1" if what == "PAID" else None

    return act
