"""Write down a chat that took place as a transcript that passes: the inverse of conversation/authoring/read_transcripts.py."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, assert_never
from zoneinfo import ZoneInfo

from conversation.authoring.matching import Reply, one_spaced
from conversation.authoring.transcripts import (
    Act,
    ClockMoves,
    Contains,
    CustomerSends,
    CustomerShares,
    CustomerTaps,
    CustomerWrites,
    Equal,
    Given,
    GivenProduct,
    Matches,
    MpesaRepeats,
    MpesaTells,
    PersonIsDone,
    PersonWrites,
    QueryAnswer,
    TextMatch,
    Transcript,
    VendorChanges,
)
from soko.replay.play import Watched

NAIROBI: Final = ZoneInfo("Africa/Nairobi")
# Reads as itself wherever it stands in YAML, which has words of its own for nothing.
PLAIN: Final = re.compile(r"(?!(?:null|Null|NULL)\Z)[A-Za-z0-9](?:[A-Za-z0-9 .-]*[A-Za-z0-9])?")
ORDER_NUMBER: Final = re.compile(r"\bS\d{4,}\b")  # counted by the shop: another database may give another one


def write_transcript(transcript: Transcript, watched: Watched, *, name: str) -> str:
    """Write one document. `transcript` holds what was done and `watched` what came of it; `mpesa` lists what was asked."""
    acts = [step for step in transcript.chat if isinstance(step, Act)]
    pushes = [push.answer for push in transcript.pushes[: watched.pushes]]
    queries = [_query(query) for query in transcript.queries[: watched.queries]]
    asked = [f"{what}: [{', '.join(answers)}]" for what, answers in (("push", pushes), ("query", queries)) if answers]
    lines = [f"test: {_quoted(name)}", f"flow: {transcript.flow}", f"given: {_given(transcript.given)}"]
    lines += [f"mpesa: {{{', '.join(asked)}}}"] if asked else []
    lines.append("chat:")
    for act, scene in zip(acts, watched.scenes, strict=True):
        replies = [write_reply(line) for line in scene if isinstance(line, Reply)]
        lines += [f"  - {_act(act)}", *(f"  - bot: {reply}" for reply in replies or ["nothing"])]
    state = watched.states[-1].removeprefix(f"{transcript.flow}.")
    order = watched.order.status if watched.order is not None else "none"
    return "\n".join([*lines, f"  - expect: {{state: {state}, order: {order}}}", ""])


def _given(given: Given) -> str:
    customer = {"phone": f'"+{given.phone}"', "first_name": _quoted(given.first_name or ""), "language": given.language or ""}
    if given.first_name is None:
        del customer["first_name"]
    if given.language is None:
        del customer["language"]
    parts = [
        f"now: {given.now.astimezone(NAIROBI):%Y-%m-%d %H:%M} {NAIROBI.key}",
        f"customer: {{{', '.join(f'{key}: {value}' for key, value in customer.items())}}}",
        f"vendor: {_quoted(given.vendor) if given.products else given.vendor}",
    ]
    parts += [f"order: {{{given.order.status}: {_quantities(given.order.lines)}}}"] if given.order is not None else []
    parts += [f"stock: {_quantities(given.stock)}"] if given.stock else []
    parts += [f"draws: {{{', '.join(f'{place}: {to}' for place, to in given.draws.items())}}}"] if given.draws else []
    if given.products:
        lines = ",\n".join(f"    {_product(each)}" for each in given.products)
        parts.append(f"products: [\n{lines}\n  ]")
    return f"{{{', '.join(parts)}}}"


def _product(product: GivenProduct) -> str:
    words = {"name": product.name, "short_name": product.short_name, "unit": product.unit, "category": product.category}
    if product.short_name == product.name:
        del words["short_name"]
    parts = [f"{key}: {_quoted(word)}" for key, word in words.items() if word]
    parts.append(f"price: {product.price}")
    parts += [f"also: [{', '.join(_quoted(word) for word in product.also)}]"] if product.also else []
    return f"{{{', '.join(parts)}}}"


def _quantities(quantities: Mapping[str, int]) -> str:
    return f"{{{', '.join(f'{_quoted(name)}: {number}' for name, number in quantities.items())}}}"


def _query(query: QueryAnswer) -> str:
    return query.answer if query.receipt is None else f"{{paid: {{receipt: {query.receipt}}}}}"


def _act(act: Act) -> str:
    match act:
        case CustomerWrites(text=text, intent=None):
            return f"customer: {_quoted(text)}"
        case CustomerWrites(text=text, intent=intent):
            return f"customer: {{text: {_quoted(text)}, intent: {intent}}}"
        case CustomerTaps(choice=choice, of=of, nth=nth):
            which = "" if of is None else f", of: {of}"
            return f"customer: {{tap: {_quoted(choice)}{which}{'' if nth is None else f', nth: {nth}'}}}"
        case CustomerSends(kind=kind, caption=caption):
            return f"customer: {{{kind}: {'true' if caption is None else f'{{caption: {_quoted(caption)}}}'}}}"
        case CustomerShares(latitude=latitude, longitude=longitude, name=name):
            named = "" if name is None else f", name: {_quoted(name)}"
            return f"customer: {{location: {{lat: {latitude}, lon: {longitude}{named}}}}}"
        case ClockMoves(by=by, until=until):
            return f"clock: {until:%H:%M}" if until is not None else f"clock: +{_duration(by or timedelta(0))}"
        case MpesaTells(attempt=attempt, outcome=outcome, receipt=receipt, after=after):
            told = f"attempt: {attempt}, outcome: {outcome}{'' if receipt is None else f', receipt: {receipt}'}"
            later = f", after: {_duration(after)}" if after else ""
            return f"event: {{payments.result: {{{told}}}{later}}}"
        case MpesaRepeats():
            return "event: same"
        case PersonWrites(text=text):
            return f"person: {_quoted(text)}"
        case PersonIsDone():
            return "person: {done: true}"
        case VendorChanges(stock=stock, stops=stops):
            parts = [f"stock: {_quantities(stock)}"] if stock else []
            parts += [f"stops: [{', '.join(stops)}]"] if stops else []
            return f"vendor: {{{', '.join(parts)}}}"
        case _:
            assert_never(act)


def _duration(duration: timedelta) -> str:
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{number}{unit}" for number, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if number]
    return "".join(parts)


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Which parts of a reply to write down. `kept`: instead of its text, what is looked for in it."""

    flow: str = ""
    place: bool = False
    text: bool = True
    buttons: bool = True
    menu: bool = True
    kept: Sequence[TextMatch] | None = None


