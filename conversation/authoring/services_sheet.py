"""The catalogue of services as flow authors read it: a sheet of plain values, and the same as YAML and as a page of docs.

Shape of the sheet: {"schema": 1, "types", "context", "order_states", "entities", "functions", "consents", "calls", "events"}.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from conversation.engine.catalogue import CallSpec, Catalogue, ConsentSpec, EventSpec, FunctionSpec, Outcome
from conversation.engine.types import Fields, Type, describe
from conversation.engine.values import JSON

CONTINUES: Final = "continues"
LISTED: Final = "listed"  # the flow must say under `else` what happens then
_PLAIN: Final = re.compile(r"[A-Za-z_][\w./ -]*[\w]|[A-Za-z_]")
_WORDS_OF_YAML: Final = frozenset({"true", "false", "null"})
_HEAD: Final = "# Everything a flow may touch outside itself. A flow cannot call what is not listed here.\n"
_SECTIONS: Final = {
    "types": "Records that slots, arguments and outcomes are made of.",
    "context": "What every expression of a flow may read. It is loaded before each step and flows cannot change it.",
    "order_states": "The places of an order's life (docs/order-state-machine.md).",
    "entities": "Typed things that are read out of a customer's message: `{entity: number, as: n}`.",
    "functions": "Functions for expressions, beside Jinja's filters.",
    "consents": "A customer's own word that unlocks a call that moves money.",
    "calls": (
        "What a state's `do` may call. An outcome that `continues` goes on in the same state; every other outcome is `listed`:"
        " the call's `else` must say what happens then."
    ),
    "events": "What may happen outside while a state waits, and the flow that takes it when none does.",
}


def to_sheet(catalogue: Catalogue) -> dict[str, JSON]:
    """Return the whole catalogue as plain JSON."""
    return {
        "schema": 1,
        "types": {name: _fields(kind) for name, kind in catalogue.types.items()},
        "context": {name: _fields(kind) for name, kind in catalogue.context.items()},
        "order_states": list(catalogue.order_states),
        "entities": {name: {"type": describe(entity.type)} for name, entity in catalogue.entities.items()},
        "functions": {name: _function(function) for name, function in catalogue.functions.items()},
        "consents": {name: _consent(consent) for name, consent in catalogue.consents.items()},
        "calls": {name: _call(call, catalogue.types) for name, call in catalogue.calls.items()},
        "events": {name: _event(event) for name, event in catalogue.events.items()},
    }


def _fields(kind: Type) -> JSON:
    return _record(kind.fields) if isinstance(kind, Fields) else describe(kind)


def _record(fields: Mapping[str, Type]) -> dict[str, JSON]:
    return {name: describe(kind) for name, kind in fields.items()}


def _function(function: FunctionSpec) -> dict[str, JSON]:
    return {"takes": [describe(kind) for kind in function.takes], "gives": describe(function.gives)}


def _consent(consent: ConsentSpec) -> dict[str, JSON]:
    return {
        "means": consent.means,
        "words": list(consent.words),
        "must_show": list(consent.must_show),
        "unlocks": list(consent.unlocks),
    }


def _call(call: CallSpec, named: Mapping[str, Type]) -> dict[str, JSON]:
    sheet: dict[str, JSON] = {"about": call.about}
    if call.moves_money:
        sheet["moves_money"] = True
        sheet["needs"] = {"consent": call.consent, "order": "/".join(_runs_in(call))}
    sheet["with"] = _record(call.takes)
    if call.must_equal:
        sheet["must_equal"] = dict(call.must_equal)
    if call.returns is not None:
        sheet["returns"] = describe(call.returns) if describe(call.returns) in named else _fields(call.returns)
    if call.revokes:
        sheet["revokes"] = list(call.revokes)
    if call.asks_about:
        sheet["asks_about"] = call.asks_about
    sheet["outcomes"] = {name: _outcome(outcome) for name, outcome in call.outcomes.items()}
    return sheet


def _runs_in(call: CallSpec) -> list[str]:
    return sorted({state for outcome in call.outcomes.values() if outcome.continues for state in outcome.orders or ()})


def _outcome(outcome: Outcome) -> JSON:
    more: dict[str, JSON] = {}
    if outcome.orders is not None or outcome.becomes is not None:
        more["order"] = _order_of(outcome.orders, outcome.becomes)
    if outcome.then is not None:
        more["then"] = outcome.then
    if outcome.carries is not None:
        more["carries"] = _fields(outcome.carries)
    if not more:
        return CONTINUES if outcome.continues else LISTED
    return {CONTINUES if outcome.continues else LISTED: True, **more}


def _order_of(orders: Sequence[str] | None, becomes: str | None) -> str:
    before = "/".join(orders) if orders is not None else "any"
    return before if becomes is None else f"{before} -> {becomes}"


def _event(event: EventSpec) -> dict[str, JSON]:
    outcomes = {name: "same" if becomes is None else f"-> {becomes}" for name, becomes in event.outcomes.items()}
    return {
        "key": event.key,
        "carries": _record(event.carries.fields),
        "outcomes": outcomes,
        "when_nobody_waits": event.when_nobody_waits,
        "last_word": event.last_word,
    }


# ---------------------------------------------------------------- YAML


def to_yaml(sheet: Mapping[str, JSON]) -> str:
    """Write a sheet as YAML 1.2: one line a name, and one a part of a call, a consent or an event."""
    lines = [_HEAD + f"schema: {sheet['schema']}"]
    for section, names in sheet.items():
        if section != "schema":
            lines += ["", *_section(section, names)]
    return "\n".join(lines) + "\n"


def _section(section: str, names: JSON) -> list[str]:
    if not isinstance(names, Mapping):
        return [f"{section}: {_inline(names)}"]
    lines = [f"{section}:"]
    for name, entry in names.items():
        if section in ("calls", "consents", "events") and isinstance(entry, Mapping):
            lines.append(f"  {name}:")
            lines += [f"    {key}: {_inline(value)}" for key, value in entry.items()]
        else:
            lines.append(f"  {name}: {_inline(entry)}")
    return lines


def _inline(value: JSON) -> str:
    match value:
        case Mapping():
            return "{" + ", ".join(f"{key}: {_inline(part)}" for key, part in value.items()) + "}"
        case str():
            return value if _PLAIN.fullmatch(value) and value not in _WORDS_OF_YAML else json.dumps(value, ensure_ascii=False)
        case list() | tuple():
            return "[" + ", ".join(_inline(part) for part in value) + "]"
        case _:
            return json.dumps(value)


# ---------------------------------------------------------------- docs


def to_page(sheet: Mapping[str, JSON]) -> str:
    """Write a sheet as docs/services.md."""
    parts = [
        "# What a flow may touch outside itself",
        "Made from the Python declarations in `conversation/services/` by `soko flow services --page`; a test keeps it in step."
        " `soko flow services` prints the same at the command line, `--json` for programs.",
    ]
    for section, about in _SECTIONS.items():
        names = sheet[section]
        parts += [f"## {section.replace('_', ' ').capitalize()}", about]
        if section == "calls" and isinstance(names, Mapping):
            parts += [part for name, call in names.items() if isinstance(call, Mapping) for part in _call_part(name, call)]
        elif isinstance(names, Mapping):
            parts.append(_table(("name", "what"), [(f"`{name}`", f"`{_inline(entry)}`") for name, entry in names.items()]))
        else:
            parts.append(f"`{_inline(names)}`")
    return "\n\n".join(parts) + "\n"


def _call_part(name: str, call: Mapping[str, JSON]) -> list[str]:
    outcomes = call["outcomes"]
    rows = [(f"`{key}`", f"`{_inline(value)}`") for key, value in call.items() if key not in ("about", "outcomes")]
    ways = [(f"`{key}`", f"`{_inline(value)}`") for key, value in (outcomes.items() if isinstance(outcomes, Mapping) else ())]
    return [f"### {name}", f"{call['about']}.", _table(("part", "what"), rows), _table(("outcome", "what then"), ways)]


def _table(head: tuple[str, str], rows: Sequence[tuple[str, str]]) -> str:
    cells = [head, ("---", "---"), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells)
