"""How `soko replay --coverage` tells what transcripts met."""

from collections.abc import Sequence
from math import floor
from typing import TYPE_CHECKING, Final

import typer

from soko.cli.counting import count

if TYPE_CHECKING:
    from conversation.authoring.coverage import Coverage, Item
    from conversation.authoring.traffic import Traffic

BUSIEST: Final = 10


def show_coverage(coverage: "Coverage | None", *, fail_under: float | None) -> None:
    """Print a line a kind, what is missing and what cannot be met; nothing without a coverage."""
    if coverage is None:
        return
    typer.echo("")
    for kind in coverage.kinds:
        covered, of = coverage.sums(kind)
        percent = coverage.percent(kind)
        told = f"{kind:<14}{f'{covered} of {of}':>12}  {_floor(percent):>5} %"
        typer.echo(typer.style(told, fg="red") if percent < (fail_under or 0) else told)
    _list("no transcript meets:", [(item, "") for item in coverage.missing])
    _list("no transcript can meet:", [(item, item.excuse or "") for item in coverage.excused])
    if fail_under is not None and coverage.least < fail_under:
        typer.echo(f"soko: {_floor(coverage.least)} % is covered, and {fail_under:g} % is asked for", err=True)


def show_traffic(traffic: "Traffic", *, since: str) -> None:
    """Print how much of what people did is tested, and the busiest steps that are not."""
    if not traffic.times:
        typer.echo(f"\nno turn of the last {since} is kept")
        return
    typer.echo(
        f"\ntranscripts meet {_floor(traffic.percent)} % of what people did in the last {since} ({count(traffic.times, 'step')})"
    )
    _list(
        "the busiest steps that no transcript meets:",
        [(each.item, count(each.people, "person", "people")) for each in traffic.untested[:BUSIEST]],
    )


def to_report(coverage: "Coverage | None", traffic: "Traffic | None") -> "dict[str, object]":
    """Return {"coverage": {"kinds", "missing", "excused", "traffic"}}, or nothing without a coverage."""
    if coverage is None:
        return {}
    kinds = {
        kind: {"covered": coverage.sums(kind)[0], "of": coverage.sums(kind)[1], "percent": _floor(coverage.percent(kind))}
        for kind in coverage.kinds
    }
    return {
        "coverage": {
            "kinds": kinds,
            "missing": [_to_json(item) for item in coverage.missing],
            "excused": [_to_json(item) | {"why": item.excuse} for item in coverage.excused],
            "traffic": None
            if traffic is None
            else {
                "conversations": traffic.conversations,
                "steps": traffic.times,
                "tested": traffic.tested,
                "percent": _floor(traffic.percent),
                "untested": [_to_json(each.item) | {"people": each.people, "times": each.times} for each in traffic.untested],
            },
        }
    }


def _floor(percent: float) -> float:
    """One digit, never rounded up: 100 is all of it."""
    return floor(percent * 10) / 10


def _list(title: str, items: "Sequence[tuple[Item, str]]") -> None:
    from soko.replay.places import show_at

    if items:
        typer.echo(f"\n{title}")
    for item, note in items:
        why = f"  ({note})" if note else ""
        typer.echo(f"{show_at(item.at)}  {item.kind:<11} {item.name}{typer.style(why, dim=True)}")


def _to_json(item: "Item") -> "dict[str, object]":
    from soko.replay.places import show_at

    return {"kind": item.kind, "name": item.name, "file": show_at(item.at).rpartition(":")[0], "line": item.at.line}
