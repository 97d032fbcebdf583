"""Taking recorded turns again on other flows: the engine alone, fed with what every call answered then. No database."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, cast

from conversation.authoring.matching import Choice, Reply, to_reply
from conversation.engine import effects
from conversation.engine.effects import Call
from conversation.engine.events import Event, Returned, Tapped
from conversation.engine.flow import Bundle
from conversation.engine.lexicon import Lexicon
from conversation.engine.snapshot import Snapshot
from conversation.engine.step import step
from conversation.engine.values import JSON
from conversation.errors import Broken, ContractBroken, LimitCrossed
from conversation.recorded import RecordedTurn, name_state

SEND: Final = "Send"
CALL: Final = "Call"
TIMERS: Final = ("SetTimer", "Schedule")


@dataclass(frozen=True, kw_only=True)
class Led:
    """What one turn led to. `others` are the effects that neither speak nor call; `problem` tells why it went no further."""

    replies: tuple[Reply, ...]
    calls: tuple[tuple[str, Mapping[str, JSON]], ...]
    others: tuple[Mapping[str, JSON], ...]
    state: str | None
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One recorded turn, what it led to then and now, and the snapshots before and after it now."""

    turn: RecordedTurn
    then: Led
    now: Led
    before: Snapshot
    after: Snapshot


class _Unanswered(Exception):
    """The flows ask for a call that was not made then."""


@dataclass(kw_only=True)
class Rerun:
    """One conversation on these flows. `lexicons` holds the shop's words by the name of their shelf."""

    bundle: Bundle
    lexicons: Mapping[str, Lexicon]
    _shown: dict[tuple[str, str], Choice] = field(default_factory=dict)  # (turn, choice) -> what can be tapped now

    def take(self, turns: Sequence[RecordedTurn]) -> Iterator[Taken]:
        """Take the turns from the first at which no flow ran, as long as every call that is asked for has an answer.

        A turn that a publish moved to other flows begins where the publish had put it: what the move did is not a difference
        between flows. Turns moved before that was kept are left out until the next beginning.
        Turns that failed are left out, and so are those whose shop's words are not kept any more.
        """
        snapshot: Snapshot | None = None
        bundle: str | None = None
        for turn in turns:
            if turn.before is not None and (snapshot is None or snapshot.idle or turn.moved is not None):
                snapshot = turn.before
            elif turn.steps and turn.before is None and turn.bundle != bundle:
                snapshot = None
            bundle = turn.bundle if turn.steps else bundle
            if snapshot is None or not turn.steps or turn.shelf not in self.lexicons:
                continue
            before = replace(snapshot, turn=turn.turn - 1)
            snapshot, now = self._take_one(before, turn)
            yield Taken(turn=turn, then=led_to(turn.effects, turn.state, turn.at), now=now, before=before, after=snapshot)
            if now.problem is not None:
                return

    def _take_one(self, before: Snapshot, turn: RecordedTurn) -> tuple[Snapshot, Led]:
        made: list[Mapping[str, JSON]] = []
        problem: str | None = None
        after = before
        try:
            for snapshot, asked in self._steps(before, turn):
                after = snapshot
                made += asked
        except _Unanswered as unanswered:
            problem = str(unanswered)
        except (LimitCrossed, ContractBroken, Broken) as error:
            problem = f"the turn would fail: {error}"
        led = led_to(made, name_state(after), turn.at)
        self._shown.update({(str(turn.turn), _name(choice)): choice for reply in led.replies for choice in reply.choices})
        return replace(after, turn=turn.turn, pending=None), replace(led, problem=problem)

    def _steps(self, snapshot: Snapshot, turn: RecordedTurn) -> Iterator[tuple[Snapshot, list[Mapping[str, JSON]]]]:
        lexicon = self.lexicons[turn.shelf]
        event: Event = self._as_shown(turn.event)
        unused = [n for n, each in enumerate(turn.steps) if each.answer is not None]
        at = 0
        while True:
            taken = step(self.bundle, snapshot, event, turn.steps[at].context(lexicon))
            snapshot = taken.snapshot
            yield snapshot, [_plain(effects.to_json(effect)) for effect in taken.effects]
            call = taken.effects[-1] if taken.effects else None
            if not isinstance(call, Call):
                return
            found = _find_answer(turn, unused, call)
            if found is None:
                raise _Unanswered(f"{call.name} is asked for, which nobody asked then: what it answers is not known")
            unused.remove(found)
            answer = turn.steps[found].answer
            if answer is not None:
                event = Returned(at=turn.at, outcome=answer.outcome, value=answer.value)
            at = min(found + 1, len(turn.steps) - 1)

    def _as_shown(self, event: Event) -> Event:
        """A tap is on what these flows showed in the same turn: their states may have other names."""
        if not isinstance(event, Tapped):
            return event
        _, turn, choice = event.choice_id.split(":", 2) if event.choice_id.count(":") > 1 else ("", "", "")
        shown = self._shown.get((turn, choice))
        return replace(event, choice_id=shown.id, title=shown.title) if shown is not None else event


def led_to(made: Sequence[Mapping[str, JSON]], state: str | None, at: datetime) -> Led:
    """Sort the effects of a turn, as they are kept. Timers are told by how long they run."""
    kept = cast("Sequence[Mapping[str, Any]]", made)
    return Led(
        replies=tuple(to_reply(effect["place"], effect["message"]) for effect in kept if effect["effect"] == SEND),
        calls=tuple((effect["name"], effect["args"]) for effect in kept if effect["effect"] == CALL),
        others=tuple(
            _timer(effect, at) if effect["effect"] in TIMERS else effect
            for effect in kept
            if effect["effect"] not in (SEND, CALL)
        ),
        state=state,
    )


def _timer(effect: Mapping[str, Any], at: datetime) -> Mapping[str, JSON]:
    runs: timedelta = datetime.fromisoformat(effect["due_at"]) - at
    name = effect["name"] if effect["effect"] == "SetTimer" else effect["flow"]
    return {"effect": effect["effect"], "name": name, "seconds": round(runs.total_seconds())}


def _find_answer(turn: RecordedTurn, unused: Sequence[int], call: Call) -> int | None:
    """The step of the recorded turn whose answer this call gets: the same call, else one of its name."""
    args = _plain(dict(call.args))
    named = [(n, asked) for n in unused if (asked := turn.steps[n].effects[-1])["name"] == call.name]
    same = [n for n, asked in named if asked["args"] == args]
    return same[0] if same else named[0][0] if named else None


def _name(choice: Choice) -> str:
    return choice.id.split(":", 2)[-1]


def _plain(value: Mapping[str, JSON]) -> dict[str, JSON]:
    """As it would be read from the database: a tuple is a list there."""
    plain: dict[str, JSON] = json.loads(json.dumps(value))
    return plain