EVERYTHING: Final = Parts()


def write_reply(reply: Reply, *, parts: Parts = EVERYTHING) -> str:
    """Write what `bot:` is to say. A text that would be read as a sign of the format is told by its place."""
    text = _matches(parts.kept) if parts.kept is not None else _text(reply.text) if parts.text else None
    place = reply.place.removeprefix(f"{parts.flow}.")
    told = [f"at: {place}"] if parts.place or text is None else []
    told += [f"text: {text}"] if text is not None else []
    told += [f"buttons: {_titles([button.title for button in reply.buttons])}"] if reply.buttons and parts.buttons else []
    if reply.menu_button is not None and parts.menu:
        rows = _titles([row.title for row in reply.menu_rows])
        told.append(f"list: {{button: {_quoted(reply.menu_button)}, rows: {rows}}}")
    return text if text is not None and len(told) == 1 else f"{{{', '.join(told)}}}"


def _matches(matches: Sequence[TextMatch]) -> str:
    written = [_match(match) for match in matches]
    return written[0] if len(written) == 1 else f"[{', '.join(written)}]"


def _match(match: TextMatch) -> str:
    match match:
        case Equal(text=text):
            return _quoted(text)
        case Contains(text=text):
            return _quoted(f"~{text}")
        case Matches(pattern=pattern):
            return _quoted(f"/{pattern.pattern}/")
        case _:
            assert_never(match)


def _text(said: str) -> str | None:
    """Write what a text must be, without the order's number; None when it would be read as a sign of the format."""
    text = one_spaced(said)
    pieces = [piece.strip() for piece in ORDER_NUMBER.split(text)]
    if len(pieces) > 1:
        kept = [_quoted(f"~{piece}") for piece in pieces if any(char.isalnum() for char in piece)]
        return f"[{', '.join(kept)}]" if kept else None
    return None if not text or text[0] in "~/" or text in ("...", "nothing") else _quoted(text)


def _titles(titles: Sequence[str]) -> str:
    return f"[{', '.join(_quoted(title) for title in titles)}]"


def _quoted(text: str) -> str:
    return text if PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
