"""Makes the mutants: each is flows/shop.yaml with one edit that could move money wrongly."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from conversation.authoring.nodes import Items, Map, Node, Scalar, parse_yaml
from conversation.authoring.problems import Problems

MONEY: Final = ("charge", "pay", "waiting", "confirm")  # states from which money is near
NOT_TARGETS: Final = (
    "call",
    "in",
    "set",
    "flow",
    "queue",
    "words",
    "title",
    "text",
    "say",
    "type",
    "id",
    "button",
    "en",
    "sw",
    "only",
)
OTHERS: Final = {
    "order": ("vendor.id", "customer.phone", "order.number"),
    "amount": ("order.total + 1", "order.total - 1", "order.total * 2", "order.total * 100", "1", "page", "n"),
    "phone": ("vendor.id", "order.id", "'254700000099'", "customer.first_name", "order.number"),
    "attempt": ("order.id", "order.number"),
}
PUSH: Final = (
    "- {call: payments.stk_push, with: {order: order.id, amount: order.total, phone: customer.phone}, "
    "else: {busy: waiting, refused | daily_limit: handoff, unknown: ask_mpesa}}"
)
CALLS: Final = ("payments.stk_push", "payments.query", "orders.cancel", "orders.confirm", "orders.amend")
ANSWERS: Final = ("consent: pay", "choice: pay", "words: [pay]", "words: [ok]", "entity: number")


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One edit. `what` tells it, with the line it stands on."""

    kind: str
    what: str
    text: str


class _Shop:
    def __init__(self, text: str) -> None:
        self.text = text
        _, root = parse_yaml("flows/shop.yaml", text.encode(), Problems())
        if not isinstance(root, Map):
            raise TypeError("flows/shop.yaml is not a flow")
        self.root = root
        self.states = _map(root.get("states"))

    def edit(self, kind: str, start: int, end: int, new: str, what: str) -> Mutant:
        line = self.text.count("\n", 0, start) + 1
        return Mutant(kind=kind, what=f"line {line}: {what}", text=self.text[:start] + new + self.text[end:])


def _map(node: Node | None) -> Map:
    if not isinstance(node, Map):
        raise TypeError("the shop has another shape")
    return node


def mutants(text: str) -> Iterator[Mutant]:
    """All of them, each once."""
    shop = _Shop(text)
    seen = {text}
    for make in (_retargets, _redirects, _conditions, _arguments, _consents, _actions, _pushes, _narrowing, _question):
        for mutant in make(shop):
            if mutant.text not in seen:
                seen.add(mutant.text)
                yield mutant


def _walk(node: Node, key: str = "") -> Iterator[tuple[str, Scalar]]:
    match node:
        case Scalar():
            yield key, node
        case Map():
            for name, value in node.entries:
                yield from _walk(value, name.text)
        case Items():
            for item in node.items:
                yield from _walk(item, key)


def _targets(shop: _Shop) -> list[Scalar]:
    states = {key.text for key, _ in shop.states.entries}
    return [word for key, word in _walk(shop.root) if word.text in states and word.plain and key not in NOT_TARGETS]


def _retargets(shop: _Shop) -> Iterator[Mutant]:
    """Each way on leads to each state from which money is near."""
    for word in _targets(shop):
        for to in MONEY:
            if word.text != to:
                yield shop.edit("retargeted edge", word.start, word.end, to, f"{word.text} -> {to}")


def _state_lines(shop: _Shop, key: str) -> Iterator[tuple[str, Scalar, Node]]:
    for name, state in shop.states.entries:
        for inner, value in _map(state).entries:
            if inner.text == key:
                yield name.text, inner, value


def _whole_key(shop: _Shop, kind: str, name: str, key: Scalar) -> Mutant:
    """Take a key of a state out, with everything under it."""
    first = shop.text.rfind("\n", 0, key.start) + 1
    indent = key.start - first
    end = first
    for line in shop.text[first:].splitlines(keepends=True):
        if end > first and line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        end += len(line)
    return shop.edit(kind, first, end, "", f"{name} has no `{key.text}`")


def _redirects(shop: _Shop) -> Iterator[Mutant]:
    """Each guard is taken out, and all of a state."""
    for name, key, value in _state_lines(shop, "redirect"):
        if shop.text[shop.text.rfind("\n", 0, key.start) + 1 : key.start].strip() == "":
            yield _whole_key(shop, "removed guard", name, key)
        lines = shop.text.splitlines(keepends=True)
        for entry in value.items if isinstance(value, Items) else ():
            line = lines[entry.at.line - 1]
            if line.lstrip().startswith("- "):
                start = sum(map(len, lines[: entry.at.line - 1]))
                yield shop.edit("removed guard", start, start + len(line), "", f"{name}: {line.strip()}")


def _conditions(shop: _Shop) -> Iterator[Mutant]:
    """Each condition is turned round, and asks each other flag of the order."""
    for key, word in _walk(shop.root):
        if key == "if":
            opposite = word.text.removeprefix("not ") if word.text.startswith("not ") else f"not ({word.text})"
            for other in (
                opposite,
                "order.is_paid",
                "order.is_confirmed",
                "not order.is_confirmed",
                "not order.is_paid",
                "order.lines",
            ):
                yield shop.edit("changed guard", word.start, word.end, other, f"if {word.text} -> {other}")


