"""The one ladder on which every message of a customer is understood, the same in every state.

1 choice  2 consent  3 state words  4 commands  5 entities  6 patterns  7 intents  8 any  then unmatched. The result says which
rung took the message, and for the rungs above it why not, with what came nearest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rapidfuzz import fuzz, process

from conversation.engine.catalogue import ConsentSpec
from conversation.engine.events import FromCustomer, Said, Shared, Tapped
from conversation.engine.flow import Bundle, Command, Reply, State
from conversation.engine.lexicon import Lexicon
from conversation.engine.normalise import normalise
from conversation.engine.patterns import LONGEST_MESSAGE
from conversation.engine.snapshot import Wait
from conversation.engine.values import JSON

PICKED: Final = "picked:"
NEXT_PAGE: Final = "~more"
_MISSED: Final = 60.0  # of 100: what is less like a word is no near miss of it

# The same characters as in the database's is_pay(): no more, so that both always agree on what the customer said.
_AROUND_CONSENT: Final = " \t\n\r\f\x0b\u00a0!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~\u2026\u201c\u201d\u2018\u2019\u2013\u2014"


def is_consent_word(text: str, words: tuple[str, ...] = ("PAY",)) -> bool:
    """Whether the whole text is the consent word: any case, outer spaces and punctuation ignored, nothing else."""
    said = text.strip(_AROUND_CONSENT)
    return said.isascii() and said.upper() in words


def to_choice_id(flow: str, state: str, turn: int, choice: str) -> str:
    """Write the id of a button or row: "shop.pay:12:confirm"."""
    return f"{flow}.{state}:{turn}:{choice}"


def is_open(choice_id: str, flow: str, wait: Wait) -> str | None:
    """Return the choice of an id that belongs to this very wait, or None: it is from an older question (stale)."""
    place, _, rest = choice_id.partition(":")
    turn, _, choice = rest.partition(":")
    if place != f"{flow}.{wait.state}" or turn != str(wait.turn):
        return None
    shown = choice in wait.choices or choice == NEXT_PAGE or choice.removeprefix(PICKED) in wait.rows
    return choice if shown else None


@dataclass(frozen=True, kw_only=True)
class Match:
    """What took the message: a reply with its value, a command, the next page, or nothing. `passed` says why not above."""

    rung: str
    passed: tuple[str, ...]
    reply: Reply | None = None
    command: Command | None = None
    value: JSON = None
    next_page: bool = False


@dataclass(frozen=True, kw_only=True)
class _Heard:
    """A message as the ladder sees it: the open choice it is, if any, and its words."""

    choice: str | None
    text: str

    @property
    def words(self) -> str:
        return normalise(self.text)


def hear(event: FromCustomer, flow: str, wait: Wait) -> _Heard:
    """Return the words of a message, and the open choice that it taps or whose title it spells out."""
    match event:
        case Shared():
            return _Heard(choice=None, text="")
        case Tapped():
            return _Heard(choice=is_open(event.choice_id, flow, wait), text=event.title)
        case Said():
            return _Heard(choice=_spelled(normalise(event.text), wait), text=event.text)


def _spelled(words: str, wait: Wait) -> str | None:
    named = [choice for choice, title in wait.choices.items() if normalise(title) == words] if words else []
    return named[0] if len(named) == 1 else None


def match(event: FromCustomer, flow: str, state: State, wait: Wait, bundle: Bundle, lexicon: Lexicon) -> Match:
    """Take a message up the ladder. A stale tap never comes here."""
    heard = hear(event, flow, wait)
    passed: list[str] = []
    found = (
        _by_choice(heard, state, wait, passed)
        or _by_consent(event, heard, state, wait, bundle.catalogue.consents, passed)
        or _by_words(heard, state, passed)
        or _by_command(heard, state, passed)
        or _by_entity(heard, event.at, state, bundle, lexicon, passed)
        or _by_pattern(heard, state, passed)
        or _by_intent(event, state, passed)
        or _by_anything(heard, state, passed)
    )
    return found or Match(rung="unmatched", passed=tuple(passed))


def _by_choice(heard: _Heard, state: State, wait: Wait, passed: list[str]) -> Match | None:
    if heard.choice is None:
        passed.append("choice: not one of the open question's choices" + _nearest(heard, map(normalise, wait.choices.values())))
        return None
    if heard.choice == NEXT_PAGE:
        return Match(rung="choice", passed=tuple(passed), next_page=True)
    for reply in state.replies:
        if reply.choice == heard.choice:
            return Match(rung="choice", passed=tuple(passed), reply=reply, value=heard.choice)
        if reply.picked and heard.choice.startswith(PICKED):
            return Match(rung="choice", passed=tuple(passed), reply=reply, value=wait.rows[heard.choice.removeprefix(PICKED)])
    passed.append(f"choice: {heard.choice} is read by its title")
    return None


def _by_consent(
    event: FromCustomer, heard: _Heard, state: State, wait: Wait, consents: Mapping[str, ConsentSpec], passed: list[str]
) -> Match | None:
    for reply in state.replies:
        if reply.consent is None:
            continue
        words = consents[reply.consent].words
        # A tap counts only on the open question's own button, and by the title that we gave it.
        text = heard.text if not isinstance(event, Tapped) else wait.choices.get(heard.choice or "", "")
        if is_consent_word(text, words):
            return Match(rung="consent", passed=tuple(passed), reply=reply)
        passed.append(f"consent: not the whole word {words[0]}")
        return None
    passed.append("consent: this question takes none")
    return None


def _by_words(heard: _Heard, state: State, passed: list[str]) -> Match | None:
    words = heard.words
    for reply in state.replies:
        if words and words in reply.words:
            return Match(rung="state_words", passed=tuple(passed), reply=reply)
    passed.append(
        "state_words: none is the whole message" + _nearest(heard, (word for each in state.replies for word in each.words))
    )
    return None


def _by_command(heard: _Heard, state: State, passed: list[str]) -> Match | None:
    words = heard.words
    for command in state.commands:
        if words and words in command.words:
            return Match(rung="commands", passed=tuple(passed), command=command)
    passed.append(
        "commands: none is the whole message" + _nearest(heard, (word for each in state.commands for word in each.words))
    )
    return None


def _nearest(heard: _Heard, known: Iterable[str]) -> str:
    """What the customer nearly said, for the trace."""
    found = process.extractOne(heard.words, sorted(known), scorer=fuzz.ratio, score_cutoff=_MISSED)
    return f"; nearest is `{found[0]}`" if found and heard.words else ""


def _by_entity(heard: _Heard, at: datetime, state: State, bundle: Bundle, lexicon: Lexicon, passed: list[str]) -> Match | None:
    for reply in state.replies:
        if reply.entity is None:
            continue
        value = bundle.read_entity(reply.entity, heard.text, lexicon, at) if heard.text else None
        if value is not None:
            return Match(rung="entities", passed=tuple(passed), reply=reply, value=value)
        passed.append(f"entities: no {reply.entity} in it")
    return None


def _by_pattern(heard: _Heard, state: State, passed: list[str]) -> Match | None:
    for reply in state.replies:
        if reply.pattern is None:
            continue
        value = reply.pattern.read(heard.text)
        if value is not None:
            return Match(rung="patterns", passed=tuple(passed), reply=reply, value=value)
        passed.append(f"patterns: not {reply.pattern.source}")
    return None


def _by_intent(event: FromCustomer, state: State, passed: list[str]) -> Match | None:
    meant = event.intent if isinstance(event, Said) else None
    for reply in state.replies:
        if reply.intent is not None and reply.intent == meant:
            return Match(rung="intents", passed=tuple(passed), reply=reply)
        if reply.intent is not None:
            passed.append(f"intents: not {reply.intent}")
    return None


def _by_anything(heard: _Heard, state: State, passed: list[str]) -> Match | None:
    for reply in state.replies:
        if reply.anything and heard.text.strip():
            return Match(rung="any", passed=tuple(passed), reply=reply, value=heard.text.strip()[:LONGEST_MESSAGE])
        if reply.anything:
            passed.append("any: it has no words")
    return None
