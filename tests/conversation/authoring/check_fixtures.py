"""The fixtures in checks/: what fails, what nearly fails and what passes, of every code that has a page."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

FOLDER = Path(__file__).parent / "checks"


def read_fixtures(codes: Collection[str]) -> Iterator[tuple[str, str, Any]]:
    """Code, kind and what is written there; a code may have several of one kind."""
    for path in sorted(FOLDER.glob("*.yaml")):
        for document in YAML(typ="safe", pure=True).load_all(path) if path.stem in codes else ():
            for kind, written in document.items():
                for each in written if isinstance(written, list) else [written]:
                    yield path.stem, kind, each


def beside_app(files: Mapping[str, str]) -> dict[str, bytes]:
    """These files with an app.yaml that fits them."""
    flows = [file.removeprefix("flows/").removesuffix(".yaml") for file in files if file.count("/") == 1]
    also = "[sw]" if "flows/text/sw.yaml" in files else "[]"
    app = (
        f"app: soko\nlanguages: {{base: en, also: {also}}}\ntimezone: Africa/Nairobi\nchannel: whatsapp\n"
        f"flows: [{', '.join(flows)}]\ntrouble: Sorry.\n"
    )
    return {file: text.encode() for file, text in {**files, "flows/app.yaml": app}.items()}
