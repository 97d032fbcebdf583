"""Hold what the shop said against what a transcript says it says, and show a difference as a chat."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias, assert_never, cast

from conversation.authoring.transcripts import (
    BotSays,
    BotSaysAnything,
    BotSaysNothing,
    Contains,
    Equal,
    Matches,
    Said,
    TextMatch,
    Titles,
)
from conversation.engine.values import JSON


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Something a customer can tap. `about` is the small print under a row."""

    id: str
    title: str
    about: str = ""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One message of the shop, as it was put into the outbox. `place` is where its text stands, e.g. shop.pay.ask."""

    place: str
    text: str
    buttons: tuple[Choice, ...] = ()
    menu_button: str | None = None
    menu_rows: tuple[Choice, ...] = ()

    @property
    def choices(self) -> tuple[Choice, ...]:
        """All that can be tapped on it."""
        return self.buttons + self.menu_rows


@dataclass(frozen=True, kw_only=True)
class Spoken:
    """A line of the chat that is not a reply: what the customer did, the clock, an event."""

    who: str
    text: str


ChatLine: TypeAlias = Reply | Spoken


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """The first difference. `reply` is the index of the reply in question, None when one is missing."""

    line: int
    reply: int | None
    reasons: tuple[str, ...]


def to_reply(place: str, message: Mapping[str, JSON]) -> Reply:
    """Read an outbox message: {"text", "buttons": [{"id", "title"}], "list": {"button", "rows": [{"id", "title"}]}}."""
    menu = cast("Mapping[str, JSON]", message.get("list") or {})
    return Reply(
        place=place,
        text=str(message["text"]),
        buttons=_choices(message.get("buttons")),
        menu_button=str(menu["button"]) if menu else None,
        menu_rows=_choices(menu.get("rows")),
    )


def _choices(shown: JSON) -> tuple[Choice, ...]:
    rows = cast("Sequence[Mapping[str, JSON]]", shown or ())
    return tuple(Choice(id=str(row["id"]), title=str(row["title"]), about=str(row.get("about", ""))) for row in rows)


# ---------------------------------------------------------------- matching


def compare(expected: Sequence[Said], replies: Sequence[Reply], *, flow: str, after_line: int) -> Mismatch | None:
    """Match all replies to one step against the lines that follow it; None when every reply is accounted for.

    `after_line` is the line of the step, named when the transcript expects nothing and something was said.
    """
    furthest = _Furthest()
    if _fits(expected, replies, 0, 0, flow, furthest):
        return None
    i, j = furthest.expected, furthest.reply
    line = expected[i].line if i < len(expected) else expected[-1].line if expected else after_line
    if i == len(expected):
        return Mismatch(line=line, reply=j, reasons=("the transcript does not have this reply",))
    wanted = expected[i]
    if j == len(replies):
        return Mismatch(line=line, reply=None, reasons=(f"the shop says nothing more, but should: {show_expected(wanted)}",))
    if isinstance(wanted, BotSays):
        return Mismatch(line=line, reply=j, reasons=tuple(differences(wanted, replies[j], flow=flow)))
    return Mismatch(line=line, reply=j, reasons=("the transcript says that the shop says nothing here",))


@dataclass
class _Furthest:
    """How far the best attempt came: it is the one worth showing."""

    expected: int = 0
    reply: int = 0

    def reach(self, expected: int, reply: int) -> None:
        if (expected, reply) > (self.expected, self.reply):
            self.expected, self.reply = expected, reply


def _fits(expected: Sequence[Said], replies: Sequence[Reply], i: int, j: int, flow: str, furthest: _Furthest) -> bool:
    furthest.reach(i, j)
    if i == len(expected):
        return j == len(replies)
    wanted = expected[i]
    match wanted:
        case BotSaysNothing():
            return j == len(replies)
        case BotSaysAnything():
            return any(_fits(expected, replies, i + 1, k, flow, furthest) for k in range(j, len(replies) + 1))
        case BotSays():
            if j == len(replies) or differences(wanted, replies[j], flow=flow):
                return False
            return _fits(expected, replies, i + 1, j + 1, flow, furthest)
        case _:
            assert_never(wanted)


def differences(wanted: BotSays, reply: Reply, *, flow: str) -> list[str]:
    """Say how a reply differs from what is wanted; empty when it does not."""
    found: list[str] = []
    if wanted.at is not None and not is_at(wanted.at, reply.place, flow=flow):
        found.append(f"it should come from {wanted.at}, and comes from {reply.place}")
    found += [_text_difference(match, reply.text) for match in wanted.text if not fits_text(match, reply.text)]
    if wanted.buttons is not None:
        found += _title_differences("buttons", wanted.buttons, reply.buttons)
    if wanted.menu_button is not None and wanted.menu_button != reply.menu_button:
        found.append(f"its list should be called {wanted.menu_button!r}, and is called {reply.menu_button!r}")
    if wanted.menu_rows is not None:
        found += _title_differences("rows", wanted.menu_rows, reply.menu_rows)
    return found


def is_at(wanted: str, place: str, *, flow: str) -> bool:
    """Compare places; the transcript's own flow need not be named: pay.ask is shop.pay.ask."""
    return place in (wanted, f"{flow}.{wanted}")


