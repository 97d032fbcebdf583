"""What a transcript expects to be true after a step: how it differs from what is, and what it would have to say."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, cast

from conversation.authoring.transcripts import EffectMatch, Expect, OrderStatus
from conversation.engine.values import JSON
from conversation.turn import TurnReport
from soko.replay.world import World

NONE: Final = "none"


def differences(wanted: Expect, world: World, reports: Sequence[TurnReport], *, flow: str) -> list[str]:
    """Say what is not as expected; `reports` are of the turns since the last step. Empty when all is."""
    return [
        *_state_differences(wanted, world, reports, flow=flow),
        *_order_differences(wanted, world),
        *_effect_differences(wanted, world, reports),
    ]


def as_it_is(wanted: Expect, world: World, reports: Sequence[TurnReport], *, flow: str) -> Expect:
    """Return what this would have to expect. `effect` and `no_effect`, and a run that should have ended, stay as they are."""
    state, slots, order = state_of(world), slots_of(world), world.order()
    calls, counted = [call.name for report in reports for call in report.calls], world.count_calls()
    return replace(
        wanted,
        state=wanted.state if _is_state(wanted.state, state, flow) else state.removeprefix(f"{flow}."),
        order=None if wanted.order is None else cast("OrderStatus", order.status if order is not None else NONE),
        ended=wanted.ended and (_ended(reports) or wanted.ended),
        slots=wanted.slots
        and {
            path: value if _plain(value) == _plain(_read(slots, path)) else _read(slots, path)
            for path, value in wanted.slots.items()
        },
        effects=None if wanted.effects is None else tuple(calls),
        effects_total=wanted.effects_total and {name: counted[name] for name in wanted.effects_total},
    )


def state_of(world: World) -> str:
    """The state the conversation is in, or "none"."""
    return (world.reports[-1].state if world.reports else None) or NONE


def slots_of(world: World) -> Mapping[str, JSON]:
    """The slots of the running flow."""
    frames = world.reports[-1].snapshot.frames if world.reports else ()
    return frames[-1].slots if frames else {}


def to_text(value: JSON) -> str:
    """Write a value as JSON."""
    return json.dumps(value, ensure_ascii=False, default=str)


def _is_state(wanted: str | None, state: str, flow: str) -> bool:
    return wanted is None or state in (wanted, f"{flow}.{wanted}")


def _ended(reports: Sequence[TurnReport]) -> str | None:
    return next((report.ended for report in reversed(reports) if report.ended is not None), None)


def _state_differences(wanted: Expect, world: World, reports: Sequence[TurnReport], *, flow: str) -> list[str]:
    wrong: list[str] = []
    state = state_of(world)
    if not _is_state(wanted.state, state, flow):
        wrong.append(f"state should be {wanted.state}, and is {state}")
    ended = _ended(reports)
    if wanted.ended is not None and ended != wanted.ended:
        wrong.append(f"the flow should have ended in {wanted.ended}, and " + (f"ended in {ended}" if ended else "did not end"))
    slots = slots_of(world)
    for path, value in (wanted.slots or {}).items():
        found = _read(slots, path)
        if _plain(found) != _plain(value):
            wrong.append(f"{path} should be {to_text(value)}, and is {to_text(found)}")
    return wrong


def _order_differences(wanted: Expect, world: World) -> list[str]:
    if wanted.order is None:
        return []
    order = world.order()
    status = order.status if order is not None else NONE
    return [] if status == wanted.order else [f"order should be {wanted.order}, and is {status}"]


def _effect_differences(wanted: Expect, world: World, reports: Sequence[TurnReport]) -> list[str]:
    wrong: list[str] = []
    calls = [(call.name, call.args) for report in reports for call in report.calls]
    names = [name for name, _ in calls]
    made = f"the calls were: {', '.join(names) or 'none'}"
    if wanted.effects is not None and list(wanted.effects) != names:
        wrong.append(f"effects should be {', '.join(wanted.effects) or 'none'}; {made}")
    for effect in wanted.effect:
        if not any(_is_call(effect, name, args) for name, args in calls):
            with_args = "; ".join(f"{name} {to_text(args)}" for name, args in calls if name == effect.name)
            wrong.append(f"there should be {effect.name} {to_text(effect.args)}; {with_args or made}")
    wrong += [f"there should be no {name}; {made}" for name in wanted.no_effect if name in names]
    counted = world.count_calls()
    for name, number in (wanted.effects_total or {}).items():
        if counted[name] != number:
            wrong.append(f"{name} should have been called {number} times so far, and was {counted[name]} times")
    return wrong


def _is_call(wanted: EffectMatch, name: str, args: Mapping[str, JSON]) -> bool:
    return name == wanted.name and all(
        arg in args and (args[arg] == value or _phone(args[arg]) == _phone(value)) for arg, value in wanted.args.items()
    )


def _phone(value: JSON) -> JSON:
    return value.removeprefix("+") if isinstance(value, str) else value


def _read(slots: Mapping[str, JSON], path: str) -> JSON:
    value: JSON = slots
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def _plain(value: JSON) -> JSON:
    """Tuples and lists are the same to whoever writes YAML."""
    plain: JSON = json.loads(json.dumps(value))
    return plain
