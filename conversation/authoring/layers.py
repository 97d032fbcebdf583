"""A small layered layout: boxes in rows, arrows downwards as far as possible, labels as boxes of their own between the rows.

After Sugiyama: rows by longest path in the order given, order within a row by the neighbours' mean place, places by least
squares within the needed distances. Even rows hold boxes, odd rows labels; what an arrow passes is a point in that row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

SWEEPS: Final = 24
SETTLING: Final = 200
_STRAIGHT: Final = 12.0  # how much a passing point holds to its neighbours, beside a box's 1


@dataclass(frozen=True, kw_only=True)
class Node:
    """Something with a size. `last`: it stands in the bottom row."""

    id: str
    width: float
    height: float
    last: bool = False


@dataclass(frozen=True, kw_only=True)
class Link:
    """An arrow from one node to another, with room for its label."""

    source: str
    target: str
    width: float = 0.0
    height: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Spot:
    """The middle of something."""

    x: float
    y: float


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where everything stands. `paths` go from source to target, with the label's spot among them (None: no label)."""

    nodes: Mapping[str, Spot]
    paths: Sequence[tuple[Spot, ...]]
    labels: Sequence[Spot | None]
    width: float
    height: float


@dataclass(kw_only=True)
class _Cell:
    """A node, a label or a passing point in its row."""

    width: float
    height: float
    row: int
    passing: bool = True
    x: float = 0.0
    up: list["_Cell"] = field(default_factory=list)
    down: list["_Cell"] = field(default_factory=list)


def lay_out(nodes: Sequence[Node], links: Sequence[Link], *, gap_x: float = 26.0, gap_y: float = 16.0) -> Layout:
    """Place nodes and links. The same input gives the same layout; a link to itself gets no path."""
    rows_of = _rows([node.id for node in nodes], nodes, links)
    cells = {node.id: _Cell(width=node.width, height=node.height, row=2 * rows_of[node.id], passing=False) for node in nodes}
    chains = [_chain(cells, link) for link in links]
    rows = _order([*cells.values(), *(cell for chain in chains for cell in chain[1:-1])])
    _place(rows, gap_x)
    tops = _heights(rows, gap_y)
    left = min(cell.x - cell.width / 2 for row in rows for cell in row) - gap_x
    spot = {id(cell): Spot(x=cell.x - left, y=tops[cell.row]) for row in rows for cell in row}
    paths, labels = [], []
    for link, chain in zip(links, chains, strict=True):
        down = rows_of[link.source] <= rows_of[link.target]
        way = chain if down else chain[::-1]
        paths.append(tuple(spot[id(cell)] for cell in way))
        labels.append(spot[id(way[1])] if link.width and len(way) > 2 else None)
    width = max(cell.x + cell.width / 2 for row in rows for cell in row) - left + gap_x
    height = tops[-1] + max(cell.height for cell in rows[-1]) / 2 + gap_y
    return Layout(
        nodes={name: spot[id(cell)] for name, cell in cells.items()}, paths=paths, labels=labels, width=width, height=height
    )


# ---------------------------------------------------------------- rows


def _rows(order: Sequence[str], nodes: Sequence[Node], links: Sequence[Link]) -> dict[str, int]:
    """The longest path along links that lead on in the given order; the others close a circle. Last nodes at the bottom."""
    place = {name: index for index, name in enumerate(order)}
    rows = dict.fromkeys(order, 0)
    for link in sorted(links, key=lambda link: place[link.source]):
        if place[link.source] < place[link.target]:
            rows[link.target] = max(rows[link.target], rows[link.source] + 1)
    ends = {node.id for node in nodes if node.last}
    lowest = max((row for name, row in rows.items() if name not in ends), default=0)
    return {name: lowest + 1 if name in ends else row for name, row in rows.items()}