def one_spaced(text: str) -> str:
    """Fold runs of white space: a transcript need not repeat the line breaks of a message."""
    return " ".join(text.split())


def fits_text(match: TextMatch, text: str) -> bool:
    """Tell whether a text is as wanted."""
    match match:
        case Equal(text=wanted):
            return one_spaced(text) == one_spaced(wanted)
        case Contains(text=wanted):
            return one_spaced(wanted) in one_spaced(text)
        case Matches(pattern=pattern):
            return pattern.search(text) is not None
        case _:
            assert_never(match)


def _text_difference(match: TextMatch, text: str) -> str:
    if isinstance(match, Contains):
        return f"this is not in it: {one_spaced(match.text)}"
    if isinstance(match, Matches):
        return f"nothing in it matches /{match.pattern.pattern}/"
    wanted, said = one_spaced(match.text), one_spaced(text)
    same = next((n for n, (a, b) in enumerate(zip(wanted, said, strict=False)) if a != b), min(len(wanted), len(said)))
    return f"expected: {wanted}\nwas said: {said}\n{' ' * (10 + same)}^ here"


def _title_differences(what: str, wanted: Titles, shown: Sequence[Choice]) -> list[str]:
    titles = tuple(choice.title for choice in shown)
    if titles == wanted.titles or (wanted.more and titles[: len(wanted.titles)] == wanted.titles):
        return []
    return [f"its {what} should be {_listed(wanted)}, and are {_listed(Titles(titles=titles))}"]


def _listed(titles: Titles) -> str:
    return f"[{', '.join([*titles.titles, *(['...'] if titles.more else [])])}]"


# ---------------------------------------------------------------- showing


def show_expected(wanted: Said) -> str:
    """Write what a transcript expects as its author did, on one line."""
    if isinstance(wanted, BotSaysAnything):
        return "..."
    if isinstance(wanted, BotSaysNothing):
        return "nothing"
    parts = [] if wanted.at is None else [f"at {wanted.at}"]
    for match in wanted.text:
        match match:
            case Equal(text=text):
                parts.append(one_spaced(text))
            case Contains(text=text):
                parts.append(f"~{text}")
            case Matches(pattern=pattern):
                parts.append(f"/{pattern.pattern}/")
    parts += [f"buttons {_listed(wanted.buttons)}"] if wanted.buttons is not None else []
    parts += [f"rows {_listed(wanted.menu_rows)}"] if wanted.menu_rows is not None else []
    return ", ".join(parts)


def show_chat(chat: Sequence[ChatLine], *, marked: int | None = None, reasons: Sequence[str] = ()) -> str:
    """Write a chat as it looks on a phone, the customer to the right of the shop; `marked` is the line that is wrong.

    Reasons stand under the marked line, or at the end when no line of the chat is wrong.
    """
    lines: list[str] = []
    for number, line in enumerate(chat):
        is_wrong = number == marked
        lines += _bubble(line, "✗" if is_wrong else " ")
        lines += _noted(reasons) if is_wrong else []
    if marked is None and reasons:
        noted = _noted(reasons)
        lines += [f"✗{noted[0][1:]}", *noted[1:]]
    return "\n".join(lines)


def _bubble(line: ChatLine, mark: str) -> list[str]:
    if isinstance(line, Spoken):
        return [f"{mark} {line.who:<9}{text}" if n == 0 else f"  {'':<9}{text}" for n, text in enumerate(line.text.splitlines())]
    shown = line.text.rstrip().splitlines() or [""]
    lines = [f"{mark} {'shop':<9}{shown[0]}", *(f"  {'':<9}{text}" for text in shown[1:])]
    if line.buttons:
        lines.append(f"  {'':<9}{' '.join(f'[{button.title}]' for button in line.buttons)}")
    if line.menu_button is not None:
        lines.append(f"  {'':<9}[{line.menu_button}: {' | '.join(row.title for row in line.menu_rows)}]")
    return lines


def _noted(reasons: Sequence[str]) -> list[str]:
    return [
        f"  {'':<9}>> {line}" if n == 0 else f"  {'':<9}   {line}" for why in reasons for n, line in enumerate(why.splitlines())
    ]
