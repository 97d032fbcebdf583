"""A chat that grows by one act at a time, each on the real turn and router.

A chat is a transcript without expectations. After each act it is played again from its first line, so no transaction stays
open while somebody thinks, going back is leaving acts out, and what is saved is what was seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from conversation.authoring.matching import ChatLine, Choice, Reply
from conversation.authoring.read_transcripts import parse_transcripts, read_transcripts
from conversation.authoring.transcripts import Act, CustomerTaps, Given, PushAnswer, QueryAnswer, Transcript
from soko.replay.play import Played, Watched
from soko.replay.stage import Stage, find_transcripts
from soko.replay.write_transcript import write_transcript

PHONE: Final = "254700000001"
# What M-Pesa answers when nobody scripted it: it takes each prompt, and knows no result until the chat tells one.
ACCEPTED: Final = (PushAnswer(line=1, answer="accepted"),) * 50
PENDING: Final = (QueryAnswer(line=1, answer="pending"),) * 500


class CannotDo(Exception):
    """The chat cannot do this, and stays as it was."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """Where a chat begins: its world, and the acts that led there."""

    flow: str
    given: Given
    pushes: tuple[PushAnswer, ...] = ()
    queries: tuple[QueryAnswer, ...] = ()
    acts: tuple[Act, ...] = ()


class Chat:
    """One chat. `flows` is the folder with the app.yaml it runs on."""

    def __init__(self, stage: Stage, start: Start, *, flows: Path) -> None:
        self._stage, self._start, self._flows = stage, start, flows
        self._acts: tuple[Act, ...] = ()
        self.seen: Watched | None = None

    @property
    def choices(self) -> tuple[Choice, ...]:
        """What can be tapped on the newest message that has anything to tap."""
        shown = [line for scene in self.seen.scenes for line in scene if isinstance(line, Reply)] if self.seen else []
        return next((reply.choices for reply in reversed(shown) if reply.choices), ())

    @property
    def languages(self) -> tuple[str, ...]:
        """What the flows speak, the base language first. Errors: FlowErrors."""
        return self._stage.flows_in(self._flows).languages

    def do(self, act: Act) -> Sequence[ChatLine]:
        """Do one thing more, and return what it led to, the act itself first. Errors: CannotDo."""
        self._become((*self._acts, act))
        return self.seen.scenes[-1] if self.seen is not None else ()

    def tap(self, number: int) -> Sequence[ChatLine]:
        """Tap the nth choice. Errors: CannotDo."""
        if not 1 <= number <= len(self.choices):
            raise CannotDo(f"there is no choice {number}: {len(self.choices)} can be tapped")
        return self.do(CustomerTaps(line=1, choice=self.choices[number - 1].title))

    def answer_next(self, answer: PushAnswer) -> None:
        """Let M-Pesa answer the next prompt with this; what it takes without a word is "accepted"."""
        used = self.seen.pushes if self.seen is not None else 0
        self._start = replace(self._start, pushes=(*(*self._start.pushes, *ACCEPTED)[:used], answer))

    def back(self) -> None:
        """Undo the last act. Errors: CannotDo."""
        if not self._acts:
            raise CannotDo("this is the beginning")
        self._become(self._acts[:-1])

    def begin_again(self, language: str) -> None:
        """Start over with a customer who speaks this language. Errors: CannotDo."""
        if language not in self.languages:
            raise CannotDo(f"these flows speak {', '.join(self.languages)}, not {language or 'nothing'}")
        self._start = Start(
            flow=self._start.flow, given=replace(self._start.given, language=language, order=None, stock={}, draws={})
        )
        self._become(())

    def go_to(self, state: str) -> None:
        """Start over in this state, on a way that a transcript beside the flows knows. Errors: CannotDo."""
        if not state:
            raise CannotDo("/at needs a state, such as /at shop.pay")
        self._start = self._find_way(state)
        self._become(self._start.acts)
        if self.seen is not None:
            used = self.seen
            self._start = replace(
                self._start, pushes=self._start.pushes[: used.pushes], queries=self._start.queries[: used.queries]
            )

    def save(self, path: Path) -> Played:
        """Write the chat as a transcript, and play it. Errors: CannotDo."""
        if self._flows.resolve() not in path.resolve().parents:
            raise CannotDo(f"{path} is not below {self._flows}: a transcript is played with the flows that it stands beside")
        if self.seen is None:
            raise CannotDo("nothing was said yet")
        if path.exists():
            raise CannotDo(f"{path} exists already: name another one")
        name = path.name.partition(".")[0].replace("-", " ").replace("_", " ")
        text = write_transcript(self._transcript(self._acts), self.seen, name=name)
        (transcript,) = parse_transcripts(text, file=str(path))
        played = self._stage.play(transcript)
        if played.failure is not None:
            raise CannotDo(f"{path} is not written, because it would not pass:\n{played.failure.report}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CannotDo(f"{path} cannot be written: {error.strerror}; name another place") from error
        return played

    def _become(self, acts: tuple[Act, ...]) -> None:
        seen = self._stage.watch(self._transcript(acts)) if acts else None
        if seen is not None and seen.problem is not None:
            raise CannotDo(seen.problem)
        self._acts, self.seen = acts, seen
        if seen is not None:  # what was drawn once stays, though every act plays the chat anew
            self._start = replace(self._start, given=replace(self._start.given, draws=seen.draws))

    def _transcript(self, acts: tuple[Act, ...]) -> Transcript:
        start = self._start
        return Transcript(
            file=str(self._flows / "tests" / "chat.test.yaml"),
            line=1,
            name="chat",
            flow=start.flow,
            given=start.given,
            pushes=(*start.pushes, *ACCEPTED),
            queries=(*start.queries, *PENDING),
            chat=acts,
        )

    def _find_way(self, state: str) -> Start:
        """Play transcripts, short ones in the customer's language first, until one comes by."""
        language = self._start.given.language
        known = [one for file in find_transcripts([self._flows / "tests"]) for one in read_transcripts(file)]
        known.sort(key=lambda one: (language is not None and one.given.language != language, len(one.chat)))
        reached: set[str] = set()
        for transcript in known:
            states = self._stage.watch(transcript).states
            reached |= set(states)
            wanted = next((n for n, at in enumerate(states) if at in (state, f"{transcript.flow}.{state}")), None)
            if wanted is not None:
                return Start(
                    flow=transcript.flow,
                    given=transcript.given,
                    pushes=transcript.pushes,
                    queries=transcript.queries,
                    acts=tuple(step for step in transcript.chat if isinstance(step, Act))[: wanted + 1],
                )
        raise CannotDo(f"no transcript reaches {state}; they reach {', '.join(sorted(reached - {'none'})) or 'none'}")


def new_start(*, flow: str, vendor: str, language: str | None, now: datetime) -> Start:
    """Begin with a customer nobody knows, now; transcripts write the time in whole minutes."""
    moment = now.replace(second=0, microsecond=0)
    given = Given(now=moment, phone=PHONE, first_name="Mteja", language=language, vendor=vendor, order=None, stock={})
    return Start(flow=flow, given=given)
