"""A situation that a customer can be in, what leads from one to the next, and how they came there."""

from typing import Final, NamedTuple

from conversation.engine.flow import At

ENTER: Final = -1
WAIT: Final = -2
AGAIN: Final = -3  # the open question is asked again
SAY: Final = -4  # the actions are done
DONE: Final = -5  # the form is filled


class Place(NamedTuple):
    """A flow's frame: where it stands, and whether the flow under it was interrupted."""

    flow: str
    state: str
    visiting: bool = False
    action: int = 0  # that called the flow above


class Situation(NamedTuple):
    """One situation; a tuple, as it is hashed very often. `point` is the action that comes next, or one of the points above."""

    stack: tuple[Place, ...]
    point: int
    order: str
    held: bool = False
    in_flight: bool = False

    def but(
        self,
        *,
        stack: tuple[Place, ...] | None = None,
        point: int | None = None,
        order: str | None = None,
        held: bool | None = None,
        in_flight: bool | None = None,
    ) -> "Situation":
        """The same with something else; several times as fast as _replace."""
        return Situation(
            self.stack if stack is None else stack,
            self.point if point is None else point,
            self.order if order is None else order,
            self.held if held is None else held,
            self.in_flight if in_flight is None else in_flight,
        )

    @property
    def top(self) -> Place:
        """The running flow's place."""
        return self.stack[-1]


class Move(NamedTuple):
    """What leads from one situation to the next: said as the customer would tell it, and where it is written."""

    told: str
    at: At | None
    to: Situation | None  # None: the run is over
    says: int = 0  # messages on the way, at most


class Came:
    """How each situation was come to first. Situations are numbered in the order they are met."""

    def __init__(self) -> None:
        self.numbers: dict[Situation, int] = {}
        self.situations: list[Situation] = []
        self._from: list[tuple[int, Move] | None] = []

    def number(self, situation: Situation, here: int, move: Move | None) -> int:
        """The number of a situation; a new one was come to from `here` by this move, or is where a flow starts."""
        found = self.numbers.get(situation)
        if found is None:
            found = self.numbers[situation] = len(self.situations)
            self.situations.append(situation)
            self._from.append((here, move) if move is not None else None)
        return found

    def _path(self, situation: Situation) -> list[Move]:
        path: list[Move] = []
        number = self.numbers.get(situation)
        came = self._from[number] if number is not None else None
        while came is not None:
            path.append(came[1])
            came = self._from[came[0]]
        return list(reversed(path))

    def story(self, situation: Situation) -> str:
        """The way there as the customer would tell it."""
        return " -> ".join(move.told for move in self._path(situation) if move.told) or "it is where the flow starts"

    def last_edge(self, situation: Situation) -> At | None:
        """Where the last move that is written somewhere stands."""
        return next((move.at for move in reversed(self._path(situation)) if move.at is not None), None)
