"""The fixtures in checks/: what fails, what nearly fails and what passes, of every code that has a page."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

FOLDER = Path(__file__).parent / "checks"
HEAD = "flow: a\nstarts_when: [{any: true}]\n"


def read_fixtures(codes: Collection[str]) -> Iterator[tuple[str, str, Any]]:
    """Code, kind and what is written there; a code may have several of one kind. A text alone is a flow, with or without head."""
    for path in sorted(FOLDER.glob("*.yaml")):
        for document in YAML(typ="safe", pure=True).load_all(path) if path.stem in codes else ():
            for kind, written in document.items():
                for each in written if isinstance(written, list) else [written]:
                    yield path.stem, kind, each if isinstance(each, dict) else {"flows/a.yaml": with_head(each)}


def with_head(text: str) -> str:
    """A flow that anything starts."""
    return text if text.startswith("flow:") else HEAD + text


def beside_app(files: Mapping[str, str]) -> dict[str, bytes]:
    """These files with an app.yaml that fits them, unless they have their own."""
    flows = [file.removeprefix("flows/").removesuffix(".yaml") for file in files if file.count("/") == 1]
    also = "[sw]" if "flows/text/sw.yaml" in files else "[]"
    app = (
        f"app: soko\nlanguages: {{base: en, also: {also}}}\ntimezone: Africa/Nairobi\nchannel: whatsapp\n"
        f"flows: [{', '.join(flows)}]\ntrouble: Sorry.\n"
    )
    return {file: text.encode() for file, text in {"flows/app.yaml": app, **files}.items()}
