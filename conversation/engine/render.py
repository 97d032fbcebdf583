"""Texts, buttons and lists within WhatsApp's limits. Nothing is ever cut silently.

Source of the limits: Meta's pages for messages and interactive messages. A character outside the basic plane counts
as two here: how Meta counts an emoji is not documented, and two is never too few.
"""

import re
from collections.abc import Sequence
from typing import Final

from conversation.engine.effects import Button, Menu, Message, Row

MOST_BUTTONS: Final = 3
MOST_ROWS: Final = 10
BUTTON_TITLE: Final = 20
ROW_TITLE: Final = 24
ROW_ABOUT: Final = 72
MENU_BUTTON: Final = 20
CHOICE_ID: Final = 200
INTERACTIVE_TEXT: Final = 1024
PLAIN_TEXT: Final = 4096

_BREAKS: Final = ("\n\n", "\n", ". ", " ")
_WORDS: Final = re.compile(r"\S+\s*")


def measure(text: str) -> int:
    """Length as WhatsApp may count it: in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def render(text: str, *, buttons: Sequence[Button] = (), menu: Menu | None = None) -> tuple[Message, ...]:
    """Build the messages of one `say` or `ask`: usually one; a text that is too long sends its beginning ahead, plainly."""
    menu, spelled = _fit(menu) if menu else (None, "")
    body = f"{text}\n\n{spelled}" if spelled else text
    if not buttons and menu is None:
        return tuple(Message(text=part) for part in split(body, PLAIN_TEXT))
    last = split(body, INTERACTIVE_TEXT)[-1]
    ahead = body[: len(body) - len(last)].rstrip()
    plain = split(ahead, PLAIN_TEXT) if ahead else ()
    return (*(Message(text=part) for part in plain), Message(text=last, buttons=tuple(buttons), menu=menu))


def split(text: str, longest: int) -> tuple[str, ...]:
    """Split a text at paragraphs, else lines, else sentences, else words, into parts of at most `longest`."""
    parts: list[str] = []
    rest = text
    while measure(rest) > longest:
        head = _head(rest, longest)
        at = next((found + len(mark.rstrip(" \n")) for mark in _BREAKS if (found := head.rfind(mark)) > 0), len(head))
        parts.append(rest[:at].rstrip())
        rest = rest[at:].lstrip()
    return (*parts, rest) if rest or not parts else tuple(parts)


def _head(text: str, longest: int) -> str:
    head = text[:longest]
    while measure(head) > longest:
        head = head[: len(head) - max(1, (measure(head) - longest) // 2)]
    return head


def _fit(menu: Menu) -> tuple[Menu, str]:
    """Shorten what is too long in a row; what then has no room at all is spelled out in the message's text."""
    rows: list[Row] = []
    spelled: list[str] = []
    for row in menu.rows:
        if measure(row.title) <= ROW_TITLE and measure(row.about) <= ROW_ABOUT:
            rows.append(row)
            continue
        title, rest = _first_words(row.title, ROW_TITLE)
        about = " · ".join(part for part in (rest, row.about) if part)
        if measure(about) > ROW_ABOUT:
            spelled.append(f"• {row.title}" + (f": {row.about}" if row.about else ""))
            about = _first_words(about, ROW_ABOUT)[0]
        rows.append(Row(id=row.id, title=title, about=about))
    return Menu(button=menu.button, rows=tuple(rows)), "\n".join(spelled)


def _first_words(text: str, longest: int) -> tuple[str, str]:
    """The first whole words that fit, and the rest; a word that alone is too long is broken."""
    head = ""
    for word in _WORDS.findall(text):
        if measure((head + word).rstrip()) > longest:
            break
        head += word
    head = head or _head(text, longest)
    return head.strip(), text[len(head) :].strip()
