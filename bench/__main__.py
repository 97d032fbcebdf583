"""`./run bench NAME [ARGUMENTS]`: run one measurement. Without a name, or with one that is not there: say what there is."""

import ast
import runpy
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
BAD_USAGE: Final = 2


def measurements() -> dict[str, str]:
    """Name of each measurement, and the first line of what its file says about itself."""
    files = {path.stem: path for path in HERE.glob("*.py") if not path.stem.startswith("_")}
    files |= {path.parent.name: path for path in HERE.glob("*/__main__.py")}
    return {name: _about(files[name]) for name in sorted(files)}


def _about(file: Path) -> str:
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def main() -> None:
    """Run the measurement that is named."""
    there = measurements()
    name = sys.argv[1] if len(sys.argv) > 1 else None
    if name not in there:
        told = "run: name what to measure" if name is None else f"run: there is no measurement {name}"
        width = max(map(len, there))
        lines = "\n".join(f"  {each:<{width}}  {about}" for each, about in there.items())
        sys.stderr.write(f"{told}; there is\n{lines}\n")
        raise SystemExit(BAD_USAGE)
    del sys.argv[0]
    runpy.run_module(f"bench.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
