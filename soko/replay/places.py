"""Where a place of a flow, such as shop.pay.ask, stands in the authors' files."""

from pathlib import Path

from conversation.engine.flow import At, Bundle


def show_at(at: At) -> str:
    """Write file:line, from the current folder when the file is below it."""
    path = Path(at.file)
    return f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}:{at.line}"


def find_place(bundle: Bundle, place: str) -> str | None:
    """Return file:line of a text or a state; None for what stands in no file, such as what people write."""
    text = bundle.texts.get(place)
    if text is not None:
        return show_at(text.at)
    flow, _, state = place.partition(".")
    known = bundle.flows[flow].states.get(state) if flow in bundle.flows else None
    return show_at(known.at) if known is not None else None
