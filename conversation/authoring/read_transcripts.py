"""Transcripts are YAML, one test a document: read into steps that can be replayed.

Shape:  flows/tests/*.test.yaml; docs/decisions/0060-transcripts-run-the-real-thing.md lists the keys
Errors: BadTranscripts with file:line:column of every problem found. An unknown key is refused, never skipped.

What a customer writes is taken as it stands in the file: `customer: 2` is the text "2", `customer: no` is "no".
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, cast, get_args
from zoneinfo import ZoneInfo

from ruamel.yaml.nodes import Node

from conversation.authoring import transcript_yaml as nodes
from conversation.authoring.transcript_yaml import Wrong, line_of, wrong_at
from conversation.authoring.transcripts import (
    Act,
    BotSays,
    BotSaysAnything,
    BotSaysNothing,
    ChatStep,
    ClockMoves,
    Contains,
    CustomerSends,
    CustomerShares,
    CustomerTaps,
    CustomerWrites,
    EffectMatch,
    Equal,
    Expect,
    Given,
    GivenOrder,
    GivenProduct,
    Matches,
    MpesaRepeats,
    MpesaTells,
    OrderStatus,
    Outcome,
    PersonIsDone,
    PersonWrites,
    PushAnswer,
    PushOutcome,
    QueryAnswer,
    Said,
    TextMatch,
    Titles,
    Transcript,
    VendorChanges,
)

NAIROBI: Final = "Africa/Nairobi"


class BadTranscripts(Exception):
    """Transcripts cannot be replayed; the message lists every problem, one a line, as file:line:column and what is wrong."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = tuple(lines)


def _told(file: str, problems: Sequence[Wrong]) -> BadTranscripts:
    ordered = sorted(problems, key=lambda wrong: (wrong.line, wrong.column))
    return BadTranscripts([f"{file}:{wrong.line}:{wrong.column}  {wrong}" for wrong in ordered])


