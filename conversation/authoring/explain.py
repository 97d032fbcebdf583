"""What happened in a turn, in an author's words: how a message was understood and why not otherwise, and what was done."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

from conversation.authoring.differences import NOWHERE, show_turn
from conversation.authoring.matching import show_chat
from conversation.authoring.rerun import Led, led_to
from conversation.engine import events
from conversation.engine.events import Said, Shared, Tapped
from conversation.engine.values import JSON
from conversation.recorded import RecordedStep, RecordedTurn

NAIROBI: Final = ZoneInfo("Africa/Nairobi")
LONGEST: Final = 160
# The ladder, in its order: what each rung looks for.
RUNGS: Final[Mapping[str, str]] = {
    "choice": "a button or row of the open question",
    "consent": "the consent word",
    "state_words": "the words of a reply here",
    "commands": "a command",
    "entities": "something that a reply here reads",
    "patterns": "a pattern of a reply here",
    "intents": "what a classifier made of it",
    "any": "anything with words",
}
# A flow that starts has rungs of its own.
STARTS: Final[Mapping[str, str]] = {
    "words": "the words that start a flow",
    "entities": "something that starts a flow",
    "anything": "a flow that anything starts",
}
UNMATCHED: Final = "unmatched"


def explain(turn: RecordedTurn) -> str:
    """One turn, with the reason for everything."""
    lines = [brief(turn)]
    if turn.error is not None:
        return "\n".join([*lines, "", "  It failed on our side, and nothing of it was kept:", f"    {turn.error}"])
    rungs = list(_rungs(turn))
    if rungs:
        lines += ["", "  How the message was understood", *(f"    {line}" for line in rungs)]
    lines += ["", "  What was decided and done", *(f"    {line}" for line in _deeds(turn))]
    others = list(_others(turn))
    if others:
        lines += ["", "  What was set and told besides", *(f"    {line}" for line in others)]
    return "\n".join(lines)


def brief(turn: RecordedTurn) -> str:
    """One turn as a chat, and how it was understood in one line."""
    at = turn.at.astimezone(NAIROBI)
    took = sum(step.answer.milliseconds for step in turn.steps if step.answer is not None)
    head = f"turn {turn.turn}  {at:%a %d %b %Y, %H:%M:%S}  flows {turn.bundle}" + (f"  {took:.1f} ms in calls" if took else "")
    chat = show_chat(show_turn(turn.event, _led(turn)))
    way = f"  {turn.came_from or NOWHERE} → {turn.state or NOWHERE}"
    matched = next((entry for entry in turn.trace if entry["what"] == "matched"), None)
    by = f", understood as {_matched(matched)}" if matched is not None else ""
    failed = ", and it failed" if turn.error is not None else ""
    return "\n".join([head, *_move(turn), chat, way + by + failed])


def _move(turn: RecordedTurn) -> Iterator[str]:
    if turn.moved is not None:
        told = f', told "{turn.moved.say}"' if turn.moved.say else ""
        yield f"  a publish moved it here: from {turn.moved.came_from} of flows {turn.moved.left}{told}"


def to_json(turn: RecordedTurn) -> dict[str, JSON]:
    """The same for a program; `trace` has everything that was noted, in order."""
    matched = next((entry for entry in turn.trace if entry["what"] == "matched"), None)
    guards: list[JSON] = [_rest(entry) for entry in turn.trace if entry["what"] == "guard"]
    calls: list[JSON] = [_call(step) for step in turn.steps if step.answer is not None]
    return {
        "conversation": turn.conversation_id,
        "turn": turn.turn,
        "at": turn.at.isoformat(),
        "flows": turn.bundle,
        "moved": {"left": turn.moved.left, "from": turn.moved.came_from, "say": turn.moved.say} if turn.moved else None,
        "event": events.to_json(turn.event),
        "from": turn.came_from,
        "to": turn.state,
        "understood": _rest(matched) if matched is not None else None,
        "guards": guards,
        "calls": calls,
        "effects": [effect for effect in turn.effects if effect["effect"] != "Call"],
        "trace": turn.trace,
        "error": turn.error,
    }


def _rest(entry: Mapping[str, JSON]) -> Mapping[str, JSON]:
    return {name: value for name, value in entry.items() if name != "what"}


def _call(step: RecordedStep) -> Mapping[str, JSON]:
    call, answer = step.effects[-1], step.answer
    told = {"outcome": answer.outcome, "value": answer.value, "ms": answer.milliseconds} if answer is not None else {}
    return {"name": call["name"], "args": call["args"], **told}


def _led(turn: RecordedTurn) -> Led:
    return led_to(turn.effects, turn.state, turn.at)


# ---------------------------------------------------------------- the ladder


def _rungs(turn: RecordedTurn) -> Iterator[str]:
    """Every rung of the ladder, with the reason why it took the message or did not."""
    if not isinstance(turn.event, Said | Tapped | Shared):
        return
    stale = next((entry for entry in turn.trace if entry["what"] == "stale tap"), None)
    if stale is not None:
        yield f"a tap on an older question, {stale['choice']}: the question that is open now, at {stale['place']}, is asked again"
    matched = next((entry for entry in turn.trace if entry["what"] == "matched"), None)
    if matched is None:
        return
    rung = str(matched["rung"])
    passed = cast("Sequence[str]", matched.get("passed") or ())
    ladder = STARTS if turn.came_from is None else RUNGS
    reached = False
    for name, looks_for in ladder.items():
        reasons = [why.removeprefix(f"{name}: ") for why in passed if why.startswith(f"{name}:")]
        for why in reasons:
            yield f"no   {name}: {why}"
        if name == rung:
            reached = True
            yield f"YES  {_matched(matched)}: {looks_for}"
        elif reached:
            yield f"-    {name}: not looked at any more ({looks_for})"
        elif not reasons:
            yield f"no   {name}: not {looks_for}"
    if rung == UNMATCHED:
        yield f"so   {UNMATCHED}: no rung took it"


def _matched(entry: Mapping[str, JSON]) -> str:
    by, at = entry.get("by"), entry.get("at")
    return str(entry["rung"]) + (f" `{by}`" if by else "") + (f" ({at})" if at else "")


# ---------------------------------------------------------------- what was done


def _deeds(turn: RecordedTurn) -> Iterator[str]:
    for step in turn.steps:
        for entry in step.trace:
            yield from _deed(cast("Mapping[str, Any]", entry))
        if step.answer is not None:
            call = step.effects[-1]
            answer = f" {_cut(step.answer.value)}" if step.answer.value is not None else ""
            yield f"     with {_cut(call['args'])}"
            yield f"     answered {step.answer.outcome}{answer} in {step.answer.milliseconds:.1f} ms"


def _deed(entry: Mapping[str, Any]) -> Iterator[str]:
    place = entry["place"]
    match entry["what"]:
        case "matched" | "stale tap" | "returned":
            return
        case "guard":
            read = ", ".join(f"{path} = {json.dumps(value, ensure_ascii=False)}" for path, value in entry["read"].items())
            held = "holds" if entry["held"] else "does not hold"
            yield f"{entry['key']} if {entry['condition']}: {held} ({read or 'nothing is read'})  {entry['at']}"
        case "called":
            yield f"calls {entry['call']} in {place}" + (", on the customer's own PAY" if entry["consent"] else "")
        case "consent refused":
            changed = ", ".join(entry["changed"])
            yield f"the PAY does not count: what the question at {place} was showing has changed ({changed})"
        case "ended":
            yield f"the flow {place} ends: {entry['result']}"
        case "waiting":
            yield f"waits in {place}"
        case "tries used up" | "visits used up" | "split":
            yield f"{entry['what']} in {place}: goes to {entry['to']}"
        case what:
            rest = ", ".join(f"{name} {value}" for name, value in entry.items() if name not in ("what", "place"))
            yield f"{what} {place}" + (f" ({rest})" if rest else "")


def _others(turn: RecordedTurn) -> Iterator[str]:
    for effect in _led(turn).others:
        told = cast("Mapping[str, Any]", effect)
        match told["effect"]:
            case "SetTimer":
                yield f"timer {told['name']}: due in {told['seconds']} s"
            case "Schedule":
                yield f"the flow {told['name']} starts in {told['seconds']} s"
            case "HandOff":
                yield f"people of the queue {told['queue']} are called: {told['note']}"
            case "SwitchLanguage":
                yield f"speaks {told['language']} from now on"
            case "Emit":
                yield f"counts {told['name']}" + (f" ({told['value']})" if told["value"] is not None else "")
            case _:
                continue


def _cut(value: JSON) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
