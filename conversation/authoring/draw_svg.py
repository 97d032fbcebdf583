"""A drawing as SVG: our own layout, one file, no script, no font to fetch."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import Final

from conversation.authoring.draw import Arrow, ArrowKind, Box, BoxKind, Drawing
from conversation.authoring.layers import Layout, Link, Node, Spot, lay_out

_WIDE: Final = 6.7  # of a letter in the boxes, generously
_SMALL: Final = 5.8  # of a letter on the arrows
_LINE: Final = 14.0
_PADDING: Final = 9.0
_LABEL_LETTERS: Final = 30
_FILLS: Final = {
    BoxKind.START: "#333333",
    BoxKind.ASK: "#e3effb",
    BoxKind.WAIT: "#ffeccc",
    BoxKind.ACT: "#ffffff",
    BoxKind.DONE: "#e6e6e6",
    BoxKind.FLOW: "#f1e6fa",
}
_MONEY: Final = "#ffe680"
_COLOURS: Final = {ArrowKind.WAY: "#44546a", ArrowKind.CONSENT: "#0a7a3d", ArrowKind.ELSE: "#9a9a9a"}
_STYLE: Final = (
    "text{font-family:'DejaVu Sans',Verdana,sans-serif;font-size:10px;fill:#222}"
    ".name{font-weight:bold;font-size:11px}.label{font-size:9px}"
)


def to_svg(drawing: Drawing) -> str:
    """Write a drawing as an SVG picture."""
    arrows = [arrow for arrow in drawing.arrows if arrow.source != arrow.target]
    turning = {arrow.source: arrow.label for arrow in drawing.arrows if arrow.source == arrow.target}
    texts = {box.name: _texts(box, turning.get(box.name, "")) for box in drawing.boxes}
    labels = [_wrapped(arrow.label) for arrow in arrows]
    layout = lay_out(
        [_node(box, texts[box.name]) for box in drawing.boxes],
        [_link(arrow, label) for arrow, label in zip(arrows, labels, strict=True)],
    )
    boxes = {box.name: box for box in drawing.boxes}
    legend = _legend(drawing)
    height = layout.height + 16 * len(legend) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {layout.width:.0f} {height:.0f}"'
        f' width="{layout.width:.0f}" height="{height:.0f}">',
        f"<title>{escape(drawing.flow)}</title><style>{_STYLE}</style>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        *(_marker(kind) for kind in ArrowKind),
    ]
    parts += [_path(arrow, layout, index, boxes, texts) for index, arrow in enumerate(arrows)]
    parts += [_label(label, spot, arrow) for label, spot, arrow in zip(labels, layout.labels, arrows, strict=True) if spot]
    parts += [_box(box, texts[box.name], layout.nodes[box.name]) for box in drawing.boxes]
    for index, line in enumerate(legend):
        parts.append(f'<text x="14" y="{layout.height + 16 * index + 8:.0f}">{escape(line)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _texts(box: Box, again: str) -> list[str]:
    if box.kind is BoxKind.START:
        return ["start"]
    return [box.name, *box.lines, *([f"↻ {again}"] if again else [])]


def _legend(drawing: Drawing) -> list[str]:
    key = (
        "blue: asks · orange: waits · yellow: moves money · grey: ends · green arrow: the customer's own PAY · dashed: otherwise"
    )
    return [key, *([f"In every question:  {' · '.join(drawing.anywhere)}"] if drawing.anywhere else [])]


# ---------------------------------------------------------------- sizes


def _size(texts: Sequence[str]) -> tuple[float, float]:
    return max(len(text) for text in texts) * _WIDE + 2 * _PADDING, len(texts) * _LINE + 2 * _PADDING - 4


def _node(box: Box, texts: Sequence[str]) -> Node:
    width, height = _size(texts)
    return Node(id=box.name, width=width, height=height, last=box.kind is BoxKind.DONE)


def _wrapped(label: str) -> list[str]:
    """Break a long label between its words."""
    lines: list[str] = []
    for word in label.split():
        if lines and len(lines[-1]) + len(word) < _LABEL_LETTERS and word != "|" and not lines[-1].endswith("|"):
            lines[-1] += f" {word}"
        elif lines and word == "|":
            lines[-1] += " |"
        elif lines and lines[-1].endswith("|") and len(lines[-1]) + len(word) < _LABEL_LETTERS // 2:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _link(arrow: Arrow, label: Sequence[str]) -> Link:
    if not label:
        return Link(source=arrow.source, target=arrow.target)
    width = max(len(line) for line in label) * _SMALL + 6
    return Link(source=arrow.source, target=arrow.target, width=width, height=len(label) * 11.0 + 2)


# ---------------------------------------------------------------- shapes


def _marker(kind: ArrowKind) -> str:
    return (
        f'<marker id="{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"'
        f' markerUnits="userSpaceOnUse"><path d="M0 0L8 4L0 8z" fill="{_COLOURS[kind]}"/></marker>'
    )


def _box(box: Box, texts: Sequence[str], spot: Spot) -> str:
    width, height = _size(texts)
    x, y = spot.x - width / 2, spot.y - height / 2
    fill = _MONEY if box.money else _FILLS[box.kind]
    round_by = {BoxKind.ASK: 10, BoxKind.START: 14, BoxKind.WAIT: 4}.get(box.kind, 2)
    edge = 'stroke="#b8860b" stroke-width="2.5"' if box.money else 'stroke="#44546a" stroke-width="1"'
    shape = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{round_by}" fill="{fill}" {edge}/>'
    colour = ' style="fill:#ffffff"' if box.kind is BoxKind.START else ""
    lines = [
        f'<text x="{spot.x:.1f}" y="{y + _PADDING + 8 + index * _LINE:.1f}" text-anchor="middle"'
        f"{_named(index)}{colour}>{escape(text)}</text>"
        for index, text in enumerate(texts)
    ]
    return shape + "".join(lines)


def _named(index: int) -> str:
    return ' class="name"' if index == 0 else ""


def _path(arrow: Arrow, layout: Layout, index: int, boxes: dict[str, Box], texts: dict[str, list[str]]) -> str:
    spots = list(layout.paths[index])
    spots[0] = _border(spots[0], spots[1], texts[boxes[arrow.source].name])
    spots[-1] = _border(spots[-1], spots[-2], texts[boxes[arrow.target].name])
    way = f"M{spots[0].x:.1f} {spots[0].y:.1f}"
    for here, there in pairwise(spots):
        middle = (here.y + there.y) / 2
        way += f"C{here.x:.1f} {middle:.1f} {there.x:.1f} {middle:.1f} {there.x:.1f} {there.y:.1f}"
    dashed = ' stroke-dasharray="4 3"' if arrow.kind is ArrowKind.ELSE else ""
    wide = 2.6 if arrow.kind is ArrowKind.CONSENT else 1.1
    return (
        f'<path d="{way}" fill="none" stroke="{_COLOURS[arrow.kind]}" stroke-width="{wide}"{dashed}'
        f' marker-end="url(#{arrow.kind})"/>'
    )


def _border(spot: Spot, towards: Spot, texts: Sequence[str]) -> Spot:
    """Where an arrow meets its box: on the upper or lower side, a little towards where it comes from."""
    width, height = _size(texts)
    aside = max(-width * 0.4, min(width * 0.4, (towards.x - spot.x) * 0.5))
    return Spot(x=spot.x + aside, y=spot.y + (height / 2 if towards.y > spot.y else -height / 2))


def _label(label: Sequence[str], spot: Spot, arrow: Arrow) -> str:
    width, height = max(len(line) for line in label) * _SMALL, len(label) * 11.0
    back = (
        f'<rect x="{spot.x - width / 2:.1f}" y="{spot.y - height / 2:.1f}" width="{width:.1f}" height="{height:.1f}"'
        ' fill="#ffffff" fill-opacity="0.9"/>'
    )
    top = spot.y - height / 2 + 8
    lines = [
        f'<text class="label" x="{spot.x:.1f}" y="{top + index * 11:.1f}" text-anchor="middle"'
        f' style="fill:{_COLOURS[arrow.kind] if arrow.kind is not ArrowKind.ELSE else "#6a6a6a"}">{escape(line)}</text>'
        for index, line in enumerate(label)
    ]
    return back + "".join(lines)