def read_transcripts(path: Path) -> tuple[Transcript, ...]:
    """Read a *.test.yaml file. Errors: BadTranscripts."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise _told(str(path), [Wrong(f"this file cannot be read: {reason}", line=1, column=1)]) from error
    return parse_transcripts(text, file=str(path))


def parse_transcripts(text: str, *, file: str) -> tuple[Transcript, ...]:
    """Parse the documents of one file. Errors: BadTranscripts with the first problem of each part and of each step."""
    problems: list[Wrong] = []
    found: dict[str, Transcript] = {}
    try:
        documents = nodes.compose(text)
        if not documents:
            problems.append(Wrong("there is no test in this file: one starts with `test: what happens in it`", line=1, column=1))
    except Wrong as wrong:
        raise _told(file, [wrong]) from wrong
    for node in documents:
        transcript = _document(node, file, problems)
        if transcript is not None and transcript.name in found:
            earlier = found[transcript.name].line
            problems.append(wrong_at(node, f"there is already a test of this name, in line {earlier}"))
        elif transcript is not None:
            found[transcript.name] = transcript
    if problems:
        raise _told(file, problems)
    return tuple(found.values())


def parse_act(text: str) -> Act:
    """Parse one step of a customer, the clock or M-Pesa, such as `clock: +30m`. Errors: Wrong."""
    found = nodes.compose(text)
    act = _step(found[0]) if found else None
    if not isinstance(act, Act):
        raise Wrong(f"nobody does anything in `{text}`", line=1, column=1)
    return act


_GIVEN: Final = ("now", "customer", "vendor", "order", "stock", "products", "draws")
_DOCUMENT: Final = ("test", "recorded", "flow", "given", "mpesa", "chat")


def _document(node: Node, file: str, problems: list[Wrong]) -> Transcript | None:
    before = len(problems)
    try:
        parts = nodes.read_mapping(node, _DOCUMENT, "a test", required=["test", "flow", "given", "chat"])
        name, flow, given = nodes.read_text(parts["test"]), nodes.read_text(parts["flow"]), _given(parts["given"])
        pushes, queries = _mpesa(parts["mpesa"]) if "mpesa" in parts else ((), ())
        step_nodes = nodes.read_sequence(parts["chat"], "chat")
    except Wrong as wrong:
        problems.append(wrong)
        return None
    chat: list[ChatStep] = []
    for step_node in step_nodes:
        try:
            chat.append(_step(step_node))
        except Wrong as wrong:
            problems.append(wrong)
    if len(problems) == before:
        problems += _misplaced(chat, step_nodes)
    if len(problems) > before:
        return None
    return Transcript(
        file=file, line=line_of(node), name=name, flow=flow, given=given, pushes=pushes, queries=queries, chat=tuple(chat)
    )


def _misplaced(chat: Sequence[ChatStep], step_nodes: Sequence[Node]) -> list[Wrong]:
    """Find steps that can never be right where they stand."""
    found: list[Wrong] = []
    if not chat or not isinstance(chat[0], Act):
        where = step_nodes[0] if step_nodes else None
        text = "a chat starts with what the customer does: `- customer: Habari`"
        found.append(wrong_at(where, text) if where is not None else Wrong(text, line=1, column=1))
    told = False
    for (step, node), before in zip(zip(chat, step_nodes, strict=True), [None, *chat[:-1]], strict=True):
        told = told or isinstance(step, MpesaTells)
        if isinstance(step, MpesaRepeats) and not told:
            found.append(wrong_at(node, "`event: same` repeats the event before it, and there is none yet"))
        if isinstance(step, Said) and isinstance(before, BotSaysNothing):
            found.append(wrong_at(node, "the line above says that the shop says nothing"))
        if isinstance(step, BotSaysNothing) and isinstance(before, Said):
            found.append(wrong_at(node, "the shop has already spoken in the line above, so it cannot say nothing"))
    return found


# ---------------------------------------------------------------- given, mpesa


def _given(node: Node) -> Given:
    parts = nodes.read_mapping(node, _GIVEN, "given", required=["now", "customer", "vendor"])
    customer = nodes.read_mapping(parts["customer"], ["phone", "first_name", "language"], "customer", required=["phone"])
    return Given(
        now=_moment(parts["now"]),
        phone=_phone(customer["phone"]),
        first_name=nodes.read_text(customer["first_name"]) if "first_name" in customer else None,
        language=nodes.read_text(customer["language"]) if "language" in customer else None,
        vendor=nodes.read_text(parts["vendor"]),
        order=_given_order(parts["order"]) if "order" in parts else None,
        stock=_quantities(parts["stock"], "stock", least=0) if "stock" in parts else {},
        products=tuple(_given_product(each) for each in nodes.read_sequence(parts["products"], "products"))
        if "products" in parts
        else (),
        draws={place: nodes.read_text(to) for place, to in nodes.read_pairs(parts["draws"], "draws")} if "draws" in parts else {},
    )


def _given_product(node: Node) -> GivenProduct:
    parts = nodes.read_mapping(
        node, ["name", "price", "short_name", "unit", "category", "also"], "a product", required=["name", "price"]
    )
    name = nodes.read_text(parts["name"])
    words = {key: nodes.read_text(parts[key]) if key in parts else "" for key in ("short_name", "unit", "category")}
    return GivenProduct(
        name=name,
        price=nodes.read_int(parts["price"], f"the price of {name}", least=1),
        short_name=words["short_name"] or name,
        unit=words["unit"],
        category=words["category"],
        also=tuple(nodes.read_text(word) for word in nodes.read_sequence(parts["also"], "also")) if "also" in parts else (),
    )


def _moment(node: Node) -> datetime:
    text = nodes.read_text(node)
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d \d\d:\d\d)(?: ([A-Za-z_]+(?:/[A-Za-z_]+)?))?", text)
    try:
        if found is None:
            raise ValueError(text)
        local = datetime.strptime(found[1], "%Y-%m-%d %H:%M").replace(tzinfo=ZoneInfo(found[2] or NAIROBI))
    except (ValueError, KeyError) as error:  # ZoneInfo raises a KeyError for a zone it does not know
        raise wrong_at(node, f"now is written as 2026-03-02 09:15 {NAIROBI}, not `{text}`") from error
    return local.astimezone(UTC)


def _phone(node: Node) -> str:
    text = nodes.read_text(node)
    if not re.fullmatch(r"\+254\d{9}", text):
        raise wrong_at(node, f'phone is written as "+254700000001", not `{text}`')
    return text.removeprefix("+")


def _given_order(node: Node) -> GivenOrder:
    parts = nodes.read_mapping(node, ["DRAFT", "CONFIRMED"], "order")
    if len(parts) != 1:
        raise wrong_at(node, "an order has one status: order: {CONFIRMED: {Maziwa 500ml: 4}}")
    ((status, lines),) = parts.items()
    return GivenOrder(
        line=line_of(node), status=cast("Literal['DRAFT', 'CONFIRMED']", status), lines=_quantities(lines, "an order", least=1)
    )


def _quantities(node: Node, what: str, *, least: int) -> dict[str, int]:
    return {name: nodes.read_int(number, f"the number of {name}", least=least) for name, number in nodes.read_pairs(node, what)}


def _mpesa(node: Node) -> tuple[tuple[PushAnswer, ...], tuple[QueryAnswer, ...]]:
    parts = nodes.read_mapping(node, ["push", "query"], "mpesa")
    pushes = nodes.read_sequence(parts["push"], "push") if "push" in parts else []
    queries = nodes.read_sequence(parts["query"], "query") if "query" in parts else []
    return tuple(_push_answer(item) for item in pushes), tuple(_query_answer(item) for item in queries)


def _push_answer(node: Node) -> PushAnswer:
    word = nodes.read_word(node, get_args(PushOutcome), "an answer to a push")
    return PushAnswer(line=line_of(node), answer=cast("PushOutcome", word))


def _query_answer(node: Node) -> QueryAnswer:
    if nodes.is_mapping(node):
        told = nodes.read_mapping(
            nodes.read_mapping(node, ["paid"], "an answer to a query", required=["paid"])["paid"], ["receipt"], "paid"
        )
        return QueryAnswer(line=line_of(node), answer="paid", receipt=_receipt(told["receipt"]) if "receipt" in told else None)
    word = nodes.read_word(node, ["pending", *get_args(Outcome)], "an answer to a query")
    return QueryAnswer(line=line_of(node), answer=cast("Outcome | Literal['pending']", word))


def _receipt(node: Node) -> str:
    text = nodes.read_text(node)
    if not re.fullmatch(r"[A-Z0-9]{10}", text):
        raise wrong_at(node, f"an M-Pesa receipt is 10 capital letters and digits such as SBC1234XYZ, not `{text}`")
    return text


# ---------------------------------------------------------------- steps


def _step(node: Node) -> ChatStep:
    parts = nodes.read_mapping(node, ["customer", "bot", "person", "vendor", "clock", "event", "expect"], "a step")
    if len(parts) != 1:
        raise wrong_at(node, "a step is one thing: start the next one with its own `-`")
    ((kind, value),) = parts.items()
    match kind:
        case "customer":
            return _customer(value)
        case "bot":
            return _bot(value)
        case "person":
            return _person(value)
        case "vendor":
            return _vendor(value)
        case "clock":
            return _clock(value)
        case "event":
            return _event(value)
        case _:
            return _expect(value)


MEDIA: Final = ("image", "audio", "video", "document", "sticker")


def _customer(node: Node) -> Act:
    line = line_of(node)
    if not nodes.is_mapping(node):
        return CustomerWrites(line=line, text=nodes.read_text(node))
    parts = nodes.read_mapping(node, ["text", "intent", "tap", "of", "nth", *MEDIA, "location"], "what a customer does")
    if "text" in parts:
        said = nodes.read_mapping(node, ["text", "intent"], "a text", required=["text", "intent"])
        return CustomerWrites(line=line, text=nodes.read_text(said["text"]), intent=nodes.read_text(said["intent"]))
    if "tap" in parts:
        nodes.read_mapping(node, ["tap", "of", "nth"], "a tap")
        if "nth" in parts and "of" not in parts:
            raise wrong_at(parts["nth"], "`nth:` counts the questions of one place: say which with `of: pay.ask`")
        return CustomerTaps(
            line=line,
            choice=nodes.read_text(parts["tap"]),
            of=nodes.read_text(parts["of"]) if "of" in parts else None,
            nth=nodes.read_int(parts["nth"], "nth", least=1) if "nth" in parts else None,
        )
    if len(parts) != 1 or "intent" in parts:
        raise wrong_at(node, "a customer does one thing a step: a text, tap, location, image, audio, video, document or sticker")
    ((kind, value),) = parts.items()
    if kind == "location":
        place = nodes.read_mapping(value, ["lat", "lon", "name"], "a location", required=["lat", "lon"])
        name = nodes.read_text(place["name"]) if "name" in place else None
        latitude, longitude = nodes.read_float(place["lat"], "lat"), nodes.read_float(place["lon"], "lon")
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            raise wrong_at(value, "no such place: `lat` is from -90 to 90, `lon` from -180 to 180")
        return CustomerShares(line=line, latitude=latitude, longitude=longitude, name=name)
    if nodes.is_mapping(value):
        caption = nodes.read_mapping(value, ["caption"], kind, required=["caption"])["caption"]
        return CustomerSends(line=line, kind=kind, caption=nodes.read_text(caption))
    nodes.read_word(value, ["true"], kind)
    return CustomerSends(line=line, kind=kind)


def _person(node: Node) -> Act:
    line = line_of(node)
    if not nodes.is_mapping(node):
        return PersonWrites(line=line, text=nodes.read_text(node))
    parts = nodes.read_mapping(node, ["done"], "what a person does", required=["done"])
    nodes.read_word(parts["done"], ["true"], "done")
    return PersonIsDone(line=line)


def _vendor(node: Node) -> VendorChanges:
    parts = nodes.read_mapping(node, ["stock", "stops"], "what a vendor does")
    if not parts:
        raise wrong_at(node, "this vendor does nothing: vendor: {stock: {Unga 2kg: 0}}")
    return VendorChanges(
        line=line_of(node),
        stock=_quantities(parts["stock"], "stock", least=0) if "stock" in parts else {},
        stops=_names(parts["stops"]) if "stops" in parts else (),
    )


def _bot(node: Node) -> Said:
    line = line_of(node)
    if not nodes.is_mapping(node):
        word = None if nodes.is_sequence(node) else nodes.read_text(node)
        if word == "...":
            return BotSaysAnything(line=line)
        return BotSaysNothing(line=line) if word == "nothing" else BotSays(line=line, text=_text_matches(node))
    parts = nodes.read_mapping(node, ["at", "text", "buttons", "list"], "a reply")
    if not parts:
        raise wrong_at(node, "this reply says nothing about what to look at")
    menu = nodes.read_mapping(parts["list"], ["button", "rows"], "a list") if "list" in parts else {}
    return BotSays(
        line=line,
        at=nodes.read_text(parts["at"]) if "at" in parts else None,
        text=_text_matches(parts["text"]) if "text" in parts else (),
        buttons=_titles(parts["buttons"], "buttons") if "buttons" in parts else None,
        menu_button=nodes.read_text(menu["button"]) if "button" in menu else None,
        menu_rows=_titles(menu["rows"], "rows") if "rows" in menu else None,
    )


def _text_matches(node: Node) -> tuple[TextMatch, ...]:
    if nodes.is_sequence(node):
        return tuple(match for item in nodes.read_sequence(node, "text") for match in _text_matches(item))
    text = nodes.read_text(node)
    if text.startswith("~"):
        if not text[1:].strip():
            raise wrong_at(node, "put what the reply contains after the `~`")
        return (Contains(text=text[1:]),)
    if len(text) > 2 and text.startswith("/") and text.endswith("/"):  # two slashes and something between
        try:
            return (Matches(pattern=re.compile(text[1:-1])),)
        except re.error as error:
            raise wrong_at(node, f"this is no pattern: {error}") from error
    return (Equal(text=text),)


def _titles(node: Node, what: str) -> Titles:
    titles = [nodes.read_text(item) for item in nodes.read_sequence(node, what)]
    if "..." in titles[:-1]:
        raise wrong_at(node, "`...` means that more may follow: it can only be the last one")
    more = bool(titles) and titles[-1] == "..."
    return Titles(titles=tuple(titles[:-1] if more else titles), more=more)


def _clock(node: Node) -> ClockMoves:
    text = nodes.read_text(node)
    if not text.startswith("+"):
        return ClockMoves(line=line_of(node), until=nodes.read_time(node, "clock is `+90s`, `+30m`, `+2h`, or"))
    by = nodes.to_duration(text[1:])
    if not by:
        raise wrong_at(node, f"clock moves by a duration such as +90s, +30m, +1h30m or +2d, not `{text}`")
    return ClockMoves(line=line_of(node), by=by)


def _event(node: Node) -> Act:
    line = line_of(node)
    if not nodes.is_mapping(node):
        nodes.read_word(node, ["same"], "an event without a name")
        return MpesaRepeats(line=line)
    parts = nodes.read_mapping(node, ["payments.result", "after"], "event", required=["payments.result"])
    told = nodes.read_mapping(
        parts["payments.result"], ["attempt", "outcome", "receipt"], "payments.result", required=["attempt", "outcome"]
    )
    outcome = cast("Outcome", nodes.read_word(told["outcome"], get_args(Outcome), "outcome"))
    if "receipt" in told and outcome != "paid":
        raise wrong_at(told["receipt"], "only a paid result has a receipt")
    return MpesaTells(
        line=line,
        attempt=nodes.read_int(told["attempt"], "attempt", least=1),
        outcome=outcome,
        receipt=_receipt(told["receipt"]) if "receipt" in told else None,
        after=nodes.read_duration(parts["after"], "after") if "after" in parts else timedelta(0),
    )


_EXPECT: Final = ("state", "order", "slots", "effects", "effect", "no_effect", "effects_total", "ended")


def _expect(node: Node) -> Expect:
    parts = nodes.read_mapping(node, _EXPECT, "expect")
    if not parts:
        raise wrong_at(node, "expect nothing? Name what must be true: state, order, slots, effects, effect, no_effect, ended")
    order = nodes.read_word(parts["order"], [*get_args(OrderStatus), "none"], "order") if "order" in parts else None
    slots = (
        {name: nodes.read_json(value) for name, value in nodes.read_pairs(parts["slots"], "slots")} if "slots" in parts else None
    )
    return Expect(
        line=line_of(node),
        state=nodes.read_text(parts["state"]) if "state" in parts else None,
        order=cast("OrderStatus | Literal['none'] | None", order),
        ended=nodes.read_text(parts["ended"]) if "ended" in parts else None,
        slots=slots,
        effects=_names(parts["effects"]) if "effects" in parts else None,
        effect=_effects(parts["effect"]) if "effect" in parts else (),
        no_effect=_names(parts["no_effect"]) if "no_effect" in parts else (),
        effects_total=_quantities(parts["effects_total"], "effects_total", least=0) if "effects_total" in parts else None,
    )


def _names(node: Node) -> tuple[str, ...]:
    if nodes.is_sequence(node):
        return tuple(nodes.read_text(item) for item in nodes.read_sequence(node, "this"))
    return (nodes.read_text(node),)


def _effects(node: Node) -> tuple[EffectMatch, ...]:
    if not nodes.is_mapping(node):
        return tuple(EffectMatch(name=name, args={}) for name in _names(node))
    return tuple(
        EffectMatch(name=name, args={arg: nodes.read_json(value) for arg, value in nodes.read_pairs(args, name)})
        for name, args in nodes.read_pairs(node, "effect")
    )
