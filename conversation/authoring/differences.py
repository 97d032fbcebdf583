"""What other flows would have done in conversations that took place: the first difference of each, told by kinds."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from conversation.authoring.matching import ChatLine, Reply, Spoken
from conversation.authoring.rerun import TIMERS, Led, Rerun, Taken
from conversation.engine.events import Event, Happened, PersonLeft, PersonSaid, Said, Shared, Tapped, TimerFired
from conversation.engine.flow import Bundle
from conversation.engine.lexicon import Lexicon
from conversation.engine.values import JSON
from conversation.recorded import RecordedTurn

NOWHERE: Final = "no flow"
AGO: Final = 2  # turns before the difference that an example shows


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The first turn of one conversation that goes another way. `what` is the same for all that differ alike.

    `chat` is the end of the conversation as it went, `then` and `now` the replies of the turn itself; `names` are the customer's.
    """

    what: str
    conversation_id: str
    turn: int
    chat: tuple[ChatLine, ...]
    then: tuple[Reply, ...]
    now: tuple[Reply, ...]
    names: frozenset[str]
    money: bool


@dataclass(frozen=True, kw_only=True)
class Group:
    """Conversations whose first difference is the same. `money`: how many of them differ in what is charged, then or later."""

    what: str
    count: int
    money: int
    example: Difference


@dataclass(frozen=True, kw_only=True)
class Compared:
    """Everything a comparison found. `skipped`: conversations in which no turn could be taken again."""

    conversations: int
    turns: int
    skipped: int
    groups: tuple[Group, ...]

    @property
    def differ(self) -> int:
        """How many conversations differ."""
        return sum(group.count for group in self.groups)

    @property
    def money(self) -> int:
        """How many of them differ in what is charged."""
        return sum(group.money for group in self.groups)


def compare(conversations: Iterable[tuple[Sequence[RecordedTurn], Mapping[str, Lexicon]]], bundle: Bundle) -> Compared:
    """Take every conversation again on this bundle, each with its shop's words. The most frequent difference comes first."""
    grouped: dict[str, list[Difference]] = {}
    count = turns = skipped = 0
    for conversation, lexicons in conversations:
        taken = list(Rerun(bundle=bundle, lexicons=lexicons).take(conversation))
        count, turns, skipped = count + 1, turns + len(taken), skipped + (not taken)
        difference = _find(conversation, taken, bundle)
        if difference is not None:
            grouped.setdefault(difference.what, []).append(difference)
    groups = (
        Group(
            what=what,
            count=len(alike),
            money=sum(each.money for each in alike),
            example=min(alike, key=lambda each: (not each.money, each.turn)),
        )
        for what, alike in grouped.items()
    )
    ordered = tuple(sorted(groups, key=lambda group: (-group.count, group.what)))
    return Compared(conversations=count, turns=turns, skipped=skipped, groups=ordered)


def _find(conversation: Sequence[RecordedTurn], taken: Sequence[Taken], bundle: Bundle) -> Difference | None:
    for index, each in enumerate(taken):
        what = _what_differs(each)
        if what is None:
            continue
        chat = [line for before in taken[max(0, index - AGO) : index] for line in show_turn(before.turn.event, before.then)]
        return Difference(
            what=what,
            conversation_id=each.turn.conversation_id,
            turn=each.turn.turn,
            chat=(*chat, show_event(each.turn.event)),
            then=each.then.replies,
            now=each.now.replies,
            names=frozenset(str(each.turn.steps[0].customer["first_name"]).split()),
            money=_charges_differ(conversation, taken, bundle),
        )
    return None


def _charges_differ(conversation: Sequence[RecordedTurn], taken: Sequence[Taken], bundle: Bundle) -> bool:
    """Whether any call that moves money is made in one of the two only, or otherwise. What was not reached is not the same."""
    moving = {name for name, spec in bundle.catalogue.calls.items() if spec.moves_money}
    if any(_only(each.then, moving) != _only(each.now, moving) for each in taken):
        return True
    reached = taken[-1].turn.turn
    later = [effect for turn in conversation if turn.turn > reached for effect in turn.effects]
    return any(effect["effect"] == "Call" and effect["name"] in moving for effect in later)


def _only(led: Led, names: set[str]) -> list[tuple[str, Mapping[str, JSON]]]:
    return [call for call in led.calls if call[0] in names]


# ---------------------------------------------------------------- which difference it is


def _what_differs(taken: Taken) -> str | None:
    """The most telling difference of a turn, in words that leave out what is this customer's alone."""
    then, now = taken.then, taken.now
    place = taken.turn.came_from or NOWHERE
    found = now.problem or next(_call_differences(then, now), None)
    if found is not None:
        return f"{place}: {found}"
    if then.state != now.state:
        return f"{place}: goes to {now.state or NOWHERE}, and went to {then.state or NOWHERE}"
    return next(_reply_differences(then, now), None) or next(_other_differences(place, then, now), None)


def _call_differences(then: Led, now: Led) -> Iterator[str]:
    for old, new in zip_longest(then.calls, now.calls):
        if old == new:
            continue
        if old is not None and new is not None and old[0] == new[0]:
            other = [name for name in sorted({*old[1], *new[1]}) if old[1].get(name) != new[1].get(name)]
            yield f"calls {old[0]} with another {', '.join(other)}"
        elif new is None or (old is not None and old[0] not in [name for name, _ in now.calls]):
            yield f"calls {old[0]} no more"
        else:
            yield f"calls {new[0]}, and did not"


def _reply_differences(then: Led, now: Led) -> Iterator[str]:
    for old, new in zip_longest(then.replies, now.replies):
        if old is None:
            yield f"{new.place} is said, and was not"
        elif new is None:
            yield f"{old.place} is said no more"
        elif _seen(old) != _seen(new):
            yield f"{new.place} is another message" if old.place == new.place else f"{new.place} is said instead of {old.place}"


def _seen(reply: Reply) -> tuple[object, ...]:
    """What a customer sees of a reply: names of places and ids of choices are ours."""
    choices = tuple((choice.title, choice.about) for choice in reply.choices)
    return reply.text, choices, reply.menu_button


def _other_differences(place: str, then: Led, now: Led) -> Iterator[str]:
    names = {
        "SetTimer": "timers",
        "Schedule": "flows that start later",
        "HandOff": "handing over to people",
        "Ended": "how the flow ends",
        "SwitchLanguage": "the language",
        "Emit": "what is counted",
    }
    for kind, name in names.items():
        if [each for each in then.others if each["effect"] == kind] != [each for each in now.others if each["effect"] == kind]:
            yield f"{place}: other {name}" if kind in TIMERS else f"{place}: {name} is another"


# ---------------------------------------------------------------- showing a turn


def show_turn(event: Event, led: Led) -> list[ChatLine]:
    """A turn as lines of a chat."""
    return [show_event(event), *led.replies]


def show_event(event: Event) -> Spoken:
    """What started a turn, as a line of a chat."""
    match event:
        case Said(text=text):
            return Spoken(who="customer", text=text)
        case Tapped(title=title):
            return Spoken(who="customer", text=f"[{title}]")
        case Shared(what=what):
            return Spoken(who="customer", text=f"({what})")
        case Happened(name=name, outcome=outcome):
            return Spoken(who="event", text=f"{name}: {outcome}")
        case TimerFired(name=name):
            return Spoken(who="clock", text=f"{name} is over")
        case PersonSaid(text=text):
            return Spoken(who="person", text=text)
        case PersonLeft():
            return Spoken(who="person", text="(gives the conversation back)")
        case _:
            return Spoken(who="event", text=type(event).__name__)