def _arguments(shop: _Shop) -> Iterator[Mutant]:
    """Each argument of a call is another, or is missing."""
    for key, word in _walk(shop.root):
        for other in OTHERS.get(key, ()):
            if "." in word.text and word.text != other:
                yield shop.edit("changed argument", word.start, word.end, other, f"{key}: {word.text} -> {other}")


def _replies(shop: _Shop) -> Iterator[tuple[str, Map]]:
    for name, _, value in _state_lines(shop, "replies"):
        for item in value.items if isinstance(value, Items) else ():
            yield name, _map(item)


def _consents(shop: _Shop) -> Iterator[Mutant]:
    """The consent stands at every other reply, and every other kind of answer stands where the consent was."""
    for name, reply in _replies(shop):
        kind, value = reply.entries[0]
        end = value.end if isinstance(value, Scalar) else kind.end
        for answer in ANSWERS:
            yield shop.edit("misplaced consent", kind.start, end, answer, f"{name}: {kind.text} -> {answer}")
    for name, found, _ in _state_lines(shop, "replies"):
        for to in ("charge", "pay"):
            new = f"replies:\n      - {{consent: pay, go: {to}}}"
            yield shop.edit("misplaced consent", found.start, found.end + 1, new, f"{name} takes PAY, to {to}")
    for language, word in _walk(_map(shop.root.get("commands"))):
        if language in ("en", "sw"):
            yield shop.edit("misplaced consent", word.start, word.end, "pay", f"the word {word.text} -> pay")


def _actions(shop: _Shop) -> Iterator[Mutant]:
    """Each call is left out (the confirming, the revoking, the asking), or is another."""
    for state, found, _ in _state_lines(shop, "do"):
        if shop.text[shop.text.rfind("\n", 0, found.start) + 1 : found.start].isspace():
            yield _whole_key(shop, "removed call", state, found)
    for key, word in _walk(shop.root):
        for other in CALLS if key == "call" else ():
            if word.text != other:
                yield shop.edit("changed call", word.start, word.end, other, f"{word.text} -> {other}")


def _pushes(shop: _Shop) -> Iterator[Mutant]:
    """A push stands in every state, before everything and after what is done there."""
    for name, state in shop.states.entries:
        inner = _map(state).entries
        do = _map(state).get("do")
        if isinstance(do, Items) and do.items:
            last = do.items[0].at
            start = sum(len(line) + 1 for line in shop.text.split("\n")[: last.line - 1])
            if shop.text[start:].lstrip().startswith("- "):
                yield shop.edit("added push", start, start, f"      {PUSH}\n", f"{name} pushes first")
        elif shop.text[shop.text.rfind("\n", 0, inner[0][0].start) + 1 : inner[0][0].start].isspace():
            at = inner[0][0].start
            yield shop.edit("added push", at, at, f"do:\n      {PUSH}\n    ", f"{name} pushes")
        else:
            at = inner[0][0].start
            yield shop.edit("added push", at, at, f"do: [{PUSH.removeprefix('- ')}], ", f"{name} pushes")


def _narrowing(shop: _Shop) -> Iterator[Mutant]:
    """What keeps customers in a state while money may be moving is left out."""
    for fence in ("commands", "after", "visits", "unmatched"):
        for state, found, _ in _state_lines(shop, fence):
            yield _whole_key(shop, "removed fence", state, found)
    for key, word in _walk(shop.states):
        for command in ("cart", "cancel") if key == "only" else ():
            yield shop.edit("removed fence", word.start, word.end, command, f"{word.text} -> {command} may be used")


def _question(shop: _Shop) -> Iterator[Mutant]:
    """The PAY question does not say what it is for, or says it of something else."""
    pay = _map(_map(shop.states.get("pay")).get("ask"))
    text = pay.get("text")
    if not isinstance(text, Scalar):
        raise TypeError("the shop has another shape")
    asked = shop.text[text.start : text.end]
    total, phone = "{{ order.total | kes }}", "{{ customer.phone | phone }}"
    changes = [
        (total, ""), (total, "KES 10"), (total, "{{ page | kes }}"), (total, "{{ order.number }}"),
        (phone, ""), (phone, "your phone"), (phone, "{{ vendor.name }}"), ("PAY", "OK"), ("PAY", "YES"),
        (total, "{% if order.lines %}{{ order.total | kes }}{% endif %}"),
        (phone, "{% if not order.lines %}{{ customer.phone | phone }}{% endif %}"),
        (total, "{% for line in order.lines %}{{ line.total | kes }} {% endfor %}"),
    ]  # fmt: skip
    for old, new in changes:
        start = text.start + asked.index(old)
        yield shop.edit("changed question", start, start + len(old), new, f"{old} -> {new or 'nothing'}")
    for key, title in _map(pay.get("buttons")).entries:
        if isinstance(title, Scalar):
            for new in ("PAY", "Pay now", "OK"):
                if title.text != new:
                    yield shop.edit(
                        "changed question", title.start, title.end, new, f"the button {key.text}: {title.text} -> {new}"
                    )
