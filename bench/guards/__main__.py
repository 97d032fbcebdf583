"""Takes each guard of payments out, in a copy of the tree, and notes which test misses it. `--check`: only whether the list fits.

`./run bench guards` writes docs/payment-guards.md; with words of guards as arguments it tries those, and keeps the other rows.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Final

from bench.guards.declared import NOTHING, PAGE, ROOT, Guard, problems, read_guards, read_page, render

AT_ONCE: Final = 2
LONGEST: Final = 300  # seconds
_FAILED: Final = re.compile(r"^FAILED tests/(\S+?)(?:\[.*)?(?: - .*)?$", re.MULTILINE)


def main() -> int:
    """Say what was found; 1 when a guard is missed by nobody, or the list does not fit."""
    if "--check" in sys.argv:
        found = list(problems())
        sys.stdout.writelines(f"{each}\n" for each in found)
        return int(bool(found))
    wanted = sys.argv[1:]
    everyone = read_guards()
    guards = tuple(each for each in everyone if not wanted or any(word in f"{each.guard} {each.file}" for word in wanted))
    started = time.perf_counter()
    caught: dict[Guard, str] = {}
    with tempfile.TemporaryDirectory(prefix="soko-guards-") as folder:
        trees: Queue[Path] = Queue()
        for number in range(AT_ONCE):
            trees.put(_copy(Path(folder) / str(number)))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for guard, test in pool.map(lambda guard: (guard, _try(guard, trees)), guards):
                sys.stdout.write(f"{test or 'NOTHING':<110} {guard.guard}\n")
                sys.stdout.flush()
                if test is not None:
                    caught[guard] = test
    known = {(row["guard"], row["file"]): row["test"] for row in read_page() if row["test"] != NOTHING}
    kept = {each: test for each in everyone if each not in guards and (test := known.get((each.guard, each.file))) is not None}
    PAGE.write_text(render(everyone, kept | caught), encoding="utf-8")
    sys.stdout.write(f"{len(caught)} of {len(guards)} guards are missed by a test, in {time.perf_counter() - started:.0f} s\n")
    return int(len(caught) < len(guards))


def _copy(tree: Path) -> Path:
    skipped = shutil.ignore_patterns(".*", "__pycache__")
    return shutil.copytree(ROOT, tree, ignore=skipped)


def _try(guard: Guard, trees: "Queue[Path]") -> str | None:
    """Run the guard's tests without it; give the first that fails. A test that cannot even begin has missed nothing."""
    tree = trees.get()
    file = tree / guard.file
    source = file.read_text(encoding="utf-8")
    try:
        file.write_text(source.replace(guard.text, guard.put, 1), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            *(f"tests/{test}" for test in guard.tests),
        ]
        ran = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=LONGEST, check=False)
    finally:
        file.write_text(source, encoding="utf-8")
        trees.put(tree)
    failed = _FAILED.search(ran.stdout)
    if failed is None and ran.returncode != 0:
        sys.stdout.write(ran.stdout[-1500:])
    return failed[1] if failed is not None else None


if __name__ == "__main__":
    raise SystemExit(main())
