from collections.abc import Mapping
from typing import Any

import pytest

from conversation.whatsapp.limits import check


def button(n: int = 1, **changes: object) -> Any:
    return {"id": f"v1:{n}", "title": f"Number {n}", **changes}


def menu(*rows: Any, button: str = "Choose") -> Any:
    return {"text": "What would you like?", "list": {"button": button, "rows": list(rows)}}


FITTING: Mapping[str, Any] = {
    "longest text": {"text": "🌽" * 4096},
    "longest text above buttons": {"text": "🌽" * 1024, "buttons": [button()]},
    "longest text above a list": menu(button()) | {"text": "x" * 1024},
    "three buttons at their limits": {
        "text": "?",
        "buttons": [{"id": f"{n}" + "i" * 255, "title": f"{n}" + "🌽" * 19} for n in range(3)],
    },
    "ten rows at their limits": menu(
        *({"id": f"{n}" + "i" * 199, "title": "t" * 24, "about": "a" * 72} for n in range(10)), button="b" * 20
    ),
    "a button id with a space inside": {"text": "?", "buttons": [button(id="a b")]},
    "an id of one character": {"text": "?", "buttons": [button(id="a")]},
}


@pytest.mark.parametrize("message", FITTING.values(), ids=FITTING.keys())
def test_what_fits_breaks_no_limit(message: Any) -> None:
    assert check(message) == []


BREACHES: Mapping[str, tuple[Any, list[str]]] = {
    "no text": ({}, ["text: is missing"]),
    "empty text": ({"text": ""}, ["text: is empty"]),
    "text that is no text": ({"text": 7}, ["text: Input should be a valid string"]),
    "long text": ({"text": "x" * 4097}, ["text: 4097 characters, at most 4096"]),
    "long text above buttons": (
        {"text": "x" * 1025, "buttons": [button()]},
        ["text: 1025 characters, at most 1024 above buttons or a list"],
    ),
    "long text above a list": (
        menu(button()) | {"text": "x" * 1025},
        ["text: 1025 characters, at most 1024 above buttons or a list"],
    ),
    "no buttons": ({"text": "?", "buttons": []}, ["buttons: is empty"]),
    "four buttons": ({"text": "?", "buttons": [button(n) for n in range(4)]}, ["buttons: 4 of them, at most 3"]),
    "long button title": (
        {"text": "?", "buttons": [button(), button(2, title="x" * 21)]},
        ["buttons.1.title: 21 characters, at most 20"],
    ),
    "empty button title": ({"text": "?", "buttons": [button(title="")]}, ["buttons.0.title: is empty"]),
    "long button id": ({"text": "?", "buttons": [button(id="x" * 257)]}, ["buttons.0.id: 257 characters, at most 256"]),
    "empty button id": ({"text": "?", "buttons": [button(id="")]}, ["buttons.0.id: is empty"]),
    "button id with outer spaces": ({"text": "?", "buttons": [button(id="pay ")]}, ["buttons.0.id: begins or ends with a space"]),
    "twin button ids": (
        {"text": "?", "buttons": [button(), button(title="Other")]},
        ["button ids must differ, 'v1:1' is there twice"],
    ),
    "twin button titles": (
        {"text": "?", "buttons": [button(1, title="Yes"), button(2, title="Yes")]},
        ["button titles must differ, 'Yes' is there twice"],
    ),
    "buttons and a list": (menu(button()) | {"buttons": [button()]}, ["a message has buttons or a list, not both"]),
    "list without rows": (menu(), ["list.rows: is empty"]),
    "eleven rows": (menu(*(button(n) for n in range(11))), ["list.rows: 11 of them, at most 10"]),
    "long row title": (menu(button(title="x" * 25)), ["list.rows.0.title: 25 characters, at most 24"]),
    "long row text": (menu(button(about="x" * 73)), ["list.rows.0.about: 73 characters, at most 72"]),
    "long row id": (menu(button(id="x" * 201)), ["list.rows.0.id: 201 characters, at most 200"]),
    "twin row ids": (menu(button(), button(title="Other")), ["list: row ids must differ, 'v1:1' is there twice"]),
    "long list button": (menu(button(), button="x" * 21), ["list.button: 21 characters, at most 20"]),
    "part nobody sends": ({"text": "?", "image": "x"}, ["image: is a part we do not know how to send"]),
    "two at once": ({"buttons": []}, ["text: is missing", "buttons: is empty"]),
}


@pytest.mark.parametrize(("message", "said"), BREACHES.values(), ids=BREACHES.keys())
def test_a_breach_is_named_with_its_place(message: Any, said: list[str]) -> None:
    assert check(message) == said