def _chain(cells: Mapping[str, _Cell], link: Link) -> list[_Cell]:
    """Return the cells from the upper end to the lower one; the label stands next to the source."""
    source, target = cells[link.source], cells[link.target]
    if link.source == link.target:
        return [source, target]
    upper, lower = (source, target) if source.row <= target.row else (target, source)
    between = range(upper.row + 1, lower.row) if upper.row != lower.row else range(upper.row + 1, upper.row + 2)
    label = between[0] if upper is source else between[-1]
    points = [
        _Cell(width=link.width if row == label else 6.0, height=link.height if row == label else 0.0, row=row) for row in between
    ]
    chain = [upper, *points, lower]
    for above, below in pairwise(chain):
        if above.row < below.row:
            above.down.append(below)
            below.up.append(above)
        else:  # two nodes of one row: the link hangs below both
            below.down.append(above)
            above.up.append(below)
    return chain


# ---------------------------------------------------------------- order within rows


def _order(cells: Sequence[_Cell]) -> list[list[_Cell]]:
    rows: list[list[_Cell]] = [[] for _ in range(max(cell.row for cell in cells) + 1)]
    for cell in cells:
        rows[cell.row].append(cell)
    best, fewest = [list(row) for row in rows], _crossings(rows)
    for sweep in range(SWEEPS):
        downwards = sweep % 2 == 0
        for row in rows if downwards else reversed(rows):
            _sort_row(row, rows, downwards=downwards)
        crossings = _crossings(rows)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _sort_row(row: list[_Cell], rows: Sequence[Sequence[_Cell]], *, downwards: bool) -> None:
    at = row[0].row - 1 if downwards else row[0].row + 1
    if not 0 <= at < len(rows):
        return
    place = {id(cell): index for index, cell in enumerate(rows[at])}
    mean: dict[int, float] = {}
    for index, cell in enumerate(row):
        near = [place[id(other)] for other in (cell.up if downwards else cell.down)]
        mean[id(cell)] = sum(near) / len(near) if near else index * len(place) / max(1, len(row))
    row.sort(key=lambda cell: mean[id(cell)])


def _crossings(rows: Sequence[Sequence[_Cell]]) -> int:
    total = 0
    for upper, lower in pairwise(rows):
        place = {id(cell): index for index, cell in enumerate(lower)}
        ends = [sorted(place[id(below)] for below in cell.down) for cell in upper]
        seen: list[int] = []
        for targets in ends:
            total += sum(1 for target in targets for other in seen if other > target)
            seen += targets
    return total


# ---------------------------------------------------------------- places


def _place(rows: Sequence[Sequence[_Cell]], gap: float) -> None:
    for row in rows:
        x = 0.0
        for cell in row:
            cell.x = x + cell.width / 2
            x += cell.width + gap
        for cell in row:
            cell.x -= x / 2
    for turn in range(SETTLING):
        for row in rows if turn % 2 == 0 else reversed(rows):
            _settle(row, gap)


def _settle(row: Sequence[_Cell], gap: float) -> None:
    """Move each cell to its neighbours' mean as far as the row's order and distances allow: least squares, exactly."""
    wished, weights, shifts, shift = [], [], [], 0.0
    for index, cell in enumerate(row):
        if index:
            before = row[index - 1]
            shift += (before.width + cell.width) / 2 + (gap if not (before.passing and cell.passing) else gap * 0.6)
        near = [(other.x, _STRAIGHT if cell.passing and other.passing else 1.0) for other in (*cell.up, *cell.down)]
        total = sum(weight for _, weight in near)
        wished.append((sum(x * weight for x, weight in near) / total if total else cell.x) - shift)
        weights.append(max(total, 0.1))
        shifts.append(shift)
    blocks: list[tuple[float, float, int]] = []  # mean, weight, cells
    for wish, weight in zip(wished, weights, strict=True):
        mean, heavy, count = wish, weight, 1
        while blocks and blocks[-1][0] > mean:
            other, other_weight, other_count = blocks.pop()
            mean = (mean * heavy + other * other_weight) / (heavy + other_weight)
            heavy, count = heavy + other_weight, count + other_count
        blocks.append((mean, heavy, count))
    settled = [mean for mean, _, count in blocks for _ in range(count)]
    for cell, x, moved in zip(row, settled, shifts, strict=True):
        cell.x = x + moved


def _heights(rows: Sequence[Sequence[_Cell]], gap: float) -> list[float]:
    """The middle of each row, from the top."""
    tops: list[float] = []
    y = gap
    for row in rows:
        height = max((cell.height for cell in row), default=0.0)
        tops.append(y + height / 2)
        y += height + gap
    return tops
